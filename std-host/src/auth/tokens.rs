//! Verification of access tokens.

use super::issuer::Issuer;
use super::key_set::{KeySet, could_be_verified};
use super::log_denial;
use super::seen::{Cache, Seen};
use super::source::{Fetch, Found};
use crate::budget::Budget;
use crate::clock::now;
use crate::sink::Growing;
use attache_core::auth::{Authenticated, Bearer, Denied, Verified};
use attache_core::http::{Refusal, Resource, metadata};
use core::fmt;
use std::sync::Arc;

/// The access tokens that an endpoint accepts.
#[derive(Debug)]
pub struct Tokens {
    /// The pieces of the endpoint's public URL, which was parsed.
    url: [String; 2],
    pub(super) issuers: Vec<Issuer>,
    scopes: Vec<String>,
    /// The maximum length of a token, in bytes.
    pub(super) longest: usize,
    cache: Cache,
}

/// The URL of a resource that clients could not call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidResource {
    /// The URL.
    pub url: String,
}

impl fmt::Display for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resource {:?} must be a URL such as https://api.example/mcp", self.url)
    }
}

impl core::error::Error for InvalidResource {}

impl Tokens {
    /// Accepts the tokens of this issuer for the endpoint with the public URL `resource`. The URL
    /// must match byte for byte: clients compare it with the URL that they use, and tokens must
    /// have it as an audience (RFC 8707).
    ///
    /// # Errors
    /// [`InvalidResource`] if `resource` is not an `https` or `http` URL.
    pub fn of(resource: &str, issuer: Issuer) -> Result<Self, InvalidResource> {
        let parsed = Resource::new(resource).ok_or_else(|| InvalidResource { url: resource.to_owned() })?;
        let tokens = Self {
            url: parsed.url().map(str::to_owned),
            issuers: Vec::new(),
            scopes: Vec::new(),
            longest: crate::limits::TOKEN,
            cache: Cache::default(),
        };
        Ok(tokens.issuer(issuer))
    }

    /// Also accepts the tokens of another issuer.
    #[must_use]
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer.audiences([self.url.concat()]));
        self
    }

    /// Sets the scopes that a client needs for ordinary use. The challenge and the metadata list
    /// them.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Refuses tokens of more bytes; the default is [`TOKEN`](crate::limits::TOKEN).
    #[must_use]
    pub const fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    pub(super) fn draw_from(&self, budget: &Budget) {
        self.cache.draw_from(budget);
    }

    pub(super) fn resource(&self) -> Resource<'_> {
        Resource::of_url([&self.url[0], &self.url[1]])
    }

    pub(super) fn each_scope(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    pub(super) fn metadata(&self, resource: &Resource<'_>) -> String {
        let issuers = self.issuers.iter().map(|issuer| issuer.server.as_str());
        let mut out = Growing::unlimited();
        // The buffer is unlimited, so writing cannot fail.
        let _ = metadata(resource, issuers, self.each_scope(), &mut out);
        String::from_utf8(out.bytes).unwrap_or_default()
    }

    /// Verifies a token, or finds it in the cache of verified tokens.
    pub(super) async fn check(&self, bearer: Bearer<'_>, fetch: Fetch) -> Result<Arc<Seen>, Refusal> {
        let token = bearer.as_bytes();
        if token.len() > self.longest {
            return Err(log_denial(&Denied::TooLong));
        }
        if let Some(seen) = self.cache.get(token) {
            match self.holds(&seen, fetch).await {
                Ok(()) => return Ok(seen),
                // The keys have changed, so the token is verified again.
                Err(Denied::Outdated) => self.cache.forget(token),
                Err(denied) => {
                    self.cache.forget(token);
                    return Err(log_denial(&denied));
                }
            }
        }
        let mut scratch = vec![0; token.len()];
        // In a box, so that the futures of requests with known tokens stay small.
        let seen = Box::pin(self.verify(bearer, &mut scratch, fetch)).await?;
        self.cache.put(&seen, now());
        Ok(seen)
    }

    /// Whether a token is in the cache of verified tokens. It does no signature check, so it is
    /// cheap enough for callers over their rate limit.
    pub(super) fn remembers(&self, bearer: Bearer<'_>) -> bool {
        self.cache.get(bearer.as_bytes()).is_some()
    }

    /// Fetches the keys of all issuers in the background.
    pub(super) fn fetch_keys(&self) {
        self.issuers.iter().for_each(|issuer| issuer.source.fetch_beside());
    }

    /// Checks whether a token that was verified before is still accepted.
    async fn holds(&self, seen: &Seen, fetch: Fetch) -> Result<(), Denied<'static>> {
        let issuer = self.issuers.get(seen.issuer).ok_or(Denied::Outdated)?;
        // Its full check says that the grant has ended.
        if seen.sid.as_ref().is_some_and(|sid| issuer.revocations.as_ref().is_some_and(|all| all.contains(sid))) {
            return Err(Denied::Outdated);
        }
        let keys = issuer.source.fresh(fetch).await;
        seen.holds(&issuer.rules(keys.generation), now())
    }

    async fn verify(&self, bearer: Bearer<'_>, scratch: &mut [u8], fetch: Fetch) -> Result<Arc<Seen>, Refusal> {
        let refuse = |denied: Denied<'_>| log_denial(&denied);
        let number = self.issuer_of(bearer, scratch)?;
        let issuer = &self.issuers[number];
        let rules = issuer.rules(0);
        let claimed = bearer.read(rules.scopes_in, scratch).map_err(refuse)?;
        // The checks that need no key come first: for a token that fails them, nothing is fetched.
        claimed.check(&rules, Some(now())).map_err(refuse)?;
        could_be_verified(claimed.alg(), claimed.signature_len()).map_err(refuse)?;
        let find = |keys: &KeySet| keys.find(claimed.kid(), claimed.alg(), |key| claimed.fits_key(&rules, key));
        let judged = |found: Found| {
            let rules = issuer.rules(found.generation);
            let verified = claimed.check(&rules, Some(now())).and_then(|candidate| candidate.verify(&*found.key));
            verified.map(|verified| verified.keep().unwrap_or_else(|never| match never {}))
        };
        let found = issuer.source.key(claimed.kid(), fetch, find).await.map_err(refuse)?;
        let generation = found.generation;
        let verified: Verified<Vec<u8>> = match judged(found).map_err(|denied| (is_of_key(&denied), refuse(denied))) {
            Ok(verified) => verified,
            Err((true, refusal)) => match issuer.source.newer(generation, fetch, find).await {
                Some(newer) => judged(newer).map_err(refuse)?,
                None => return Err(refusal),
            },
            Err((false, refusal)) => return Err(refusal),
        };
        let sid = issuer.revocations.as_ref().and_then(|_| sid(&verified));
        if let (Some(revocations), Some(sid)) = (&issuer.revocations, &sid)
            && revocations.look_up(sid).await
        {
            tracing::info!("access token refused: its grant has ended");
            return Err(Refusal::BadToken);
        }
        Ok(Seen::new(bearer.as_bytes(), verified, number, sid))
    }

    /// Returns the index of the issuer that the token names.
    fn issuer_of(&self, bearer: Bearer<'_>, scratch: &mut [u8]) -> Result<usize, Refusal> {
        let claimed = bearer.read(None, scratch).map_err(|denied| log_denial(&denied))?;
        let number = self.issuers.iter().position(|issuer| claimed.is_of(&issuer.rules(0)));
        number.ok_or_else(|| log_denial(&Denied::Issuer(claimed.issuer().raw())))
    }
}

/// Returns the grant from which a token comes.
fn sid(verified: &Verified<Vec<u8>>) -> Option<Box<str>> {
    let claims = Authenticated::token(verified).claims()?;
    let sid = claims.claim("sid")?.text()?;
    Some(sid.chars().collect())
}

/// Whether another key with the same `kid` could make the token valid.
const fn is_of_key(denied: &Denied<'_>) -> bool {
    matches!(denied, Denied::Signature | Denied::Algorithm { .. } | Denied::KeyOfOtherIssuer)
}
