//! The handler of a tool as a tower service, for layers around it.

use super::handler::Ctx;
use crate::call::{ToolError, ToolOutput};
use bytes::Bytes;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;
use tower_service::Service;

/// An error of a layer.
pub(super) type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// A running call of a tool, without layers.
type Handled = Pin<Box<dyn Future<Output = Result<ToolOutput, ToolError>> + Send>>;

/// A call of a tool, as a tower layer sees it: see [`Tool::layer`](crate::Tool::layer).
#[derive(Clone, Debug)]
pub struct ToolCall {
    pub(super) name: Arc<str>,
    /// The arguments as JSON.
    pub(super) arguments: Bytes,
    pub(super) ctx: Ctx,
}

impl ToolCall {
    /// Returns the name of the tool.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the arguments as the client has written them: the JSON of an object. They are not
    /// checked yet.
    pub fn arguments(&self) -> &str {
        core::str::from_utf8(&self.arguments).unwrap_or_default()
    }

    /// Replaces the arguments, which the handler reads after all layers.
    #[must_use]
    pub fn with_arguments(mut self, arguments: &serde_json::Map<String, serde_json::Value>) -> Self {
        self.arguments = serde_json::to_vec(arguments).unwrap_or_default().into();
        self
    }

    /// Returns the context of the call.
    pub const fn ctx(&self) -> &Ctx {
        &self.ctx
    }
}

/// A failure of a tool, as a tower layer sees it. Questions to the client are failures, too: the
/// call ends with them, and the client repeats it with the answers.
#[derive(Clone, Debug)]
pub struct ToolFailure(pub ToolError);

impl fmt::Display for ToolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl core::error::Error for ToolFailure {}

/// The handler of a tool as a tower service, with the layers that were added so far.
#[derive(Clone)]
pub struct ToolService(Arc<dyn Fn(ToolCall) -> Handled + Send + Sync>);

impl ToolService {
    pub(super) fn new(handle: impl Fn(ToolCall) -> Handled + Send + Sync + 'static) -> Self {
        Self(Arc::new(handle))
    }

    /// Makes a service of a layered one.
    pub(super) fn of<S>(service: S) -> Self
    where
        S: Service<ToolCall, Response = ToolOutput> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError> + Send + 'static,
    {
        Self::new(move |call| {
            let mut service = service.clone();
            Box::pin(async move {
                let ready = poll_fn(|context| service.poll_ready(context)).await;
                let ended = match ready {
                    Ok(()) => service.call(call).await,
                    Err(error) => Err(error),
                };
                ended.map_err(|error| failure(error.into()))
            })
        })
    }

    pub(super) fn run(&self, call: ToolCall) -> Handled {
        (self.0)(call)
    }
}

/// Returns the failure of a handler, or that of a layer around it.
fn failure(error: BoxError) -> ToolError {
    match error.downcast::<ToolFailure>() {
        Ok(failure) => failure.0,
        Err(other) => other.into(),
    }
}

impl Service<ToolCall> for ToolService {
    type Response = ToolOutput;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<ToolOutput, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: ToolCall) -> Self::Future {
        let run = self.run(call);
        Box::pin(async move { run.await.map_err(|error| ToolFailure(error).into()) })
    }
}

impl fmt::Debug for ToolService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolService").finish_non_exhaustive()
    }
}
