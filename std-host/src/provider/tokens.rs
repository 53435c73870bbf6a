//! Answers of token endpoints (RFC 6749 §5).

use super::{Failed, Upstream};
use crate::auth::fetch::{Client, Metadata};
use attache_core::json::without_mark;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

/// The tokens of a person.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<String>,
    /// When the access token expires, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<u64>,
}

// Does not print the tokens.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// An answer of a token endpoint: the tokens, or an error.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    access_token: String,
    refresh_token: Option<String>,
    id_token: Option<String>,
    expires_in: Option<u64>,
    error: Option<String>,
}

impl Answer {
    pub(super) fn tokens(self, now: u64) -> Tokens {
        let Self { access_token, refresh_token, id_token, expires_in, .. } = self;
        Tokens { access_token, refresh_token, id_token, expires: expires_in.map(|seconds| now.saturating_add(seconds)) }
    }
}

impl Upstream {
    /// Exchanges a refresh token for new tokens. The old refresh token stays if the issuer sends no new one.
    pub(crate) async fn refresh(&self, old: &Tokens, now: u64) -> Result<Tokens, Failed> {
        let refresh_token = old.refresh_token.as_deref().ok_or(Failed::Code)?;
        let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let new = self.request(&grant).await?.tokens(now);
        Ok(Tokens {
            refresh_token: new.refresh_token.or_else(|| old.refresh_token.clone()),
            id_token: new.id_token.or_else(|| old.id_token.clone()),
            ..new
        })
    }

    /// Sends a token request with this grant.
    pub(super) async fn request(&self, grant: &[(&str, &str)]) -> Result<Answer, Failed> {
        let provider = self.provider().await?;
        let answer = timeout(crate::limits::FETCH_TIME, self.redeem(&provider, grant)).await;
        answer.unwrap_or(Err(Failed::Unavailable("it does not answer".to_owned())))
    }

    async fn redeem(&self, provider: &Metadata, grant: &[(&str, &str)]) -> Result<Answer, Failed> {
        let endpoint = provider.token_endpoint.as_deref().unwrap_or_default();
        let (form, basic) = self.token_request(provider, grant);
        let client = Client::new(&self.reach)?;
        let (status, body) = client.post(endpoint, form, basic.as_deref()).await?;
        let answer = serde_json::from_slice::<Answer>(without_mark(&body)).ok();
        match (status, answer) {
            (200, Some(answer)) if answer.error.is_none() => Ok(answer),
            (429 | 500.., _) => Err(Failed::Unavailable(format!("its token endpoint answers with {status}"))),
            // The error is for the log; its text never reaches a client. GitHub has errors of its own, with status 200.
            (_, Some(Answer { error: Some(error), .. })) => Err(match error.as_str() {
                "invalid_grant" | "bad_verification_code" | "bad_refresh_token" => Failed::Code,
                _ => Failed::Refused(error.chars().take(64).collect()),
            }),
            _ => Err(Failed::Unavailable(format!("its token endpoint answers with {status} and without JSON"))),
        }
    }

    /// The form of a token request, and its `Authorization`.
    fn token_request(&self, provider: &Metadata, grant: &[(&str, &str)]) -> (String, Option<String>) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(grant);
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
    pub(super) fn basic(&self, secret: &str) -> String {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(&self.client_id), encoded(secret))))
    }
}
