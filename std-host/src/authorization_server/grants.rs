//! Stores grants, and hands out codes and refresh tokens for them.

use super::error::{ErrorCode, OAuthError};
use super::grant::{Grant, NotGranted, Proof, Redemption, RefreshToken, Sender, Stage, Terms};
use super::limits::{ACCESS_RANGE, CODE, REPLAY, SIGN_IN};
use super::seals::{Purpose, Seals, random};
use super::{resource, scope};
use crate::auth::Revocations;
use crate::clock;
use crate::store::{RowChange, RowKey, RowStore, Unavailable};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use std::sync::Arc;

/// The grants of the server.
pub(super) struct Grants {
    rows: Arc<dyn RowStore>,
    seals: Arc<Seals>,
    revocations: Revocations,
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants").finish_non_exhaustive()
    }
}

/// The tokens that a client gets for a code or a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) terms: Terms,
    /// The scopes of the access token.
    pub(super) scopes: Vec<String>,
    /// The id of the grant, which access tokens contain.
    pub(super) sid: String,
    pub(super) refresh_token: String,
}

/// Runs what reads or writes the store on the threads for blocking work: a store may wait for its disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OAuthError> + Send + 'static,
) -> Result<T, OAuthError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(OAuthError::unavailable()))
}

/// The prefix of refresh tokens, by which scanners for leaked secrets recognize them.
const PREFIX: &str = "atr_";

impl Grants {
    pub(super) fn new(rows: Arc<dyn RowStore>, seals: Arc<Seals>) -> Self {
        let shared = Arc::clone(&rows);
        let revocations = Revocations::new(move |sid| has_ended(&*shared, sid, clock::now()));
        Self { rows, seals, revocations }
    }

    /// Tells which grants have ended.
    pub(super) fn revocations(&self) -> Revocations {
        self.revocations.clone()
    }

    /// Whether a value that works once is used for the first time. `key` stands for the value, and after `until` it is not valid anyway.
    pub(super) fn is_first_use(&self, key: &RowKey, until: u64, now: u64) -> Result<bool, OAuthError> {
        let mut is_first = false;
        let used = self.rows.update(key, now, &mut |row| {
            is_first = row.is_none();
            if is_first { RowChange::Put(Vec::new(), until) } else { RowChange::Keep }
        });
        used.map(|()| is_first).map_err(unavailable)
    }

    /// Stores a new grant, and returns its authorization code. For the same `id`, the same grant has the same code, so that a
    /// person who clicks twice gets one grant. Returns `None` if the code was redeemed already.
    pub(super) fn begin(
        &self,
        id: &RowKey,
        terms: &Terms,
        challenge: &str,
        proof: Option<&Proof>,
        now: u64,
    ) -> Result<Option<String>, OAuthError> {
        let mut ends = None;
        self.update(id, now, &mut |grant| match grant {
            Some(Grant { stage: Stage::Code { until, .. }, .. }) => {
                ends = Some(*until);
                false
            }
            Some(_) => {
                ends = None;
                false
            }
            None => {
                let until = now + CODE.as_secs();
                ends = Some(until);
                let stage = Stage::Code { challenge: challenge.to_owned(), until };
                let until = now + SIGN_IN.as_secs();
                *grant = Some(Grant { terms: terms.clone(), stage, until, proof: proof.cloned() });
                true
            }
        })?;
        Ok(ends.map(|until| self.seals.seal(Purpose::Code, until, id)))
    }

    /// Returns the code of a grant that waits for its client.
    pub(super) fn pending(&self, id: &RowKey, now: u64) -> Result<Option<String>, OAuthError> {
        let mut code = None;
        self.update(id, now, &mut |grant| {
            if let Some(Grant { stage: Stage::Code { until, .. }, .. }) = grant {
                code = Some(self.seals.seal(Purpose::Code, *until, id));
            }
            false
        })?;
        Ok(code)
    }

    /// Redeems a code. Nothing changes unless the requested `resources` are those of the grant.
    pub(super) fn redeem<'r>(
        &self,
        code: &str,
        shown: Redemption<'_>,
        resources: impl Iterator<Item = &'r str> + Clone,
        now: u64,
    ) -> Result<Issued, OAuthError> {
        let opened = self.seals.open(Purpose::Code, now, code).and_then(|(_, id)| RowKey::try_from(id).ok());
        let id = opened.ok_or(UNKNOWN)?;
        let secret = random();
        let token = RefreshToken { grant: id, generation: 0, secret };
        self.change(&id, now, |grant| {
            check_resources(grant, resources.clone())?;
            grant.redeem(shown, secret, now).map_err(|denied| log(denied, grant))?;
            Ok((token, grant.terms.scopes.clone()))
        })
    }

    /// Exchanges a refresh token for its successor.
    pub(super) fn refresh<'r>(
        &self,
        token: &str,
        sender: &Sender,
        requested: Option<&str>,
        resources: impl Iterator<Item = &'r str> + Clone,
        now: u64,
    ) -> Result<Issued, OAuthError> {
        let token = self.opened(token, now).ok_or(UNKNOWN)?;
        self.change(&token.grant, now, |grant| {
            check_resources(grant, resources.clone())?;
            let scopes = scope::narrowed(&grant.terms.scopes, requested)?;
            let next = grant.refresh(token, sender, now).map_err(|denied| log(denied, grant))?;
            Ok((next, scopes))
        })
    }

    /// Returns the proof of a grant if it is older than `after` seconds. A token that gives no tokens anyway has none.
    pub(super) fn due(
        &self,
        token: &str,
        sender: &Sender,
        after: u64,
        now: u64,
    ) -> Result<Option<(RowKey, Proof)>, OAuthError> {
        let Some(token) = self.opened(token, now) else { return Ok(None) };
        let mut due = None;
        self.update(&token.grant, now, &mut |grant| {
            let valid = grant.as_ref().filter(|grant| grant.check(sender).is_ok() && grant.has_issued(token));
            let proof = valid.and_then(|grant| grant.proof.clone());
            due = proof.filter(|proof| now.saturating_sub(proof.proven) > after).map(|proof| (token.grant, proof));
            false
        })?;
        Ok(due)
    }

    /// Stores a new proof.
    pub(super) fn prove(&self, id: &RowKey, proof: &Proof, now: u64) -> Result<(), OAuthError> {
        self.update(id, now, &mut |grant| {
            let Some(grant) = grant else { return false };
            grant.proof = Some(proof.clone());
            true
        })
    }

    /// Ends a grant whose person the issuer does not know any more.
    pub(super) fn end_unproven(&self, id: &RowKey, now: u64) -> Result<(), OAuthError> {
        self.update(id, now, &mut |grant| {
            let Some(grant) = grant else { return false };
            let client = client_name(&grant.terms);
            tracing::warn!(client, person = grant.terms.person.subject, "grant ended: the issuer refuses the person");
            grant.stage = Stage::Ended;
            grant.proof = None;
            true
        })
    }

    /// Ends the grant of a refresh token of this client. An unknown token is not an error (RFC 7009 §2.2).
    pub(super) fn revoke(&self, token: &str, sender: &Sender, now: u64) -> Result<(), OAuthError> {
        let Some(token) = self.opened(token, now) else { return Ok(()) };
        self.end(&token.grant, sender, now)
    }

    /// Ends a grant of this client.
    pub(super) fn end(&self, id: &RowKey, sender: &Sender, now: u64) -> Result<(), OAuthError> {
        let mut ended = Ok(());
        self.update(id, now, &mut |grant| {
            let Some(grant) = grant.as_mut() else { return false };
            match grant.check(sender) {
                Ok(()) => {}
                Err(denied @ NotGranted::NotAuthenticated) => {
                    ended = Err(log(denied, grant));
                    return false;
                }
                Err(_) => return false,
            }
            let client = client_name(&grant.terms);
            tracing::info!(client, person = grant.terms.person.subject, "grant revoked");
            grant.stage = Stage::Ended;
            grant.proof = None;
            true
        })?;
        ended
    }

    fn opened(&self, token: &str, now: u64) -> Option<RefreshToken> {
        let (_, bytes) = self.seals.open(Purpose::Refresh, now, token.strip_prefix(PREFIX)?)?;
        RefreshToken::read(&bytes)
    }

    /// Changes a grant that exists, and seals the refresh token of the result.
    fn change(
        &self,
        id: &RowKey,
        now: u64,
        change: impl Fn(&mut Grant) -> Result<(RefreshToken, Vec<String>), OAuthError>,
    ) -> Result<Issued, OAuthError> {
        let mut issued = Err(UNKNOWN);
        self.update(id, now, &mut |grant| {
            let Some(grant) = grant else { return false };
            let before = grant.stage.clone();
            issued = change(grant).map(|(token, scopes)| Issued {
                terms: grant.terms.clone(),
                scopes,
                sid: URL_SAFE_NO_PAD.encode(id),
                refresh_token: format!("{PREFIX}{}", self.seals.seal(Purpose::Refresh, grant.until, &token.to_bytes())),
            });
            // A denial may change the grant, too: reuse ends it.
            grant.stage != before
        })?;
        issued
    }

    /// Passes the row of a grant to `change`, and stores it if that returns true.
    fn update(
        &self,
        id: &RowKey,
        now: u64,
        change: &mut dyn FnMut(&mut Option<Grant>) -> bool,
    ) -> Result<(), OAuthError> {
        let mut has_ended = false;
        let updated = self.rows.update(id, now, &mut |row| {
            let mut grant = row.and_then(|row| serde_json::from_slice(row).ok());
            let is_changed = change(&mut grant);
            has_ended = is_changed && grant.as_ref().is_some_and(|grant| grant.stage == Stage::Ended);
            match grant.filter(|_| is_changed) {
                Some(grant) => RowChange::Put(serde_json::to_vec(&grant).unwrap_or_default(), kept_until(&grant)),
                None => RowChange::Keep,
            }
        });
        if has_ended && updated.is_ok() {
            let [_, longest] = ACCESS_RANGE;
            // Tokens are verified by the clock of the process.
            let now = now.max(clock::now());
            self.revocations.add(&URL_SAFE_NO_PAD.encode(id), now + longest.as_secs(), now);
        }
        updated.map_err(unavailable)
    }
}

fn unavailable(unavailable: Unavailable) -> OAuthError {
    tracing::error!(error = %unavailable, "a grant was not stored");
    OAuthError::unavailable()
}

/// Whether the grant of an access token has ended. If the store cannot tell, the token is valid until it expires.
fn has_ended(rows: &dyn RowStore, sid: &str, now: u64) -> bool {
    let Some(id) = URL_SAFE_NO_PAD.decode(sid).ok().and_then(|id| RowKey::try_from(id).ok()) else { return false };
    let mut has_ended = false;
    let read = rows.update(&id, now, &mut |row| {
        let grant = row.and_then(|row| serde_json::from_slice::<Grant>(row).ok());
        has_ended = grant.is_some_and(|grant| grant.stage == Stage::Ended);
        RowChange::Keep
    });
    if let Err(error) = read {
        tracing::error!(%error, "the grant of an access token was not read");
    }
    has_ended
}

/// A code that is not redeemed leaves nothing behind. Everything else is kept as long as its tokens
/// could come again.
const fn kept_until(grant: &Grant) -> u64 {
    match grant.stage {
        Stage::Code { until, .. } => until + REPLAY.as_secs(),
        _ => grant.until,
    }
}

// RFC 6749 §5.2: `invalid_grant` for codes and refresh tokens that are invalid, expired, revoked or of another client.
pub(super) const UNKNOWN: OAuthError = OAuthError::new(
    ErrorCode::InvalidGrant,
    "the code or token is unknown, expired, used, revoked or of another client",
);

// RFC 8707 §2.2: the resource of a token request must be one of the grant.
fn check_resources<'r>(grant: &Grant, mut resources: impl Iterator<Item = &'r str>) -> Result<(), OAuthError> {
    match resources.all(|requested| resource::is_same(&grant.terms.resource, requested)) {
        true => Ok(()),
        false => Err(OAuthError::new(ErrorCode::InvalidTarget, "the person has not allowed tokens for that resource")),
    }
}

/// Writes the reason of a denial to the log, and returns what the client may know.
fn log(denied: NotGranted, grant: &Grant) -> OAuthError {
    let Terms { person, .. } = &grant.terms;
    let client = client_name(&grant.terms);
    match denied {
        NotGranted::CodeReused | NotGranted::TokenReused => {
            tracing::warn!(client, person = person.subject, reason = ?denied, "grant ended: a code or refresh token was used twice");
        }
        _ => tracing::info!(client, person = person.subject, reason = ?denied, "no token issued"),
    }
    match denied {
        NotGranted::Verifier => {
            OAuthError::new(ErrorCode::InvalidGrant, "the code_verifier does not belong to the code_challenge")
        }
        NotGranted::OtherRedirectUri => {
            OAuthError::new(ErrorCode::InvalidGrant, "the redirect_uri is not the one of the authorization request")
        }
        // RFC 6749 §5.2: `invalid_client` if client authentication is missing.
        NotGranted::NotAuthenticated => OAuthError::new(
            ErrorCode::InvalidClient,
            "the client has to authenticate by client_assertion or its secret",
        ),
        _ => UNKNOWN,
    }
}

/// A name of the client for the log: client ids are too long.
fn client_name(terms: &Terms) -> &str {
    &terms.redirect_uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorization_server::Person;
    use crate::store::MemoryRows;
    use std::borrow::Cow;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const RESOURCE: &str = "http://127.0.0.1:2/mcp";
    const A: &Sender = &Sender { id: Cow::Borrowed("a"), is_proven: false };
    const B: &Sender = &Sender { id: Cow::Borrowed("b"), is_proven: false };
    const SHOWN: Redemption<'_> =
        Redemption { sender: A, redirect_uri: Some("http://127.0.0.1:1/cb"), verifier: VERIFIER };

    fn terms() -> Terms {
        Terms {
            client_id: "a".to_owned(),
            redirect_uri: "http://127.0.0.1:1/cb".to_owned(),
            resource: RESOURCE.to_owned(),
            scopes: vec!["read".to_owned(), "write".to_owned()],
            person: Person::new("https://id.example", "ada"),
            signed_in: 0,
            is_confidential: false,
        }
    }

    fn grants() -> Grants {
        Grants::new(Arc::<MemoryRows>::default(), Arc::new(Seals::new([[7; 32]])))
    }

    fn none() -> core::iter::Empty<&'static str> {
        core::iter::empty()
    }

    fn redeemed(grants: &Grants) -> Issued {
        let code = grants.begin(&[1; 16], &terms(), CHALLENGE, None, 0).expect("available").expect("a code");
        grants.redeem(&code, SHOWN, none(), 1).expect("good")
    }

    #[test]
    fn wrong_resource_is_refused_before_a_code_or_token_is_used_up() {
        let grants = grants();
        let code = grants.begin(&[1; 16], &terms(), CHALLENGE, None, 0).expect("available").expect("a code");
        let wrong = ["http://127.0.0.1:3/mcp"].into_iter();
        let denied = grants.redeem(&code, SHOWN, wrong.clone(), 1).expect_err("another resource");
        assert_eq!(denied.code, ErrorCode::InvalidTarget);
        let issued = grants.redeem(&code, SHOWN, [RESOURCE].into_iter(), 1).expect("the code is still good");
        let refresh = |resource, scope| grants.refresh(&issued.refresh_token, A, scope, resource, 2);
        assert_eq!(refresh(wrong, None).map_err(|error| error.code), Err(ErrorCode::InvalidTarget));
        let wider = refresh([RESOURCE].into_iter(), Some("admin")).map_err(|error| error.code);
        assert_eq!(wider, Err(ErrorCode::InvalidScope));
        let fresh = refresh([RESOURCE].into_iter(), Some("read")).expect("the token is still current");
        assert_eq!((fresh.scopes, fresh.terms.scopes.len()), (vec!["read".to_owned()], 2));
    }

    #[test]
    fn person_who_clicks_twice_gets_one_grant_with_one_code() {
        let grants = grants();
        let begin = |now| grants.begin(&[1; 16], &terms(), CHALLENGE, None, now).expect("available");
        let code = begin(0).expect("a code");
        assert_eq!(begin(30).as_ref(), Some(&code));
        grants.redeem(&code, SHOWN, none(), 31).expect("good");
        assert_eq!(begin(32), None, "it was redeemed");
    }

    #[test]
    fn two_refreshes_at_once_get_the_same_answer() {
        let grants = grants();
        let first = redeemed(&grants);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let refresh = || grants.refresh(&first.refresh_token, A, None, none(), 2).expect("a replay").refresh_token;
            let threads: Vec<_> = (0..100).map(|_| scope.spawn(refresh)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_ne!(answers[0], first.refresh_token);
    }

    #[test]
    fn revocation_ends_the_grant_of_its_own_client_alone_and_knows_nothing_of_foreign_tokens() {
        let grants = grants();
        let issued = redeemed(&grants);
        for (token, client) in [("atr_AAAA", A), ("", A), (&*issued.refresh_token, B)] {
            grants.revoke(token, client, 2).expect("not an error");
        }
        let next = grants.refresh(&issued.refresh_token, A, None, none(), 2).expect("it was not revoked");
        grants.revoke(&issued.refresh_token, A, 2).expect("an older token of the client counts as well");
        let denied = grants.refresh(&next.refresh_token, A, None, none(), 2).expect_err("revoked");
        assert_eq!(denied.code, ErrorCode::InvalidGrant);
    }

    #[test]
    fn sid_of_an_access_token_does_not_suffice_to_end_a_grant() {
        let grants = grants();
        let issued = redeemed(&grants);
        // An attacker could make this of the sid, without the server's key.
        let forged = Seals::new([[8; 32]]);
        let token = RefreshToken { grant: [1; 16], generation: 9, secret: [0; 16] };
        let text = format!("{PREFIX}{}", forged.seal(Purpose::Refresh, u64::MAX, &token.to_bytes()));
        assert!(grants.refresh(&text, A, None, none(), 2).is_err());
        assert!(grants.refresh(&issued.refresh_token, A, None, none(), 2).is_ok());
    }

    #[test]
    fn grant_that_has_ended_is_known_by_its_access_tokens_after_a_restart_too() {
        let (rows, seals) = (Arc::<MemoryRows>::default(), Arc::new(Seals::new([[7; 32]])));
        let grants = Grants::new(rows.clone(), Arc::clone(&seals));
        let issued = redeemed(&grants);
        assert!(!has_ended(&*rows, &issued.sid, 3));
        grants.revoke(&issued.refresh_token, A, 2).expect("stored");
        assert!(has_ended(&*rows, &issued.sid, 3));
        for unknown in ["", "AAAA", "?", "AAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(!has_ended(&*rows, unknown, 3), "{unknown}");
        }
        assert!(!has_ended(&Broken, &issued.sid, 3), "tokens stay valid if the store cannot be read");
    }

    #[test]
    fn proof_is_due_after_its_time_for_the_client_of_the_grant_alone() {
        let grants = grants();
        let proof = |token: &str, proven| Proof { refresh_token: token.to_owned(), proven };
        let code = grants.begin(&[1; 16], &terms(), CHALLENGE, Some(&proof("one", 0)), 0).expect("available");
        let token = grants.redeem(&code.expect("a code"), SHOWN, none(), 1).expect("good").refresh_token;
        let due = |token: &str, sender, now| grants.due(token, sender, 100, now).expect("available");
        assert_eq!(due(&token, A, 100), None);
        assert_eq!(due(&token, A, 101), Some(([1; 16], proof("one", 0))));
        assert_eq!((due(&token, B, 101), due("atr_AAAA", A, 101)), (None, None));
        grants.prove(&[1; 16], &proof("two", 101), 101).expect("available");
        assert_eq!((due(&token, A, 201), due(&token, A, 202)), (None, Some(([1; 16], proof("two", 101)))));
        grants.end_unproven(&[1; 16], 202).expect("available");
        assert_eq!(due(&token, A, 999), None);
        assert_eq!(grants.refresh(&token, A, None, none(), 203).map(drop), Err(UNKNOWN));
    }

    #[test]
    fn value_that_works_once_is_refused_until_it_has_expired() {
        let grants = grants();
        let uses = [(9, true), (9, false), (10, false), (20, true)];
        for (number, (now, expected)) in uses.into_iter().enumerate() {
            assert_eq!(grants.is_first_use(&[3; 16], now.max(10) + 1, now), Ok(expected), "{number}");
        }
    }

    /// A store that cannot write.
    struct Broken;

    impl RowStore for Broken {
        fn update(&self, _: &RowKey, _: u64, _: &mut dyn FnMut(Option<&[u8]>) -> RowChange) -> Result<(), Unavailable> {
            Err(Unavailable)
        }
    }

    #[test]
    fn broken_store_is_never_an_invalid_grant() {
        let seals = Arc::new(Seals::new([[7; 32]]));
        let working = Grants::new(Arc::<MemoryRows>::default(), Arc::clone(&seals));
        let code = working.begin(&[1; 16], &terms(), CHALLENGE, None, 0).expect("available").expect("a code");
        let token = working.redeem(&code, SHOWN, none(), 1).expect("good").refresh_token;
        let broken = Grants::new(Arc::new(Broken), seals);
        for denied in [
            broken.begin(&[1; 16], &terms(), CHALLENGE, None, 0).map(drop),
            broken.redeem(&code, SHOWN, none(), 1).map(drop),
            broken.refresh(&token, A, None, none(), 1).map(drop),
            broken.revoke(&token, A, 1),
        ] {
            assert_eq!(denied, Err(OAuthError::unavailable()));
        }
    }
}
