//! Event streams: that of a request, with resumption, and that of a session.

use super::events::Events;
use super::exchange::is_events;
use super::response::Response;
use super::{EVENTS, Http, LAST_EVENT_ID};
use crate::client::error::Error;
use crate::client::limits::{DRAIN_TIME, RECONNECT_FIRST, RECONNECT_MOST, RECONNECTS, STREAM_WAIT};
use crate::client::router::Stray;
use bytes::Bytes;
use core::time::Duration;
use http::{HeaderMap, HeaderValue, Method, header};
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// The position in a stream that may have to be resumed.
#[derive(Debug, Default)]
struct Place {
    last_id: Option<HeaderValue>,
    retry: Option<Duration>,
    /// Attempts since the last event.
    attempts: u32,
}

impl Place {
    // MCP 2025-11-25 basic/transports: `retry` MUST be respected. Without it, the client uses
    // exponential backoff with jitter.
    /// The time to wait before the next attempt. `None` after the last attempt.
    fn wait(&mut self) -> Option<Duration> {
        self.attempts += 1;
        if self.attempts > RECONNECTS {
            return None;
        }
        let grown = RECONNECT_FIRST.saturating_mul(1 << (self.attempts - 1).min(10));
        Some(self.retry.unwrap_or_else(|| jittered(grown.min(RECONNECT_MOST))))
    }

    fn note(&mut self, id: Option<String>, retry: Option<Duration>) {
        self.attempts = 0;
        if let Some(id) = id {
            self.last_id = HeaderValue::from_str(&id).ok().filter(|id| !id.is_empty());
        }
        self.retry = retry.or(self.retry);
    }
}

/// Adds up to a quarter, so that many clients do not reconnect at the same instant.
fn jittered(time: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness, the pause has no jitter.
    let _ = getrandom::fill(&mut byte);
    time + time / 4 * u32::from(byte[0]) / 255
}

impl Http {
    /// Reads the stream of a request until its answer arrives. Resumes it if the revision allows
    /// that.
    pub(super) async fn stream(self: &Arc<Self>, mut events: Events, id: Option<u64>) -> Result<(), Error> {
        let mut place = Place::default();
        loop {
            let why = match self.read_events(&mut events, id, &mut place).await {
                Ok(true) => return self.drained(events).await,
                Ok(false) => "the stream ended without an answer".to_owned(),
                Err(Error::Lost(why)) => why,
                Err(error) => return Err(error),
            };
            // MCP 2026-07-28 streamable-http: a broken stream is a lost request.
            let is_legacy = self.router.version().is_none_or(|version| !version.is_modern());
            if !is_legacy || place.last_id.is_none() {
                return Err(Error::Lost(why));
            }
            events = loop {
                sleep(place.wait().ok_or_else(|| Error::Lost(why.clone()))?).await;
                match self.get(place.last_id.as_ref()).await {
                    Ok(response) if is_events(&response) => {
                        break Events::new(response, Bytes::new(), self.limits.message);
                    }
                    Ok(response) => return Err(super::exchange::refusal(response).await),
                    Err(error) => tracing::debug!(%error, "the stream could not be resumed yet"),
                }
            };
        }
    }

    /// Reads events until the request is answered. Returns `false` if the stream ended before.
    async fn read_events(&self, events: &mut Events, id: Option<u64>, place: &mut Place) -> Result<bool, Error> {
        while let Some(mut event) = events.next().await? {
            place.note(event.id.take(), event.retry);
            let Some(message) = event.message() else { continue };
            match self.router.receive(&message, 200, id) {
                Err(Stray::Unreadable(why)) => tracing::debug!(%why, "an event of the server was skipped"),
                Err(Stray::Id(_)) | Ok(()) => {}
            }
            if id.is_some_and(|id| !self.router.is_running(id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the rest of a stream after its answer, so that the connection can be reused.
    async fn drained(&self, mut events: Events) -> Result<(), Error> {
        let rest = async { while let Ok(Some(_)) = events.next().await {} };
        let _ = timeout(DRAIN_TIME, rest).await;
        Ok(())
    }

    pub(super) async fn get(&self, last_id: Option<&HeaderValue>) -> Result<Response, Error> {
        let head = |head: &mut HeaderMap| {
            head.insert(header::ACCEPT, EVENTS);
            self.session.put(self.router.version(), head);
            if let Some(id) = last_id {
                head.insert(LAST_EVENT_ID, id.clone());
            }
        };
        self.send(Method::GET, &head).await
    }

    /// Opens the stream of the session after the handshake. The transport of 2024-11-05 has one
    /// already.
    pub(in crate::client) async fn begun(&self) {
        if self.post_endpoint.get().is_none() {
            self.hear().await;
        }
    }

    /// Opens the stream of the session, on which the server sends messages that belong to no
    /// request. Waits for it a short time, because some servers send the questions of calls there.
    pub(super) async fn hear(&self) {
        let (opened, open) = oneshot::channel();
        let task = tokio::spawn(hear(Weak::clone(&self.own), self.session.generation(), opened));
        self.session.hearing(task.abort_handle());
        let _ = timeout(STREAM_WAIT, open).await;
    }
}

async fn hear(http: Weak<Http>, generation: u64, opened: oneshot::Sender<()>) {
    let mut place = Place::default();
    let mut opened = Some(opened);
    loop {
        let Some(own) = http.upgrade() else { return };
        if own.session.generation() != generation {
            return;
        }
        match own.get(place.last_id.as_ref()).await {
            Ok(response) if is_events(&response) => {
                opened.take().map(|opened| opened.send(()));
                let (limit, since) = (own.limits.message, Instant::now());
                drop(own);
                listen(&http, Events::new(response, Bytes::new(), limit), &mut place).await;
                // A stream that lasts is healthy, even if a proxy cuts it while it is silent.
                if since.elapsed() > RECONNECT_MOST {
                    place.attempts = 0;
                }
            }
            // 405 means that the server has no such stream. Some servers use other statuses. The
            // client does not retry.
            Ok(response) => {
                tracing::debug!(status = response.status().as_u16(), "the server has no stream for its session");
                return;
            }
            Err(error) => tracing::debug!(%error, "the stream of the session could not be opened"),
        }
        let Some(wait) = place.wait() else { return };
        sleep(wait).await;
    }
}

/// Receives the events of a session's stream, until the client is dropped.
async fn listen(http: &Weak<Http>, mut events: Events, place: &mut Place) {
    while let Ok(Some(mut event)) = events.next().await {
        place.note(event.id.take(), event.retry);
        let Some(own) = http.upgrade() else { return };
        if let Some(message) = event.message()
            && let Err(stray) = own.router.receive(&message, 200, None)
        {
            tracing::debug!(?stray, "an event of the server was skipped");
        }
    }
}
