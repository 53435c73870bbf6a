//! What a server offers, in the making: the members that lists print, and the closure that answers.

use super::arguments::read;
use super::changes::Changes;
use super::metadata::check_keys;
use super::outcome::{Outcome, crashed, guarded, tool_crashed};
use super::output::{IntoContents, IntoPrompt, IntoToolOutput, annotations};
use super::registry::{Asked, Offer, Sealer, Taken};
use super::rules::{Rules, rules};
use super::schema::Schema;
use super::{Completing, Completion, Ctx, Handler, Read, Role, ToolOutput};
use attache_core::era::Version;
use attache_core::rpc::Code;
use attache_core::tool::{Kind, is_tool_name};
use core::fmt;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A tool in the making.
pub struct Tool {
    pub(crate) offer: Offer,
    listed: Map<String, Value>,
    /// The schema is not the one of the arguments' type.
    own_schema: bool,
    /// What it says beyond the type; set when the tool is finished.
    rules: Arc<OnceLock<Rules>>,
}

impl Tool {
    /// A tool: `description` is for the model, the schema of the arguments comes from their type, and that of a structured
    /// result from the type in [`Json`](super::Json).
    ///
    /// # Panics
    /// If the name is not 1 to 128 characters of `A-Z a-z 0-9 _ - .`, or the arguments are not an object.
    pub fn new<A, R, H>(name: &str, description: &str, handler: H) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        H: Handler<A, R>,
    {
        assert!(is_tool_name(name), "tool name {name:?} must have 1 to 128 characters of A-Z a-z 0-9 _ - .");
        let schema = Schema::of::<A>(name);
        let mut listed = Map::new();
        listed.insert("inputSchema".to_owned(), schema.value.clone());
        listed.insert("description".to_owned(), description.into());
        if let Some(schema) = R::output_schema() {
            listed.insert("outputSchema".to_owned(), schema);
        }
        let handler = Arc::new(handler);
        let rules = Arc::new(OnceLock::<Rules>::new());
        let checked = Arc::clone(&rules);
        let start = move |asked: Asked<'_>, ctx, sealer: Sealer| {
            guarded(
                || {
                    let Asked::With(arguments) = asked else {
                        return Err(tool_crashed(&"a tool was read"));
                    };
                    if let Some(rules) = checked.get() {
                        let refused = |reason| Outcome::Tool(ToolOutput::failed(reason));
                        rules.check(arguments.raw()).map_err(refused)?;
                    }
                    let arguments =
                        read::<A>(arguments, &schema).map_err(|reason| Outcome::Tool(ToolOutput::failed(reason)))?;
                    let run = handler.run(arguments, ctx);
                    Ok(async move {
                        match run.await.into_output() {
                            Ok(output) => Outcome::Tool(output),
                            Err(error) => Outcome::of_failure(error.into_failure(), true, || sealer.seal()),
                        }
                    })
                },
                tool_crashed,
            )
        };
        let offer = Offer { key: name.into(), members: Vec::new(), mirrors: Vec::new(), start: Box::new(start) };
        Self { offer, listed, own_schema: false, rules }
    }

    /// A name for people (`title`).
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        self.member("title", title.into())
    }

    /// Says that the tool changes nothing (`readOnlyHint`).
    #[must_use]
    pub fn read_only(self) -> Self {
        self.hint("readOnlyHint", true)
    }

    /// Says that calling it twice does no more than calling it once (`idempotentHint`).
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.hint("idempotentHint", true)
    }

    /// Says that it only adds and destroys nothing (`destructiveHint`).
    #[must_use]
    pub fn additive(self) -> Self {
        self.hint("destructiveHint", false)
    }

    /// Says that it deals with nothing beyond the server (`openWorldHint`).
    #[must_use]
    pub fn closed_world(self) -> Self {
        self.hint("openWorldHint", false)
    }

    /// Lists another schema than the one of the arguments' type (feature `schema`). Arguments must fit both.
    ///
    /// Its dialect is 2020-12, unless `$schema` names draft 4, 6, 7 or 2019-09. Nothing is fetched: a `$ref` must lead to a
    /// place in the schema itself.
    ///
    /// # Panics
    /// If its root is not `"type": "object"`; and, when the tool is added, if it is no schema.
    #[must_use]
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.own_schema = true;
        assert_eq!(
            schema["type"], "object",
            "the input schema of tool {:?} must have the root type object",
            self.offer.key
        );
        self.member("inputSchema", schema)
    }

    /// `icons` (MCP 2025-11-25 basic/index, "Icons"): an array of objects with `src` and what belongs to it.
    ///
    /// # Panics
    /// If a `src` is neither an `https:` nor a `data:` URL: clients show no others.
    #[must_use]
    pub fn icons(self, icons: Value) -> Self {
        check_icons(&self.offer.key, &icons);
        self.member("icons", icons)
    }

    /// `_meta` of the tool's entry in the list.
    ///
    /// # Panics
    /// If a key breaks the grammar of keys (MCP 2026-07-28 basic/index), or has a prefix that belongs to the protocol.
    #[must_use]
    pub fn meta(self, meta: Value) -> Self {
        check_keys(&self.offer.key, &meta);
        self.member("_meta", meta)
    }

    fn member(mut self, name: &str, value: Value) -> Self {
        self.listed.insert(name.to_owned(), value);
        self
    }

    fn hint(mut self, name: &str, value: bool) -> Self {
        let hints = self.listed.entry("annotations").or_insert_with(|| json!({}));
        hints[name] = value.into();
        self
    }

    /// # Panics
    /// If `x-mcp-header` stands where no client may take it from (MCP 2026-07-28 server/tools).
    pub(crate) fn finish(mut self) -> Offer {
        let schema = &self.listed["inputSchema"];
        mirrors(schema, "", &mut self.offer.mirrors);
        let reached = self.offer.mirrors.len() == annotated(schema);
        assert!(reached, "x-mcp-header of tool {:?} must be on a property of properties alone", self.offer.key);
        if let Some(rules) = rules(&self.offer.key, schema, self.own_schema) {
            // Nobody else sets it.
            let _ = self.rules.set(rules);
        }
        finish(self.offer, &[("name", None)], self.listed)
    }
}

/// Collects the arguments that are mirrored in headers, by their way through `properties`.
fn mirrors(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        if let Some(header) = property.get("x-mcp-header") {
            let header = header.as_str().unwrap_or_default();
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert!(!header.is_empty() && header.bytes().all(token), "x-mcp-header of {path} must be a header name");
            let fits = property["type"].as_str().is_some_and(|of| ["string", "integer", "boolean"].contains(&of));
            assert!(fits, "{path} has an x-mcp-header, so it must be a string, an integer or a boolean");
            let taken = found.iter().any(|(known, _)| known.eq_ignore_ascii_case(header));
            assert!(!taken, "x-mcp-header {header:?} is there twice");
            assert!(!name.contains('/'), "{path} has an x-mcp-header, so its name must have no slash");
            found.push((header.to_owned(), path.clone()));
        }
        mirrors(property, &path, found);
    }
}

/// How many annotations there are in a schema, wherever they stand.
fn annotated(schema: &Value) -> usize {
    match schema {
        Value::Array(schemas) => schemas.iter().map(annotated).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("x-mcp-header", _) => 1,
                // The names in here are not keywords.
                ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(schemas)) => {
                    schemas.values().map(annotated).sum()
                }
                // What is in here is no schema.
                ("default" | "const" | "enum" | "examples", _) => 0,
                _ => annotated(value),
            })
            .sum(),
        _ => 0,
    }
}

/// A prompt in the making.
pub struct Prompt {
    offer: Offer,
    listed: Map<String, Value>,
}

impl Prompt {
    /// A prompt: its arguments are the fields of `A`, which are texts, optional or not.
    ///
    /// # Panics
    /// If the arguments are not an object.
    pub fn new<A, R, H>(name: &str, description: &str, handler: H) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoPrompt,
        H: Handler<A, R>,
    {
        let schema = Schema::of::<A>(name);
        let mut listed = Map::new();
        listed.insert("description".to_owned(), description.into());
        listed.insert("arguments".to_owned(), schema.prompt_arguments());
        let handler = Arc::new(handler);
        let start = move |asked: Asked<'_>, ctx, sealer: Sealer| {
            guarded(
                || {
                    let Asked::With(arguments) = asked else {
                        return Err(crashed(&"a prompt was read"));
                    };
                    // MCP server/prompts, "Error Handling": arguments that are missing or do not fit are -32602.
                    let arguments = read::<A>(arguments, &schema)
                        .map_err(|reason| Outcome::Rejected(Code::InvalidParams, reason))?;
                    let run = handler.run(arguments, ctx);
                    Ok(async move {
                        match run.await.into_prompt() {
                            Ok(prompt) => Outcome::Prompt(prompt),
                            Err(error) => Outcome::of_failure(error.into_failure(), false, || sealer.seal()),
                        }
                    })
                },
                crashed,
            )
        };
        Self {
            offer: Offer { key: name.into(), members: Vec::new(), mirrors: Vec::new(), start: Box::new(start) },
            listed,
        }
    }

    /// A name for people (`title`).
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        self.member("title", title.into())
    }

    /// `icons`, as of a [`Tool`].
    ///
    /// # Panics
    /// As [`Tool::icons`].
    #[must_use]
    pub fn icons(self, icons: Value) -> Self {
        check_icons(&self.offer.key, &icons);
        self.member("icons", icons)
    }

    /// `_meta` of the entry in the list.
    ///
    /// # Panics
    /// As [`Tool::meta`].
    #[must_use]
    pub fn meta(self, meta: Value) -> Self {
        check_keys(&self.offer.key, &meta);
        self.member("_meta", meta)
    }

    fn member(mut self, name: &str, value: Value) -> Self {
        self.listed.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn finish(self) -> Offer {
        finish(self.offer, &[("name", None)], self.listed)
    }
}

/// A resource, or a template of resources, in the making.
pub struct Resource {
    offer: Offer,
    name: String,
    listed: Map<String, Value>,
}

impl Resource {
    /// A resource: what it is read by, what it is called, what it is of.
    ///
    /// For a template `uri` has variables in braces (RFC 6570 level 1); [`Read::variable`] says what they stand for.
    ///
    /// # Panics
    /// If `uri` is no URI with a scheme (RFC 3986).
    pub fn new<R, H>(uri: &str, name: &str, mime_type: &str, handler: H) -> Self
    where
        R: IntoContents,
        H: Handler<Read, R>,
    {
        assert!(is_uri(uri), "{uri:?} must be a URI such as board://log");
        let mut listed = Map::new();
        listed.insert("mimeType".to_owned(), mime_type.into());
        let mime_type: Arc<str> = mime_type.into();
        let handler = Arc::new(handler);
        let start = move |asked: Asked<'_>, ctx, sealer: Sealer| {
            let mime_type = Arc::clone(&mime_type);
            guarded(
                || {
                    let Asked::Uri(uri, variables) = asked else {
                        return Err(crashed(&"a resource was called"));
                    };
                    let run = handler.run(Read::new(uri, variables), ctx);
                    Ok(async move {
                        match run.await.into_contents() {
                            Ok(contents) => Outcome::Read(contents.declared(&mime_type)),
                            Err(error) => Outcome::of_failure(error.into_failure(), false, || sealer.seal()),
                        }
                    })
                },
                crashed,
            )
        };
        let offer = Offer { key: uri.into(), members: Vec::new(), mirrors: Vec::new(), start: Box::new(start) };
        Self { offer, name: name.to_owned(), listed }
    }

    /// What it holds, for the model (`description`).
    #[must_use]
    pub fn description(self, description: &str) -> Self {
        self.member("description", description.into())
    }

    /// A name for people (`title`).
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        self.member("title", title.into())
    }

    /// `icons`, as of a [`Tool`].
    ///
    /// # Panics
    /// As [`Tool::icons`].
    #[must_use]
    pub fn icons(self, icons: Value) -> Self {
        check_icons(&self.offer.key, &icons);
        self.member("icons", icons)
    }

    /// `_meta` of the entry in the list.
    ///
    /// # Panics
    /// As [`Tool::meta`].
    #[must_use]
    pub fn meta(self, meta: Value) -> Self {
        check_keys(&self.offer.key, &meta);
        self.member("_meta", meta)
    }

    /// How many bytes it has, before any encoding (`size`); not of a template.
    #[must_use]
    pub fn size(self, bytes: u64) -> Self {
        self.member("size", bytes.into())
    }

    /// Whom it is for, `user` or `assistant` or both, and how much it matters, from 0 to 1 (`annotations`).
    #[must_use]
    pub fn audience(self, audience: &[Role], priority: f64) -> Self {
        self.member("annotations", annotations(audience, priority))
    }

    fn member(mut self, name: &str, value: Value) -> Self {
        self.listed.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn finish(self, key: &'static str) -> Offer {
        finish(self.offer, &[(key, None), ("name", Some(self.name))], self.listed)
    }
}

/// RFC 3986 §3: a scheme, a colon, and then nothing but what a URI may hold; braces are those of templates.
// MCP 2025-06-18 and later, server/resources: custom schemes MUST conform to it.
fn is_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let in_rest = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%{}".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(in_scheme)
        && !rest.is_empty()
        && rest.bytes().all(in_rest)
}

/// MCP 2025-11-25 basic/index, "Icons": clients MUST refuse other schemes.
fn check_icons(of: &str, icons: &Value) {
    let sources = icons.as_array().map(|icons| icons.iter().map(|icon| icon["src"].as_str().unwrap_or_default()));
    let good = sources.is_some_and(|mut all| all.all(|src| src.starts_with("https://") || src.starts_with("data:")));
    assert!(good, "icons of {of:?} must be an array of objects whose src is an https: or a data: URL");
}

impl Changes {
    /// Adds a tool.
    ///
    /// # Errors
    /// If there is already one of its name.
    ///
    /// # Panics
    /// As [`Server::with_tool`](crate::Server::with_tool), but for a name that is taken.
    pub fn add_tool(&self, tool: Tool) -> Result<(), Taken> {
        self.add(Kind::Tool, tool.finish())
    }

    /// Takes the tool of this name away; `false` if there is none. Calls of it that run are not disturbed.
    pub fn remove_tool(&self, name: &str) -> bool {
        self.remove(Kind::Tool, name)
    }

    /// Adds a prompt.
    ///
    /// # Errors
    /// If there is already one of its name.
    pub fn add_prompt(&self, prompt: Prompt) -> Result<(), Taken> {
        self.add(Kind::Prompt, prompt.finish())
    }

    /// Takes the prompt of this name away; `false` if there is none.
    pub fn remove_prompt(&self, name: &str) -> bool {
        self.remove(Kind::Prompt, name)
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// If there is already one of its URI.
    pub fn add_resource(&self, resource: Resource) -> Result<(), Taken> {
        self.add(Kind::Resource, resource.finish("uri"))
    }

    /// Takes the resource of this URI away; `false` if there is none.
    pub fn remove_resource(&self, uri: &str) -> bool {
        self.remove(Kind::Resource, uri)
    }

    /// Adds a template.
    ///
    /// # Errors
    /// If there is already the same one.
    pub fn add_template(&self, template: Resource) -> Result<(), Taken> {
        self.add(Kind::Template, template.finish("uriTemplate"))
    }

    /// Takes this template away; `false` if it is not there.
    pub fn remove_template(&self, template: &str) -> bool {
        self.remove(Kind::Template, template)
    }
}

/// Answers what is typed with what it could become.
pub(crate) fn completion<H: Handler<Completing, Vec<String>>>(handler: H) -> Completion {
    let handler = Arc::new(handler);
    Completion(Box::new(move |typed, ctx: Ctx| {
        guarded(
            || {
                let run = handler.run(typed, ctx);
                Ok(async { Outcome::Values(run.await) })
            },
            crashed,
        )
    }))
}

/// Prints the members: the `first` ones (their value the key unless they have their own), then the others.
fn finish(mut offer: Offer, first: &[(&str, Option<String>)], listed: Map<String, Value>) -> Offer {
    let first = first.iter().map(|(name, value)| (*name, Value::from(value.as_deref().unwrap_or(&offer.key))));
    let first: Vec<_> = first.collect();
    let members = first
        .iter()
        .map(|(name, value)| (*name, value))
        .chain(listed.iter().map(|(name, value)| (name.as_str(), value)));
    let of_tool = listed.contains_key("inputSchema");
    let mut groups = BTreeMap::<Version, Vec<String>>::new();
    for (name, value) in members {
        groups.entry(since(name, value, of_tool)).or_default().push(format!("{}:{value}", Value::from(name)));
    }
    offer.members = groups.into_iter().map(|(since, members)| (since, members.join(","))).collect();
    offer
}

/// The first revision whose clients know this member of an entry.
fn since(name: &str, value: &Value, of_tool: bool) -> Version {
    match name {
        "annotations" if of_tool => Version::V2025_03_26,
        // Before 2026-07-28 only an object is a structured result.
        "outputSchema" if value["type"] != "object" => Version::V2026_07_28,
        "outputSchema" | "title" | "_meta" => Version::V2025_06_18,
        "icons" => Version::V2025_11_25,
        _ => Version::V2024_11_05,
    }
}

macro_rules! debug_by_key {
    ($($type:ident)*) => { $(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).field("key", &self.offer.key).finish_non_exhaustive()
            }
        }
    )* };
}

debug_by_key! { Tool Prompt Resource }
