//! One offer of a server: its key, its members, and the closures that run it.

use crate::auth::Caller;
use crate::call::{Asking, CompletionRequest, Events, Extensions, Metadata, Run, Sealer, SpanIds};
use crate::policy::{Digest, Needed};
use attache_core::era::Version;
use attache_core::tool::Arguments;
use core::fmt;
use std::sync::Arc;
use tokio::time::Instant;

/// One tool, prompt, resource or template.
pub(crate) struct Offer<C> {
    /// The name, URI or template.
    pub(crate) key: Arc<str>,
    /// The members that lists print: members of a JSON object, by the revision that introduced
    /// them, oldest first.
    pub(crate) members: Vec<(Version, String)>,
    /// The names of the arguments, if no others are allowed.
    pub(crate) arguments: Option<Vec<String>>,
    /// The arguments that clients mirror in headers, as pairs of header and path.
    pub(crate) mirrors: Vec<(String, String)>,
    /// The scopes and roles that the caller's token must have, without those of policies.
    pub(crate) needs: Vec<Needed>,
    /// Whether the annotations of a tool say that it is read-only.
    pub(crate) is_read_only: bool,
    /// The digest of the definition, if a backend has published it.
    pub(crate) digest: Option<Digest>,
    /// Reads the input of the call and runs the handler.
    pub(crate) start: Start<C>,
    /// Completes the arguments. `None` if the server's completion does.
    pub(crate) complete: Option<Completion<C>>,
    /// The backend that has published the offer. `None` if the program has added it.
    pub(crate) source: Option<Source>,
}

/// The index of a backend, in the order in which backends were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(pub(crate) u32);

impl<C> Offer<C> {
    /// Whether this offer and `other` are of one source and have one key.
    pub(super) fn has_place(&self, other: &Self) -> bool {
        self.source == other.source && self.key == other.key
    }
}

/// The function that runs a handler.
pub(crate) type Start<C> = Box<dyn Fn(Asked<'_>, Called<C>, Sealer) -> Run + Send + Sync>;

/// A call as its handler sees it. Clones belong to the same call.
#[derive(Clone, Debug)]
pub(crate) struct Called<C> {
    pub(crate) version: Version,
    pub(crate) events: Arc<Events>,
    pub(crate) asking: Arc<Asking>,
    pub(crate) metadata: Metadata,
    /// The span of the call, if spans are exported.
    pub(crate) span: Option<SpanIds>,
    pub(crate) extensions: Arc<Extensions>,
    pub(crate) caller: Caller,
    /// The name of the client's session, for a legacy client.
    pub(crate) session: Option<[u8; 16]>,
    pub(crate) deadline: Instant,
    pub(crate) changes: C,
    /// The declared extensions of the HTTP request. `None` if the server declares none.
    pub(crate) request: Option<Arc<http::Extensions>>,
}

/// The input of a call.
pub(crate) enum Asked<'b> {
    /// The arguments of a tool or a prompt.
    With(Arguments<'b>),
    /// The URI of a resource, and the values of its template's variables.
    Uri(String, Vec<(String, String)>),
}

/// A function that completes arguments.
pub(crate) struct Completion<C>(Box<dyn Fn(CompletionRequest, Called<C>, Sealer) -> Run + Send + Sync>);

impl<C> Completion<C> {
    pub(crate) fn new(complete: impl Fn(CompletionRequest, Called<C>, Sealer) -> Run + Send + Sync + 'static) -> Self {
        Self(Box::new(complete))
    }

    pub(crate) fn run(&self, request: CompletionRequest, call: Called<C>, sealer: Sealer) -> Run {
        (self.0)(request, call, sealer)
    }
}

impl<C> fmt::Debug for Offer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("key", &self.key).field("members", &self.members).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Completion<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").finish_non_exhaustive()
    }
}
