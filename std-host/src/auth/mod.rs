//! Who may call a server: access tokens of OAuth issuers, API keys, or both. The rules are those of
//! [`attache_core::auth`]; here keys are fetched and kept, and what was checked is remembered.
//!
//! ```
//! # #[cfg(feature = "auth")] {
//! use attache_host::Server;
//! use attache_host::auth::{Auth, Issuer, Tokens};
//!
//! let issuer = Issuer::discovered("https://id.example").applications(["desktop-app"]);
//! let tokens = Tokens::of("https://api.example/mcp", issuer).scopes(["mcp.use"]);
//! let server = Server::new("thermostat", "1").auth(Auth::tokens(tokens));
//! # }
//! ```

mod caller;
#[cfg(feature = "auth")]
mod explain;
#[cfg(feature = "auth")]
mod fetch;
#[cfg(feature = "auth")]
mod issuer;
#[cfg(feature = "auth")]
mod key_set;
mod keys;
#[cfg(feature = "auth")]
mod seen;
#[cfg(feature = "auth")]
mod source;
#[cfg(feature = "auth")]
mod tokens;

pub use caller::Caller;
#[cfg(feature = "auth")]
pub use explain::Explained;
#[cfg(feature = "auth")]
pub use issuer::Issuer;
#[cfg(feature = "auth")]
pub use key_set::NoKeys;
pub use keys::Keys;
#[cfg(feature = "auth")]
pub use tokens::Tokens;

use attache_core::auth::{Access, ApiKey, Authenticated, Denied, Gate};
use attache_core::http::{Refusal, Resource, Unverified};
#[cfg(feature = "auth")]
use seen::Seen;
use std::sync::Arc;

/// What callers have to show.
#[derive(Debug)]
pub struct Auth {
    gate: Gate,
    keys: Keys,
    key_in_query: bool,
    #[cfg(feature = "auth")]
    tokens: Option<Tokens>,
}

impl Auth {
    /// A key, in the header `X-Functions-Key`.
    pub fn keys(keys: Keys) -> Self {
        Self::of(Gate::Key, keys)
    }

    /// An access token, in the header `Authorization` (RFC 6750).
    #[cfg(feature = "auth")]
    pub fn tokens(tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..Self::of(Gate::Token, Keys::default()) }
    }

    /// A token or a key; where both come, the token counts.
    #[cfg(feature = "auth")]
    pub fn either(tokens: Tokens, keys: Keys) -> Self {
        Self { tokens: Some(tokens), ..Self::of(Gate::Either, keys) }
    }

    /// A key, and a token besides, which says who calls.
    #[cfg(feature = "auth")]
    pub fn both(tokens: Tokens, keys: Keys) -> Self {
        Self { tokens: Some(tokens), ..Self::of(Gate::Both, keys) }
    }

    /// Takes a key as `code` in the query, too, as it is written: for clients that can send no header. Addresses get into logs and
    /// histories, and with them the key.
    #[must_use]
    pub const fn key_in_query(mut self) -> Self {
        self.key_in_query = true;
        self
    }

    /// Nothing: whoever reaches the server may call.
    pub(crate) fn anonymous() -> Self {
        Self::of(Gate::Open(Access::Anonymous), Keys::default())
    }

    fn of(gate: Gate, keys: Keys) -> Self {
        Self {
            gate,
            keys,
            key_in_query: false,
            #[cfg(feature = "auth")]
            tokens: None,
        }
    }

    /// The keys in the query, if they count there.
    pub(crate) fn keys_of<'q>(&self, query: Option<&'q str>) -> impl Iterator<Item = &'q str> {
        let pairs = query.filter(|_| self.key_in_query).unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.strip_prefix("code="))
    }

    pub(crate) const fn gate(&self) -> Gate {
        self.gate
    }

    /// The endpoint as its callers write it, where tokens are asked for.
    pub(crate) fn resource(&self) -> Option<Resource<'_>> {
        #[cfg(feature = "auth")]
        return self.tokens.as_ref().map(Tokens::resource);
        #[cfg(not(feature = "auth"))]
        None
    }

    /// The scopes that a client needs for the most ordinary use.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> {
        #[cfg(feature = "auth")]
        return self.tokens.iter().flat_map(Tokens::each_scope);
        #[cfg(not(feature = "auth"))]
        core::iter::empty()
    }

    /// The metadata of the endpoint (RFC 9728), where tokens are asked for.
    pub(crate) fn metadata(&self) -> Option<String> {
        #[cfg(feature = "auth")]
        return self.tokens.as_ref().map(Tokens::metadata);
        #[cfg(not(feature = "auth"))]
        None
    }

    /// Collects what it takes to tell whether what came is good. What is wrong with it goes to the log, and how much of that the peer
    /// may know is the refusal.
    pub(crate) async fn check(&self, came: Unverified<'_>) -> Result<Evidence, Refusal> {
        match came {
            // `caller` does: what it gives borrows from them.
            Unverified::Key(_) => Ok(Evidence::Keys(self.keys.now())),
            #[cfg(feature = "auth")]
            Unverified::Token(bearer) => self.token(bearer).await,
            #[cfg(feature = "auth")]
            Unverified::Both(shown, bearer) => match shown.check(&self.keys.now()) {
                // The token says who calls.
                Ok(_) => self.token(bearer).await,
                Err(denied) => Err(told(&denied)),
            },
            #[cfg(not(feature = "auth"))]
            Unverified::Token(_) | Unverified::Both(..) => Err(told(&Denied::KeyUnavailable)),
        }
    }

    #[cfg(feature = "auth")]
    async fn token(&self, bearer: attache_core::auth::Bearer<'_>) -> Result<Evidence, Refusal> {
        match &self.tokens {
            Some(tokens) => tokens.check(bearer).await.map(Evidence::Token),
            None => Err(told(&Denied::KeyUnavailable)),
        }
    }

    /// The caller that `evidence` of what `came` shows.
    pub(crate) fn caller<'e>(
        &self,
        evidence: &'e Evidence,
        came: &Unverified<'_>,
    ) -> Result<Authenticated<'e>, Refusal> {
        match (evidence, came) {
            (Evidence::Keys(keys), Unverified::Key(shown)) => shown.check(keys).map_err(|denied| told(&denied)),
            #[cfg(feature = "auth")]
            (Evidence::Token(seen), _) => Ok(Authenticated::token(seen.verified())),
            // Keys are for who has shown a key alone.
            (Evidence::Keys(_), _) => Err(Refusal::NoKey),
        }
    }
}

/// What proves who calls, kept as long as the request.
pub(crate) enum Evidence {
    /// The keys, one of which has to be the one that was shown.
    Keys(Arc<[ApiKey<String>]>),
    /// A token that was checked.
    #[cfg(feature = "auth")]
    Token(Arc<Seen>),
}

/// Writes to the log why a caller is kept out, and gives what the peer may know of it.
fn told(denied: &Denied<'_>) -> Refusal {
    tracing::info!(reason = %denied, "a caller was not let in");
    Refusal::from(*denied)
}
