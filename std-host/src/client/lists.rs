//! Fetches the pages of a list, and checks its entries.

use super::error::Error;
use super::inner::Inner;
use super::limits::{LIST_BYTES, PAGES};
use super::mirror;
use super::raw::RawJson;
use super::request::Request;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

/// The lists of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum List {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
}

impl List {
    const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
        }
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }
}

impl Inner {
    /// Fetches the list of tools to learn their mirrored arguments.
    pub(super) async fn refresh_tools(&self) -> Result<(), Error> {
        self.list(List::Tools).await.map(drop)
    }

    pub(super) async fn list(&self, list: List) -> Result<Vec<RawJson>, Error> {
        let mut entries = Vec::new();
        let (mut cursor, mut seen, mut bytes) = (None, HashSet::new(), 0);
        for _ in 0..PAGES {
            let mut request = Request::new(list.method());
            if let Some(cursor) = cursor {
                request = request.param("cursor", cursor);
            }
            let result = match self.ask(&request).await {
                // MCP 2025-11-25 basic/lifecycle: a server need not serve what it has not declared.
                Err(Error::Rpc(error)) if error.code == METHOD_NOT_FOUND && entries.is_empty() => return Ok(entries),
                result => result?,
            };
            bytes += result.as_bytes().len();
            if bytes > LIST_BYTES {
                return Err(Error::EndlessList(format!("it has more than {LIST_BYTES} bytes")));
            }
            let page = result.member(list.member()).unwrap_or_else(RawJson::empty_object);
            entries.extend(page.elements());
            // MCP server/utilities/pagination: an empty string is a cursor, too. Some servers send
            // null at the end.
            match result.member("nextCursor").filter(|cursor| cursor.string().is_some()) {
                None => return Ok(self.listed(list, entries)),
                Some(next) if !seen.insert(next.clone()) => {
                    return Err(Error::EndlessList(format!("the server gave cursor {next} twice")));
                }
                Some(next) => cursor = Some(next),
            }
        }
        Err(Error::EndlessList(format!("it has more than {PAGES} pages")))
    }

    /// Checks the entries of a list one by one. An invalid entry does not affect the others.
    fn listed(&self, list: List, entries: Vec<RawJson>) -> Vec<RawJson> {
        let name = if matches!(list, List::Resources) { "uri" } else { "name" };
        let mut known = HashMap::new();
        let judged = entries.into_iter().filter(|entry| {
            let Some(name) = entry.member(name).and_then(|name| name.string()) else {
                tracing::warn!(list = list.method(), "an entry without a name was left out");
                return false;
            };
            if list != List::Tools {
                return true;
            }
            match mirror::mirrored(entry) {
                Ok(mirrored) => {
                    known.insert(name, Arc::new(mirrored));
                    true
                }
                // MCP 2026-07-28 server/tools: such a tool is excluded over HTTP. A pipe has no
                // headers for mirrored arguments.
                Err(why) if self.link.is_http() && self.is_modern() => {
                    tracing::warn!(tool = name, why, "a tool was left out");
                    false
                }
                Err(_) => true,
            }
        });
        let entries = judged.collect();
        if list == List::Tools {
            *self.tools.lock().unwrap_or_else(PoisonError::into_inner) = known;
        }
        entries
    }
}

const METHOD_NOT_FOUND: i64 = -32601;
