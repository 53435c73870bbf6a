//! A grant: what a person has allowed a client, from the authorization code to the last refresh token. The states of a grant and
//! their transitions; [`grants`](super::grants) stores them.

use super::limits::{IDLE, REPLAY};
use super::{Person, redirect};
use attache_core::auth::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The row of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) terms: Terms,
    pub(super) stage: Stage,
    /// The time after which nothing of the grant is valid.
    pub(super) until: u64,
    /// By what the issuer can be asked again about the person; `None` if it has given no refresh token.
    #[serde(default)]
    pub(super) proof: Option<Proof>,
}

/// The last proof that the issuer knows the person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proof {
    /// The refresh token of the issuer.
    pub(super) refresh_token: String,
    pub(super) proven: u64,
}

// Does not print the token.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("proven", &self.proven).finish_non_exhaustive()
    }
}

/// The terms that the person has agreed to. They do not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    /// The audience of the tokens.
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
    pub(super) person: Person,
    /// When the person has signed in.
    pub(super) signed_in: u64,
    /// Whether the client has to authenticate.
    #[serde(default)]
    pub(super) is_confidential: bool,
}

/// The client that sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) id: Cow<'static, str>,
    /// Whether the client has authenticated.
    pub(super) is_proven: bool,
}

impl Sender {
    pub(super) const fn new(id: String) -> Self {
        Self { id: Cow::Owned(id), is_proven: false }
    }

    pub(super) const fn proven(id: String) -> Self {
        Self { id: Cow::Owned(id), is_proven: true }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// The authorization code can be redeemed.
    Code { challenge: String, until: u64 },
    /// The code was redeemed, and the client has refresh tokens.
    Refreshed {
        /// The digest of the secret that all refresh tokens of the grant contain.
        secret: [u8; 32],
        /// The number of the current refresh token.
        generation: u32,
        /// When the current refresh token was issued.
        rotated: u64,
        /// Whether the client has authenticated when it redeemed the code. Then it has to do so each time, even if its document
        /// lets it choose: a thief of a refresh token does not have the key of the client.
        #[serde(default)]
        is_proven: bool,
    },
    /// The grant was revoked.
    Ended,
}

/// The content of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) grant: [u8; 16],
    pub(super) generation: u32,
    pub(super) secret: [u8; 16],
}

impl RefreshToken {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [&self.grant[..], &self.generation.to_be_bytes(), &self.secret].concat()
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (grant, rest) = bytes.split_first_chunk()?;
        let (generation, secret) = rest.split_first_chunk()?;
        Some(Self { grant: *grant, generation: u32::from_be_bytes(*generation), secret: secret.try_into().ok()? })
    }

    const fn next(self, generation: u32) -> Self {
        Self { generation, ..self }
    }
}

/// The values that a client sends to redeem a code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redemption<'r> {
    pub(super) sender: &'r Sender,
    pub(super) redirect_uri: Option<&'r str>,
    pub(super) verifier: &'r str,
}

/// Why a grant gives no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotGranted {
    Expired,
    OtherClient,
    /// The client has to authenticate, and has not.
    NotAuthenticated,
    OtherRedirectUri,
    /// The code verifier does not belong to the challenge (RFC 7636 §4.6).
    Verifier,
    Revoked,
    /// The code was redeemed before. The grant has ended.
    CodeReused,
    /// The refresh token was replaced before. The grant has ended.
    TokenReused,
}

impl Grant {
    /// Whether these terms belong to this client.
    pub(super) fn is_of(&self, client_id: &str) -> bool {
        self.terms.client_id == client_id
    }

    /// Checks that the sender is the client of this grant.
    pub(super) fn check(&self, sender: &Sender) -> Result<(), NotGranted> {
        let has_proven = matches!(self.stage, Stage::Refreshed { is_proven: true, .. });
        match self.is_of(&sender.id) {
            false => Err(NotGranted::OtherClient),
            true if (self.terms.is_confidential || has_proven) && !sender.is_proven => {
                Err(NotGranted::NotAuthenticated)
            }
            true => Ok(()),
        }
    }

    /// Whether this is a refresh token of the grant, of any generation.
    pub(super) fn has_issued(&self, shown: RefreshToken) -> bool {
        matches!(&self.stage, Stage::Refreshed { secret, .. } if digest(&shown.secret) == *secret)
    }

    /// Redeems the code. `secret` becomes the secret of the refresh tokens.
    pub(super) fn redeem(&mut self, shown: Redemption<'_>, secret: [u8; 16], now: u64) -> Result<(), NotGranted> {
        // RFC 6749 §5.2: a code that was issued to another client is an invalid grant. The other client cannot end it.
        self.check(shown.sender)?;
        let (challenge, until) = match &self.stage {
            Stage::Code { challenge, until } => (challenge, *until),
            Stage::Ended => return Err(NotGranted::Revoked),
            // RFC 6749 §4.1.2: a code that is used twice MUST be denied, and the tokens that it gave SHOULD be revoked: one of
            // the two users has stolen it.
            Stage::Refreshed { .. } => {
                self.stage = Stage::Ended;
                return Err(NotGranted::CodeReused);
            }
        };
        if until <= now {
            return Err(NotGranted::Expired);
        }
        // RFC 6749 §4.1.3: the redirect URI must be the one of the authorization request.
        if shown.redirect_uri != Some(self.terms.redirect_uri.as_str()) {
            return Err(NotGranted::OtherRedirectUri);
        }
        if !is_verified(challenge, shown.verifier) {
            return Err(NotGranted::Verifier);
        }
        self.stage = Stage::Refreshed {
            secret: digest(&secret),
            generation: 0,
            rotated: now,
            is_proven: shown.sender.is_proven,
        };
        Ok(())
    }

    /// Returns the successor of a refresh token, and makes it the current one.
    // OAuth 2.1 §4.3.1: refresh tokens of public clients MUST be sender-constrained or rotate.
    pub(super) fn refresh(
        &mut self,
        shown: RefreshToken,
        sender: &Sender,
        now: u64,
    ) -> Result<RefreshToken, NotGranted> {
        self.check(sender)?;
        let Stage::Refreshed { secret, generation, rotated, .. } = &mut self.stage else {
            return Err(NotGranted::Revoked);
        };
        if digest(&shown.secret) != *secret {
            return Err(NotGranted::Revoked);
        }
        if now >= self.until || now.saturating_sub(*rotated) > IDLE.as_secs() {
            return Err(NotGranted::Expired);
        }
        match generation.checked_sub(shown.generation) {
            Some(0) => {
                *generation += 1;
                *rotated = now;
                Ok(shown.next(*generation))
            }
            // The client has lost the answer, or two of its processes refresh at once. Both get the same successor, until it
            // is used itself.
            Some(1) if now.saturating_sub(*rotated) <= REPLAY.as_secs() => Ok(shown.next(*generation)),
            // RFC 9700 §4.14.2: the token was used before, by the client or by a thief. The server cannot tell them apart.
            _ => {
                self.stage = Stage::Ended;
                Err(NotGranted::TokenReused)
            }
        }
    }
}

/// Checks a code verifier (RFC 7636 §4.6, method S256).
fn is_verified(challenge: &str, verifier: &str) -> bool {
    // RFC 7636 §4.1: 43 to 128 unreserved characters.
    let is_good = verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    (43..=128).contains(&verifier.len()) && is_good && URL_SAFE_NO_PAD.encode(digest(verifier.as_bytes())) == challenge
}

/// Whether a text can be a challenge of method S256: the Base64url of 32 bytes.
pub(super) fn is_challenge(text: &str) -> bool {
    text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok()
}

impl Terms {
    /// Whether tokens go to a program on the person's own machine.
    pub(super) fn is_for_loopback(&self) -> bool {
        redirect::is_loopback(&self.redirect_uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    /// RFC 7636 appendix B.
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const LONG: u64 = 1_000_000_000;

    fn grant() -> Grant {
        let terms = Terms {
            client_id: "a".to_owned(),
            redirect_uri: "http://127.0.0.1:1/cb".to_owned(),
            resource: "http://127.0.0.1:2/mcp".to_owned(),
            scopes: Vec::new(),
            person: Person::new("https://id.example", "ada"),
            signed_in: 0,
            is_confidential: false,
        };
        Grant { terms, stage: Stage::Code { challenge: CHALLENGE.to_owned(), until: 60 }, until: LONG, proof: None }
    }

    const A: &Sender = &Sender { id: Cow::Borrowed("a"), is_proven: false };
    const B: &Sender = &Sender { id: Cow::Borrowed("b"), is_proven: false };
    const PROVEN: &Sender = &Sender { id: Cow::Borrowed("a"), is_proven: true };

    const GOOD: Redemption<'_> =
        Redemption { sender: A, redirect_uri: Some("http://127.0.0.1:1/cb"), verifier: VERIFIER };

    /// A grant with a code that was redeemed at time 0, and its first refresh token.
    fn refreshed() -> (Grant, RefreshToken) {
        let mut grant = grant();
        grant.redeem(GOOD, [5; 16], 0).expect("the code is good");
        (grant, RefreshToken { grant: [1; 16], generation: 0, secret: [5; 16] })
    }

    #[test]
    fn code_is_redeemed_once_by_its_client_with_its_redirect_uri_and_verifier() {
        let short = &VERIFIER[1..];
        let long = "a".repeat(129);
        for (shown, now, expected) in [
            (GOOD, 59, Ok(())),
            (GOOD, 60, Err(NotGranted::Expired)),
            (Redemption { sender: B, ..GOOD }, 0, Err(NotGranted::OtherClient)),
            (Redemption { redirect_uri: None, ..GOOD }, 0, Err(NotGranted::OtherRedirectUri)),
            (Redemption { redirect_uri: Some("http://127.0.0.1:2/cb"), ..GOOD }, 0, Err(NotGranted::OtherRedirectUri)),
            (Redemption { verifier: "", ..GOOD }, 0, Err(NotGranted::Verifier)),
            (Redemption { verifier: short, ..GOOD }, 0, Err(NotGranted::Verifier)),
            (Redemption { verifier: &long, ..GOOD }, 0, Err(NotGranted::Verifier)),
            (Redemption { verifier: CHALLENGE, ..GOOD }, 0, Err(NotGranted::Verifier)),
        ] {
            let mut grant = grant();
            assert_eq!(grant.redeem(shown, [5; 16], now), expected, "{shown:?} at {now}");
            // A failed attempt does not use the code up.
            let again = grant.redeem(GOOD, [5; 16], 1);
            assert_eq!(again, if expected.is_ok() { Err(NotGranted::CodeReused) } else { Ok(()) }, "{shown:?}");
        }
    }

    #[test]
    fn code_that_is_used_twice_ends_what_it_gave() {
        let (mut grant, token) = refreshed();
        assert_eq!(grant.redeem(Redemption { sender: B, ..GOOD }, [6; 16], 1), Err(NotGranted::OtherClient));
        assert!(grant.clone().refresh(token, A, 1).is_ok(), "another client cannot end it");
        assert_eq!(grant.redeem(GOOD, [6; 16], 1), Err(NotGranted::CodeReused));
        assert_eq!(grant.refresh(token, A, 1), Err(NotGranted::Revoked));
        assert_eq!(grant.redeem(GOOD, [6; 16], 1), Err(NotGranted::Revoked));
    }

    #[test]
    fn verifiers_of_43_to_128_characters_are_accepted() {
        for (len, expected) in [(42, false), (43, true), (128, true), (129, false)] {
            let verifier = "a".repeat(len);
            let challenge = URL_SAFE_NO_PAD.encode(digest(verifier.as_bytes()));
            assert_eq!(is_verified(&challenge, &verifier), expected, "{len}");
        }
        let spaced = "a ".repeat(30);
        assert!(!is_verified(&URL_SAFE_NO_PAD.encode(digest(spaced.as_bytes())), &spaced));
    }

    #[test]
    fn previous_refresh_token_gets_the_same_successor_for_a_minute_until_that_is_used() {
        let (mut grant, first) = refreshed();
        let second = grant.refresh(first, A, 100).expect("current");
        assert_eq!(grant.refresh(first, A, 160), Ok(second), "a minute later");
        let third = grant.refresh(second, A, 161).expect("current");
        assert_eq!(grant.refresh(second, A, 162), Ok(third));
        // The first one is two generations old.
        assert_eq!(grant.refresh(first, A, 162), Err(NotGranted::TokenReused));
        assert_eq!(grant.refresh(third, A, 162), Err(NotGranted::Revoked), "the reuse has ended the grant");
    }

    #[test]
    fn previous_refresh_token_ends_the_grant_after_its_minute() {
        let (mut grant, first) = refreshed();
        let second = grant.refresh(first, A, 100).expect("current");
        assert_eq!(grant.refresh(first, A, 161), Err(NotGranted::TokenReused));
        assert_eq!(grant.refresh(second, A, 161), Err(NotGranted::Revoked));
    }

    #[test]
    fn refresh_token_is_bound_to_its_client_and_secret_and_expires() {
        let (mut grant, first) = refreshed();
        assert_eq!(grant.refresh(first, B, 1), Err(NotGranted::OtherClient));
        assert_eq!(grant.refresh(RefreshToken { secret: [6; 16], ..first }, A, 1), Err(NotGranted::Revoked));
        assert_eq!(grant.refresh(first, A, IDLE.as_secs() + 1), Err(NotGranted::Expired), "idle for too long");
        assert_eq!(grant.refresh(first, A, LONG), Err(NotGranted::Expired));
        assert!(grant.refresh(first, A, IDLE.as_secs()).is_ok());
        assert_eq!(RefreshToken::read(&first.to_bytes()), Some(first));
        assert_eq!(RefreshToken::read(&first.to_bytes()[1..]), None);
    }

    #[test]
    fn client_that_has_to_authenticate_or_has_once_done_so_gets_nothing_without() {
        let proven = Redemption { sender: PROVEN, ..GOOD };
        let mut confidential = grant();
        confidential.terms.is_confidential = true;
        assert_eq!(confidential.redeem(GOOD, [5; 16], 1), Err(NotGranted::NotAuthenticated));
        let mut choosing = grant();
        for grant in [&mut confidential, &mut choosing] {
            grant.redeem(proven, [5; 16], 1).expect("it has authenticated");
            let first = RefreshToken { grant: [1; 16], generation: 0, secret: [5; 16] };
            assert_eq!(grant.refresh(first, A, 2), Err(NotGranted::NotAuthenticated));
            assert!(grant.refresh(first, PROVEN, 2).is_ok(), "the attempt has not ended the grant");
        }
        let (mut public, first) = refreshed();
        assert!(public.refresh(first, PROVEN, 1).is_ok(), "a client may begin to authenticate");
    }

    /// Whatever clients and the network do, at most one line of refresh tokens works.
    #[test]
    fn random_orders_of_refreshes_and_replays_never_give_two_lines_of_tokens() {
        let mut number = 1_u64;
        let mut random = |most: usize| {
            // A linear congruential generator: the test repeats exactly.
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(number >> 33).expect("it fits") % most
        };
        for _ in 0..2000 {
            let (mut grant, first) = refreshed();
            let (mut tokens, mut now, mut has_ended) = (vec![first], 0, false);
            for _ in 0..12 {
                now += [0, 30, 61][random(3)];
                let shown = tokens[tokens.len() - 1 - random(tokens.len().min(3))];
                match grant.refresh(shown, A, now) {
                    Ok(_) if has_ended => panic!("a grant that has ended gives no tokens"),
                    Ok(token) => {
                        let newest = tokens.iter().map(|token| token.generation).max().unwrap_or_default();
                        assert!(token.generation == newest || token.generation == newest + 1, "one line");
                        if !tokens.contains(&token) {
                            tokens.push(token);
                        }
                    }
                    Err(NotGranted::TokenReused) => has_ended = true,
                    Err(denied) => assert!(has_ended && denied == NotGranted::Revoked, "{denied:?}"),
                }
            }
        }
    }
}
