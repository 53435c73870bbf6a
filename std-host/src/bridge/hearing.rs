//! Notifications of an upstream: changed lists and updated resources.

use crate::client::{Client, Error, Filter, Notice, Subscription};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::broadcast;

/// Receives the notifications of an upstream.
pub(super) enum Hearing {
    /// A subscription of revision 2026-07-28. It cannot be changed, so another one replaces it.
    Modern(Subscription),
    /// The notifications of an older session, and the resources that it is subscribed to.
    Legacy(broadcast::Receiver<Notice>, BTreeMap<String, Subscription>),
    /// The upstream has no subscriptions.
    Nothing,
}

impl Hearing {
    /// Subscribes to the upstream. The resources are those that clients have subscribed to.
    pub(super) async fn open(client: &Client, resources: &BTreeSet<String>) -> Self {
        let mut hearing = match client.version().is_modern() {
            true => Self::Nothing,
            false => Self::Legacy(client.notices(), BTreeMap::new()),
        };
        hearing.follow(client, resources).await;
        hearing
    }

    /// Replaces the resources that are subscribed to.
    pub(super) async fn follow(&mut self, client: &Client, resources: &BTreeSet<String>) {
        match self {
            Self::Legacy(_, subscribed) => {
                // Dropping a subscription ends it.
                subscribed.retain(|uri, _| resources.contains(uri));
                if !client.server().has(&["resources", "subscribe"]) {
                    return;
                }
                for uri in resources {
                    if subscribed.contains_key(uri) {
                        continue;
                    }
                    match client.listen(Filter::default().resource(uri)).await {
                        Ok(subscription) => drop(subscribed.insert(uri.clone(), subscription)),
                        Err(error) => tracing::debug!(uri, %error, "the upstream refuses a subscription"),
                    }
                }
            }
            // MCP 2026-07-28 basic/patterns/subscriptions: the filter of a subscription cannot be changed. The new one is open
            // before the old one ends, so nothing is missed.
            Self::Modern(_) | Self::Nothing => {
                let filter = resources.iter().fold(Filter::lists(), |filter, uri| filter.resource(uri));
                match client.listen(filter).await {
                    Ok(subscription) => *self = Self::Modern(subscription),
                    Err(error) => tracing::debug!(%error, "the upstream has no subscriptions"),
                }
            }
        }
    }

    /// Waits for the next notification.
    pub(super) async fn next(&mut self) -> Result<Notice, Error> {
        match self {
            Self::Modern(subscription) => subscription.next().await,
            Self::Legacy(notices, _) => match notices.recv().await {
                Ok(notice) => Ok(notice),
                Err(broadcast::error::RecvError::Lagged(_)) => Ok(Notice::Reconnected),
                Err(broadcast::error::RecvError::Closed) => Err(Error::Closed),
            },
            Self::Nothing => core::future::pending().await,
        }
    }
}
