//! From an HTTP request to an HTTP response. What the parts mean is decided by the engine; here they are only carried.

use crate::engine::{Answer, Engine};
use crate::limits;
use attache_core::exchange::{Origin, Reply, open, too_large};
use attache_core::http::{ACCEPTED, Door, Facts, Refusal, fields, gate};
use bytes::Bytes;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use std::sync::Arc;

/// The endpoint of one server. It looks at no path: whoever mounts it has done so.
#[derive(Clone, Debug)]
pub struct McpService {
    engine: Arc<Engine>,
}

impl McpService {
    /// The endpoint of `engine`.
    pub const fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl<B> tower_service::Service<Request<B>> for McpService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let engine = Arc::clone(&self.engine);
        Box::pin(async move { Ok(answer(&engine, request).await) })
    }
}

async fn answer<B>(engine: &Engine, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    if let Door::Out(refusal) = gate(&facts(&head), &engine.policy()) {
        match refusal {
            // Legacy clients ask for a stream in passing, and take the refusal for an answer.
            Refusal::Verb => tracing::debug!("refused {}", head.method),
            _ => tracing::warn!(status = refusal.status(), ?refusal, "refused at the door"),
        }
        return refuse(engine, &Reply::refused(refusal));
    }
    let body = match Limited::new(body, limits::BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return refuse(engine, &too_large(limits::BODY)),
        // The peer broke off, or broke the framing: there is nobody to answer, or nothing to answer to.
        Err(_) => return response(StatusCode::BAD_REQUEST.as_u16(), Bytes::new()),
    };
    let pending = {
        // The door is asked again because its answer borrows from the head, and must not outlive an await.
        let facts = facts(&head);
        match gate(&facts, &engine.policy()) {
            Door::In(who) => engine.start(open(&engine.view(), &who, Origin::Http(&facts), &body), &who, body.clone()),
            Door::Out(refusal) => return refuse(engine, &Reply::refused(refusal)),
        }
    };
    match pending {
        Some(pending) => {
            let Answer { status, bytes } = pending.answer(engine).await;
            response(status, bytes)
        }
        None => response(ACCEPTED, Bytes::new()),
    }
}

fn facts(head: &Parts) -> Facts<'_> {
    let mut facts = Facts::new(head.method.as_str().as_bytes());
    for (name, value) in &head.headers {
        facts.note(name.as_str().as_bytes(), value.as_bytes());
    }
    // RFC 9113 §8.3.1: HTTP/2 names the host in a pseudo-header.
    if let Some(authority) = head.uri.authority()
        && !head.headers.contains_key(http::header::HOST)
    {
        facts.note(b"host", authority.as_str().as_bytes());
    }
    facts
}

fn refuse(engine: &Engine, reply: &Reply) -> Response<Full<Bytes>> {
    let Answer { status, bytes } = Answer::emitted(reply, engine, b"");
    response(status, bytes)
}

fn response(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in fields(status) {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}
