//! Sign-in by another issuer (OpenID Connect Core 1.0, authorization code flow).

mod id_token;

pub(super) use id_token::Identity;

use super::limits::PROVIDER_AGE;
use crate::auth::InvalidIssuer;
use crate::auth::fetch::{Client, Fetcher, Metadata, Reach, Unfetched};
use crate::auth::source::Source;
use attache_core::json::without_mark;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use core::fmt;
use id_token::{BadIdToken, Expected};
use reqwest::Url;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// An issuer at which people sign in, and this server's registration there: a confidential or public web application with one
/// redirect URI, the issuer of this server followed by `/oauth/callback`.
pub struct Upstream {
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
    scopes: Vec<String>,
    claims: Vec<String>,
    reach: Reach,
    fetcher: Fetcher,
    keys: Source,
    provider: Mutex<Option<(Instant, Arc<Metadata>)>>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Upstream");
        debug.field("issuer", &self.issuer).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Why a sign-in at the other issuer has failed.
#[derive(Debug)]
pub(super) enum Failed {
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
pub(super) struct Attempt {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) redirect_uri: String,
}

/// The answer of a token endpoint: the tokens, or an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    id_token: Option<String>,
    error: Option<String>,
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
        let reach = Reach::of(issuer).filter(|reach| reach.allows(issuer));
        let reach = reach.ok_or_else(|| InvalidIssuer { issuer: issuer.to_owned() })?;
        let fetcher = || Fetcher::new(reach.clone(), issuer, issuer);
        Ok(Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            scopes: ["openid", "profile", "email"].map(str::to_owned).into(),
            claims: Vec::new(),
            keys: Source::fetched(fetcher()),
            fetcher: fetcher(),
            provider: Mutex::default(),
            reach,
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

    /// Copies these claims of ID tokens into access tokens, such as `groups`, `roles`, `tid` and `oid`. Claims that every access
    /// token has cannot be copied.
    #[must_use]
    pub fn claims<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.claims = claims.into_iter().map(Into::into).filter(|claim| !RESERVED.contains(&claim.as_str())).collect();
        self
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the URL to which the browser goes. It is made from nothing that the client has sent: its `prompt`, `resource` and
    /// scopes mean something else there.
    pub(super) async fn authorization_url(&self, attempt: &Attempt) -> Result<String, Failed> {
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
        let kept: Vec<_> =
            url.query_pairs().into_owned().filter(|(name, _)| own.iter().all(|(own, _)| own != name)).collect();
        url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(own);
        Ok(url.into())
    }

    /// Whether the `iss` of a callback is that of this issuer (RFC 9207 §2.4).
    pub(super) async fn has_sent(&self, iss: Option<&str>) -> Result<bool, Failed> {
        Ok(match iss {
            Some(iss) => iss == self.issuer,
            None => !self.provider().await?.authorization_response_iss_parameter_supported,
        })
    }

    /// Exchanges a code for the identity of the person who has signed in.
    pub(super) async fn identity(&self, code: &str, attempt: &Attempt, now: u64) -> Result<Identity, Failed> {
        let provider = self.provider().await?;
        let answer = timeout(crate::limits::FETCH_TIME, self.redeem(&provider, code, attempt)).await;
        let answer = answer.unwrap_or(Err(Failed::Unavailable("it does not answer".to_owned())))?;
        let token = answer.id_token.ok_or_else(|| Failed::Refused("it sends no ID token".to_owned()))?;
        let expected = Expected { issuer: &self.issuer, client_id: &self.client_id, nonce: &attempt.nonce, now };
        let identity = id_token::verify(&token, &self.keys, &expected).await.map_err(Failed::IdToken)?;
        Ok(identity.with_claims(&self.claims))
    }

    async fn redeem(&self, provider: &Metadata, code: &str, attempt: &Attempt) -> Result<Answer, Failed> {
        let endpoint = provider.token_endpoint.as_deref().unwrap_or_default();
        let (form, basic) = self.token_request(provider, code, attempt);
        let client = Client::new(&self.reach)?;
        let (status, body) = client.post(endpoint, form, basic.as_deref()).await?;
        let answer = serde_json::from_slice::<Answer>(without_mark(&body)).ok();
        match (status, answer) {
            (200, Some(answer)) if answer.error.is_none() => Ok(answer),
            (429 | 500.., _) => Err(Failed::Unavailable(format!("its token endpoint answers with {status}"))),
            // The error is for the log; its text never reaches a client.
            (_, Some(Answer { error: Some(error), .. })) if error == "invalid_grant" => Err(Failed::Code),
            (_, Some(Answer { error: Some(error), .. })) => Err(Failed::Refused(error.chars().take(64).collect())),
            _ => Err(Failed::Unavailable(format!("its token endpoint answers with {status} and without JSON"))),
        }
    }

    /// The form of a token request, and its `Authorization`.
    fn token_request(&self, provider: &Metadata, code: &str, attempt: &Attempt) -> (String, Option<String>) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &attempt.redirect_uri),
            ("code_verifier", &attempt.verifier),
        ]);
        // OpenID Connect Discovery 1.0 §3: `client_secret_basic` if the metadata names no method.
        let methods = &provider.token_endpoint_auth_methods_supported;
        let is_basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        let basic = self.client_secret.as_ref().filter(|_| is_basic).map(|secret| self.basic(secret));
        if basic.is_none() {
            form.append_pair("client_id", &self.client_id);
            form.extend_pairs(self.client_secret.iter().map(|secret| ("client_secret", secret)));
        }
        (form.finish(), basic)
    }

    // RFC 6749 §2.3.1: both parts are encoded as in a form.
    fn basic(&self, secret: &str) -> String {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(&self.client_id), encoded(secret))))
    }

    /// Returns the metadata of the issuer, which is fetched again after an hour. While it cannot be fetched, the old one is used.
    async fn provider(&self) -> Result<Arc<Metadata>, Failed> {
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
