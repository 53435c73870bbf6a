//! The offers of a server as its lists print them: tools, prompts, resources and templates. All of
//! it is constant text, which is in flash on a device.

use super::schema::Field;
use super::template;
use super::uri::same_uri;
use crate::auth::Need;
use crate::era::Version;
use crate::json::Text;

/// The kinds of entries that a server can offer and list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// A tool, called by its name.
    Tool,
    /// A prompt, got by its name.
    Prompt,
    /// A resource, read by its URI.
    Resource,
    /// A template of URIs (RFC 6570 level 1), read by a URI that fits it.
    Template,
}

impl Kind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Prompt, Self::Resource, Self::Template];

    /// Returns whether `key` selects an entry with the key `known`.
    pub fn finds(self, known: &str, key: Text<'_>) -> bool {
        match self {
            Self::Template => template::fits(known, key),
            Self::Resource => same_uri(known, key),
            Self::Tool | Self::Prompt => key.is(known),
        }
    }
}

/// One entry of a table.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entry<'a> {
    key: &'a str,
    members: &'a [Member<'a>],
    needs: &'a [Need<'a>],
    /// The arguments, if they are known.
    arguments: Option<&'a [Field]>,
}

/// Members of an entry that one revision added together.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Member<'a> {
    /// The first revision that has them.
    pub since: Version,
    /// One or more members of a JSON object on one line, with commas between and none at the ends.
    pub json: &'a str,
}

impl<'a> Member<'a> {
    /// Members that every revision has.
    pub const fn always(json: &'a str) -> Self {
        Self::since(Version::V2024_11_05, json)
    }

    /// Members that revision `since` added.
    pub const fn since(since: Version, json: &'a str) -> Self {
        Self { since, json }
    }
}

impl<'a> Entry<'a> {
    /// An entry with the key `key`: a name, a URI, or a URI template. For `members` see
    /// [`Catalogue::members`].
    pub const fn new(key: &'a str, members: &'a [Member<'a>]) -> Self {
        Self { key, members, needs: &[], arguments: None }
    }

    /// Returns the same entry with these arguments and no others.
    #[must_use]
    pub const fn with_arguments(self, arguments: &'a [Field]) -> Self {
        Self { arguments: Some(arguments), ..self }
    }

    /// Returns the same entry, for callers with a token that has all of `needs`.
    #[must_use]
    pub const fn with_needs(self, needs: &'a [Need<'a>]) -> Self {
        Self { needs, ..self }
    }

    /// Returns the scopes and roles that the caller's token needs.
    pub const fn needs(&self) -> &'a [Need<'a>] {
        self.needs
    }

    /// Returns the key of the entry: its name, its URI, or its template.
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// Returns the members that lists print.
    pub const fn members(&self) -> &'a [Member<'a>] {
        self.members
    }
}

/// Returns whether `name` is a valid name of a tool: 1 to 128 characters of `A-Z a-z 0-9 _ - .`
/// (MCP 2025-11-25 server/tools, "Tool Names").
pub const fn is_tool_name(name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let [byte, behind @ ..] = rest {
        if !matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.') {
            return false;
        }
        rest = behind;
    }
    !name.is_empty() && name.len() <= 128
}

/// The offers of a server: tables in flash on a device, registries that may change on a host.
///
/// An entry keeps its number as long as a call of it may run. The catalogue must not change while
/// an answer is emitted.
pub trait Catalogue {
    /// Returns the number of entries of a kind.
    fn len(&self, kind: Kind) -> usize;

    /// Returns the key of an entry: its name, its URI, or its template. Lists follow the order of
    /// the numbers.
    fn key(&self, kind: Kind, index: usize) -> Option<&str>;

    /// Passes each group of members that the list prints for an entry to `take`; at most
    /// [`limits::MEMBERS`](crate::limits::MEMBERS), the first of them in every revision.
    fn members<'s>(&'s self, kind: Kind, index: usize, take: &mut dyn FnMut(Member<'s>));

    /// Returns the features that the server declares.
    fn features(&self) -> Features;

    /// Returns the number of the entry for `key`: the one with this name or URI, or the first
    /// template that matches it. Names are case-sensitive (MCP server/tools).
    fn find(&self, kind: Kind, key: Text<'_>) -> Option<usize> {
        (0..self.len(kind)).find(|&index| self.key(kind, index).is_some_and(|known| kind.finds(known, key)))
    }

    /// Returns whether a prompt has an argument of this name, or a template a variable. If the
    /// arguments are unknown, every name counts as declared.
    fn declares(&self, kind: Kind, index: usize, argument: Text<'_>) -> bool {
        match kind {
            Kind::Tool | Kind::Prompt => true,
            Kind::Resource => false,
            Kind::Template => {
                self.key(kind, index).is_some_and(|key| template::names(key).any(|name| argument.is(name)))
            }
        }
    }

    /// Returns an argument of a tool that clients mirror in a header, by its number (MCP 2026-07-28
    /// server/tools, `x-mcp-header`).
    fn mirror(&self, _tool: usize, _number: usize) -> Option<Mirror<'_>> {
        None
    }

    /// Returns a scope or role that the caller's token needs for an entry, by its number.
    fn need(&self, _kind: Kind, _index: usize, _number: usize) -> Option<Need<'_>> {
        None
    }

    /// Returns a pair of scopes, by its number: the first scope includes the second. There are at
    /// most [`limits::IMPLIED`](crate::limits::IMPLIED).
    fn implied(&self, _number: usize) -> Option<(&str, &str)> {
        None
    }

    /// A number that changes with the lists, so that the server detects a cursor into an old list.
    fn generation(&self) -> u32 {
        0
    }
}

/// An argument that clients mirror in a header, so that a proxy can route by it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mirror<'a> {
    /// The name of the header after `Mcp-Param-`.
    pub header: &'a str,
    /// The path of the argument: the names of the properties on the way, each after a slash.
    pub path: &'a str,
}

/// The features that a server declares (MCP 2026-07-28 basic/index, "ServerCapabilities"). The
/// server serves the declared features, and answers requests for others as unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Features {
    /// `tools`
    pub tools: bool,
    /// `prompts`
    pub prompts: bool,
    /// `resources`
    pub resources: bool,
    /// `completions`
    pub completions: bool,
    /// `logging`: calls may write to the log of a client that wants log messages.
    pub logging: bool,
    /// `listChanged` of tools, prompts and resources: open subscriptions get notifications of
    /// changes.
    pub list_changed: bool,
    /// `subscribe` of resources: open subscriptions get notifications of updates.
    pub subscribe: bool,
}

impl Features {
    /// Returns those of the features that this build contains.
    pub(crate) const fn built(self) -> Self {
        let subscriptions = cfg!(feature = "subscriptions");
        Self {
            prompts: self.prompts && cfg!(feature = "prompts"),
            completions: self.completions && cfg!(feature = "completions"),
            logging: self.logging && cfg!(feature = "progress"),
            list_changed: self.list_changed && subscriptions,
            subscribe: self.subscribe && subscriptions,
            ..self
        }
    }
}

/// Fails the build of a `static` that uses a feature which is not in this build.
const fn need(built: bool, message: &'static str) {
    if !built {
        panic!("{}", message);
    }
}

/// The tables of a device.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tables<'a> {
    tools: &'a [Entry<'a>],
    prompts: &'a [Entry<'a>],
    resources: &'a [Entry<'a>],
    templates: &'a [Entry<'a>],
    completions: bool,
    logging: bool,
    subscriptions: bool,
    implied: &'a [(&'a str, &'a str)],
}

impl<'a> Tables<'a> {
    /// Empty tables.
    pub const EMPTY: Self = Self {
        tools: &[],
        prompts: &[],
        resources: &[],
        templates: &[],
        completions: false,
        logging: false,
        subscriptions: false,
        implied: &[],
    };

    /// Tables with tools only.
    pub const fn of_tools(tools: &'a [Entry<'a>]) -> Self {
        Self { tools, ..Self::EMPTY }
    }

    /// Returns the same tables with these prompts.
    ///
    /// # Panics
    /// Without feature `prompts`. In a `static` the build fails instead. The same is true of the other
    /// tables and their features.
    #[must_use]
    pub const fn with_prompts(self, prompts: &'a [Entry<'a>]) -> Self {
        need(cfg!(feature = "prompts"), "attache-core needs its feature `prompts` for these tables");
        Self { prompts, ..self }
    }

    /// Returns the same tables with these resources and templates.
    #[must_use]
    pub const fn with_resources(self, resources: &'a [Entry<'a>], templates: &'a [Entry<'a>]) -> Self {
        Self { resources, templates, ..self }
    }

    /// Returns the same tables, with completion of arguments.
    ///
    /// # Panics
    /// Without feature `completions`.
    #[must_use]
    pub const fn with_completions(self) -> Self {
        need(cfg!(feature = "completions"), "attache-core needs its feature `completions` for these tables");
        Self { completions: true, ..self }
    }

    /// Returns the same tables, with log messages for clients that want them
    /// ([`Caller::log`](super::Caller::log)).
    ///
    /// # Panics
    /// Without feature `progress`.
    #[must_use]
    pub const fn with_logging(self) -> Self {
        need(cfg!(feature = "progress"), "attache-core needs its feature `progress` for these tables");
        Self { logging: true, ..self }
    }

    /// Returns the same tables, with subscriptions to resources: the driver of the engine reports
    /// updates. The lists are in flash and never change.
    ///
    /// # Panics
    /// Without feature `subscriptions`.
    #[must_use]
    pub const fn with_subscriptions(self) -> Self {
        need(cfg!(feature = "subscriptions"), "attache-core needs its feature `subscriptions` for these tables");
        Self { subscriptions: true, ..self }
    }

    /// Returns the same tables, with pairs of scopes: the first of each pair includes the second.
    #[must_use]
    pub const fn with_implied(self, implied: &'a [(&'a str, &'a str)]) -> Self {
        Self { implied, ..self }
    }

    const fn of(&self, kind: Kind) -> &'a [Entry<'a>] {
        match kind {
            Kind::Tool => self.tools,
            Kind::Prompt => self.prompts,
            Kind::Resource => self.resources,
            Kind::Template => self.templates,
        }
    }
}

impl Catalogue for Tables<'_> {
    fn len(&self, kind: Kind) -> usize {
        self.of(kind).len()
    }

    fn key(&self, kind: Kind, index: usize) -> Option<&str> {
        self.of(kind).get(index).map(Entry::key)
    }

    fn members<'s>(&'s self, kind: Kind, index: usize, take: &mut dyn FnMut(Member<'s>)) {
        self.of(kind).get(index).into_iter().flat_map(Entry::members).for_each(|member| take(*member));
    }

    fn find(&self, kind: Kind, key: Text<'_>) -> Option<usize> {
        self.of(kind).iter().position(|entry| kind.finds(entry.key, key))
    }

    fn declares(&self, kind: Kind, index: usize, argument: Text<'_>) -> bool {
        let Some(entry) = self.of(kind).get(index) else {
            return false;
        };
        match (kind, entry.arguments) {
            (Kind::Template, _) => template::names(entry.key).any(|name| argument.is(name)),
            (Kind::Resource, _) => false,
            (_, arguments) => arguments.is_none_or(|known| known.iter().any(|known| argument.is(known.name))),
        }
    }

    fn need(&self, kind: Kind, index: usize, number: usize) -> Option<Need<'_>> {
        self.of(kind).get(index)?.needs().get(number).copied()
    }

    fn implied(&self, number: usize) -> Option<(&str, &str)> {
        self.implied.get(number).copied()
    }

    fn features(&self) -> Features {
        Features {
            tools: !self.tools.is_empty(),
            prompts: !self.prompts.is_empty(),
            resources: !(self.resources.is_empty() && self.templates.is_empty()),
            completions: self.completions,
            logging: self.logging,
            subscribe: self.subscriptions,
            ..Features::default()
        }
    }
}
