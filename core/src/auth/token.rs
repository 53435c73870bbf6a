//! Verification of an access token, in steps. Each step is a value that only the previous step can
//! make: [`Bearer`] → [`Claimed`] → [`Candidate`] → [`Verified`]. Cheap checks come first: a token
//! that fails them costs no signature check and no key fetch.

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

/// The claims of a token before its verification. They are not trusted.
pub struct Claimed<'t> {
    jws: Jws<'t>,
    items: ClaimItems,
}

impl<'h> Bearer<'h> {
    /// Reads the claims of the token. `scratch` needs three quarters of the token's length.
    /// `scopes_in` as in [`Rules`].
    ///
    /// # Errors
    /// The fault of the token's form.
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
    /// Returns whether `rules` are those of the token's issuer.
    pub fn is_of<S: AsRef<str>>(&self, rules: &Rules<'_, S>) -> bool {
        rules.believes(&self.claims())
    }

    /// Returns `iss` of the token.
    pub fn issuer(&self) -> Text<'_> {
        self.claims().issuer()
    }

    /// Makes the checks that need no key. `now` is in seconds since 1970; `None` if the clock is
    /// not set.
    ///
    /// # Errors
    /// The first rule that the token violates.
    pub fn check<'r, S: AsRef<str>>(
        &'t self,
        rules: &'r Rules<'r, S>,
        now: Option<u64>,
    ) -> Result<Candidate<'t, 'r, S>, Denied<'t>> {
        self.is_access_token()?;
        rules.check(&self.claims(), now)?;
        Ok(Candidate { claimed: self, rules })
    }

    /// Returns the verdict of each rule, independent of the other rules and the signature. It
    /// explains to an operator why a token is refused; it does not authenticate a caller.
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

    /// Returns the `kid` of the token, which is the name of a key; empty if absent.
    pub const fn kid(&self) -> Text<'t> {
        self.jws.kid()
    }

    /// Returns the `alg` of the token.
    pub const fn alg(&self) -> Text<'t> {
        self.jws.alg()
    }

    /// Checks whether `key` has signed the token, independent of the other rules; an explanation
    /// for the operator, as [`verdicts`](Claimed::verdicts) is.
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

    /// Returns the claims if `key` may verify the token and has signed it.
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

    /// Returns whether `key` may verify the token: the key has to be valid for the token's issuer.
    /// In a set with keys of several issuers, several keys can have the same `kid`.
    pub fn fits_key<S: AsRef<str>>(&self, rules: &Rules<'_, S>, key: &(impl Verify + ?Sized)) -> bool {
        key.issuer().is_none_or(|issuer| rules.fits_key(issuer, &self.claims()))
    }

    /// Returns the length of the signature in bytes. Each algorithm has its own lengths.
    pub const fn signature_len(&self) -> usize {
        self.jws.signature_len()
    }

    // RFC 8725 §2.8 and §3.12: a token of another kind must not be accepted as an access token.
    // Otherwise, an ID token would give access to every API of its client.
    fn is_access_token(&self) -> Result<(), Denied<'static>> {
        match self.items.marker {
            None => Ok(()),
            Some(Claim::Confirmation) => Err(Denied::BoundToKey),
            Some(Claim::Nonce) if self.jws.is_access_token() => Ok(()),
            Some(claim) => Err(Denied::NotAccessToken(claim.name())),
        }
    }

    /// Returns the claims as the issuer wrote them. They are not trusted.
    pub fn written(&self) -> &[u8] {
        self.jws.unverified()
    }

    fn claims(&self) -> Claims<'_> {
        Claims { text: self.jws.unverified(), items: &self.items }
    }
}

/// The name of a rule, and its verdict on a token.
pub type Verdict<'t> = (&'static str, Result<(), Denied<'t>>);

/// A token that has passed all checks except its signature.
pub struct Candidate<'t, 'r, S> {
    claimed: &'t Claimed<'t>,
    rules: &'r Rules<'r, S>,
}

impl<'t, S: AsRef<str>> Candidate<'t, '_, S> {
    /// Returns the `kid` of the token, which is the name of a key; empty if absent.
    pub fn kid(&self) -> Text<'t> {
        self.claimed.jws.kid()
    }

    /// Returns the `alg` of the token. It helps to choose among keys without names and decides
    /// nothing else.
    pub fn alg(&self) -> Text<'t> {
        self.claimed.jws.alg()
    }

    /// Returns `tid`, the tenant in the token.
    pub fn tenant(&self) -> Text<'t> {
        self.claimed.claims().tenant()
    }

    /// Verifies the signature, and then checks whether the holder may call at all.
    ///
    /// # Errors
    /// [`Denied::KeyOfOtherIssuer`], [`Denied::Algorithm`], [`Denied::Signature`], or the rule that
    /// excludes the holder.
    pub fn verify(self, key: &(impl Verify + ?Sized)) -> Result<Verified<&'t [u8]>, Denied<'t>> {
        let payload = self.claimed.payload(self.rules, key)?;
        let claims = self.claimed.claims();
        self.rules.admit(&claims)?;
        let identity = identity(&claims);
        Ok(Verified { payload, items: self.claimed.items, identity, generation: self.rules.generation })
    }
}

/// The part of a system that authenticates callers instead of the rules for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Voucher {
    /// A platform that authenticates callers, removes its own headers from clients' requests, and
    /// is the only way to reach the server.
    Platform,
    /// Code of the application that runs in the server, such as its own sign-in.
    Application,
}

/// A verified token, as a server caches it for later requests. It stores the claims in a `B` that
/// only this module fills.
pub struct Verified<B> {
    payload: B,
    items: ClaimItems,
    identity: [u8; 32],
    generation: u32,
}

impl<B: AsRef<[u8]>> Verified<B> {
    /// Makes the claims of a caller that another part of the system has authenticated: a JSON object with `iss`,
    /// `aud` and `exp`, as in a token. The scopes and roles that tools require are still checked.
    ///
    /// # Errors
    /// [`Denied::NotAnObject`] if the claims cannot be read.
    pub fn vouched(by: &Voucher, payload: B) -> Result<Self, Denied<'static>> {
        let (Voucher::Platform | Voucher::Application) = by;
        let items = ClaimItems::read(payload.as_ref(), None).map_err(|_| Denied::NotAnObject)?;
        let identity = identity(&Claims { text: payload.as_ref(), items: &items });
        Ok(Self { payload, items, identity, generation: 0 })
    }

    /// Copies the token into memory of its own.
    ///
    /// # Errors
    /// The error of `C` if the claims do not fit.
    pub fn keep<'a, C: TryFrom<&'a [u8]>>(&'a self) -> Result<Verified<C>, C::Error> {
        let Self { items, identity, generation, .. } = *self;
        Ok(Verified { payload: C::try_from(self.payload.as_ref())?, items, identity, generation })
    }

    /// Returns the time, in seconds since 1970, from which the token is no longer accepted.
    pub const fn expires(&self) -> u64 {
        self.items.exp
    }

    /// Returns the time of issue, in seconds since 1970; 0 if the token has none.
    pub const fn issued(&self) -> u64 {
        self.items.iat
    }

    /// Checks that a cached token is still valid: same keys, same policy, and not expired.
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

/// Returns a digest that distinguishes the holder of a token from all others, across requests. It
/// covers issuer, tenant, object, subject and application, each preceded by its length. If the
/// token does not identify its holder, the digest is different for each token.
// learn.microsoft.com, "Secure applications and APIs by validating claims": `oid` and `tid`
// together identify a user.
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
