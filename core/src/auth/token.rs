//! Verification of an access token, in steps. Each step is a value that only the step before can make:
//! [`Bearer`] → [`Claimed`] → [`Candidate`] → [`Verified`]. Cheap checks come first, so that a token that fails them costs no
//! signature and fetches no key.

use super::bearer::Bearer;
use super::claim_items::{Claim, ClaimItems};
use super::claims::Claims;
use super::denied::Denied;
use super::jws::Jws;
use super::rules::Rules;
use super::verify::Verify;
use crate::json::Text;
use core::fmt;
use sha2::{Digest, Sha256};

/// The claims of a token before its verification. Nothing of them is believed.
pub struct Claimed<'t> {
    jws: Jws<'t>,
    items: ClaimItems,
}

impl<'h> Bearer<'h> {
    /// Reads the claims of the token; `scratch` needs three quarters of its length. `scopes_in` as in [`Rules`].
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn read<'t>(self, scopes_in: Option<&str>, scratch: &'t mut [u8]) -> Result<Claimed<'t>, Denied<'t>>
    where
        'h: 't,
    {
        let jws = Jws::read(self.as_bytes(), scratch)?;
        let items = ClaimItems::read(jws.unverified(), scopes_in)?;
        Ok(Claimed { jws, items })
    }
}

impl<'t> Claimed<'t> {
    /// Whether `rules` are those of the token's issuer.
    pub fn is_of<S: AsRef<str>>(&self, rules: &Rules<'_, S>) -> bool {
        rules.believes(&self.claims())
    }

    /// The issuer that the token names.
    pub fn issuer(&self) -> Text<'_> {
        self.claims().issuer()
    }

    /// Does the checks that need no key. `now` is in seconds since 1970; `None` where the clock is not trusted.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check<'r, S: AsRef<str>>(
        &'t self,
        rules: &'r Rules<'r, S>,
        now: Option<u64>,
    ) -> Result<Candidate<'t, 'r, S>, Denied<'t>> {
        self.is_access_token()?;
        rules.check(&self.claims(), now)?;
        Ok(Candidate { claimed: self, rules })
    }

    /// The verdict of each rule by itself, whatever the others and the signature say: for people who want to know why a
    /// token is refused. It authenticates no caller.
    pub fn verdicts<S: AsRef<str>>(&self, rules: &Rules<'_, S>, now: Option<u64>) -> [Verdict<'_>; 7] {
        let claims = self.claims();
        [
            ("kind", self.is_access_token()),
            ("issuer", rules.issued(&claims)),
            ("audience", rules.addressed(&claims)),
            ("time", rules.in_time(claims.items, now)),
            ("tenant", rules.admit_tenant(&claims)),
            ("application", rules.admit_application(&claims)),
            ("principal", rules.admit_principal(&claims)),
        ]
    }

    /// The name of the key that it says it was signed by; empty if it names none.
    pub const fn kid(&self) -> Text<'t> {
        self.jws.kid()
    }

    /// The algorithm that it says it was signed by.
    pub const fn alg(&self) -> Text<'t> {
        self.jws.alg()
    }

    /// Whether `key` has signed the token, whatever the other rules say: for people, as
    /// [`verdicts`](Claimed::verdicts) are.
    ///
    /// # Errors
    /// [`Denied::KeyOfOtherIssuer`], [`Denied::Algorithm`] or [`Denied::Signature`].
    pub fn signed_by<S: AsRef<str>>(
        &self,
        rules: &Rules<'_, S>,
        key: &(impl Verify + ?Sized),
    ) -> Result<(), Denied<'t>> {
        self.payload(rules, key).map(|_| ())
    }

    /// The claims, if `key` may verify the token and has signed it.
    fn payload<S: AsRef<str>>(
        &self,
        rules: &Rules<'_, S>,
        key: &(impl Verify + ?Sized),
    ) -> Result<&'t [u8], Denied<'t>> {
        if key.issuer().is_some_and(|issuer| !rules.fits_key(issuer, &self.claims())) {
            return Err(Denied::KeyOfOtherIssuer);
        }
        self.jws.verify(key)
    }

    /// Whether `key` may verify the token: it counts for its issuer. One name (`kid`) may stand for several
    /// keys in a set with keys of several issuers.
    pub fn fits_key<S: AsRef<str>>(&self, rules: &Rules<'_, S>, key: &(impl Verify + ?Sized)) -> bool {
        key.issuer().is_none_or(|issuer| rules.fits_key(issuer, &self.claims()))
    }

    /// The length of the signature in bytes. Each algorithm has its own lengths.
    pub const fn signature_len(&self) -> usize {
        self.jws.signature_len()
    }

    // RFC 8725 §2.8 and §3.12: a token of another kind must not be accepted as an access token, or an ID
    // token would open every API of its client.
    fn is_access_token(&self) -> Result<(), Denied<'static>> {
        match self.items.marker {
            None => Ok(()),
            Some(Claim::Confirmation) => Err(Denied::BoundToKey),
            Some(Claim::Nonce) if self.jws.is_access_token() => Ok(()),
            Some(claim) => Err(Denied::NotAccessToken(claim.name())),
        }
    }

    /// The claims, as they were written. Nothing of them is believed.
    pub fn written(&self) -> &[u8] {
        self.jws.unverified()
    }

    fn claims(&self) -> Claims<'_> {
        Claims { text: self.jws.unverified(), items: &self.items }
    }
}

/// The name of a rule, and its verdict on a token.
pub type Verdict<'t> = (&'static str, Result<(), Denied<'t>>);

/// A token that has passed all checks but that of its signature.
pub struct Candidate<'t, 'r, S> {
    claimed: &'t Claimed<'t>,
    rules: &'r Rules<'r, S>,
}

impl<'t, S: AsRef<str>> Candidate<'t, '_, S> {
    /// The name of the key that it says it was signed by; empty if it names none.
    pub fn kid(&self) -> Text<'t> {
        self.claimed.jws.kid()
    }

    /// The algorithm that it says it was signed by: it helps to choose among keys without names, and decides nothing.
    pub fn alg(&self) -> Text<'t> {
        self.claimed.jws.alg()
    }

    /// The tenant that the token names.
    pub fn tenant(&self) -> Text<'t> {
        self.claimed.claims().tenant()
    }

    /// Checks the signature, and then whether its holder may call at all.
    ///
    /// # Errors
    /// [`Denied::KeyOfOtherIssuer`], [`Denied::Algorithm`], [`Denied::Signature`], or the rule that keeps
    /// the holder out.
    pub fn verify(self, key: &(impl Verify + ?Sized)) -> Result<Verified<&'t [u8]>, Denied<'t>> {
        let payload = self.claimed.payload(self.rules, key)?;
        let claims = self.claimed.claims();
        self.rules.admit(&claims)?;
        let identity = identity(&claims);
        Ok(Verified { payload, items: self.claimed.items, identity, generation: self.rules.generation })
    }
}

/// Names what is in front of the server and authenticates callers in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Voucher {
    /// A platform that signs callers in, removes what clients write into its own headers, and is the only way to the server.
    Platform,
}

/// A verified token, to be kept until it comes again. It holds the claims in a `B` that only this module fills.
pub struct Verified<B> {
    payload: B,
    items: ClaimItems,
    identity: [u8; 32],
    generation: u32,
}

impl<B: AsRef<[u8]>> Verified<B> {
    /// The claims of a caller that a platform has authenticated: a JSON object with `iss`, `aud` and `exp`, as in a token.
    /// Scopes and roles of tools are still checked.
    ///
    /// # Errors
    /// [`Denied::NotAnObject`] where they cannot be read.
    pub fn vouched(by: &Voucher, payload: B) -> Result<Self, Denied<'static>> {
        let Voucher::Platform = by;
        let items = ClaimItems::read(payload.as_ref(), None).map_err(|_| Denied::NotAnObject)?;
        let identity = identity(&Claims { text: payload.as_ref(), items: &items });
        Ok(Self { payload, items, identity, generation: 0 })
    }

    /// The same, in memory of its own.
    ///
    /// # Errors
    /// What `C` says where the claims do not fit.
    pub fn keep<'a, C: TryFrom<&'a [u8]>>(&'a self) -> Result<Verified<C>, C::Error> {
        let Self { items, identity, generation, .. } = *self;
        Ok(Verified { payload: C::try_from(self.payload.as_ref())?, items, identity, generation })
    }

    /// The second since 1970 from which on it is not accepted.
    pub const fn expires(&self) -> u64 {
        self.items.exp
    }

    /// The second since 1970 in which it was issued; 0 if it does not say.
    pub const fn issued(&self) -> u64 {
        self.items.iat
    }

    /// What must still be true when it is used: keys and policy are the same, and the time fits.
    pub(super) fn holds<S: AsRef<str>>(&self, rules: &Rules<'_, S>, now: Option<u64>) -> Result<(), Denied<'static>> {
        if self.generation != rules.generation {
            return Err(Denied::Outdated);
        }
        rules.in_time(&self.items, now)
    }

    pub(super) fn claims(&self) -> Claims<'_> {
        Claims { text: self.payload.as_ref(), items: &self.items }
    }

    pub(super) const fn identity(&self) -> &[u8; 32] {
        &self.identity
    }
}

/// A digest that tells the holder of a token from all others, across requests: issuer, tenant, object, subject and
/// application, each with its length in front. Of holders who are not named, each token is one of its own.
// learn.microsoft.com, "Secure applications and APIs by validating claims": `oid` and `tid` together name a user.
fn identity(claims: &Claims<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let parts = [claims.issuer(), claims.tenant(), claims.object(), claims.subject(), claims.application()];
    for part in parts {
        hash.update((part.bytes().count() as u64).to_be_bytes());
        part.bytes().for_each(|byte| hash.update([byte]));
    }
    if !claims.names_caller() {
        hash.update(claims.json());
    }
    hash.finalize().into()
}

impl fmt::Debug for Claimed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Candidate<'_, '_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for Verified<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("expires", &self.items.exp).finish_non_exhaustive()
    }
}
