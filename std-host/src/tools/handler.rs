//! What a tool's closure looks like, and what it is called with besides its arguments.

use attache_core::era::Version;
use schemars::JsonSchema;
use serde::Deserialize;

/// A closure that can be a tool. Every `Fn(A, Ctx) -> impl Future<Output = R>` is one.
pub trait AsyncTool<A, R>: Send + Sync + 'static {
    /// Runs the tool once.
    fn run(&self, arguments: A, ctx: Ctx) -> impl Future<Output = R> + Send + 'static;
}

impl<A, R, F, Fut> AsyncTool<A, R> for F
where
    F: Fn(A, Ctx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    fn run(&self, arguments: A, ctx: Ctx) -> impl Future<Output = R> + Send + 'static {
        self(arguments, ctx)
    }
}

/// What a tool may know of the call it runs for.
#[derive(Clone, Copy, Debug)]
pub struct Ctx {
    version: Version,
}

impl Ctx {
    pub(super) const fn new(version: Version) -> Self {
        Self { version }
    }

    /// The revision of the protocol that the caller speaks.
    pub const fn version(&self) -> Version {
        self.version
    }
}

/// The arguments of a tool that takes none.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub struct NoArgs {}
