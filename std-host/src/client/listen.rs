//! Subscriptions to changed lists and updated resources, for servers of all revisions.

use super::connection::Client;
use super::error::Error;
use super::inner::Inner;
use super::limits::{RECONNECT_FIRST, RECONNECT_MOST, RECONNECTS};
use super::mailbox::{Incoming, Mailbox};
use super::notice::Notice;
use super::outgoing::{Drive, Sending};
use super::raw::RawJson;
use super::request::Request;
use super::router::Purpose;
use core::fmt;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

/// The events of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Filter {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: Vec<String>,
}

impl Filter {
    /// Subscribes to changes of the lists of tools, prompts and resources.
    pub fn lists() -> Self {
        Self { tools: true, prompts: true, resources: true, uris: Vec::new() }
    }

    /// Adds the updates of this resource.
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.uris.push(uri.into());
        self
    }

    fn params(&self) -> Value {
        let mut wanted = json!({});
        for (name, is_wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if is_wanted {
                wanted[name] = json!(true);
            }
        }
        if !self.uris.is_empty() {
            wanted["resourceSubscriptions"] = json!(self.uris);
        }
        wanted
    }

    /// Whether the filter includes a notice. The server may report a part of a resource.
    fn wants(&self, notice: &Notice) -> bool {
        match notice {
            Notice::ToolsChanged => self.tools,
            Notice::PromptsChanged => self.prompts,
            Notice::ResourcesChanged => self.resources,
            Notice::ResourceUpdated(uri) => self.uris.iter().any(|wanted| uri.starts_with(wanted.as_str())),
            Notice::Reconnected => true,
            _ => false,
        }
    }
}

/// An open subscription. Dropping it unsubscribes.
#[must_use]
pub struct Subscription {
    inner: Arc<Inner>,
    filter: Filter,
    stream: Stream,
    acknowledged: RawJson,
}

enum Stream {
    /// A request `subscriptions/listen` of revision 2026-07-28.
    Modern(Open),
    /// The notices of a session of an older revision.
    Legacy(broadcast::Receiver<Notice>),
}

struct Open {
    id: u64,
    mailbox: Arc<Mailbox>,
    /// Keeps the stream open.
    _sending: Sending,
}

impl Client {
    /// Subscribes to changes. For a server of revision 2026-07-28, this sends a
    /// `subscriptions/listen` request. For an older server, it subscribes to the resources; such a
    /// server reports changed lists without a subscription.
    ///
    /// # Errors
    /// [`Error`] if the server refuses.
    pub async fn listen(&self, filter: Filter) -> Result<Subscription, Error> {
        let inner = Arc::clone(&self.inner);
        if inner.is_modern() {
            let (open, acknowledged) = inner.open_listen(&filter).await?;
            return Ok(Subscription { inner, filter, stream: Stream::Modern(open), acknowledged });
        }
        // Before the subscriptions, so that no notice is missed.
        let notices = self.notices();
        for uri in &filter.uris {
            self.subscribe(uri, true).await?;
        }
        let acknowledged = RawJson::of(&filter.params()).unwrap_or_else(|_| RawJson::empty_object());
        Ok(Subscription { inner, filter, stream: Stream::Legacy(notices), acknowledged })
    }
}

impl Subscription {
    /// The part of the filter that the server has accepted, in the server's own text.
    pub fn acknowledged(&self) -> &RawJson {
        &self.acknowledged
    }

    /// Waits for the next notice. [`Notice::Reconnected`] means that notices may have been lost:
    /// fetch lists and resources again.
    ///
    /// # Errors
    /// [`Error`] if the subscription has ended and could not be opened again.
    pub async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            let notice = match &mut self.stream {
                Stream::Legacy(notices) => match notices.recv().await {
                    Ok(notice) => notice,
                    Err(broadcast::error::RecvError::Lagged(_)) => Notice::Reconnected,
                    Err(broadcast::error::RecvError::Closed) => return Err(Error::Closed),
                },
                Stream::Modern(open) => match open.mailbox.next().await {
                    Ok(Incoming::Notification(method, params)) => match Notice::of(&method, params) {
                        Some(notice) => notice,
                        None => continue,
                    },
                    Ok(_) => continue,
                    Err(end) => self.reopened(end.err()).await?,
                },
            };
            if self.filter.wants(&notice) {
                return Ok(notice);
            }
        }
    }

    // MCP 2026-07-28 basic/patterns/subscriptions: after a disconnect, the client subscribes and
    // fetches again.
    async fn reopened(&mut self, why: Option<Error>) -> Result<Notice, Error> {
        let mut last = why.unwrap_or(Error::SessionLost);
        let mut wait = RECONNECT_FIRST;
        for _ in 0..RECONNECTS {
            // Retrying is useless after the end of the server process, a closed connection, or a
            // refusal.
            if matches!(last, Error::Exited(_) | Error::Closed | Error::Unauthorized(_) | Error::Forbidden(_)) {
                break;
            }
            sleep(wait).await;
            wait = wait.saturating_mul(2).min(RECONNECT_MOST);
            match self.inner.open_listen(&self.filter).await {
                Ok((open, acknowledged)) => {
                    (self.stream, self.acknowledged) = (Stream::Modern(open), acknowledged);
                    return Ok(Notice::Reconnected);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Inner {
    /// Sends `subscriptions/listen` and waits for the acknowledgement, which MUST be the first
    /// message.
    async fn open_listen(&self, filter: &Filter) -> Result<(Open, RawJson), Error> {
        let wanted = RawJson::of(&filter.params()).map_err(|error| Error::Invalid(error.to_string()))?;
        let request = Request::new("subscriptions/listen").param("notifications", wanted);
        let (id, mailbox, sending) = self.send(&request, Purpose::Listen, &[], Drive::Task);
        let acknowledged = async {
            loop {
                match mailbox.next().await {
                    Ok(Incoming::Notification(method, params)) if method == ACKNOWLEDGED => {
                        break Ok(params.member("notifications").unwrap_or_else(RawJson::empty_object));
                    }
                    Ok(_) => {}
                    Err(Ok(answer)) => break Err(self.not_open(&answer)),
                    Err(Err(error)) => break Err(error),
                }
            }
        };
        let time = self.limits.request_time;
        match timeout(time, acknowledged).await.unwrap_or(Err(Error::Timeout(time))) {
            Ok(acknowledged) => Ok((Open { id, mailbox: Arc::clone(&mailbox), _sending: sending }, acknowledged)),
            Err(error) => {
                self.cancel(id, "no acknowledgement");
                Err(error)
            }
        }
    }

    fn not_open(&self, answer: &super::mailbox::Answer) -> Error {
        match answer.outcome {
            Ok(_) => Error::Invalid("the subscription ended without an acknowledgement".to_owned()),
            Err(error) => Error::Rpc(super::error::RpcError::of(RawJson::part(&answer.body, error.of(&answer.body)))),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        match &self.stream {
            Stream::Modern(open) => self.inner.cancel(open.id, "the subscription is not needed any more"),
            Stream::Legacy(_) => {
                let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
                let (client, uris) =
                    (Client { inner: Arc::clone(&self.inner) }, core::mem::take(&mut self.filter.uris));
                runtime.spawn(async move {
                    for uri in uris {
                        let _ = client.subscribe(&uri, false).await;
                    }
                });
            }
        }
    }
}

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("filter", &self.filter).finish_non_exhaustive()
    }
}
