//! Sign-in pages for people with a browser (feature `authorization-server`): the paths `/.auth/*` of the function platform. A person
//! signs in at a provider, and a sealed cookie is their session. Behind [`Door`] and at MCP endpoints, the person
//! is the caller.
//!
//! ```
//! use attache_host::Server;
//! use attache_host::auth::{Auth, Unauthenticated};
//! use attache_host::authorization_server::Upstream;
//! use attache_host::http::Door;
//! use attache_host::sign_in::{Provider, SignIn};
//! use std::sync::Arc;
//!
//! # fn routes() -> Result<axum::Router, Box<dyn core::error::Error>> {
//! let company = Upstream::new("https://id.example", "gw")?.secret("…");
//! let sign_in = SignIn::new("https://gw.example", &[[7; 32]], [Provider::new("company", company)])?;
//! let sign_in = Arc::new(sign_in.hosts(["gw.example".to_owned()]));
//! let auth = || Auth::signed_in(&sign_in).unauthenticated(Unauthenticated::SignIn);
//! let pages = axum::Router::new().route("/", axum::routing::get(async || "Hello"));
//! let pages = pages.layer(Door::new(auth()).hosts(["gw.example".to_owned()]));
//! let server = Server::new("notes", "1.0").auth(auth()).hosts(["gw.example".to_owned()]);
//! let router = sign_in.around(pages.merge(server.routes()));
//! # Ok(router)
//! # }
//! # routes().expect("the settings are valid");
//! ```
//!
//! **Cookies.** A cookie counts as credentials only for requests that pages of this server have sent, and for links that a person
//! follows. So another website cannot act for the person (CSRF).

mod callback;
mod cookies;
mod limits;
mod login;
mod logout;
mod me;
mod own_page;
mod pages;
mod people;
mod provider;
mod redirect;
mod renewal;
mod session;
mod stored;

pub use provider::Provider;

use crate::Limits;
use crate::auth::seen::Cache;
use crate::auth::{Auth, Keys};
use crate::authorization_server::pages::STYLE;
use crate::authorization_server::seals::Seals;
use crate::door::Door;
use crate::store::RowStore;
use attache_core::auth::Gate;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use cookies::SessionCookie;
use core::fmt;
use core::time::Duration;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use reqwest::Url;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Sign-in pages, and the sessions that begin on them.
pub struct SignIn {
    /// The public origin of the server, such as `https://gw.example`.
    origin: String,
    seals: Seals,
    providers: Vec<Provider>,
    rows: Option<Arc<dyn RowStore>>,
    exposes_tokens: bool,
    /// The lifetime of a session that is not used.
    life: Duration,
    /// The lifetime of a session, however often it is renewed.
    most: Duration,
    /// The time that a person has to sign in.
    attempt: Duration,
    /// Whether a session ends with the access token of the provider.
    ends_with_token: bool,
    /// URLs of other origins to which browsers may be sent.
    external: Vec<String>,
    keeps_fragments: bool,
    /// The provider to which people are sent without a choice.
    redirect_to: Option<String>,
    /// The scopes that every session has.
    scopes: Vec<String>,
    body_time: Duration,
    door: Door,
    cache: Cache,
    refreshing: [Mutex<()>; 16],
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("origin", &self.origin)
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}

/// The reason why these values do not make sign-in pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSignIn {
    /// The public origin is neither an `https` URL without a path, nor an `http` URL of this machine.
    Origin(String),
    /// There is no seal key.
    SealKey,
    /// There is no provider.
    NoProvider,
    /// Two providers have this name.
    SameName(String),
    /// The name of a provider has other characters than letters, digits, `-` and `_`.
    Name(String),
    /// The provider of this name has many tenants, and none is allowed.
    Tenants(String),
    /// There is no provider of this name.
    Unknown(String),
}

impl fmt::Display for InvalidSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(origin) => write!(
                f,
                "the public origin {origin:?} must be https://HOST, or http://HOST:PORT on this machine: over plain http, other machines \
                 could read the cookies"
            ),
            Self::SealKey => f.write_str("there must be a seal key"),
            Self::NoProvider => f.write_str("there must be a provider"),
            Self::SameName(name) => write!(f, "two providers have the name {name:?}"),
            Self::Name(name) => write!(
                f,
                "the name {name:?} of a provider must consist of letters, digits, - and _, and must not be done"
            ),
            Self::Tenants(name) => {
                write!(
                    f,
                    "provider {name:?} has many tenants: name those whose people may sign in, or \"*\" for all of them"
                )
            }
            Self::Unknown(name) => write!(f, "there is no provider {name:?}"),
        }
    }
}

impl core::error::Error for InvalidSignIn {}

impl SignIn {
    /// Creates pages for the server with this public origin. The first of the `seal` keys (32 random bytes each) seals cookies, and all
    /// of them open cookies.
    ///
    /// Register `ORIGIN/.auth/login/NAME/callback` as the redirect URI at each provider, and `ORIGIN/.auth/logout/done` as the URI after
    /// a sign-out.
    ///
    /// # Errors
    /// [`InvalidSignIn`] says which value cannot be used.
    pub fn new(
        origin: &str,
        seal: &[[u8; 32]],
        providers: impl IntoIterator<Item = Provider>,
    ) -> Result<Self, InvalidSignIn> {
        let providers: Vec<Provider> = providers.into_iter().collect();
        let is_origin = Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == origin);
        let is_safe = origin.starts_with("https:") || crate::auth::Issuer::is_local(origin);
        if !is_origin || !is_safe {
            return Err(InvalidSignIn::Origin(origin.to_owned()));
        }
        if seal.is_empty() {
            return Err(InvalidSignIn::SealKey);
        }
        provider::check(&providers)?;
        Ok(Self {
            origin: origin.to_owned(),
            seals: Seals::new(seal.iter().copied()),
            providers,
            rows: None,
            exposes_tokens: false,
            life: limits::LIFE,
            most: limits::MOST,
            attempt: limits::ATTEMPT,
            ends_with_token: false,
            external: Vec::new(),
            keeps_fragments: false,
            redirect_to: None,
            scopes: Vec::new(),
            body_time: crate::limits::BODY_TIME,
            door: Door::open().name("sign-in"),
            cache: Cache::default(),
            refreshing: Default::default(),
        })
    }

    /// Stores the tokens of providers, which `/.auth/refresh` needs. A sign-out removes them, and with them the session. Without a
    /// store, no token is kept, and a copy of a cookie stays valid until it expires.
    #[must_use]
    pub fn store(mut self, rows: Arc<dyn RowStore>) -> Self {
        self.rows = Some(rows);
        self
    }

    /// Shows the stored tokens at `/.auth/me` to scripts of pages of this server.
    #[must_use]
    pub const fn expose_tokens(mut self) -> Self {
        self.exposes_tokens = true;
        self
    }

    /// Sets the lifetime of a session that is not used (8 hours by default), and of a session that is renewed by its use (72 hours).
    #[must_use]
    pub const fn lifetime(mut self, unused: Duration, most: Duration) -> Self {
        self.life = unused;
        self.most = most;
        self
    }

    /// Ends each session with the access token of its provider.
    #[must_use]
    pub const fn end_with_token(mut self) -> Self {
        self.ends_with_token = true;
        self
    }

    /// Sets the time that a person has to sign in, ten minutes by default and at most.
    #[must_use]
    pub fn attempt_time(mut self, time: Duration) -> Self {
        self.attempt = time.min(login::LONGEST);
        self
    }

    /// Lets `post_login_redirect_uri` and `post_logout_redirect_uri` lead to these URLs of other origins. Queries and fragments are
    /// ignored. URLs of this server are always allowed.
    #[must_use]
    pub fn external_redirects(mut self, urls: impl IntoIterator<Item = String>) -> Self {
        self.external = urls.into_iter().collect();
        self
    }

    /// Keeps the fragment of the URL that a person has opened, by means of a script.
    #[must_use]
    pub const fn keep_fragments(mut self) -> Self {
        self.keeps_fragments = true;
        self
    }

    /// Sends people to this provider, without a choice.
    ///
    /// # Errors
    /// [`InvalidSignIn::Unknown`] if there is no such provider.
    pub fn redirect_to(mut self, provider: &str) -> Result<Self, InvalidSignIn> {
        if self.provider(provider).is_none() {
            return Err(InvalidSignIn::Unknown(provider.to_owned()));
        }
        self.redirect_to = Some(provider.to_owned());
        Ok(self)
    }

    /// Gives every session these scopes. By default, sessions have none, and tools that require a scope refuse them.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the allow-list for `Host`: names without port. By default, the server is called by the names of this machine alone. An
    /// empty list accepts any name.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.door = self.door.hosts(names);
        self
    }

    /// Sets the rate limits of callers, and the limits of heads and bodies. The other limits have no effect here.
    #[must_use]
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.door = self.door.limits(limits);
        self.body_time = limits.body_time;
        self
    }

    /// Returns `router` with the pages. Sessions that are used there are renewed.
    pub fn around(self: &Arc<Self>, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::clone(self), renewal::renew)).merge(self.routes())
    }

    /// Returns the pages alone.
    fn routes(self: &Arc<Self>) -> Router {
        let text = |kind: &'static str, text: &'static str| get(async move || ([(CONTENT_TYPE, kind)], text));
        Router::new()
            .route("/.auth/login", get(login::choose))
            .route("/.auth/login/done", get(me::done))
            .route("/.auth/login/{provider}", get(login::begin).post(login::present))
            .route("/.auth/login/{provider}/callback", get(callback::callback))
            .route("/.auth/me", get(me::me))
            .route("/.auth/refresh", get(me::refresh).post(me::refresh))
            .route("/.auth/logout", get(logout::link).post(logout::form))
            .route("/.auth/logout/done", get(logout::done))
            .route("/.auth/style.css", text("text/css; charset=utf-8", STYLE))
            .route("/.auth/fragment.js", text("text/javascript; charset=utf-8", pages::SCRIPT))
            .with_state(Arc::clone(self))
            .layer(from_fn(as_it_is))
            .layer(self.door.clone())
    }

    const fn is_https(&self) -> bool {
        // `http:` has another byte there.
        self.origin.as_bytes()[4] == b's'
    }

    const fn cookie(&self) -> SessionCookie {
        SessionCookie { is_https: self.is_https() }
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }
}

/// Keeps browsers from reading an answer as another type.
async fn as_it_is(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Auth {
    /// Requires a session of a person who has signed in on these pages.
    #[must_use]
    pub fn signed_in(sign_in: &Arc<SignIn>) -> Self {
        Self::of_sessions(Arc::clone(sign_in) as _)
    }

    /// Also accepts the sessions of people who have signed in on these pages, where a token is accepted.
    #[must_use]
    pub fn or_signed_in(self, sign_in: &Arc<SignIn>) -> Self {
        self.with_sessions(Arc::clone(sign_in) as _)
    }
}

impl Auth {
    /// Requires an API key in addition to the session.
    #[must_use]
    pub fn and_keys(self, keys: Keys) -> Self {
        self.with_gate(Gate::Both, keys)
    }

    /// Accepts an API key instead of a session.
    #[must_use]
    pub fn or_keys(self, keys: Keys) -> Self {
        self.with_gate(Gate::Either, keys)
    }

    /// Accepts a session, but does not require one. Other callers are guests, as with [`Auth::optional`].
    #[must_use]
    pub fn or_guests(self) -> Self {
        self.with_gate(Gate::Optional, Keys::default())
    }
}

/// The first segment of the paths of the pages.
pub const PREFIX: &str = "/.auth";
