//! What a backend answers a call with, and what its client gets of it.

use super::members::Members;
use crate::call::{Forwarded, Outcome, ToolOutput, crashed};
use attache_core::era::Version;
use attache_core::rpc::Code;
use attache_core::tool::Kind;
use core::fmt;
use serde_json::value::RawValue;

/// What a backend answers a call with. It reaches the client as it was written, but for what belongs to one revision or one
/// connection: `resultType`, keys of `_meta` that the protocol reserves, and hints for caches.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The result object of the method, as JSON.
    Result(Box<RawValue>),
    /// A protocol error.
    Error {
        /// An integer.
        code: i64,
        /// A sentence for the client.
        message: String,
        /// What it says further, as JSON.
        data: Option<Box<RawValue>>,
    },
    /// The tool failed in words for the model; as the answer to another call, an error that says so.
    Failed(String),
}

impl Answer {
    /// An error whose cause goes to the log alone: the client gets a sentence with an identifier that finds it there.
    pub fn error(cause: &dyn fmt::Display) -> Self {
        Self::Failed(match crashed(cause) {
            Outcome::Rejected(_, message) => message,
            _ => String::new(),
        })
    }

    pub(super) fn into_outcome(self, kind: Kind, version: Version) -> Outcome {
        match self {
            Self::Result(result) => match Members::read(result.get()) {
                Ok(members) => Outcome::Forwarded(forwarded(members, kind, version)),
                Err(error) => crashed(&format!("a backend answered with a result that is not an object: {error}")),
            },
            Self::Error { code, message, data } => Outcome::Failed {
                code: code.to_string(),
                message,
                data: data.map(|data| data.get().replace('\n', " ")),
            },
            Self::Failed(reason) if kind == Kind::Tool => Outcome::Tool(ToolOutput::failed(reason)),
            Self::Failed(reason) => Outcome::Rejected(Code::InternalError, reason),
        }
    }
}

fn forwarded(mut members: Members, kind: Kind, version: Version) -> Forwarded {
    members.take("resultType");
    let hints = [("ttlMs", "0"), ("cacheScope", r#""private""#)];
    if !version.is_modern() {
        hints.iter().for_each(|(name, _)| drop(members.take(name)));
        // MCP 2025-11-25 server/tools, "Structured Content": an object; since 2026-07-28 any value.
        if members.get("structuredContent").is_some_and(|value| !value.get().starts_with('{')) {
            members.take("structuredContent");
        }
    }
    let is_error = members.get("isError").is_some_and(|value| value.get() == "true");
    let meta = members.take("_meta").and_then(|meta| Members::read(meta.get()).ok()).unwrap_or_default();
    let mut printed = Members::print(&members.0);
    // MCP 2026-07-28 server/utilities/caching: a resource that is read has its hints. An older server knows none.
    if version.is_modern() && matches!(kind, Kind::Resource | Kind::Template) {
        for (name, value) in hints.iter().filter(|(name, _)| members.get(name).is_none()) {
            let comma = if printed.is_empty() { "" } else { "," };
            printed.push_str(&format!("{comma}\"{name}\":{value}"));
        }
    }
    let meta = Members::print(meta.0.iter().filter(|(name, _)| !crate::call::is_reserved(name)));
    Forwarded { members: printed, meta, is_error }
}
