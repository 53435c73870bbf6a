//! Access tokens: from what came in a header to what is believed of its holder.

use super::issuer::Issuer;
use super::seen::{Cache, Seen};
use super::told;
use crate::clock::now;
use crate::sink::Growing;
use attache_core::auth::{Bearer, Denied, Verified};
use attache_core::http::{Refusal, Resource, metadata};
use std::sync::Arc;

/// The tokens that an endpoint takes.
#[derive(Debug)]
pub struct Tokens {
    /// The endpoint's public URL.
    resource: String,
    pub(super) issuers: Vec<Issuer>,
    scopes: Vec<String>,
    cache: Cache,
}

impl Tokens {
    /// The tokens of this issuer, for the endpoint whose callers know it by the URL `resource`, byte for byte: clients compare it
    /// with what they were given, and it is an audience of the tokens (RFC 8707).
    ///
    /// # Panics
    /// If `resource` is no `https` or `http` URL.
    #[track_caller]
    pub fn of(resource: &str, issuer: Issuer) -> Self {
        assert!(Resource::new(resource).is_some(), "{resource:?} must be a URL such as https://api.example/mcp");
        let tokens =
            Self { resource: resource.to_owned(), issuers: Vec::new(), scopes: Vec::new(), cache: Cache::default() };
        tokens.issuer(issuer)
    }

    /// Takes the tokens of another issuer, too.
    #[must_use]
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer.audiences([self.resource.clone()]));
        self
    }

    /// The scopes that a client needs for the most ordinary use: it learns them from the challenge and from the metadata.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    pub(super) fn resource(&self) -> Resource<'_> {
        // It was checked when it was given.
        Resource::new(&self.resource).unwrap_or_else(|| unreachable!("the resource was checked"))
    }

    pub(super) fn each_scope(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    pub(super) fn metadata(&self, resource: &Resource<'_>) -> String {
        let issuers = self.issuers.iter().filter_map(|issuer| issuer.issuers.first()).map(String::as_str);
        let mut out = Growing::unlimited();
        // It grows as long as it has to.
        let _ = metadata(resource, issuers, self.each_scope(), &mut out);
        String::from_utf8(out.bytes).unwrap_or_default()
    }

    pub(super) async fn check(&self, bearer: Bearer<'_>) -> Result<Arc<Seen>, Refusal> {
        let token = bearer.as_bytes();
        if let Some(seen) = self.cache.get(token) {
            let rules = self.issuers.get(seen.issuer).map(Issuer::rules);
            match rules.map_or(Err(Denied::Outdated), |rules| seen.holds(&rules, now())) {
                Ok(()) => return Ok(seen),
                // Its keys have changed: it is checked anew.
                Err(Denied::Outdated) => self.cache.forget(token),
                Err(denied) => {
                    self.cache.forget(token);
                    return Err(told(&denied));
                }
            }
        }
        let mut scratch = vec![0; token.len()];
        let seen = self.verify(bearer, &mut scratch).await?;
        self.cache.put(&seen, now());
        Ok(seen)
    }

    async fn verify(&self, bearer: Bearer<'_>, scratch: &mut [u8]) -> Result<Arc<Seen>, Refusal> {
        let told = |denied: Denied<'_>| told(&denied);
        let number = self.issuer_of(bearer, scratch)?;
        let issuer = &self.issuers[number];
        let rules = issuer.rules();
        let claimed = bearer.read(rules.scopes_in, scratch).map_err(told)?;
        let candidate = claimed.check(&rules, Some(now())).map_err(told)?;
        let key = issuer.source.key(candidate.kid(), candidate.alg()).await.map_err(told)?;
        // The keys may have been fetched for it: it counts as checked by those.
        let rules = issuer.rules();
        let verified =
            claimed.check(&rules, Some(now())).and_then(|candidate| candidate.verify(&*key)).map_err(told)?;
        let kept: Verified<Vec<u8>> = verified.keep().unwrap_or_else(|never| match never {});
        Ok(Seen::new(bearer.as_bytes(), kept, number))
    }

    /// The number of the issuer whose token it says it is.
    fn issuer_of(&self, bearer: Bearer<'_>, scratch: &mut [u8]) -> Result<usize, Refusal> {
        let claimed = bearer.read(None, scratch).map_err(|denied| told(&denied))?;
        let number = self.issuers.iter().position(|issuer| claimed.is_of(&issuer.rules()));
        number.ok_or_else(|| told(&Denied::Issuer(claimed.issuer().raw())))
    }
}
