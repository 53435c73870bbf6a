//! What a server is: constants, which lie in flash on a device.

use crate::era::Version;
use crate::json::Escaped;
use crate::tool::{Catalogue, Features};
use core::fmt;

/// A server as its application declares it.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    name: Escaped<'a>,
    version: Escaped<'a>,
    instructions: Option<Escaped<'a>>,
    offers: &'a (dyn Catalogue + Sync),
    page: usize,
    extensions: Option<&'a str>,
    sessions: bool,
    private_lists: bool,
}

impl<'a> Server<'a> {
    /// A server with a name, a version of its own, and what it offers. Put it in a `static`: a name that cannot be sent as it is then
    /// does not compile.
    ///
    /// # Panics
    /// If `name` or `version` has a quote, a backslash or a control character.
    pub const fn new(name: &'a str, version: &'a str, offers: &'a (dyn Catalogue + Sync)) -> Self {
        Self::escaped(plain(name), plain(version), offers)
    }

    /// The same with any name and version, which are escaped already.
    pub const fn escaped(name: Escaped<'a>, version: Escaped<'a>, offers: &'a (dyn Catalogue + Sync)) -> Self {
        Self {
            name,
            version,
            instructions: None,
            offers,
            page: usize::MAX,
            extensions: None,
            sessions: false,
            private_lists: false,
        }
    }

    /// The same server with at most `page` entries in one answer to a list; the rest is asked for with a cursor (MCP
    /// server/utilities/pagination). None is taken for one.
    #[must_use]
    pub const fn with_page(self, page: usize) -> Self {
        Self { page: if page == 0 { 1 } else { page }, ..self }
    }

    /// The same server with words for the model on how to use it (MCP server/discover, `instructions`).
    ///
    /// # Panics
    /// If `instructions` has a quote, a backslash or a control character: escape it then.
    #[must_use]
    pub const fn with_instructions(self, instructions: &'a str) -> Self {
        self.with_escaped_instructions(plain(instructions))
    }

    /// The same with any instructions, which are escaped already.
    #[must_use]
    pub const fn with_escaped_instructions(self, instructions: Escaped<'a>) -> Self {
        Self { instructions: Some(instructions), ..self }
    }

    /// The same server with extensions of the protocol (MCP 2026-07-28 basic/versioning, "Extensions"): a JSON object on one line
    /// of their identifiers and settings. Older revisions know none.
    #[must_use]
    pub const fn with_extensions(self, extensions: &'a str) -> Self {
        Self { extensions: Some(extensions), ..self }
    }

    /// The same server, driven by a home that keeps what legacy clients ask it to: a level for their log, and what they have
    /// subscribed to. Without it those clients are not offered either.
    #[must_use]
    pub const fn with_sessions(self) -> Self {
        Self { sessions: true, ..self }
    }

    /// The same server, whose lists are not the same for everybody: its home leaves out of [`offers`](Server::offers) what the caller may
    /// not use. Clients and what stands between must not hand them on (MCP 2026-07-28 server/utilities/caching).
    #[must_use]
    pub const fn with_private_lists(self) -> Self {
        Self { private_lists: true, ..self }
    }

    /// Who may keep its lists.
    pub(crate) const fn list_scope(&self) -> &'static [u8] {
        if self.private_lists { br#","cacheScope":"private""# } else { br#","cacheScope":"public""# }
    }

    /// What is offered to clients of `version`.
    pub(crate) fn features(&self, version: Version) -> Features {
        let features = self.offers.features();
        match version.is_modern() || self.sessions {
            true => features,
            false => Features { logging: false, list_changed: false, subscribe: false, ..features },
        }
    }

    /// What it offers.
    pub const fn offers(&self) -> &'a (dyn Catalogue + Sync) {
        self.offers
    }

    /// Most entries of a list in one answer.
    pub(crate) const fn page(&self) -> usize {
        self.page
    }

    /// `serverInfo` as JSON, in pieces.
    pub(crate) const fn info(&self) -> [&'a [u8]; 5] {
        let [name, version] = [self.name.as_str().as_bytes(), self.version.as_str().as_bytes()];
        [br#"{"name":""#, name, br#"","version":""#, version, br#""}"#]
    }

    /// The members of the capabilities, in pieces: what is declared is what is served.
    pub(crate) fn capabilities(&self, version: Version) -> [&'a [u8]; 7] {
        let extensions = self.extensions.filter(|_| version.is_modern());
        let Features { tools, prompts, resources, completions, logging, list_changed, subscribe } =
            self.features(version);
        let members: [(bool, &'static [u8]); 5] = [
            // The method is as old as the protocol, its capability is not.
            (completions && version >= Version::V2025_03_26, br#","completions":{}"#),
            (logging, br#","logging":{}"#),
            (prompts, if list_changed { br#","prompts":{"listChanged":true}"# } else { br#","prompts":{}"# }),
            (
                resources,
                match (list_changed, subscribe) {
                    (true, true) => br#","resources":{"listChanged":true,"subscribe":true}"#,
                    (true, false) => br#","resources":{"listChanged":true}"#,
                    (false, true) => br#","resources":{"subscribe":true}"#,
                    (false, false) => br#","resources":{}"#,
                },
            ),
            (tools, if list_changed { br#","tools":{"listChanged":true}"# } else { br#","tools":{}"# }),
        ];
        let extension: &[u8] = if extensions.is_some() { br#","extensions":"# } else { b"" };
        let mut pieces: [&'a [u8]; 7] = [b"", b"", b"", b"", b"", extension, extensions.unwrap_or_default().as_bytes()];
        for (piece, (_, json)) in pieces.iter_mut().zip(members).filter(|(_, (there, _))| *there) {
            *piece = json;
        }
        // The first member has no comma in front.
        if let Some(first) = pieces.iter_mut().find(|piece| !piece.is_empty()) {
            *first = first.get(1..).unwrap_or_default();
        }
        pieces
    }

    /// `instructions` as a member with its comma, in pieces.
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
