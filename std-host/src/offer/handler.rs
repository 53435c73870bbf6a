//! What the closures look like, and what they are called with.

use super::changes::Changes;
use super::registry::Called;
use crate::auth::Caller;
use crate::call::{Ask, Elicited, Failure, Page, ToolError, TraceContext};
use crate::limits;
use attache_core::era::Version;
use attache_core::tool::Level;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::panic::resume_unwind;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// A closure that answers. Every `Fn(A, Ctx) -> impl Future<Output = R>` is one.
pub trait Handler<A, R>: Send + Sync + 'static {
    /// Answers once.
    fn run(&self, asked: A, ctx: Ctx) -> impl Future<Output = R> + Send + 'static;
}

impl<A, R, F, Fut> Handler<A, R> for F
where
    F: Fn(A, Ctx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    fn run(&self, asked: A, ctx: Ctx) -> impl Future<Output = R> + Send + 'static {
        self(asked, ctx)
    }
}

/// A closure that answers without awaiting, on threads of its own.
pub(crate) fn blocking<A, R, F>(handler: F) -> impl Handler<A, R>
where
    A: Send + 'static,
    R: Send + 'static,
    F: Fn(A, Ctx) -> R + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    let threads = Arc::new(Semaphore::new(limits::BLOCKING));
    move |asked: A, ctx: Ctx| {
        let (handler, threads) = (Arc::clone(&handler), Arc::clone(&threads));
        async move {
            // Nobody closes it. The permit goes with the thread, not with the call that waits for it.
            let permit = threads.acquire_owned().await;
            let answer = spawn_blocking(move || {
                let answer = handler(asked, ctx);
                drop(permit);
                answer
            });
            match answer.await {
                Ok(answer) => answer,
                // The guard around every handler makes of it what it makes of all panics.
                Err(error) => resume_unwind(error.into_panic()),
            }
        }
    }
}

/// The call that a handler runs for: what it may know of it, tell it, and ask it. Clones are of the same call.
#[derive(Clone, Debug)]
pub struct Ctx(Called<Changes>);

impl Ctx {
    pub(super) const fn of(call: Called<Changes>) -> Self {
        Self(call)
    }

    /// The revision of the protocol that the caller speaks.
    pub const fn version(&self) -> Version {
        self.0.version
    }

    /// Tells the caller how far the call is, if it wants to hear: `progress` of `total`, in any unit. What does not exceed the
    /// progress told last is not sent. Waits while the caller is behind.
    pub async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        self.0.events.progress(progress, total, message).await;
    }

    /// Writes to the caller's log, if it wants to hear messages of this level. No secrets, no personal data: it leaves the
    /// server. Waits while the caller is behind.
    pub async fn log(&self, level: Level, data: impl Serialize + Sync) {
        self.0.events.log(level, None, &data).await;
    }

    /// Asks the client. The first time the call ends here, with the question: return the error with `?`. The client makes the
    /// call again with the answer, and then this gives it. So what stands before it runs twice; `key` must be the same each
    /// time, and of this question alone.
    ///
    /// # Errors
    /// To be returned: the question, or that the client cannot be asked.
    pub fn ask(&self, key: &str, ask: Ask) -> Result<Value, ToolError> {
        self.ask_all([(key, ask)]).map(|[answer]| answer)
    }

    /// Asks several things at once.
    ///
    /// # Errors
    /// As [`ask`](Ctx::ask).
    pub fn ask_all<const N: usize>(&self, questions: [(&str, Ask); N]) -> Result<[Value; N], ToolError> {
        self.0.asking.ask(questions)
    }

    /// Whether the client can be asked this.
    pub fn can_ask(&self, ask: &Ask) -> bool {
        self.0.asking.can(ask)
    }

    /// Asks the person, as [`ask`](Ctx::ask) does, and reads what came back.
    ///
    /// # Errors
    /// As [`ask`](Ctx::ask); or if what came back is no answer of a person.
    pub fn elicit(&self, key: &str, message: &str, schema: Value) -> Result<Elicited, ToolError> {
        Elicited::of(&self.ask(key, Ask::form(message, schema))?)
    }

    /// Sends the person to a page before the call can go on, as to sign in or to pay: to be returned as the error. The call ends with
    /// it, and the client makes it anew; whether the page has done its work is for the handler to know then.
    ///
    /// ```
    /// # use attache_host::{Ctx, NoArgs, Page, Server, ToolError};
    /// # fn signed_in() -> bool { false }
    /// let server = Server::new("calendar", "1").tool("events", "Today's events", |_: NoArgs, ctx: Ctx| async move {
    ///     if !signed_in() {
    ///         let page = Page::new("3f1c5f0e", "Sign in to the calendar", "https://calendar.example/sign-in/3f1c5f0e");
    ///         return Err(ctx.page_first(page));
    ///     }
    ///     Ok::<_, ToolError>("none")
    /// });
    /// ```
    ///
    /// Clients of revision 2026-07-28 are asked by the result of the call; those of 2025-11-25 get error -32042, and hear of
    /// [`Changes::page_done`](crate::Changes::page_done). A model whose client can open no page is told the address.
    // MCP 2025-11-25 client/elicitation, "URL Elicitation Required Error".
    pub fn page_first(&self, page: Page) -> ToolError {
        self.0.asking.page(page)
    }

    /// Keeps `value` for when the client comes back with answers. It travels sealed with the client, who can read it.
    ///
    /// # Errors
    /// If serde cannot write it.
    pub fn keep(&self, value: &impl Serialize) -> Result<(), ToolError> {
        self.0.asking.keep(value)
    }

    /// What an earlier run of this call kept.
    pub fn kept<T: DeserializeOwned>(&self) -> Option<T> {
        self.0.asking.kept()
    }

    /// What the client declares of this extension of the protocol, if both sides have declared it
    /// ([`Server::extension`](crate::Server::extension)); otherwise the call is to be served as if there were none.
    // MCP 2026-07-28 basic/versioning, "Extensions": active only when both sides declare it.
    pub fn extension(&self, identifier: &str) -> Option<Value> {
        self.0.metadata.extension(identifier).filter(|_| self.0.extensions.has(identifier))
    }

    /// The same, for a call that cannot do without it.
    ///
    /// # Errors
    /// To be returned: what the client would have to declare.
    pub fn require_extension(&self, identifier: &str) -> Result<Value, ToolError> {
        let missing = || Failure::Needs(json!({ "extensions": { identifier: {} } }));
        self.extension(identifier).ok_or_else(|| ToolError::from_failure(missing()))
    }

    /// Who calls, as far as the server knows: see [`Server::auth`](crate::Server::auth).
    pub const fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// The trace that the call belongs to, if its client says so in a well-formed `traceparent`.
    pub fn trace(&self) -> Option<TraceContext> {
        self.0.metadata.trace()
    }

    /// The value of a key of the request's `_meta`, for keys that are agreed on with clients.
    pub fn metadata(&self, key: &str) -> Option<Value> {
        self.0.metadata.get(key)
    }

    /// The handle by which the program adds and removes what is offered, and tells subscriptions of changes.
    pub const fn changes(&self) -> &Changes {
        &self.0.changes
    }
}
