//! The tokens of one caller, as a credential of the client.

use super::Downstream;
use super::grant::Grant;
use super::slot::{Current, Slot};
use crate::client::{TokenFuture, TokenRefusal, TokenSource};
use crate::oauth::{Granted, OAuthError};
use core::fmt;
use std::sync::Arc;

/// The tokens of one caller.
#[derive(Clone)]
pub(super) struct CallerTokens {
    downstream: Arc<Downstream>,
    slot: Arc<Slot>,
    grant: Grant,
}

impl CallerTokens {
    pub(super) const fn new(downstream: Arc<Downstream>, slot: Arc<Slot>, grant: Grant) -> Self {
        Self { downstream, slot, grant }
    }

    /// Returns a valid token. Requests one if there is none, and renews one that ends soon in the background.
    pub(super) async fn current(&self) -> Result<String, OAuthError> {
        match self.slot.current() {
            Current::Good(token) => return Ok(token),
            Current::Due(token) => {
                self.renew();
                return Ok(token);
            }
            Current::Refused(error) => return Err(error),
            Current::None => {}
        }
        let _flight = self.slot.flight.lock().await;
        match self.slot.current() {
            Current::Good(token) | Current::Due(token) => Ok(token),
            Current::Refused(error) => Err(error),
            // A token that ends at once is used for the calls that have waited for it.
            Current::None => self.fetch().await.map(|granted| granted.access_token),
        }
    }

    /// Renews the token, unless a request for it is running.
    fn renew(&self) {
        if let Ok(flight) = Arc::clone(&self.slot.flight).try_lock_owned() {
            let own = self.clone();
            tokio::spawn(async move {
                if let Err(error) = own.fetch().await {
                    tracing::warn!(resource = own.downstream.resource(), %error, "a downstream token was not renewed");
                }
                drop(flight);
            });
        }
    }

    async fn fetch(&self) -> Result<Granted, OAuthError> {
        let inbound = self.slot.inbound();
        let outcome = self.downstream.request(self.grant, inbound.as_ref()).await;
        self.slot.put(&outcome);
        outcome
    }
}

impl TokenSource for CallerTokens {
    fn token(&self) -> TokenFuture<'_, Option<String>> {
        Box::pin(async { Ok(Some(self.current().await?)) })
    }

    // The resource may have revoked the token. Another one is requested once.
    fn refused<'f>(&'f self, refusal: &'f TokenRefusal) -> TokenFuture<'f, bool> {
        let is_renewed = refusal.status == 401 && self.slot.drop_refused(refusal.token.as_deref());
        Box::pin(async move { Ok(is_renewed) })
    }
}

impl fmt::Debug for CallerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerTokens").field("resource", &self.downstream.resource()).finish_non_exhaustive()
    }
}
