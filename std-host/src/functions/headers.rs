//! The header fields of the HTTP request that a call came with, for the context of functions.

use core::task::{Context, Poll};
use http::{HeaderMap, Request};
use tokio::task::futures::TaskLocalFuture;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// The request that the current task answers.
    static REQUEST: OfRequest;
}

/// The part of a request that functions see.
#[derive(Clone, Debug)]
pub struct OfRequest {
    pub(super) headers: HeaderMap,
    /// The name of the transport: `http-streamable`, or `http-sse` of revision 2024-11-05.
    pub(super) transport: &'static str,
}

/// Returns the request that the current task answers, if its service is inside of [`WithHeaders`].
pub(super) fn of_request() -> Option<OfRequest> {
    REQUEST.try_with(OfRequest::clone).ok()
}

/// Runs a future that serves a message of the transport HTTP with SSE, which came with the request that the current
/// task answers.
#[cfg(feature = "axum")]
pub(crate) fn relayed<F: Future>(serve: F) -> impl Future<Output = F::Output> {
    let request = of_request().map(|request| OfRequest { transport: "http-sse", ..request });
    async move {
        match request {
            Some(request) => REQUEST.scope(request, serve).await,
            None => serve.await,
        }
    }
}

/// A layer that shows the header fields of requests to the functions of an [`App`](super::App): in the context of
/// the trigger, `transport.properties.headers`. Credentials are not among them.
#[derive(Clone, Copy, Debug, Default)]
pub struct WithHeadersLayer;

/// The service of [`WithHeadersLayer`].
#[derive(Clone, Debug)]
pub struct WithHeaders<S>(S);

impl<S> Layer<S> for WithHeadersLayer {
    type Service = WithHeaders<S>;

    fn layer(&self, inner: S) -> WithHeaders<S> {
        WithHeaders(inner)
    }
}

impl<B, S: Service<Request<B>>> Service<Request<B>> for WithHeaders<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<OfRequest, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let request_of = OfRequest { headers: request.headers().clone(), transport: "http-streamable" };
        REQUEST.scope(request_of, self.0.call(request))
    }
}
