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

mod answer;
mod authorize;
mod client;
mod consent;
mod documents;
mod error;
mod grant;
mod grants;
mod guard;
mod limits;
mod metadata;
mod pages;
mod parameters;
mod person;
mod redirect;
mod register;
mod resource;
mod scope;
mod seals;
mod signing;
mod token;

pub use crate::auth::InvalidIssuer;
pub use person::Person;

use crate::Limits;
use crate::auth::{Auth, fetch};
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
use redirect::RedirectRules;
use resource::Resources;
use scope::Scopes;
use seals::{Seals, random};
use serde_json::Value;
use signing::SigningKey;
use std::sync::Arc;

/// An authorization server.
#[derive(Debug)]
pub struct AuthorizationServer {
    issuer: String,
    resources: Resources,
    scopes: Scopes,
    /// The people that can sign in.
    people: Vec<Person>,
    /// A sentence at the top of every page.
    notice: Option<String>,
    access_life: Duration,
    /// The deadline for the body of a request.
    body_time: Duration,
    checks: Checks,
    clients: Clients,
    grants: Grants,
    seals: Arc<Seals>,
    key: SigningKey,
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

/// The hosts whose documents about clients are fetched: those of known clients.
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
            people: people.into_iter().collect(),
            notice: Some(MADE_UP.to_owned()),
            access_life: limits::ACCESS,
            body_time: crate::limits::BODY_TIME,
            checks: Checks::new(Auth::anonymous(), &Limits::default()),
            clients: Clients::new(Arc::clone(&seals), documents, RedirectRules::default()),
            grants: Grants::new(Arc::<MemoryRows>::default(), Arc::clone(&seals)),
            seals,
            key: SigningKey::generate(),
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

    /// Stores grants in this store instead of the memory of the process.
    #[must_use]
    pub fn store(mut self, rows: Arc<dyn RowStore>) -> Self {
        self.grants = Grants::new(rows, Arc::clone(&self.seals));
        self
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
        let metadata = metadata::metadata(&self.issuer, &self.scopes.known);
        let (jwks, origin) = (self.key.key_set(), self.origin().len());
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
        Router::new()
            .route(&at("authorize"), get(authorize::authorize))
            .route(&at("consent"), post(consent::decide))
            .route(&at("style.css"), get(async || ([(CONTENT_TYPE, "text/css; charset=utf-8")], pages::STYLE)))
            .route(&format!("{base}/"), get(async move || answer::page(StatusCode::OK, home.clone())))
            .merge(public.layer(from_fn(guard::share)))
            .layer(from_fn_with_state(Arc::clone(&server), guard::guard))
            .with_state(server)
    }

    fn site(&self) -> Site<'_> {
        Site { base: &self.issuer[self.origin().len()..], notice: self.notice.as_deref() }
    }

    /// Scheme, host and port of the issuer.
    fn origin(&self) -> &str {
        let host = self.issuer.find("://").map_or(0, |at| at + 3);
        let path = self.issuer[host..].find('/').map_or(self.issuer.len(), |at| host + at);
        &self.issuer[..path]
    }

    fn is_https(&self) -> bool {
        self.issuer.starts_with("https:")
    }
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
