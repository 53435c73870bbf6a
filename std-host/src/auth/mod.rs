//! Who may call a server: access tokens of OAuth issuers, API keys, or both. The rules are those of
//! [`attache_core::auth`]; here keys are fetched and kept, and what was checked is remembered.
//!
//! ```
//! # #[cfg(feature = "auth")]
//! # fn server() -> Result<attache_host::Server, Box<dyn core::error::Error>> {
//! use attache_host::Server;
//! use attache_host::auth::{Auth, Issuer, Tokens};
//!
//! let issuer = Issuer::discovered("https://id.example")?.applications(["desktop-app"]);
//! let tokens = Tokens::of("https://api.example/mcp", issuer)?.scopes(["mcp.use"]);
//! let server = Server::new("thermostat", "1").auth(Auth::tokens(tokens));
//! # Ok(server)
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
mod reach;
#[cfg(feature = "auth")]
mod seen;
#[cfg(feature = "auth")]
mod source;
#[cfg(feature = "auth")]
mod tokens;
mod vouched;

pub use caller::Caller;
#[cfg(feature = "auth")]
pub use explain::Explained;
#[cfg(feature = "auth")]
pub use issuer::{InvalidIssuer, Issuer};
#[cfg(feature = "auth")]
pub use key_set::NoKeys;
pub use keys::{Keys, ShortKey};
#[cfg(feature = "auth")]
pub use tokens::{InvalidResource, Tokens};

use crate::budget::Budget;
use attache_core::auth::{Access, Authenticated, Denied, Gate, Verified};
use attache_core::http::{Refusal, Resource, Unverified};
use http::HeaderMap;
use http::header::HeaderName;
use http::request::Parts;
#[cfg(feature = "auth")]
use seen::Seen;
#[cfg(feature = "auth")]
use source::Fetch;
#[cfg(feature = "auth")]
use std::sync::Arc;

/// What callers have to show.
#[derive(Debug)]
pub struct Auth {
    gate: Gate,
    keys: Keys,
    key_in_query: bool,
    is_vouched: bool,
    unauthenticated: Unauthenticated,
    /// The fields in which a proxy says by which host and scheme it was called.
    forwarded: Option<[HeaderName; 2]>,
    #[cfg(feature = "auth")]
    tokens: Option<Tokens>,
}

/// Marks a request that came through a proxy whose word counts: whoever accepts the connection puts it into the request's extensions.
/// [`Auth::forwarded`] says what is believed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied;

/// What callers are told who have not shown who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unauthenticated {
    /// 401, and what would do instead: without it no client finds the issuer.
    #[default]
    Challenge,
    /// 403, and nothing of what would do.
    Forbidden,
    /// 404, as if there were nothing.
    NotFound,
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

    /// An access token where one comes. Who comes without a good one is a guest, and may use what asks for neither scope nor role; for the rest
    /// he is asked for a token.
    #[cfg(feature = "auth")]
    pub fn optional(tokens: Tokens) -> Self {
        Self { tokens: Some(tokens), ..Self::of(Gate::Optional, Keys::default()) }
    }

    /// The word of a platform that has signed the caller in: its header `X-MS-CLIENT-PRINCIPAL` says who calls. Anybody can write such a header,
    /// so nobody may reach the server but through the platform, which takes away what its own clients have written.
    pub fn vouched() -> Self {
        Self { is_vouched: true, ..Self::of(Gate::Token, Keys::default()) }
    }

    /// Tells callers who have not shown who they are something else than what would do.
    #[must_use]
    pub const fn unauthenticated(mut self, told: Unauthenticated) -> Self {
        self.unauthenticated = told;
        self
    }

    /// Believes these fields of a proxy, such as `X-Forwarded-Host` and `X-Forwarded-Proto`, when they say by which URL clients reach the
    /// endpoint: what they are told of it then begins with that. Only requests with [`Proxied`] count, and no token is
    /// addressed by it: audiences are what was configured.
    #[must_use]
    pub fn forwarded(mut self, host: HeaderName, proto: HeaderName) -> Self {
        self.forwarded = Some([host, proto]);
        self
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
            is_vouched: false,
            unauthenticated: Unauthenticated::Challenge,
            forwarded: None,
            #[cfg(feature = "auth")]
            tokens: None,
        }
    }

    /// Has what is remembered of tokens draw from this budget.
    pub(crate) fn draw_from(&self, budget: &Budget) {
        #[cfg(feature = "auth")]
        if let Some(tokens) = &self.tokens {
            tokens.draw_from(budget);
        }
        #[cfg(not(feature = "auth"))]
        let _ = budget;
    }

    /// The keys in the query, if they count there.
    pub(crate) fn keys_of<'q>(&self, query: Option<&'q str>) -> impl Iterator<Item = &'q str> {
        let pairs = query.filter(|_| self.key_in_query).unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.strip_prefix("code="))
    }

    pub(crate) const fn gate(&self) -> Gate {
        self.gate
    }

    /// Whether the endpoint looks as if it did not exist to callers who have not shown valid credentials.
    pub(crate) fn is_hidden(&self) -> bool {
        self.unauthenticated == Unauthenticated::NotFound && !matches!(self.gate, Gate::Open(_) | Gate::Optional)
    }

    /// Prepares for the first request: requests of a hidden endpoint do not wait for keys, so they are fetched before.
    pub(crate) fn prepare(&self) {
        #[cfg(feature = "auth")]
        if let Some(tokens) = self.tokens.as_ref().filter(|_| self.is_hidden()) {
            tokens.fetch_keys();
        }
    }

    /// Whether what `came` is a key, or a token that was verified before: for callers who have come too often, and for whom no signature is
    /// verified.
    pub(crate) fn recognizes(&self, came: &Unverified<'_>) -> bool {
        match came {
            Unverified::Key(shown) => shown.check(&self.keys.now().open).is_ok(),
            #[cfg(feature = "auth")]
            Unverified::Token(bearer) => self.tokens.as_ref().is_some_and(|tokens| tokens.remembers(*bearer)),
            #[cfg(feature = "auth")]
            Unverified::Both(shown, bearer) => {
                self.recognizes(&Unverified::Key(*shown)) && self.recognizes(&Unverified::Token(*bearer))
            }
            #[cfg(not(feature = "auth"))]
            Unverified::Token(_) | Unverified::Both(..) => false,
        }
    }

    /// What a caller is told who is refused for this: what would do, unless nobody is to learn that.
    pub(crate) const fn told(&self, refusal: Refusal) -> Unauthenticated {
        match refusal {
            Refusal::NoToken | Refusal::BadToken | Refusal::NoKey => self.unauthenticated,
            _ => Unauthenticated::Challenge,
        }
    }

    /// The caller for whom the platform vouches, where that counts.
    pub(crate) fn vouched_for(&self, head: &HeaderMap) -> Option<Result<Evidence, Refusal>> {
        let caller = || vouched::caller(head).map(Box::new).map(Evidence::Vouched).map_err(|denied| told(&denied));
        self.is_vouched.then(caller)
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

    /// The endpoint as the caller with this `head` writes it, where tokens are asked for.
    pub(crate) fn url(&self, head: &Parts) -> Option<String> {
        let [origin, path] = self.resource()?.url();
        let came = self.forwarded.as_ref().filter(|_| head.extensions.get::<Proxied>().is_some());
        let came = came.and_then(|fields| forwarded_origin(fields, &head.headers));
        Some(came.unwrap_or_else(|| origin.to_owned()) + path)
    }

    /// The fields of a request that its [`url`](Auth::url) may depend on.
    #[cfg(feature = "axum")]
    pub(crate) fn url_fields(&self) -> Option<&[HeaderName; 2]> {
        self.forwarded.as_ref()
    }

    /// The metadata of the endpoint at this URL (RFC 9728), where tokens are asked for.
    pub(crate) fn metadata(&self, url: &str) -> Option<String> {
        #[cfg(feature = "auth")]
        return self.tokens.as_ref().map(|tokens| tokens.metadata(&Resource::new(url).unwrap_or(tokens.resource())));
        #[cfg(not(feature = "auth"))]
        {
            let _ = url;
            None
        }
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
            Unverified::Both(shown, bearer) => {
                // The token says who calls.
                self.keys.now().check(shown)?;
                self.token(bearer).await
            }
            #[cfg(not(feature = "auth"))]
            Unverified::Token(_) | Unverified::Both(..) => Err(told(&Denied::KeyUnavailable)),
        }
    }

    /// Whether requests wait for the keys of an issuer. Where callers are not to learn that there is an endpoint, the time of an answer must
    /// not tell them either.
    #[cfg(feature = "auth")]
    fn fetch(&self) -> Fetch {
        if self.is_hidden() { Fetch::Beside } else { Fetch::Wait }
    }

    #[cfg(feature = "auth")]
    async fn token(&self, bearer: attache_core::auth::Bearer<'_>) -> Result<Evidence, Refusal> {
        match &self.tokens {
            Some(tokens) => tokens.check(bearer, self.fetch()).await.map(Evidence::Token),
            None => Err(told(&Denied::KeyUnavailable)),
        }
    }

    /// The caller that `evidence` of what `came` shows.
    pub(crate) fn caller<'e>(
        &self,
        evidence: &'e Evidence,
        came: Option<&Unverified<'_>>,
    ) -> Result<Authenticated<'e>, Refusal> {
        match (evidence, came) {
            (Evidence::Keys(keys), Some(Unverified::Key(shown))) => keys.check(*shown),
            #[cfg(feature = "auth")]
            (Evidence::Token(seen), _) => Ok(Authenticated::token(seen.verified())),
            (Evidence::Vouched(verified), _) => Ok(Authenticated::token(verified)),
            // Keys are for who has shown a key alone.
            (Evidence::Keys(_), _) => Err(Refusal::NoKey),
        }
    }
}

/// Scheme and host as a proxy says that it was called; nothing, where it says that in two ways or in none.
fn forwarded_origin([host, proto]: &[HeaderName; 2], head: &HeaderMap) -> Option<String> {
    let once = |name| {
        let mut values = head.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    };
    let (host, proto) = (once(host)?, once(proto)?);
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let good = matches!(proto, "http" | "https") && !host.is_empty() && host.bytes().all(is_of_host);
    good.then(|| format!("{proto}://{host}"))
}

/// What proves who calls, kept as long as the request.
pub(crate) enum Evidence {
    /// The keys, one of which has to be the one that was shown.
    Keys(keys::Held),
    /// A token that was checked.
    #[cfg(feature = "auth")]
    Token(Arc<Seen>),
    /// What a platform says of the caller.
    Vouched(Box<Verified<Vec<u8>>>),
}

/// Notes for the log why a caller is refused, and gives what the peer may know of it.
fn told(denied: &Denied<'_>) -> Refusal {
    crate::observe::note_why(denied);
    Refusal::from(*denied)
}
