//! The transport of revision 2024-11-05: a GET stream for all messages of the server, and a URL for
//! POST requests.

use super::Http;
use super::endpoint::Endpoint;
use super::events::Events;
use super::exchange::{self, is_events, read};
use super::response::Response;
use crate::client::error::Error;
use bytes::Bytes;
use std::sync::{Arc, Weak};

impl Http {
    /// Opens the stream and waits for its first event, `endpoint`.
    pub(in crate::client) async fn open_old(&self) -> Result<(), Error> {
        let response = self.get(None).await?;
        if !is_events(&response) {
            return Err(exchange::refusal(response).await);
        }
        let mut events = Events::new(response, Bytes::new(), self.limits.message);
        let endpoint = loop {
            match events.next().await? {
                Some(event) if event.kind.as_deref() == Some("endpoint") => {
                    break String::from_utf8_lossy(&event.data).into_owned();
                }
                Some(_) => {}
                None => return Err(Error::Invalid("the event stream ended before an event `endpoint`".to_owned())),
            }
        };
        let _ = self.post_endpoint.set(Arc::new(self.named(endpoint.trim())?));
        self.keep(tokio::spawn(listen(Weak::clone(&self.own), events)).abort_handle());
        Ok(())
    }

    /// Checks the URL for POST requests. The server chooses it, and credentials are sent to it, so
    /// it must have the same origin.
    fn named(&self, place: &str) -> Result<Endpoint, Error> {
        let own = self.endpoint();
        match own.url().join(place) {
            Ok(url) if url.origin() == own.url().origin() => own.at(url),
            _ => Err(Error::Invalid(format!("the event `endpoint` names {place:?}, which is not of the same origin"))),
        }
    }

    /// Handles the answer to a POST. The message itself arrives on the stream, but some servers
    /// send it here.
    pub(super) async fn posted_apart(&self, response: Response) -> Result<(), Error> {
        let status = response.status();
        if !status.is_success() {
            return Err(exchange::refusal(response).await);
        }
        if let Ok(body) = read(response, Bytes::new(), self.limits.message).await
            && body.first() == Some(&b'{')
        {
            let _ = self.router.receive(&body, status.as_u16(), None);
        }
        Ok(())
    }
}

/// Receives all messages of the server. The end of the stream ends the session.
async fn listen(http: Weak<Http>, mut events: Events) {
    let why = loop {
        let event = events.next().await;
        let Some(own) = http.upgrade() else { return };
        match event {
            Ok(Some(mut event)) => {
                if let Some(message) = event.message()
                    && let Err(stray) = own.router.receive(&message, 200, None)
                {
                    tracing::debug!(?stray, "an event of the server was skipped");
                }
            }
            Ok(None) => break Error::Lost("the event stream of the server ended".to_owned()),
            Err(error) => break error,
        }
    };
    if let Some(own) = http.upgrade() {
        own.router.close(&why);
    }
}
