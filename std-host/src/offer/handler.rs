//! Handlers: the closures that answer calls, and the context that they receive.

use super::arguments::value_of;
use super::changes::Changes;
use super::definition::Called;
use crate::auth::Caller;
use crate::call::{Ask, Elicited, Failure, ToolError, TraceContext, UserPage, form_of};
#[cfg(feature = "oauth-client")]
use crate::downstream::Downstreams;
use crate::limits;
use attache_core::era::Version;
use attache_core::tool::Level;
use core::any::type_name;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::panic::resume_unwind;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// A function that answers calls: `async fn(A, Ctx) -> R`, or a closure
/// `async |arguments: A, ctx: Ctx| …`. Every `Fn(A, Ctx) -> impl Future<Output = R> + Send + 'static`
/// is a handler.
///
/// `A` is the type of the arguments for tools and prompts,
/// [`ResourceRequest`](crate::ResourceRequest) for resources, and
/// [`CompletionRequest`](crate::CompletionRequest) for completions. A handler gets at the program's
/// own values by [`with`], or by [`ServerBuilder::state`](crate::ServerBuilder::state) and
/// [`Ctx::state`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is `async |arguments: Arguments, ctx: Ctx| …`, or an `async fn` with these two parameters",
    note = "a method `async fn add(self: Arc<Self>, arguments: Arguments, ctx: Ctx)` becomes a handler by `with(&app, App::add)`"
)]
pub trait Handler<A, R>: Send + Sync + 'static {
    /// Answers one call.
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

/// Makes a handler of a method, or of another function whose first parameter is an `Arc` of the
/// application. Each call gets a clone of `app`.
///
/// ```
/// use attache_host::{Ctx, Json, NoArgs, Server, ToolError, with};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Default)]
/// struct Notes(Mutex<Vec<String>>);
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Draft {
///     /// what to remember
///     text: String,
/// }
///
/// impl Notes {
///     async fn add(self: Arc<Self>, draft: Draft, _: Ctx) -> Result<String, ToolError> {
///         let mut notes = self.0.lock().map_err(ToolError::internal)?;
///         notes.push(draft.text);
///         Ok(format!("This is note {}.", notes.len()))
///     }
///
///     async fn list(self: Arc<Self>, _: NoArgs, _: Ctx) -> Result<Json<Vec<String>>, ToolError> {
///         Ok(Json(self.0.lock().map_err(ToolError::internal)?.clone()))
///     }
/// }
///
/// let notes = Arc::new(Notes::default());
/// let server = Server::new("notes", "1.0")
///     .tool("add", "Add a note", with(&notes, Notes::add))
///     .tool("list", "List all notes", with(&notes, Notes::list));
/// ```
///
/// The macro [`tools!`](crate::tools) declares many methods at once, with hints and scopes.
pub fn with<T, A, R, F, Fut>(app: &Arc<T>, method: F) -> impl Handler<A, R> + use<T, A, R, F, Fut>
where
    T: Send + Sync + 'static,
    A: 'static,
    R: 'static,
    F: Fn(Arc<T>, A, Ctx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    let app = Arc::clone(app);
    move |asked: A, ctx: Ctx| method(Arc::clone(&app), asked, ctx)
}

/// Makes a handler of a closure that does not await. It runs on the threads for blocking work.
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
            // The semaphore is never closed. The permit is held by the thread, not by the call that
            // waits for it.
            let permit = threads.acquire_owned().await;
            let answer = spawn_blocking(move || {
                let answer = handler(asked, ctx);
                drop(permit);
                answer
            });
            match answer.await {
                Ok(answer) => answer,
                // The panic continues here, and is caught by the guard around every handler.
                Err(error) => resume_unwind(error.into_panic()),
            }
        }
    }
}

/// The context of a call: information about the call, and ways to notify and ask its client. Clones
/// belong to the same call.
#[derive(Clone, Debug)]
pub struct Ctx(Called<Changes>);

impl Ctx {
    pub(super) const fn of(call: Called<Changes>) -> Self {
        Self(call)
    }

    /// Returns the state of this type that was given to the server
    /// ([`ServerBuilder::state`](crate::ServerBuilder::state)).
    ///
    /// # Errors
    /// If the server has no state of this type. The log names the type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<&T, ToolError> {
        let missing = || {
            let name = type_name::<T>();
            ToolError::internal(format!("the server has no state of type {name}: give it with ServerBuilder::state"))
        };
        self.0.changes.state().ok_or_else(missing)
    }

    /// Returns the value of this type in the extensions of the HTTP request, where a layer in front
    /// of the endpoint has put it. The type must be declared with
    /// [`ServerBuilder::request_extension`](crate::ServerBuilder::request_extension).
    ///
    /// # Errors
    /// If the type is not declared, or if no layer has set a value. There is none on standard input
    /// and output. The log names the type.
    pub fn request_extension<T: Clone + Send + Sync + 'static>(&self) -> Result<&T, ToolError> {
        let missing = || {
            let name = type_name::<T>();
            ToolError::internal(match self.0.request {
                None => format!("declare {name} with ServerBuilder::request_extension, and serve it over HTTP"),
                Some(_) => format!("the request has no extension of type {name}"),
            })
        };
        self.0.request.as_ref().and_then(|request| request.get()).ok_or_else(missing)
    }

    /// Returns a token for another server, on behalf of the caller. The server must be declared with
    /// [`ServerBuilder::downstream`](crate::ServerBuilder::downstream). Send the token to that server alone, and keep it out of
    /// results and logs.
    ///
    /// # Errors
    /// If the caller has to sign in, the model is told so. Every other cause goes to the log.
    #[cfg(feature = "oauth-client")]
    pub async fn token_for(&self, resource: &str) -> Result<String, ToolError> {
        let undeclared =
            || ToolError::internal(format!("no tokens for {resource}: declare it with ServerBuilder::downstream"));
        let declared = self.0.changes.state::<Downstreams>().and_then(|all| all.of(resource)).ok_or_else(undeclared)?;
        let inbound = self.0.request.as_ref().and_then(|request| request.get());
        declared.token_for(&self.0.caller, inbound).await.map_err(|error| match error.needs_person() {
            true => {
                tracing::info!(resource, %error, "the caller has to sign in for a downstream token");
                ToolError::user(format!("A token for {resource} needs the person to sign in again, or to consent."))
            }
            false => ToolError::internal(error),
        })
    }

    /// Returns the protocol revision of the client.
    pub const fn version(&self) -> Version {
        self.0.version
    }

    /// Sends progress to the caller, if it has asked for it: `progress` of `total`, in any unit.
    /// Progress that is not greater than the last one is not sent. Waits if the caller reads
    /// slowly.
    pub async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        self.0.events.progress(progress, total, message).await;
    }

    /// Sends a log message to the caller, if it wants messages of this level. The message leaves
    /// the server, so it must not contain secrets or personal data. Waits if the caller reads
    /// slowly.
    pub async fn log(&self, level: Level, data: impl Serialize + Sync) {
        self.0.events.log(level, None, &data).await;
    }

    /// Asks the client. The first time, this returns an error that contains the question: return it
    /// with `?`, which ends the call. The client repeats the call with the answer, which this then
    /// returns. So the code before the question runs twice. `key` must be the same each time, and
    /// unique among the questions of the call.
    ///
    /// # Errors
    /// The question to return, or an error if the client cannot be asked.
    pub fn ask(&self, key: &str, ask: Ask) -> Result<Value, ToolError> {
        self.ask_all([(key, ask)]).map(|[answer]| answer)
    }

    /// Asks several questions at once.
    ///
    /// # Errors
    /// Like [`ask`](Ctx::ask).
    pub fn ask_all<const N: usize>(&self, questions: [(&str, Ask); N]) -> Result<[Value; N], ToolError> {
        self.0.asking.ask(questions)
    }

    /// Whether the client supports this question.
    pub fn can_ask(&self, ask: &Ask) -> bool {
        self.0.asking.can(ask)
    }

    /// Asks the user to fill in a form, like [`ask`](Ctx::ask), and reads the answer.
    ///
    /// # Errors
    /// Like [`ask`](Ctx::ask); or an error if the client's answer is invalid.
    pub fn elicit(&self, key: &str, message: &str, schema: Value) -> Result<Elicited, ToolError> {
        Elicited::of(&self.ask(key, Ask::form(message, schema))?)
    }

    /// Asks the user to fill in a form with the fields of `T`, like [`ask`](Ctx::ask), and reads the
    /// answer. Returns `None` if the user has declined or dismissed the form.
    ///
    /// The fields may be texts, numbers, booleans, enums without data, lists of such enums, and
    /// `Option`s of these. Doc comments describe the fields to the user.
    ///
    /// ```
    /// use attache_host::{Ctx, NoArgs, OrUser, Server, ToolError};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Confirm {
    ///     /// delete all notes for good
    ///     sure: bool,
    /// }
    ///
    /// let server = Server::new("notes", "1.0").tool("clear", "Delete all notes", async |_: NoArgs, ctx: Ctx| {
    ///     let confirmed = ctx.elicit_as::<Confirm>("confirm", "Delete all notes?")?;
    ///     confirmed.filter(|confirm| confirm.sure).or_user("the user did not agree")?;
    ///     Ok("deleted")
    /// });
    /// ```
    ///
    /// # Errors
    /// Like [`ask`](Ctx::ask); or if the client's answer does not fit `T`, or if `T` is not a form.
    pub fn elicit_as<T: DeserializeOwned + JsonSchema>(
        &self,
        key: &str,
        message: &str,
    ) -> Result<Option<T>, ToolError> {
        let Elicited::Accepted(answer) = self.elicit(key, message, form_of::<T>())? else {
            return Ok(None);
        };
        let unfit = |reason| ToolError::from_failure(Failure::Invalid(format!("The answer to {key:?}: {reason}")));
        value_of(&Value::from(answer).to_string()).map(Some).map_err(unfit)
    }

    /// Returns an error that sends the user to a web page before the call can continue, for example
    /// to sign in or to pay. Return it from the handler, which ends the call. The client then
    /// repeats the call, and the handler must check whether the user has finished at the page.
    ///
    /// ```
    /// # use attache_host::{Ctx, NoArgs, Server, UserPage};
    /// # fn signed_in() -> bool { false }
    /// let server = Server::new("calendar", "1").tool("events", "Today's events", |_: NoArgs, ctx: Ctx| async move {
    ///     if !signed_in() {
    ///         let page = UserPage::new("3f1c5f0e", "Sign in to the calendar", "https://calendar.example/sign-in/3f1c5f0e");
    ///         return Err(ctx.require_page(page));
    ///     }
    ///     Ok("none")
    /// });
    /// ```
    ///
    /// Clients of revision 2026-07-28 are asked through the result of the call. Those of 2025-11-25
    /// get error -32042, and are notified by [`Changes::page_done`](crate::Changes::page_done). If
    /// the client cannot open pages, the model gets the URL.
    // MCP 2025-11-25 client/elicitation, "URL Elicitation Required Error".
    pub fn require_page(&self, page: UserPage) -> ToolError {
        self.0.asking.page(page)
    }

    /// Saves `value` until the client repeats the call with answers. The value is sealed and sent
    /// to the client, which can read it.
    ///
    /// # Errors
    /// If serde cannot serialize the value.
    pub fn save(&self, value: &impl Serialize) -> Result<(), ToolError> {
        self.0.asking.save(value)
    }

    /// Returns the value that an earlier run of this call saved.
    pub fn saved<T: DeserializeOwned>(&self) -> Option<T> {
        self.0.asking.saved()
    }

    /// Returns the client's settings for this protocol extension, if both sides have declared it
    /// ([`ServerBuilder::extension`](crate::ServerBuilder::extension)). With `None`, serve the call as if the
    /// extension did not exist.
    // MCP 2026-07-28 basic/versioning, "Extensions": active only when both sides declare it.
    pub fn extension(&self, identifier: &str) -> Option<Value> {
        self.0.metadata.extension(identifier).filter(|_| self.0.extensions.has(identifier))
    }

    /// Like [`extension`](Ctx::extension), for a call that requires the extension.
    ///
    /// # Errors
    /// The error to return, which tells the client to declare the extension.
    pub fn require_extension(&self, identifier: &str) -> Result<Value, ToolError> {
        let missing = || Failure::Needs(json!({ "extensions": { identifier: {} } }));
        self.extension(identifier).ok_or_else(|| ToolError::from_failure(missing()))
    }

    /// Returns the caller, as far as the server knows it: see
    /// [`ServerBuilder::auth`](crate::ServerBuilder::auth).
    pub const fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Returns the trace context of the call, if its client has sent a well-formed `traceparent`.
    pub fn trace(&self) -> Option<TraceContext> {
        self.0.metadata.trace()
    }

    /// Returns the value of a key in the request's `_meta`, for keys that are agreed on with
    /// clients.
    pub fn metadata(&self, key: &str) -> Option<Value> {
        self.0.metadata.get(key)
    }

    /// Returns the handle to add and remove offers, and to notify subscriptions of changes.
    pub const fn changes(&self) -> &Changes {
        &self.0.changes
    }
}
