//! A request over HTTP: a POST, and its answer as JSON or as a stream of events.

use super::events::Events;
use super::response::Response;
use super::{Http, session};
use crate::client::error::{Error, shown};
use crate::client::limits::REFUSAL;
use crate::client::outgoing::Outgoing;
use crate::client::router::Stray;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use http::header;
use std::sync::Arc;

/// The format of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Json,
    Events,
    /// The media type is missing or unusable, so the first bytes decide.
    Unknown,
    Other,
}

impl Http {
    /// Posts a request, and delivers everything in the response to its receiver.
    pub(super) async fn exchange(self: &Arc<Self>, outgoing: Outgoing) -> Result<(), Error> {
        let generation = self.session.generation();
        match self.attempt(&outgoing).await {
            // The rare steps are in boxes, because a future is as large as its largest path.
            // MCP 2025-11-25 basic/transports: 404 means that the session has ended. The request
            // was not processed.
            Err(Error::SessionLost) if outgoing.head.method != "initialize" => {
                Box::pin(self.renew(generation)).await?;
                self.attempt(&outgoing).await
            }
            other => other,
        }
    }

    pub(super) async fn attempt(self: &Arc<Self>, outgoing: &Outgoing) -> Result<(), Error> {
        let had_session = outgoing.head.method != "initialize" && self.session.is_named();
        let response = self.post(outgoing.body.clone(), Some(&outgoing.head)).await?;
        let status = response.status();
        if outgoing.head.method == "initialize" && status.is_success() {
            self.session.begin(&response);
        }
        if self.post_endpoint.get().is_some() {
            return Box::pin(self.posted_apart(response)).await;
        }
        if !status.is_success() {
            return Box::pin(self.refused(response, outgoing.id, had_session)).await;
        }
        self.answered(response, outgoing.id).await
    }

    async fn answered(self: &Arc<Self>, mut response: Response, id: u64) -> Result<(), Error> {
        let status = response.status().as_u16();
        let (mut kind, mut first) = (media_type(&response), Bytes::new());
        if kind == Body::Unknown {
            first = response.chunk().await?.unwrap_or_default();
            kind = sniff(&first);
        }
        match kind {
            Body::Events => Box::pin(self.stream(Events::new(response, first, self.limits.message), Some(id))).await,
            Body::Json => {
                let body = read(response, first, self.limits.message).await?;
                if body.is_empty() {
                    return Err(Error::Status { status, retry_after: None, body: String::new() });
                }
                self.deliver(&body, status, id)
            }
            Body::Unknown | Body::Other => {
                let body = front(&Box::pin(front_of(response, first)).await);
                Err(Error::Status { status, retry_after: None, body })
            }
        }
    }

    /// Delivers a body to its request. Fails if the body does not answer that request.
    fn deliver(&self, body: &Bytes, status: u16, id: u64) -> Result<(), Error> {
        let received = self.router.receive(body, status, Some(id));
        match received {
            _ if !self.router.is_running(id) => Ok(()),
            Err(Stray::Id(other)) => Err(Error::Invalid(format!("the answer to request {id} has the id {other}"))),
            Err(Stray::Unreadable(why)) => Err(Error::Invalid(why)),
            Ok(()) => Err(Error::Invalid(format!("there is no answer to request {id} in the body"))),
        }
    }

    /// Handles a status other than 2xx. Delivers the JSON-RPC error if the body is one, and returns
    /// the status as an error otherwise.
    async fn refused(&self, response: Response, id: u64, had_session: bool) -> Result<(), Error> {
        let status = response.status().as_u16();
        let (refusal, body) = refusal_and_body(response).await;
        if session::is_lost(status, had_session, &body) {
            return Err(Error::SessionLost);
        }
        if matches!(refusal, Error::Status { .. }) && self.deliver(&body, status, id).is_ok() {
            return Ok(());
        }
        Err(refusal)
    }
}

/// Translates a status other than 2xx into an error.
pub(super) async fn refusal(response: Response) -> Error {
    refusal_and_body(response).await.0
}

async fn refusal_and_body(response: Response) -> (Error, Bytes) {
    let status = response.status().as_u16();
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let challenge = challenge(&response);
    let retry_after = text(header::RETRY_AFTER).and_then(|time| time.parse().ok()).map(Duration::from_secs);
    let body = front_of(response, Bytes::new()).await;
    let refusal = match status {
        401 => Error::Unauthorized(challenge),
        403 => Error::Forbidden(challenge),
        _ => Error::Status { status, retry_after, body: front(&body) },
    };
    (refusal, body)
}

/// Returns the fields `WWW-Authenticate`, joined by commas.
pub(super) fn challenge(response: &Response) -> Option<String> {
    let fields = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
    let fields: Vec<&str> = fields.filter_map(|field| field.to_str().ok()).collect();
    (!fields.is_empty()).then(|| fields.join(", "))
}

fn front(body: &[u8]) -> String {
    shown(&String::from_utf8_lossy(body))
}

/// Reads a body, up to a limit. A body that arrives at once is not copied.
pub(super) async fn read(mut response: Response, first: Bytes, limit: usize) -> Result<Bytes, Error> {
    let mut body = first;
    if body.is_empty() {
        body = response.chunk().await?.unwrap_or_default();
    }
    if body.len() > limit {
        return Err(Error::TooLarge(limit));
    }
    let Some(mut chunk) = response.chunk().await? else { return Ok(body) };
    let mut body = BytesMut::from(body);
    loop {
        if chunk.len() > limit.saturating_sub(body.len()) {
            return Err(Error::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
        match response.chunk().await? {
            Some(next) => chunk = next,
            None => return Ok(body.freeze()),
        }
    }
}

/// Reads the beginning of a body that is only shown in an error text.
async fn front_of(mut response: Response, first: Bytes) -> Bytes {
    let mut body = BytesMut::from(first);
    while body.len() < REFUSAL {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            _ => break,
        }
    }
    body.truncate(REFUSAL);
    body.freeze()
}

/// Detects the format from the media type, without its parameters and in upper or lower case.
fn media_type(response: &Response) -> Body {
    let Some(value) = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return Body::Unknown;
    };
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Body::Json,
        "text/event-stream" => Body::Events,
        "" | "text/plain" | "application/octet-stream" => Body::Unknown,
        _ => Body::Other,
    }
}

fn sniff(first: &[u8]) -> Body {
    let text = first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first).trim_ascii_start();
    match text {
        [b'{' | b'[', ..] => Body::Json,
        [b':', ..] => Body::Events,
        _ if [&b"data:"[..], b"event:", b"id:", b"retry:"].iter().any(|field| text.starts_with(field)) => Body::Events,
        _ => Body::Other,
    }
}

/// Whether a response is a stream of events.
pub(super) fn is_events(response: &Response) -> bool {
    response.status().is_success() && media_type(response) == Body::Events
}
