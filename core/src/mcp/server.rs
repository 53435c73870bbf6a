//! The declaration of a server: constants, which are in flash on a device.

use crate::auth::{Authenticated, authorize};
use crate::era::Version;
use crate::json::Escaped;
use crate::rpc::Window;
use crate::tool::{Catalogue, Features, Kind};
use core::fmt;

/// A server as its application declares it: name, version, offers and options.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    name: Escaped<'a>,
    version: Escaped<'a>,
    instructions: Option<Escaped<'a>>,
    offers: &'a (dyn Catalogue + Sync),
    page: usize,
    extensions: Option<&'a str>,
    sessions: bool,
    hides_forbidden: bool,
    /// The caller whose lists these are; `None` where all callers see the same lists.
    reader: Option<&'a Authenticated<'a>>,
}

impl<'a> Server<'a> {
    /// Creates a server with a name, its own version, and its offers. Declare it as a `static`: a
    /// name that would need escaping then does not compile.
    ///
    /// # Panics
    /// If `name` or `version` has a quote, a backslash or a control character.
    pub const fn new(name: &'a str, version: &'a str, offers: &'a (dyn Catalogue + Sync)) -> Self {
        Self::escaped(plain(name), plain(version), offers)
    }

    /// Creates a server with any name and version, which are already escaped.
    pub const fn escaped(name: Escaped<'a>, version: Escaped<'a>, offers: &'a (dyn Catalogue + Sync)) -> Self {
        Self {
            name,
            version,
            instructions: None,
            offers,
            page: usize::MAX,
            extensions: None,
            sessions: false,
            hides_forbidden: false,
            reader: None,
        }
    }

    /// Sets the page size: at most `page` entries in one list result; the client gets the rest with
    /// a cursor (MCP server/utilities/pagination). 0 counts as 1.
    #[must_use]
    pub const fn with_page(self, page: usize) -> Self {
        Self { page: if page == 0 { 1 } else { page }, ..self }
    }

    /// Sets instructions for the model on how to use the server (MCP server/discover,
    /// `instructions`).
    ///
    /// # Panics
    /// If `instructions` has a quote, a backslash or a control character. For such texts use
    /// [`with_escaped_instructions`](Self::with_escaped_instructions).
    #[must_use]
    pub const fn with_instructions(self, instructions: &'a str) -> Self {
        self.with_escaped_instructions(plain(instructions))
    }

    /// Sets any instructions, which are already escaped.
    #[must_use]
    pub const fn with_escaped_instructions(self, instructions: Escaped<'a>) -> Self {
        Self { instructions: Some(instructions), ..self }
    }

    /// Sets the protocol extensions (MCP 2026-07-28 basic/versioning, "Extensions"): a JSON object
    /// on one line that maps identifiers to settings. Clients of older revisions do not see them.
    #[must_use]
    pub const fn with_extensions(self, extensions: &'a str) -> Self {
        Self { extensions: Some(extensions), ..self }
    }

    /// Declares that the driver stores the state of legacy sessions: log levels and resource
    /// subscriptions. Without it, legacy clients are not offered log messages or change
    /// notifications.
    #[must_use]
    pub const fn with_sessions(self) -> Self {
        Self { sessions: true, ..self }
    }

    /// Declares that the drivers of a device show each caller only the entries that it may use. By default all callers see the same
    /// lists, so that a client can learn from a refusal which scope is missing.
    #[must_use]
    pub const fn hide_forbidden(self) -> Self {
        Self { hides_forbidden: true, ..self }
    }

    /// Returns the server for requests of `who`, for a driver: with lists for this caller if the server hides forbidden entries.
    #[must_use]
    pub const fn for_caller<'w>(&self, who: &'w Authenticated<'w>) -> Server<'w>
    where
        'a: 'w,
    {
        match self.hides_forbidden {
            true => Server { reader: Some(who), ..*self },
            false => *self,
        }
    }

    /// The same server with lists that show only the entries which `reader` may use. Clients and caches must not hand such lists on
    /// (MCP 2026-07-28 server/utilities/caching). The reply is to be emitted with the same server.
    #[must_use]
    pub const fn with_lists_for(self, reader: &'a Authenticated<'a>) -> Self {
        Self { reader: Some(reader), ..self }
    }

    /// Whether all callers see the same lists.
    pub(crate) const fn has_public_lists(&self) -> bool {
        self.reader.is_none()
    }

    /// Whether the lists show this entry.
    pub(crate) fn lists(&self, kind: Kind, index: usize) -> bool {
        self.reader.is_none_or(|reader| {
            let needs = (0..).map_while(|number| self.offers.need(kind, index, number));
            authorize(reader, needs, |number| self.offers.implied(number)).is_ok()
        })
    }

    /// The `cacheScope` of the lists, as a member with its comma.
    pub(crate) const fn list_scope(&self) -> &'static [u8] {
        if self.has_public_lists() { br#","cacheScope":"public""# } else { br#","cacheScope":"private""# }
    }

    /// Returns the features offered to clients of `version`.
    pub(crate) fn features(&self, version: Version) -> Features {
        let features = self.offers.features().built();
        match version.is_modern() || self.sessions {
            true => features,
            false => Features { logging: false, list_changed: false, subscribe: false, ..features },
        }
    }

    /// Returns the catalogue of tools, prompts and resources.
    pub const fn offers(&self) -> &'a (dyn Catalogue + Sync) {
        self.offers
    }

    /// Returns the page size of lists.
    pub(crate) const fn page(&self) -> usize {
        self.page
    }

    /// Returns `serverInfo` as JSON, in pieces.
    pub(crate) const fn info(&self) -> [&'a [u8]; 5] {
        let [name, version] = [self.name.as_str().as_bytes(), self.version.as_str().as_bytes()];
        [br#"{"name":""#, name, br#"","version":""#, version, br#""}"#]
    }

    /// Puts the members of `capabilities`. The server declares exactly the capabilities that it
    /// serves.
    pub(crate) fn put_capabilities(&self, version: Version, out: &mut Window<'_>) {
        let Features { tools, prompts, resources, completions, logging, list_changed, subscribe } =
            self.features(version);
        let mut comma: &[u8] = b"";
        let mut put = |offered: bool, member: &[u8]| {
            if offered {
                out.put(core::mem::replace(&mut comma, b","));
                out.put(member);
            }
        };
        // The method is in every revision; its capability exists since 2025-03-26.
        put(completions && version >= Version::V2025_03_26, br#""completions":{}"#);
        put(logging, br#""logging":{}"#);
        put(prompts, if list_changed { br#""prompts":{"listChanged":true}"# } else { br#""prompts":{}"# });
        put(
            resources,
            match (list_changed, subscribe) {
                (true, true) => br#""resources":{"listChanged":true,"subscribe":true}"#,
                (true, false) => br#""resources":{"listChanged":true}"#,
                (false, true) => br#""resources":{"subscribe":true}"#,
                (false, false) => br#""resources":{}"#,
            },
        );
        put(tools, if list_changed { br#""tools":{"listChanged":true}"# } else { br#""tools":{}"# });
        if let Some(extensions) = self.extensions.filter(|_| version.is_modern()) {
            put(true, br#""extensions":"#);
            out.put(extensions.as_bytes());
        }
    }

    /// Returns `instructions` as a member with a leading comma, in pieces.
    pub(crate) const fn instructions(&self) -> [&'a [u8]; 3] {
        match self.instructions {
            Some(text) => [br#","instructions":""#, text.as_str().as_bytes(), b"\""],
            None => [b""; 3],
        }
    }
}

const fn plain(text: &str) -> Escaped<'_> {
    match Escaped::new(text) {
        Some(text) => text,
        None => panic!("a quote, a backslash or a control character must be escaped: see Escaped"),
    }
}

impl fmt::Debug for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}
