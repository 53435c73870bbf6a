//! An OAuth authorization server for MCP clients (feature `authorization-server`): metadata (RFC 8414), registration without
//! memory (RFC 7591) and by metadata documents, consent on a page, PKCE, resource indicators (RFC 8707), `iss` in every answer
//! (RFC 9207), signed access tokens (RFC 9068), refresh tokens that rotate, and revocation (RFC 7009).
//!
//! A client needs nothing but the URL of an MCP server that trusts this server:
//!
//! ```
//! use attache_host::authorization_server::{AuthorizationServer, Person};
//!
//! # fn routes() -> Result<axum::Router, Box<dyn core::error::Error>> {
//! let issuer = "http://127.0.0.1:8089";
//! let server = AuthorizationServer::for_development(issuer, [Person::new(issuer, "ada")])?;
//! # Ok(server.scopes(["mcp.use"]).routes())
//! # }
//! # routes().expect("the issuer is valid");
//! ```
//!
//! The people of [`for_development`](AuthorizationServer::for_development) are made up: everyone who reaches the server can sign
//! in as each of them.

pub(crate) mod answer;
mod assertion;
mod authorize;
mod callback;
mod client;
mod consent;
mod consent_page;
pub(crate) mod cookie;
mod documents;
mod error;
mod grant;
mod grants;
mod guard;
mod limits;
mod metadata;
pub(crate) mod pages;
pub(crate) mod parameters;
mod person;
mod preregistered;
mod recheck;
mod redirect;
mod refused;
mod register;
mod remote;
mod resource;
mod scope;
pub(crate) mod seals;
mod sender;
mod signing;
mod token;
mod unusable;

pub use crate::auth::InvalidIssuer;
pub use crate::provider::Upstream;
pub use person::Person;
pub use preregistered::{InvalidClient, PreRegistered};
pub use signing::new_signing_key;

use crate::Limits;
use crate::auth::{Auth, Revocations, fetch};
use crate::door::Checks;
use crate::store::{MemoryRows, RowStore};
use answer::json;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use client::Clients;
use core::fmt;
use core::time::Duration;
use documents::Documents;
use grants::Grants;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use pages::Site;
use recheck::Recheck;
use redirect::RedirectRules;
use resource::Resources;
use scope::Scopes;
use seals::{Seals, random};
use serde_json::Value;
use signing::SigningKeys;
use std::sync::Arc;

/// An authorization server.
#[derive(Debug)]
pub struct AuthorizationServer {
    issuer: String,
    resources: Resources,
    scopes: Scopes,
    sign_in: SignIn,
    /// A sentence at the top of every page.
    notice: Option<String>,
    access_life: Duration,
    /// The deadline for the body of a request.
    body_time: Duration,
    checks: Checks,
    clients: Clients,
    grants: Grants,
    recheck: Recheck,
    /// The tenants whose people may sign in at an issuer of many.
    tenants: Vec<String>,
    seals: Arc<Seals>,
    keys: SigningKeys,
}

/// The way in which people sign in.
#[derive(Debug)]
enum SignIn {
    /// By choosing one of these people.
    MadeUp(Vec<Person>),
    Upstream(Box<Upstream>),
}

/// The reason why these values do not make an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidServer {
    /// The issuer is not an `https` URL (or an `http` URL of this machine) in the form in which clients compare it.
    Issuer(String),
    /// There is no signing key, or one is not a key for ES256 in the form of PKCS #8.
    SigningKey,
    /// There is no seal key.
    SealKey,
    /// There is no resource.
    Resource,
    /// The issuer at which people sign in has many tenants.
    Tenants,
}

impl fmt::Display for InvalidServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer(issuer) => write!(
                f,
                "issuer {issuer:?} must be an https URL such as https://gw.example, without a slash at its end and without :443"
            ),
            Self::SigningKey => {
                f.write_str("the signing keys must be keys for ES256 (P-256) in the form of PKCS #8, at least one")
            }
            Self::SealKey => f.write_str("there must be a seal key"),
            Self::Resource => f.write_str("there must be a resource that tokens are for"),
            Self::Tenants => f.write_str(
                "the issuer at which people sign in has many tenants, so people of all of them could sign in: name the issuer of one tenant",
            ),
        }
    }
}

impl core::error::Error for InvalidServer {}

/// The keys of an authorization server that outlives its process.
pub struct ServerKeys<'k> {
    /// The keys that seal client ids, consents and refresh tokens, 32 random bytes each. The first one seals, and all of them
    /// open. Without its key, a client is unknown and a refresh token is invalid.
    pub seal: &'k [[u8; 32]],
    /// The keys that sign access tokens ([`new_signing_key`]). The first one signs, and all of them are published.
    pub signing: &'k [Vec<u8>],
}

impl fmt::Debug for ServerKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKeys").finish_non_exhaustive()
    }
}

/// The lifetime of access tokens cannot be set to this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidLife(Duration);

impl fmt::Display for InvalidLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, most] = limits::ACCESS_RANGE.map(|range| range.as_secs());
        write!(f, "access tokens must live from {least} to {most} seconds, not {}", self.0.as_secs())
    }
}

impl core::error::Error for InvalidLife {}

/// The hosts from which documents about clients are fetched: those of known clients.
const DOCUMENT_HOSTS: [&str; 8] = [
    "vscode.dev",
    "insiders.vscode.dev",
    "claude.ai",
    "claude.com",
    "chatgpt.com",
    "zed.dev",
    "opencode.ai",
    "github.com",
];

impl AuthorizationServer {
    /// Creates a server for developers, with keys in memory and made-up people. It issues tokens for every URL on this machine;
    /// `http://127.0.0.1:8080/mcp` is meant if a client names none.
    ///
    /// # Errors
    /// [`InvalidIssuer`] unless `issuer` is a URL on this machine, in the form in which clients compare it: without a slash at
    /// its end, and without a default port.
    pub fn for_development(issuer: &str, people: impl IntoIterator<Item = Person>) -> Result<Self, InvalidIssuer> {
        let invalid = || InvalidIssuer { issuer: issuer.to_owned() };
        let host = reqwest::Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let is_local = host.is_some_and(|host| attache_core::http::LOOPBACK.contains(&host.as_str()));
        if !is_local || !metadata::is_issuer(issuer) {
            return Err(invalid());
        }
        let seals = Arc::new(Seals::new([random()]));
        let documents = Documents::new(DOCUMENT_HOSTS.map(str::to_owned).into(), true);
        Ok(Self {
            issuer: issuer.to_owned(),
            resources: Resources::Loopback("http://127.0.0.1:8080/mcp".to_owned()),
            scopes: Scopes::default(),
            sign_in: SignIn::MadeUp(people.into_iter().collect()),
            notice: Some(MADE_UP.to_owned()),
            access_life: limits::ACCESS,
            body_time: crate::limits::BODY_TIME,
            checks: Checks::new(Auth::anonymous(), &Limits::default()),
            clients: Clients::new(Arc::clone(&seals), documents, RedirectRules::default()),
            grants: Grants::new(Arc::<MemoryRows>::default(), Arc::clone(&seals)),
            recheck: Recheck::new(Duration::ZERO),
            tenants: Vec::new(),
            seals,
            keys: SigningKeys::read([new_signing_key()]).ok_or_else(invalid)?,
        })
    }

    /// Creates a server in front of another issuer, at which people sign in. It issues its own tokens for `resources`, URLs of MCP
    /// servers; the first one is meant if a client names none. Grants are in `rows`.
    ///
    /// By default, clients may register any `https` redirect URI, and documents about clients are fetched from known hosts.
    ///
    /// # Errors
    /// [`InvalidServer`] says which value cannot be used.
    pub fn in_front_of<T: Into<String>>(
        upstream: Upstream,
        issuer: &str,
        resources: impl IntoIterator<Item = T>,
        keys: &ServerKeys<'_>,
        rows: Arc<dyn RowStore>,
    ) -> Result<Self, InvalidServer> {
        if !metadata::is_issuer(issuer) {
            return Err(InvalidServer::Issuer(issuer.to_owned()));
        }
        let resources: Vec<String> = resources.into_iter().map(Into::into).collect();
        if resources.is_empty() {
            return Err(InvalidServer::Resource);
        }
        if keys.seal.is_empty() {
            return Err(InvalidServer::SealKey);
        }
        if upstream.has_tenants() {
            return Err(InvalidServer::Tenants);
        }
        let signing = SigningKeys::read(keys.signing).ok_or(InvalidServer::SigningKey)?;
        let seals = Arc::new(Seals::new(keys.seal.iter().copied()));
        let documents = Documents::new(DOCUMENT_HOSTS.map(str::to_owned).into(), false);
        Ok(Self {
            issuer: issuer.to_owned(),
            resources: Resources::Listed(resources),
            scopes: Scopes::default(),
            sign_in: SignIn::Upstream(Box::new(upstream)),
            notice: None,
            access_life: limits::ACCESS,
            body_time: crate::limits::BODY_TIME,
            checks: Checks::new(Auth::anonymous(), &Limits::default()),
            clients: Clients::new(Arc::clone(&seals), documents, RedirectRules::default()),
            grants: Grants::new(rows, Arc::clone(&seals)),
            recheck: Recheck::new(limits::RECHECK),
            tenants: Vec::new(),
            seals,
            keys: signing,
        })
    }

    /// Issues tokens for these resources only: URLs of MCP servers. A client that names none gets a token for the first one.
    #[must_use]
    pub fn resources<T: Into<String>>(mut self, urls: impl IntoIterator<Item = T>) -> Self {
        self.resources = Resources::Listed(urls.into_iter().map(Into::into).collect());
        self
    }

    /// Grants these scopes only. A client that requests none gets all of them. Without this, every scope that a client requests
    /// is granted.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes.known = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Grants these scopes for this resource, in place of the scopes that all resources have in common.
    #[must_use]
    pub fn scopes_of<T: Into<String>>(mut self, resource: &str, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes.of.insert(resource.to_owned(), scopes.into_iter().map(Into::into).collect());
        self
    }

    /// Lets people of these tenants sign in (claim `tid` of their ID token); `*` stands for all. If the issuer has many tenants, none
    /// may sign in without this.
    #[must_use]
    pub fn tenants<T: Into<String>>(mut self, tenants: impl IntoIterator<Item = T>) -> Self {
        self.tenants = tenants.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the time after which the issuer is asked again at a refresh whether it still knows the person, a day by default. This
    /// needs a refresh token of the issuer. Zero switches it off, and then no token of the issuer is stored.
    #[must_use]
    pub fn recheck(mut self, after: Duration) -> Self {
        self.recheck.after = after;
        self
    }

    /// Makes clients known that the operator has registered.
    ///
    /// # Errors
    /// [`InvalidClient`] if one of them cannot be used.
    pub fn clients(mut self, clients: impl IntoIterator<Item = PreRegistered>) -> Result<Self, InvalidClient> {
        let clients: Vec<_> = clients.into_iter().collect();
        preregistered::check(&clients)?;
        self.clients.add(clients);
        Ok(self)
    }

    /// Tells which grants have ended, for [`Issuer::revocations`](crate::auth::Issuer::revocations). Without it, access tokens of such
    /// grants are valid until they expire.
    pub fn revocations(&self) -> Revocations {
        self.grants.revocations()
    }

    /// Lets clients register `https` redirect URIs of these hosts only. Without this, any host is allowed, and the consent page
    /// warns of it.
    #[must_use]
    pub fn redirect_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.clients.restrict(hosts.into_iter().collect());
        self
    }

    /// Sets the lifetime of access tokens, an hour by default. Fractions of a second are ignored.
    ///
    /// # Errors
    /// [`InvalidLife`] if it is shorter than a minute or longer than a day.
    pub fn access_life(mut self, life: Duration) -> Result<Self, InvalidLife> {
        let [least, most] = limits::ACCESS_RANGE;
        if !(least..=most).contains(&life) {
            return Err(InvalidLife(life));
        }
        self.access_life = life;
        Ok(self)
    }

    /// Sets the allow-list for `Host`: names without port. By default, the server is called by the names of this machine alone. An
    /// empty list accepts any name.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.checks.hosts = names.into_iter().collect();
        self
    }

    /// Returns the key set that verifies the tokens (RFC 7517), for [`Issuer::with_keys`](crate::auth::Issuer::with_keys).
    pub fn key_set(&self) -> String {
        self.keys.key_set().to_string()
    }

    /// Sets the rate limits of callers, and the limits of heads and bodies. The other limits have no effect here.
    #[must_use]
    pub fn limits(mut self, limits: &Limits) -> Self {
        self.checks.limit(limits);
        self.body_time = limits.body_time;
        self
    }

    /// Returns the routes: those of the metadata, and those below `/oauth/`.
    pub fn routes(self) -> Router {
        let base = self.site().base.to_owned();
        let at = |path: &str| format!("{base}/oauth/{path}");
        let metadata = metadata::metadata(&self.issuer, &self.scopes.all(), self.clients.has_secrets());
        let (jwks, origin) = (self.keys.key_set(), self.origin().len());
        let home = self.site().message("Sign-in for MCP clients", HOME);
        let server = Arc::new(self);
        let mut public = Router::new()
            .route(&at("jwks"), get(async move || document(&jwks)))
            .route(&at("token"), post(token::token))
            .route(&at("register"), post(register::register))
            .route(&at("revoke"), post(token::revoke));
        for url in fetch::places(&server.issuer) {
            let is_of_openid = url.ends_with("/openid-configuration") || url.contains("/openid-configuration/");
            let metadata = if is_of_openid { metadata::of_openid(metadata.clone()) } else { metadata.clone() };
            public = public.route(&url[origin..], get(async move || document(&metadata)));
        }
        // In front of an issuer, the first page belongs to the servers that share the origin.
        let own_home = match server.sign_in {
            SignIn::MadeUp(_) => {
                Router::new().route(&format!("{base}/"), get(async move || answer::page(StatusCode::OK, home.clone())))
            }
            SignIn::Upstream(_) => Router::new(),
        };
        let mut pages = own_home.route(&at("authorize"), get(authorize::authorize));
        // MCP 2025-03-26 basic/authorization: clients without metadata use these paths of the host.
        if base.is_empty() {
            pages = pages.route("/authorize", get(authorize::authorize));
            public = public.route("/token", post(token::token)).route("/register", post(register::register));
        }
        pages
            .route(&at("consent"), post(consent_page::decide))
            .route(&at("callback"), get(callback::callback))
            .route(&at("style.css"), get(async || ([(CONTENT_TYPE, "text/css; charset=utf-8")], pages::STYLE)))
            .merge(public.layer(from_fn(guard::share)))
            .layer(from_fn_with_state(Arc::clone(&server), guard::guard))
            .with_state(server)
    }

    fn site(&self) -> Site<'_> {
        Site { base: &self.issuer[self.origin().len()..], notice: self.notice.as_deref() }
    }

    /// Scheme, host and port of the issuer.
    fn origin(&self) -> &str {
        origin(&self.issuer)
    }

    fn is_https(&self) -> bool {
        self.issuer.starts_with("https:")
    }
}

/// The last parts of the paths below `/oauth/`.
const PATHS: [&str; 8] = ["authorize", "callback", "consent", "jwks", "register", "revoke", "style.css", "token"];

/// Further paths, if the issuer has no path.
const ALIASES: [&str; 3] = ["/authorize", "/register", "/token"];

/// Returns the paths that an authorization server with this issuer serves, so that other routes of the same origin can keep off.
#[must_use]
pub fn paths(issuer: &str) -> Vec<String> {
    let origin = origin(issuer).len();
    let base = &issuer[origin..];
    let documents = fetch::places(issuer).into_iter().map(|url| url[origin..].to_owned());
    let aliases = ALIASES.iter().filter(|_| base.is_empty()).map(ToString::to_string);
    PATHS.iter().map(|path| format!("{base}/oauth/{path}")).chain(documents).chain(aliases).collect()
}

/// Scheme, host and port of an issuer.
fn origin(issuer: &str) -> &str {
    let host = issuer.find("://").map_or(0, |at| at + 3);
    let path = issuer[host..].find('/').map_or(issuer.len(), |at| host + at);
    &issuer[..path]
}

/// The notice of a server for developers.
const MADE_UP: &str =
    "For development only: these people are made up, and everyone on this computer can sign in as each of them.";

const HOME: &str = "This is an authorization server. Your MCP client opens its pages when it signs you in; there is nothing to do here.";

/// A public document, which caches may keep for some minutes.
fn document(value: &Value) -> Response {
    let mut response = json(StatusCode::OK, value);
    response.headers_mut().insert(CACHE_CONTROL, http::HeaderValue::from_static("max-age=300"));
    response.into_response()
}
