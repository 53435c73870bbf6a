//! The tokens of one caller.

use super::limits::{FRESH, REFUSED, UNNAMED_LIFE};
use crate::auth::inbound::Inbound;
use crate::clock::now;
use crate::oauth::{Granted, OAuthError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The tokens of one caller for one resource.
#[derive(Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// Locked while a token is requested, so that calls that come together share the request.
    pub(super) flight: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    /// The newest access token of the caller.
    inbound: Option<Inbound>,
    current: Option<(Granted, Instant)>,
    refused: Option<(OAuthError, Instant)>,
    used: Option<Instant>,
}

/// The token of a slot.
pub(super) enum Current {
    /// The token is valid.
    Good(String),
    /// The token is valid, and should be renewed.
    Due(String),
    /// The issuer has refused a moment ago.
    Refused(OAuthError),
    None,
}

impl Slot {
    /// Records the token that the caller has shown, for later requests to the issuer.
    pub(super) fn note(&self, inbound: &Inbound) {
        self.lock().inbound = Some(inbound.clone());
    }

    pub(super) fn inbound(&self) -> Option<Inbound> {
        self.lock().inbound.clone()
    }

    pub(super) fn current(&self) -> Current {
        let mut state = self.lock();
        state.used = Some(Instant::now());
        match (&state.current, &state.refused) {
            (Some((granted, obtained)), _) if !has_ended(granted, *obtained) => {
                let token = granted.access_token.clone();
                if is_due(granted, *obtained) { Current::Due(token) } else { Current::Good(token) }
            }
            (_, Some((error, since))) if since.elapsed() < REFUSED => Current::Refused(error.clone()),
            _ => Current::None,
        }
    }

    /// Records the outcome of a request to the issuer.
    pub(super) fn put(&self, outcome: &Result<Granted, OAuthError>) {
        let mut state = self.lock();
        match outcome {
            Ok(granted) => {
                state.current = Some((granted.clone(), Instant::now()));
                state.refused = None;
            }
            Err(error) => state.refused = Some((error.clone(), Instant::now())),
        }
    }

    /// Drops a token that the resource has refused. Returns whether another one can be requested.
    pub(super) fn drop_refused(&self, token: Option<&str>) -> bool {
        let mut state = self.lock();
        let Some((granted, obtained)) = &state.current else { return false };
        if token != Some(granted.access_token.as_str()) {
            // Another request has got a new token meanwhile.
            return true;
        }
        let is_old = obtained.elapsed() >= FRESH;
        if is_old {
            state.current = None;
        }
        is_old
    }

    /// When the slot was used last. `None` if it never was.
    pub(super) fn used(&self) -> Option<Instant> {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_ended(granted: &Granted, obtained: Instant) -> bool {
    match granted.expires {
        Some(_) => granted.has_ended(now()),
        None => obtained.elapsed() >= UNNAMED_LIFE,
    }
}

/// Whether a token should be renewed. One that is valid for less than the margin is used before.
fn is_due(granted: &Granted, obtained: Instant) -> bool {
    granted.is_due(now()) && obtained.elapsed() >= FRESH
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn granted(token: &str, life: Option<u64>) -> Granted {
        Granted {
            access_token: token.to_owned(),
            expires: life.map(|life| now() + life),
            refresh_token: None,
            scope: None,
            issued_token_type: None,
        }
    }

    fn name(current: &Current) -> &'static str {
        match current {
            Current::Good(_) => "good",
            Current::Due(_) => "due",
            Current::Refused(_) => "refused",
            Current::None => "none",
        }
    }

    // The time of tokens is that of the system. The paused clock is that of the ages.
    #[tokio::test(start_paused = true)]
    async fn token_is_renewed_ahead_and_one_that_has_ended_is_not_used() {
        for (life, age, expected) in [
            (Some(3600), Duration::ZERO, "good"),
            (Some(3600), FRESH, "good"),
            // A new token with a short life is used first.
            (Some(30), Duration::ZERO, "good"),
            (Some(30), FRESH, "due"),
            (Some(0), Duration::ZERO, "none"),
            (None, UNNAMED_LIFE - FRESH, "good"),
            (None, UNNAMED_LIFE, "none"),
        ] {
            let slot = Slot::default();
            slot.put(&Ok(granted("a", life)));
            tokio::time::advance(age).await;
            assert_eq!(name(&slot.current()), expected, "{life:?} {age:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_is_repeated_for_a_while_and_does_not_end_a_valid_token() {
        let slot = Slot::default();
        slot.put(&Err(OAuthError::NotFinished));
        assert_eq!(name(&slot.current()), "refused");
        tokio::time::advance(REFUSED).await;
        assert_eq!(name(&slot.current()), "none");
        slot.put(&Ok(granted("a", Some(3600))));
        slot.put(&Err(OAuthError::NotFinished));
        assert_eq!(name(&slot.current()), "good", "a failed renewal");
    }

    #[tokio::test(start_paused = true)]
    async fn token_that_the_resource_refuses_is_replaced_unless_it_is_new() {
        let slot = Slot::default();
        assert!(!slot.drop_refused(Some("a")));
        slot.put(&Ok(granted("a", Some(3600))));
        assert!(!slot.drop_refused(Some("a")), "another one would be refused as well");
        assert!(slot.drop_refused(Some("earlier")), "there is another one already");
        tokio::time::advance(FRESH).await;
        assert!(slot.drop_refused(Some("a")));
        assert_eq!(name(&slot.current()), "none");
    }
}
