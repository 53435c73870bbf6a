//! The lists of an upstream, as entries to be published.

use super::json::{array, object, text, with};
use super::tasks;
use crate::backend::{Entry, Kind};
use crate::client::{Client, Error, List, RawJson, Version};
use std::collections::BTreeSet;

/// The lists of an upstream.
#[derive(Default)]
pub(super) struct Lists {
    tools: Vec<Entry>,
    prompts: Vec<Entry>,
    resources: Vec<Entry>,
    templates: Vec<Entry>,
    /// The tools that run only as a task.
    tasks: BTreeSet<String>,
}

/// All lists.
pub(super) const ALL: &[Kind] = &[Kind::Tool, Kind::Prompt, Kind::Resource, Kind::Template];

impl Lists {
    /// Fetches some of the lists. A list that the upstream refuses stays as it was.
    ///
    /// # Errors
    /// If the connection has failed.
    pub(super) async fn fetch(&mut self, client: &Client, kinds: &[Kind]) -> Result<(), Error> {
        for kind in kinds {
            match fetch(client, *kind).await {
                Ok(fetched) => {
                    *self.of(*kind) = fetched.entries;
                    if *kind == Kind::Tool {
                        self.tasks = fetched.tasks;
                    }
                }
                // A list that does not come does not take the others away. The supervisor checks whether the upstream answers.
                Err(
                    error @ (Error::Rpc(_)
                    | Error::EndlessList(_)
                    | Error::TooLarge(_)
                    | Error::Invalid(_)
                    | Error::Timeout(_)),
                ) => {
                    tracing::warn!(list = ?kind, %error, "a list of the upstream cannot be used");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// All entries.
    pub(super) fn entries(&self) -> Vec<Entry> {
        [&self.tools, &self.prompts, &self.resources, &self.templates].into_iter().flatten().cloned().collect()
    }

    /// The tools that run only as a task.
    pub(super) fn tasks(&self) -> BTreeSet<String> {
        self.tasks.clone()
    }

    const fn of(&mut self, kind: Kind) -> &mut Vec<Entry> {
        match kind {
            Kind::Tool => &mut self.tools,
            Kind::Prompt => &mut self.prompts,
            Kind::Resource => &mut self.resources,
            Kind::Template => &mut self.templates,
        }
    }
}

/// One list, as it was fetched.
#[derive(Default)]
struct Fetched {
    entries: Vec<Entry>,
    tasks: BTreeSet<String>,
}

async fn fetch(client: &Client, kind: Kind) -> Result<Fetched, Error> {
    let (capability, list, key) = match kind {
        Kind::Tool => ("tools", List::Tools, "name"),
        Kind::Prompt => ("prompts", List::Prompts, "name"),
        Kind::Resource => ("resources", List::Resources, "uri"),
        Kind::Template => ("resources", List::ResourceTemplates, "uriTemplate"),
    };
    // Servers on old SDKs do not survive a method that they do not know.
    if !client.server().has(&[capability]) {
        return Ok(Fetched::default());
    }
    // MCP 2024-11-05 has completions without a capability for them.
    let completes = client.server().has(&["completions"]) || client.version() == Version::V2024_11_05;
    let is_modern = client.version().is_modern();
    let (mut fetched, mut keys) = (Fetched::default(), BTreeSet::new());
    for listed in client.list(list).await? {
        let name = text(&listed, "name").unwrap_or_default();
        // A clash of two backends is for the operator to solve, but no prefix solves this one.
        if !keys.insert(text(&listed, key)) {
            tracing::warn!(entry = name, "an entry was left out: the upstream lists it twice");
            continue;
        }
        if needs_task(&listed) && !tasks::are_offered(client) {
            tracing::warn!(entry = name, "a tool was left out: it runs as a task only, and the upstream has no tasks");
            continue;
        }
        if let Some(entry) = read(kind, &listed, (completes, is_modern)) {
            fetched.entries.push(entry);
            if needs_task(&listed) {
                fetched.tasks.insert(name);
            }
        }
    }
    Ok(fetched)
}

/// One entry. A bad one does not spoil the others.
fn read(kind: Kind, listed: &RawJson, (completes, is_modern): (bool, bool)) -> Option<Entry> {
    let has_mirror = kind == Kind::Tool && !is_modern && listed.as_str().contains("x-mcp-header");
    let listed = if has_mirror { &with(listed, "inputSchema", without_mirrors) } else { listed };
    let listed = if listed.member("icons").is_some() { &with_safe_icons(listed) } else { listed };
    match Entry::read(kind, listed.as_str()) {
        Ok(entry) if completes => Some(entry.with_completion()),
        Ok(entry) => Some(entry),
        Err(error) => {
            tracing::warn!(%error, "an entry of the upstream was left out");
            None
        }
    }
}

// MCP 2025-11-25 server/tools, `execution`: such a tool cannot be called without a task.
/// Whether a tool runs only as a task.
fn needs_task(listed: &RawJson) -> bool {
    let execution = listed.member("execution");
    execution.is_some_and(|execution| text(&execution, "taskSupport").as_deref() == Some("required"))
}

/// A schema without `x-mcp-header`, for tools of an upstream of an older revision, where the name has no meaning. That of a newer
/// upstream stays: the gate checks the header fields of its clients, and writes its own for the upstream.
fn without_mirrors(schema: &RawJson) -> RawJson {
    match schema.as_str().bytes().next() {
        // A property may be called `x-mcp-header`; then it is a schema.
        Some(b'{') => object(
            schema
                .members()
                .filter(|(name, value)| name != "x-mcp-header" || value.as_str().starts_with('{'))
                .map(|(name, value)| (name, without_mirrors(&value))),
        ),
        Some(b'[') => array(schema.elements().map(|element| without_mirrors(&element))),
        _ => schema.clone(),
    }
}

/// An entry without icons of other schemes than `https:` and `data:`.
// MCP 2025-11-25 basic/index, "Icons": consumers MUST reject icons of unsafe schemes.
fn with_safe_icons(listed: &RawJson) -> RawJson {
    let is_safe = |icon: &RawJson| {
        text(icon, "src").is_some_and(|src| src.starts_with("https://") || src.starts_with("data:image/"))
    };
    let safe: Vec<RawJson> = listed.member("icons").iter().flat_map(RawJson::elements).filter(is_safe).collect();
    let is_left = !safe.is_empty();
    let icons = array(safe);
    object(listed.members().filter(|(name, _)| is_left || name != "icons").map(|(name, value)| {
        let value = if name == "icons" { icons.clone() } else { value };
        (name, value)
    }))
}
