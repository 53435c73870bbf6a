//! Sign-in by another issuer (OpenID Connect Core 1.0, authorization code flow).

mod github;
mod id_token;
mod tokens;

pub(crate) use id_token::Identity;
pub(crate) use tokens::Tokens;

use crate::auth::InvalidIssuer;
use crate::auth::fetch::{Fetcher, Metadata, Reach, Unfetched};
use crate::auth::issuer::{Names, TENANT};
use crate::auth::source::Source;
use crate::limits::PROVIDER_AGE;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use id_token::{BadIdToken, Expected};
use reqwest::Url;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// An issuer at which people sign in, and this server's registration there: a confidential or public web application with one
/// redirect URI, the issuer of this server followed by `/oauth/callback`.
pub struct Upstream {
    /// The value of `iss`, with `{tenantid}` in the place of the tenant if the issuer has many.
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
    scopes: Vec<String>,
    claims: Vec<String>,
    /// Further parameters of the request that signs a person in.
    parameters: Vec<(String, String)>,
    reach: Reach,
    fetcher: Fetcher,
    keys: Source,
    provider: Mutex<Option<(Instant, Arc<Metadata>)>>,
    /// The endpoints of an issuer without metadata.
    fixed: Option<Arc<Metadata>>,
    /// The API that describes a person, of an issuer without ID tokens.
    api: Option<String>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Upstream");
        debug.field("issuer", &self.issuer).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Why a sign-in at the other issuer has failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The issuer cannot be reached, or its answer is malformed. Another attempt may work.
    Unavailable(String),
    /// The issuer refuses this server: its registration there is wrong.
    Refused(String),
    /// The issuer does not accept the code.
    Code,
    IdToken(BadIdToken),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the issuer is unavailable: {why}"),
            Self::Refused(why) => write!(f, "the issuer refuses this server: {why}"),
            Self::Code => f.write_str("the issuer does not accept its code"),
            Self::IdToken(why) => write!(f, "the ID token is not valid: {why}"),
        }
    }
}

impl From<Unfetched> for Failed {
    fn from(unfetched: Unfetched) -> Self {
        Self::Unavailable(unfetched.to_string())
    }
}

/// The values of one sign-in, which the callback has to match.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
    pub(crate) redirect_uri: String,
}

/// The claims of every token, which the issuer cannot set.
const RESERVED: [&str; 14] =
    ["iss", "aud", "sub", "client_id", "scope", "iat", "exp", "nbf", "auth_time", "sid", "jti", "name", "cnf", "azp"];

impl Upstream {
    /// Creates an issuer with this identifier, at which the server is registered as `client_id`.
    ///
    /// # Errors
    /// [`InvalidIssuer`] if `issuer` is neither an `https` URL nor an `http` URL of this machine.
    pub fn new(issuer: &str, client_id: &str) -> Result<Self, InvalidIssuer> {
        let Names { server, issuer: named } = Names::of(issuer);
        let reach = Reach::of(&server).filter(|reach| reach.allows(&server));
        let reach = reach.ok_or_else(|| InvalidIssuer { issuer: issuer.to_owned() })?;
        let fetcher = || Fetcher::new(reach.clone(), &server, &named);
        Ok(Self {
            client_id: client_id.to_owned(),
            client_secret: None,
            scopes: ["openid", "profile", "email"].map(str::to_owned).into(),
            claims: Vec::new(),
            parameters: Vec::new(),
            keys: Source::fetched(fetcher()),
            fetcher: fetcher(),
            provider: Mutex::default(),
            fixed: None,
            api: None,
            reach,
            issuer: named,
        })
    }

    /// Sets the secret by which this server authenticates.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.client_secret = Some(secret.to_owned());
        self
    }

    /// Sets the scopes to request; `openid`, `profile` and `email` by default. `openid` is always requested.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = vec!["openid".to_owned()];
        self.scopes.extend(scopes.into_iter().map(Into::into).filter(|scope| scope != "openid"));
        self
    }

    /// Sets the scopes to request, of an issuer without ID tokens: without `openid`.
    #[must_use]
    pub fn scopes_alone<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Adds parameters to the request that signs a person in, such as `prompt` or `domain_hint`. Parameters that the protocol needs
    /// cannot be replaced.
    #[must_use]
    pub fn parameters(mut self, parameters: impl IntoIterator<Item = (String, String)>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// Copies these claims of ID tokens into access tokens, such as `groups`, `roles`, `tid` and `oid`. Claims that every access
    /// token has cannot be copied.
    #[must_use]
    pub fn claims<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.claims = claims.into_iter().map(Into::into).filter(|claim| !RESERVED.contains(&claim.as_str())).collect();
        self
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the URL to which the browser goes. It is made from nothing that the client has sent: its `prompt`, `resource` and
    /// scopes mean something else there.
    pub(crate) async fn authorization_url(&self, attempt: &Attempt) -> Result<String, Failed> {
        let provider = self.provider().await?;
        let endpoint = provider.authorization_endpoint.as_deref().unwrap_or_default();
        // The browser goes there, so an issuer elsewhere must not name another scheme or this machine.
        let url = Url::parse(endpoint).ok().filter(|_| self.reach.allows(endpoint));
        let mut url =
            url.ok_or_else(|| Failed::Unavailable("its metadata has no usable authorization_endpoint".to_owned()))?;
        let challenge = URL_SAFE_NO_PAD.encode(attache_core::auth::digest(attempt.verifier.as_bytes()));
        let scope = self.scopes.join(" ");
        let own = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &attempt.redirect_uri),
            ("scope", &scope),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        // The endpoint may have a query, in which no parameter may occur twice.
        let is_free = |(name, _): &(String, String)| own.iter().all(|(own, _)| own != name);
        let fixed = |(name, _): &(String, String)| self.parameters.iter().all(|(own, _)| own != name);
        let of_endpoint = url.query_pairs().into_owned().filter(fixed);
        let kept: Vec<_> = of_endpoint.chain(self.parameters.clone()).filter(is_free).collect();
        url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(own);
        Ok(url.into())
    }

    /// Whether the `iss` of a callback is that of this issuer (RFC 9207 §2.4).
    pub(crate) async fn has_sent(&self, iss: Option<&str>) -> Result<bool, Failed> {
        Ok(match iss {
            Some(iss) => iss == self.issuer || id_token::is_of_tenant(&self.issuer, iss),
            None => !self.provider().await?.authorization_response_iss_parameter_supported,
        })
    }

    /// Removes all claims from an identity that are not configured.
    pub(crate) fn configured(&self, identity: Identity) -> Identity {
        identity.with_claims(&self.claims)
    }

    /// Exchanges a code for the identity and the tokens of the person who has signed in.
    pub(crate) async fn signed_in(
        &self,
        code: &str,
        attempt: &Attempt,
        now: u64,
    ) -> Result<(Identity, Tokens), Failed> {
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &attempt.redirect_uri),
            ("code_verifier", &attempt.verifier),
        ];
        let tokens = self.request(&grant).await?.tokens(now);
        let identity = match &self.api {
            Some(api) => self.user(api, &tokens.access_token).await?,
            None => {
                let none = || Failed::Refused("it sends no ID token".to_owned());
                let token = tokens.id_token.as_ref().ok_or_else(none)?;
                self.holder(token, Some(&attempt.nonce), now).await?
            }
        };
        Ok((identity, tokens))
    }

    /// Returns the person to whom a token belongs that a program has got elsewhere: an ID token for this client, or an access token
    /// of an issuer without ID tokens that was issued to this client.
    pub(crate) async fn presented(&self, token: &str, now: u64) -> Result<Identity, Failed> {
        match &self.api {
            Some(api) => self.checked_user(api, token).await,
            None => self.holder(token, None, now).await,
        }
    }

    async fn holder(&self, token: &str, nonce: Option<&str>, now: u64) -> Result<Identity, Failed> {
        let expected = Expected { issuer: &self.issuer, client_id: &self.client_id, nonce, now };
        id_token::verify(token, &self.keys, &expected).await.map_err(Failed::IdToken)
    }

    /// The id of this server at the issuer.
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether the issuer has many tenants.
    pub(crate) fn has_tenants(&self) -> bool {
        self.issuer.contains(TENANT)
    }

    /// Returns the endpoint that ends the session of a browser at the issuer, if it has one (OpenID Connect RP-Initiated Logout 1.0).
    pub(crate) async fn session_end(&self) -> Result<Option<Url>, Failed> {
        let provider = self.provider().await?;
        let endpoint = provider.end_session_endpoint.as_deref();
        // The browser goes there, so an issuer elsewhere must not name another scheme or this machine.
        Ok(endpoint.filter(|endpoint| self.reach.allows(endpoint)).and_then(|endpoint| Url::parse(endpoint).ok()))
    }

    /// Returns the metadata of the issuer, which is fetched again after an hour. While it cannot be fetched, the old one is used.
    async fn provider(&self) -> Result<Arc<Metadata>, Failed> {
        if let Some(fixed) = &self.fixed {
            return Ok(Arc::clone(fixed));
        }
        let mut provider = self.provider.lock().await;
        if let Some((fetched, metadata)) = provider.as_ref().filter(|(fetched, _)| fetched.elapsed() < PROVIDER_AGE) {
            let _ = fetched;
            return Ok(Arc::clone(metadata));
        }
        match self.fetcher.metadata().await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *provider = Some((Instant::now(), Arc::clone(&metadata)));
                Ok(metadata)
            }
            Err(error) => {
                tracing::warn!(issuer = self.issuer, %error, "the metadata of the issuer was not fetched");
                provider.as_ref().map(|(_, metadata)| Arc::clone(metadata)).ok_or_else(|| error.into())
            }
        }
    }
}
