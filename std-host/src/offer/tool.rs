//! The builder of a tool: its list entry, and the closure that answers calls.

use super::add_error::AddError;
use super::arguments::read;
use super::changes::{Offer, Start};
use super::definition::Asked;
use super::entry::{Entry, listed};
use super::handler::{Ctx, Handler, blocking};
use super::layered::{BoxError, ToolCall, ToolService};
use super::mirror::mirrors;
use super::rules::Rules;
use super::schema::{Schema, without_number_formats};
use crate::call::{IntoToolOutput, Outcome, Sealer, ToolError, ToolOutput, guarded, tool_crashed};
use attache_core::json;
use attache_core::tool::{Arguments, Kind, is_tool_name};
use core::future::ready;
use core::time::Duration;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;
use tower_layer::Layer;
use tower_service::Service;

/// The builder of a tool, for more than a name and a description.
///
/// ```
/// use attache_host::{Ctx, Server, Tool};
/// use core::time::Duration;
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Row {
///     /// number of the row
///     id: u64,
/// }
///
/// let delete = Tool::new("delete", "Delete a row", async |row: Row, _: Ctx| format!("row {} is gone", row.id))
///     .title("Delete")
///     .destructive()
///     .idempotent()
///     .scope("rows.write")
///     .timeout(Duration::from_secs(5));
/// let server = Server::new("table", "1.0").with_tool(delete);
/// ```
pub struct Tool {
    entry: Entry,
    /// Whether the schema was set by the application, and not derived from the type.
    own_schema: bool,
    /// The rules of the schema beyond the type. Set when the tool is finished.
    rules: Arc<OnceLock<Rules>>,
    /// The handler, for layers around it.
    service: ToolService,
    timeout: Option<Duration>,
    concurrency: Option<usize>,
}

/// The handler of a tool with all that it needs to read arguments.
struct Handling<H> {
    handler: H,
    schema: Schema,
    rules: Arc<OnceLock<Rules>>,
}

impl<H> Handling<H> {
    /// Reads the arguments.
    ///
    /// # Errors
    /// The refusal of arguments that do not fit.
    fn arguments<A: DeserializeOwned>(&self, arguments: Arguments<'_>) -> Result<A, ToolOutput> {
        if let Some(rules) = self.rules.get() {
            rules.check(arguments.raw()).map_err(ToolOutput::failed)?;
        }
        read::<A>(arguments, &self.schema, Kind::Tool).map_err(ToolOutput::failed)
    }
}

impl Tool {
    /// Creates a tool. `description` is for the model. The schema of the arguments is derived from
    /// their type, and that of a structured result from the type in [`Json`](crate::Json).
    ///
    /// The tool cannot be added if the name is not 1 to 128 characters of `A-Z a-z 0-9 _ - .`.
    ///
    /// # Panics
    /// If the arguments are not an object.
    #[track_caller]
    pub fn new<A, R, H>(name: &str, description: &str, handler: H) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        H: Handler<A, R>,
    {
        let schema = Schema::of::<A>(name);
        let mut listed = vec![("inputSchema", schema.value.clone()), ("description", description.into())];
        listed.extend(R::output_schema().map(|schema| ("outputSchema", schema)));
        let rules = Arc::new(OnceLock::<Rules>::new());
        let handling = Arc::new(Handling { handler, schema, rules: Arc::clone(&rules) });
        let layered = Arc::clone(&handling);
        let service = ToolService::new(move |call| {
            // The arguments were already parsed as a part of the body.
            let arguments = Arguments::new(json::Value::parse(&call.arguments).ok());
            match layered.arguments::<A>(arguments) {
                Ok(arguments) => {
                    let run = layered.handler.run(arguments, call.ctx);
                    Box::pin(async move { run.await.into_output() })
                }
                Err(refused) => Box::pin(ready(Ok(refused))),
            }
        });
        let start = move |asked: Asked<'_>, ctx, sealer: Sealer| {
            guarded(
                || {
                    let Asked::With(arguments) = asked else {
                        return Err(tool_crashed(&"a tool was read"));
                    };
                    let arguments = handling.arguments::<A>(arguments).map_err(Outcome::Tool)?;
                    let run = handling.handler.run(arguments, ctx);
                    Ok(async move { outcome(run.await.into_output(), &sealer) })
                },
                tool_crashed,
            )
        };
        let mut entry = Entry::new(name, listed, start);
        entry.check(is_tool_name(name), |name| {
            format!("tool name {name:?} must have 1 to 128 characters of A-Z a-z 0-9 _ - .")
        });
        Self { entry, own_schema: false, rules, service, timeout: None, concurrency: None }
    }

    /// Creates a tool with a blocking closure, which does not await: see
    /// [`ServerBuilder::tool_blocking`](crate::ServerBuilder::tool_blocking).
    ///
    /// # Panics
    /// As [`new`](Tool::new).
    #[track_caller]
    pub fn blocking<A, R, F>(name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        F: Fn(A, Ctx) -> R + Send + Sync + 'static,
    {
        Self::new(name, description, blocking(handler))
    }

    /// Declares that the tool changes nothing (`readOnlyHint`).
    #[doc(alias = "readOnlyHint")]
    #[must_use]
    pub fn read_only(self) -> Self {
        self.hint("readOnlyHint", true)
    }

    /// Declares that repeating a call has no further effect (`idempotentHint`).
    #[doc(alias = "idempotentHint")]
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.hint("idempotentHint", true)
    }

    /// Declares that the tool may overwrite or delete something (`destructiveHint: true`). Clients
    /// assume so of every tool that does not say otherwise.
    #[doc(alias = "destructiveHint")]
    #[must_use]
    pub fn destructive(self) -> Self {
        self.hint("destructiveHint", true)
    }

    /// Declares that the tool only adds and never overwrites or deletes (`destructiveHint: false`).
    #[doc(alias("destructiveHint", "non_destructive"))]
    #[must_use]
    pub fn additive(self) -> Self {
        self.hint("destructiveHint", false)
    }

    /// Declares that the tool interacts with things outside of the server, such as the web
    /// (`openWorldHint: true`). Clients assume so of every tool that does not say otherwise.
    #[doc(alias = "openWorldHint")]
    #[must_use]
    pub fn open_world(self) -> Self {
        self.hint("openWorldHint", true)
    }

    /// Declares that the tool does not interact with anything outside of the server
    /// (`openWorldHint: false`).
    #[doc(alias = "openWorldHint")]
    #[must_use]
    pub fn closed_world(self) -> Self {
        self.hint("openWorldHint", false)
    }

    /// Limits the time of one call. A call that takes longer is stopped, and the model is told so.
    /// The time spent waiting for other calls ([`concurrency`](Tool::concurrency)) does not count.
    /// [`Limits::call_time`](crate::Limits::call_time) limits calls of all tools.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }

    /// Limits how many calls of this tool run at the same time. Further calls wait.
    ///
    /// # Panics
    /// If `calls` is 0.
    #[must_use]
    #[track_caller]
    pub fn concurrency(mut self, calls: usize) -> Self {
        assert!(calls > 0, "tool {:?} must allow at least one call at a time", self.entry.key());
        self.concurrency = Some(calls);
        self
    }

    /// Puts a tower layer around the handler, for example for an audit log, a tracing span, a cache
    /// or a retry. The layer added last is the outermost. [`timeout`](Tool::timeout) and
    /// [`concurrency`](Tool::concurrency) are outside of all layers.
    ///
    /// The service inside the layer is a [`ToolService`]: it takes a [`ToolCall`] and returns a
    /// [`ToolOutput`]. Its error is a [`ToolFailure`](crate::ToolFailure) in a box. Any other error of the layer is
    /// reported like [`ToolError::internal`].
    ///
    /// ```
    /// use attache_host::{Ctx, NoArgs, Tool, ToolCall, ToolService};
    /// use tower_service::Service;
    ///
    /// #[derive(Clone)]
    /// struct Audit(ToolService);
    ///
    /// impl Service<ToolCall> for Audit {
    ///     type Response = <ToolService as Service<ToolCall>>::Response;
    ///     type Error = <ToolService as Service<ToolCall>>::Error;
    ///     type Future = <ToolService as Service<ToolCall>>::Future;
    ///
    ///     fn poll_ready(&mut self, context: &mut core::task::Context<'_>) -> core::task::Poll<Result<(), Self::Error>> {
    ///         self.0.poll_ready(context)
    ///     }
    ///
    ///     fn call(&mut self, call: ToolCall) -> Self::Future {
    ///         println!("{:?} calls {} with {}", call.ctx().caller().subject(), call.name(), call.arguments());
    ///         self.0.call(call)
    ///     }
    /// }
    ///
    /// let tool = Tool::new("reset", "Reset the counter", async |_: NoArgs, _: Ctx| {})
    ///     .layer(tower_layer::layer_fn(Audit));
    /// ```
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<ToolService>,
        L::Service: Service<ToolCall, Response = ToolOutput> + Clone + Send + Sync + 'static,
        <L::Service as Service<ToolCall>>::Future: Send + 'static,
        <L::Service as Service<ToolCall>>::Error: Into<BoxError> + Send + 'static,
    {
        let service = ToolService::of(layer.layer(self.service));
        self.service = service.clone();
        let name: Arc<str> = self.entry.key().into();
        self.entry.start_with(move |asked, ctx, sealer| {
            guarded(
                || {
                    let Asked::With(_) = asked else {
                        return Err(tool_crashed(&"a tool was read"));
                    };
                    let arguments = sealer.binding().subject().clone();
                    let run = service.run(ToolCall { name: Arc::clone(&name), arguments, ctx });
                    Ok(async move { outcome(run.await, &sealer) })
                },
                tool_crashed,
            )
        });
        self
    }

    /// Lists another schema than that of the arguments' type. Arguments must fit both.
    ///
    /// Checked are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`,
    /// `patternProperties`, `items`, `prefixItems`, `allOf`, `anyOf`, `oneOf`, `not`, `$ref` to a
    /// place in the schema, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`,
    /// `minLength`, `maxLength`, `pattern`, `minItems`, `maxItems`, `uniqueItems`, `minProperties`
    /// and `maxProperties`. A pattern is a regular expression of ECMA-262 without lookaround, back
    /// references and classes of Unicode. Other keywords are listed to clients, and the log names
    /// them once as not checked. Feature `schema` checks all of them.
    ///
    /// The dialect is 2020-12, unless `$schema` names draft 4, 6, 7 or 2019-09. Nothing is fetched:
    /// a `$ref` must point to a place in the schema itself.
    ///
    /// The tool cannot be added if the root of the schema is not `"type": "object"`.
    ///
    /// # Panics
    /// When the tool is added to a builder, if the schema is invalid;
    /// [`Changes::add_tool`](crate::Changes::add_tool) returns the error.
    #[must_use]
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.own_schema = true;
        self.entry.check(schema["type"] == "object", |name| {
            format!("the input schema of tool {name:?} must have the root type object")
        });
        self.member("inputSchema", schema)
    }

    fn hint(mut self, name: &str, value: bool) -> Self {
        self.entry.hint(name, value);
        self
    }

    /// Finishes the tool.
    ///
    /// # Errors
    /// If a member is invalid, or if an `x-mcp-header` is at a place where clients must refuse it
    /// (MCP 2026-07-28 server/tools).
    pub(crate) fn finish(self) -> Result<Offer, AddError> {
        let Self { mut entry, own_schema, rules, service: _, timeout, concurrency } = self;
        let mirrored = mirrors(entry.get("inputSchema"));
        if let Err(reason) = &mirrored {
            entry.check(false, |name| format!("tool {name:?}: {reason}"));
        }
        let schema = entry.get("inputSchema");
        match super::rules::rules(entry.key(), schema, own_schema) {
            Ok(None) => {}
            Ok(Some(found)) => {
                // It is set only here, so it cannot be set already.
                let _ = rules.set(found);
            }
            Err(reason) => {
                entry.check(false, |name| format!("the schema of tool {name:?} cannot be used: {reason}"));
            }
        }
        if !own_schema {
            // This comes after the rules, which recognize the bounds of a type by the format.
            entry.edit("inputSchema", without_number_formats);
        }
        entry.edit("outputSchema", without_number_formats);
        if timeout.is_some() || concurrency.is_some() {
            entry.wrap_start(|start| bounded(start, timeout, concurrency));
        }
        Ok(Offer { mirrors: mirrored.unwrap_or_default(), ..entry.finish(&[("name", None)])? })
    }
}

fn outcome(ended: Result<ToolOutput, ToolError>, sealer: &Sealer) -> Outcome {
    match ended {
        Ok(output) => Outcome::Tool(output),
        Err(error) => Outcome::of_failure(error.into_failure(), true, || sealer.seal()),
    }
}

/// Limits the time of each call, and the number of calls that run at the same time.
fn bounded(start: Start, timeout: Option<Duration>, concurrency: Option<usize>) -> Start {
    let slots = concurrency.map(|calls| Arc::new(Semaphore::new(calls)));
    Box::new(move |asked, called, sealer| {
        let (run, slots) = (start(asked, called, sealer), slots.clone());
        Box::pin(async move {
            let _slot = match slots {
                // The semaphore is never closed.
                Some(slots) => slots.acquire_owned().await.ok(),
                None => None,
            };
            let Some(time) = timeout else { return run.await };
            let late = |_| {
                let words = format!("The tool did not finish within its time limit of {time:?}, and was stopped.");
                Outcome::Tool(ToolOutput::failed(words))
            };
            tokio::time::timeout(time, run).await.unwrap_or_else(late)
        })
    })
}

listed! { Tool }
