//! The header fields of the HTTP request that a call came with, for the context of functions.

use core::task::{Context, Poll};
use http::{HeaderMap, Request};
use tokio::task::futures::TaskLocalFuture;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// The header fields of the request that the current task answers.
    static HEADERS: HeaderMap;
}

/// Returns the header fields of the request that the current task answers, if its service is inside of [`WithHeaders`].
pub(super) fn of_request() -> Option<HeaderMap> {
    HEADERS.try_with(HeaderMap::clone).ok()
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
    type Future = TaskLocalFuture<HeaderMap, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let headers = request.headers().clone();
        HEADERS.scope(headers, self.0.call(request))
    }
}
