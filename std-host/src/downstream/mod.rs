//! Tokens with which this server calls others: its own, or on behalf of its caller.
//!
//! The access token of the caller is for this server, and is never sent to another one (MCP
//! basic/authorization, "Token passthrough"). A [`Downstream`] gets another token for one resource,
//! from an issuer that knows both. The token of the caller goes to that issuer alone.
//!
//! ```no_run
//! use attache_host::Server;
//! use attache_host::bridge::Bridge;
//! use attache_host::downstream::{Downstream, Grant};
//!
//! # async fn example() -> Result<(), Box<dyn core::error::Error>> {
//! let tokens = Downstream::new(Grant::Exchange, "https://id.example", "https://crm.example/mcp")?
//!     .client("gateway", Some("secret".to_owned()))
//!     .scopes(["crm.read"]);
//! let server = Server::new("gate", "1.0")
//!     .keep_caller_tokens()
//!     .backend("crm_", Bridge::http("crm", "https://crm.example/mcp").downstream(tokens));
//! # let _ = server;
//! # Ok(())
//! # }
//! ```

mod caller;
mod grant;
mod limits;
mod slot;
mod table;

use crate::auth::Caller;
use crate::auth::inbound::Inbound;
use crate::client::{Credential, Error};
use crate::oauth::{ClientAuth, Fetch, Granted, Method, OAuthError, issuer, token};
use caller::CallerTokens;
use core::fmt;
pub use grant::Grant;
use reqwest::Url;
use std::sync::Arc;
use table::Table;
use tokio::sync::OnceCell;

/// A source of tokens for one resource.
///
/// Tokens are cached for each caller until they end, and renewed before. Requests of one caller that
/// come together cause one request to the issuer. The tokens of a caller are used for its own calls
/// only.
#[must_use]
pub struct Downstream {
    grant: Grant,
    issuer: String,
    token_endpoint: Option<String>,
    resource: String,
    audience: Option<String>,
    scope: String,
    client: ClientAuth,
    fetch: Fetch,
    /// The token endpoint and the client, once the metadata of the issuer is known.
    endpoint: OnceCell<(String, ClientAuth)>,
    callers: Table,
}

impl Downstream {
    /// Tokens of this issuer for the server at `resource`.
    ///
    /// # Errors
    /// If the issuer is neither an `https` URL nor an `http` URL of this machine.
    pub fn new(grant: Grant, issuer: &str, resource: &str) -> Result<Self, OAuthError> {
        Ok(Self {
            grant,
            fetch: Fetch::new(issuer)?,
            issuer: issuer.to_owned(),
            token_endpoint: None,
            resource: resource.to_owned(),
            audience: None,
            scope: String::new(),
            client: ClientAuth::default(),
            endpoint: OnceCell::new(),
            callers: Table::default(),
        })
    }

    /// Sets the identity of this server at the issuer.
    pub fn client(mut self, id: impl Into<String>, secret: Option<String>) -> Self {
        self.client = ClientAuth { client_id: id.into(), client_secret: secret, method: Method::None };
        self
    }

    /// Sets the scopes to request.
    pub fn scopes<T: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        let scopes: Vec<String> = scopes.into_iter().map(|scope| scope.as_ref().to_owned()).collect();
        self.scope = scopes.join(" ");
        self
    }

    /// Names the resource as the issuer knows it, if that is not its URL (RFC 8693 §2.1, `audience`).
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Uses this token endpoint, for an issuer without metadata.
    ///
    /// # Errors
    /// If the issuer must not name this URL: it is neither `https` nor on this machine, as the issuer is.
    pub fn token_endpoint(mut self, url: &str) -> Result<Self, OAuthError> {
        if !self.fetch.allows(url) {
            return Err(OAuthError::ForbiddenUrl(url.to_owned()));
        }
        self.token_endpoint = Some(url.to_owned());
        Ok(self)
    }

    /// The resource that the tokens are for.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether tokens are got with the access token of the caller.
    pub const fn needs_caller_token(&self) -> bool {
        self.grant.needs_caller_token()
    }

    /// Returns the source of the tokens of one caller.
    ///
    /// # Errors
    /// [`OAuthError::NoCallerToken`] if the caller has no access token, and the grant needs one.
    pub(crate) fn of(self: &Arc<Self>, caller: &Caller, inbound: Option<&Inbound>) -> Result<Credential, Error> {
        let tokens = self.tokens_of(caller, inbound)?;
        Ok(Credential::Source(Arc::new(tokens)))
    }

    /// Returns a token for a caller.
    pub(crate) async fn token_for(
        self: &Arc<Self>,
        caller: &Caller,
        inbound: Option<&Inbound>,
    ) -> Result<String, OAuthError> {
        self.tokens_of(caller, inbound)?.current().await
    }

    /// Returns the source of this server's own tokens, for requests that belong to no caller.
    pub(crate) fn own(self: &Arc<Self>) -> Credential {
        Credential::Source(Arc::new(CallerTokens::new(Arc::clone(self), self.callers.own(), Grant::ClientCredentials)))
    }

    fn tokens_of(self: &Arc<Self>, caller: &Caller, inbound: Option<&Inbound>) -> Result<CallerTokens, OAuthError> {
        if !self.needs_caller_token() {
            return Ok(CallerTokens::new(Arc::clone(self), self.callers.own(), Grant::ClientCredentials));
        }
        let (Some(identity), Some(inbound)) = (caller.identity(), inbound) else {
            return Err(OAuthError::NoCallerToken);
        };
        let slot = self.callers.of(&identity);
        slot.note(inbound);
        Ok(CallerTokens::new(Arc::clone(self), slot, self.grant))
    }

    /// Requests a token from the issuer.
    async fn request(&self, grant: Grant, inbound: Option<&Inbound>) -> Result<Granted, OAuthError> {
        let (endpoint, client) = self.endpoint.get_or_try_init(|| self.discover()).await?;
        let inbound = inbound.map(Inbound::token);
        let form = grant.form(&self.wanted(), inbound);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let granted = token(&self.fetch, endpoint, client, &form).await?;
        grant.check(&self.wanted(), inbound, &granted)?;
        Ok(granted)
    }

    fn wanted(&self) -> grant::Wanted<'_> {
        // Entra ID refuses `resource` (AADSTS9010010): there, the scopes name the resource.
        let is_entra = Url::parse(&self.issuer).is_ok_and(|url| crate::oauth::is_entra(&url));
        let resource = Some(self.resource.as_str()).filter(|_| !is_entra);
        grant::Wanted { resource, audience: self.audience.as_deref(), scope: &self.scope, is_entra }
    }

    /// Finds the token endpoint, and how this server authenticates there.
    async fn discover(&self) -> Result<(String, ClientAuth), OAuthError> {
        let (endpoint, methods) = match &self.token_endpoint {
            Some(endpoint) => (endpoint.clone(), Vec::new()),
            None => {
                let metadata = issuer(&self.fetch, &self.issuer).await?;
                (metadata.token_endpoint, metadata.token_endpoint_auth_methods_supported)
            }
        };
        let method = if self.client.client_secret.is_some() { Method::with_secret(&methods) } else { Method::None };
        Ok((endpoint, ClientAuth { method, ..self.client.clone() }))
    }
}

/// The servers for which handlers can get tokens.
#[derive(Debug, Default)]
pub(crate) struct Downstreams(Vec<Arc<Downstream>>);

impl Downstreams {
    pub(crate) fn add(&mut self, tokens: Downstream) {
        self.0.push(Arc::new(tokens));
    }

    /// The source of tokens for a resource, if there is one.
    pub(crate) fn of(&self, resource: &str) -> Option<&Arc<Downstream>> {
        self.0.iter().find(|tokens| tokens.resource == resource)
    }
}

impl fmt::Debug for Downstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Downstream");
        debug.field("grant", &self.grant).field("issuer", &self.issuer).field("resource", &self.resource);
        debug.finish_non_exhaustive()
    }
}
