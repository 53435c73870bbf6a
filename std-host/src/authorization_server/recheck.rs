//! Asks the issuer again whether it still knows a person, when a sign-in has lasted for some time.

use super::error::{ErrorCode, OAuthError};
use super::grant::{Proof, Sender};
use super::grants::{UNKNOWN, blocking};
use super::limits::RECHECK_OUTAGE;
use super::{AuthorizationServer, SignIn};
use crate::provider::{Failed, Tokens};
use core::time::Duration;
use std::sync::Arc;
use tokio::sync::Mutex;

/// When the issuer is asked again, and which requests to it are under way.
#[derive(Debug)]
pub(super) struct Recheck {
    /// The age of a proof from which on the issuer is asked. Zero switches it off.
    pub(super) after: Duration,
    /// A lock for each of some groups of grants: a refresh token of the issuer may work once only, so that of a grant is not used by
    /// two requests at a time.
    flights: [Mutex<()>; 64],
}

impl Recheck {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, flights: core::array::from_fn(|_| Mutex::new(())) }
    }
}

/// The consequence of the answer of the issuer.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The issuer knows the person, and this is the next proof.
    Proven(Proof),
    /// The issuer does not sign the person in any more.
    Gone,
    /// The issuer has not answered, which is not the person's fault yet.
    Unknown,
    /// The issuer has not answered for too long.
    TooLong,
}

/// Asks the issuer about the person of a refresh token, if the last proof is old.
///
/// # Errors
/// `invalid_grant` if the issuer does not know the person any more: the grant has ended. 503 if it has not answered for a long time.
pub(super) async fn recheck(
    server: &Arc<AuthorizationServer>,
    token: &str,
    sender: &Sender,
    now: u64,
) -> Result<(), OAuthError> {
    let SignIn::Upstream(upstream) = &server.sign_in else { return Ok(()) };
    let after = server.recheck.after.as_secs();
    let due = || {
        let (shared, token, sender) = (Arc::clone(server), token.to_owned(), sender.clone());
        blocking(move || shared.grants.due(&token, &sender, after, now))
    };
    if after == 0 {
        return Ok(());
    }
    let Some((id, _)) = due().await? else { return Ok(()) };
    let _flight = server.recheck.flights[usize::from(id[0]) % server.recheck.flights.len()].lock().await;
    // Another request may have asked in the meantime.
    let Some((id, proof)) = due().await? else { return Ok(()) };
    let old = Tokens { refresh_token: Some(proof.refresh_token.clone()), ..Tokens::default() };
    let answer = upstream.refresh(&old, now).await;
    if let Err(failed) = &answer {
        tracing::warn!(reason = %failed, "the issuer was asked about a person who is signed in");
    }
    let shared = Arc::clone(server);
    match verdict(answer, &proof, after, now) {
        Verdict::Proven(proof) => blocking(move || shared.grants.prove(&id, &proof, now)).await,
        Verdict::Gone => {
            blocking(move || shared.grants.end_unproven(&id, now)).await?;
            Err(UNKNOWN)
        }
        Verdict::Unknown => Ok(()),
        Verdict::TooLong => Err(OAuthError::new(
            ErrorCode::TemporarilyUnavailable,
            "the issuer cannot be asked about the person right now: try again",
        )),
    }
}

fn verdict(answer: Result<Tokens, Failed>, proof: &Proof, after: u64, now: u64) -> Verdict {
    // OpenID Connect Core 1.0 §3.1.2.6: the person has to act, so a new sign-in is necessary.
    let is_for_person =
        |error: &str| matches!(error, "access_denied" | "interaction_required" | "login_required" | "consent_required");
    match answer {
        Ok(tokens) => {
            let refresh_token = tokens.refresh_token.unwrap_or_else(|| proof.refresh_token.clone());
            Verdict::Proven(Proof { refresh_token, proven: now })
        }
        Err(Failed::Code) => Verdict::Gone,
        Err(Failed::Refused(error)) if is_for_person(&error) => Verdict::Gone,
        // An outage, or a mistake of the operator at the issuer.
        Err(_) if now.saturating_sub(proof.proven) <= after + RECHECK_OUTAGE.as_secs() => Verdict::Unknown,
        Err(_) => Verdict::TooLong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    #[test]
    fn refusal_ends_the_sign_in_and_an_outage_does_not_for_a_day() {
        let proof = |token: &str, proven| Proof { refresh_token: token.to_owned(), proven };
        let tokens = |token: Option<&str>| Tokens { refresh_token: token.map(str::to_owned), ..Tokens::default() };
        let down = || Err(Failed::Unavailable("502".to_owned()));
        let refused = |error: &str| Err(Failed::Refused(error.to_owned()));
        for (answer, now, expected) in [
            (Ok(tokens(Some("new"))), DAY + 1, Verdict::Proven(proof("new", DAY + 1))),
            // An issuer that does not rotate its refresh tokens sends none.
            (Ok(tokens(None)), DAY + 1, Verdict::Proven(proof("old", DAY + 1))),
            (Err(Failed::Code), DAY + 1, Verdict::Gone),
            (refused("interaction_required"), DAY + 1, Verdict::Gone),
            (refused("invalid_client"), DAY + 1, Verdict::Unknown),
            (down(), DAY + 1, Verdict::Unknown),
            (down(), 2 * DAY, Verdict::Unknown),
            (down(), 2 * DAY + 1, Verdict::TooLong),
            (refused("invalid_client"), 2 * DAY + 1, Verdict::TooLong),
        ] {
            let seen = format!("{answer:?} at {now}");
            assert_eq!(verdict(answer, &proof("old", 0), DAY, now), expected, "{seen}");
        }
    }
}
