//! The result of a sign-in: tokens, and what renews them.

use crate::oauth::{ClientAuth, Fetch, Granted, OAuthError, token};
use serde::{Deserialize, Serialize};

/// The tokens of one server, bound to the resource and the authorization server that they are of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Session {
    /// The URL of the server.
    pub(super) url: String,
    /// The resource that tokens are requested for, unless the authorization server refuses the parameter.
    pub(super) resource: Option<String>,
    pub(super) issuer: String,
    pub(super) token_endpoint: String,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) client: ClientAuth,
    /// The scopes that were requested.
    pub(super) scope: String,
    pub(super) tokens: Granted,
    /// The time of the last token, in seconds since the Unix epoch.
    pub(super) obtained: u64,
    /// Whether the last token comes from a sign-in, and not from a refresh token.
    pub(super) is_signed_in: bool,
}

impl Session {
    /// Returns the session with a token of its refresh token. `None` if there is none.
    pub(super) async fn renewed(&self, fetch: &Fetch, now: u64) -> Result<Option<Self>, OAuthError> {
        let Some(refresh) = &self.tokens.refresh_token else { return Ok(None) };
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh)];
        // RFC 8707 §2.2: also in token requests. MCP basic/authorization: a client MUST send it.
        form.extend(self.resource.as_deref().map(|resource| ("resource", resource)));
        let mut tokens = token(fetch, &self.token_endpoint, &self.client, &form).await?;
        // RFC 6749 §6: without a new refresh token, the old one stays valid.
        tokens.refresh_token = tokens.refresh_token.or_else(|| Some(refresh.clone()));
        Ok(Some(Self { tokens, obtained: now, is_signed_in: false, ..self.clone() }))
    }

    /// Whether the token should be renewed. A new token that is valid for less than the margin is used before.
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.tokens.has_ended(now) || self.tokens.is_due(now) && !self.is_fresh(now)
    }

    /// Whether the last token was issued a moment ago.
    pub(super) const fn is_fresh(&self, now: u64) -> bool {
        now < self.obtained.saturating_add(FRESH)
    }
}

/// Seconds in which a new token is not replaced after a refusal: another one would be refused as well.
const FRESH: u64 = 10;

/// Adds scopes that are not there yet.
pub(super) fn with_scopes<'s>(scope: &str, further: impl IntoIterator<Item = &'s str>) -> String {
    let mut all: Vec<&str> = scope.split_ascii_whitespace().collect();
    for scope in further {
        if !all.contains(&scope) {
            all.push(scope);
        }
    }
    all.join(" ")
}
