//! The grants by which tokens are requested, and the checks of their answers.

use crate::oauth::{Granted, OAuthError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The way to get a token for another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// As this server itself (RFC 6749 §4.4). All callers share the token.
    ClientCredentials,
    /// In exchange for the access token of the caller (RFC 8693).
    Exchange,
    /// On behalf of the caller, at Entra ID (RFC 7523 with `requested_token_use=on_behalf_of`).
    OnBehalfOf,
}

/// The target of a token.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'w> {
    pub(super) resource: Option<&'w str>,
    pub(super) audience: Option<&'w str>,
    pub(super) scope: &'w str,
    pub(super) is_entra: bool,
}

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl Grant {
    pub(super) const fn needs_caller_token(self) -> bool {
        !matches!(self, Self::ClientCredentials)
    }

    /// Returns the parameters of the request.
    pub(super) fn form(self, wanted: &Wanted<'_>, inbound: Option<&str>) -> Vec<(&'static str, String)> {
        let inbound = inbound.unwrap_or_default().to_owned();
        let mut form: Vec<(&'static str, String)> = match self {
            Self::ClientCredentials => vec![("grant_type", "client_credentials".to_owned())],
            Self::Exchange => vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
                ("subject_token", inbound),
                ("subject_token_type", ACCESS_TOKEN.to_owned()),
                ("requested_token_type", ACCESS_TOKEN.to_owned()),
            ],
            Self::OnBehalfOf => vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
                ("assertion", inbound),
                ("requested_token_use", "on_behalf_of".to_owned()),
            ],
        };
        if self != Self::OnBehalfOf {
            form.extend(wanted.resource.map(|resource| ("resource", resource.to_owned())));
            form.extend(wanted.audience.map(|audience| ("audience", audience.to_owned())));
        }
        let scope = match self {
            // Entra ID issues tokens to applications for all permissions of one resource at once.
            Self::ClientCredentials if wanted.is_entra => default_scope(wanted.scope),
            _ => wanted.scope.to_owned(),
        };
        if !scope.is_empty() {
            form.push(("scope", scope));
        }
        form
    }

    /// Checks that an answer is what was requested.
    pub(super) fn check(self, wanted: &Wanted<'_>, inbound: Option<&str>, granted: &Granted) -> Result<(), OAuthError> {
        // An issuer that sends the token of the caller back would have it passed on.
        if inbound == Some(granted.access_token.as_str()) {
            return Err(OAuthError::OtherToken("the token of the caller".to_owned()));
        }
        // RFC 8693 §2.2.1: `issued_token_type` is required.
        let kind = granted.issued_token_type.as_deref();
        if self == Self::Exchange && !matches!(kind, Some(ACCESS_TOKEN | JWT)) {
            return Err(OAuthError::OtherToken(format!("a token of type {}", kind.unwrap_or("(none)"))));
        }
        // Entra ID writes scopes in another form than in the request, and its tokens are opaque to clients.
        if wanted.is_entra || self == Self::OnBehalfOf {
            return Ok(());
        }
        let granted_scope = granted.scope.as_deref().unwrap_or(wanted.scope);
        let missing = wanted.scope.split(' ').find(|scope| !granted_scope.split(' ').any(|own| own == *scope));
        if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
            return Err(OAuthError::OtherToken(format!("a token without the scope {missing}")));
        }
        let expected = [wanted.resource, wanted.audience];
        match audiences(&granted.access_token) {
            Some(named) if !named.iter().any(|name| expected.contains(&Some(name))) => {
                Err(OAuthError::OtherToken(format!("a token for {}", named.join(", "))))
            }
            _ => Ok(()),
        }
    }
}

/// The scope `.default` of the resource that the first scope belongs to.
fn default_scope(scope: &str) -> String {
    let first = scope.split(' ').next().unwrap_or_default();
    first.rsplit_once('/').map_or_else(|| first.to_owned(), |(resource, _)| format!("{resource}/.default"))
}

/// Returns the audiences of a token that is a JWT and names some. Its signature is not checked: this finds a mistake of the
/// issuer, and is no proof.
fn audiences(token: &str) -> Option<Vec<String>> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    match &claims["aud"] {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WANTED: Wanted<'_> = Wanted {
        resource: Some("https://crm.example/mcp"),
        audience: Some("crm"),
        scope: "read write",
        is_entra: false,
    };

    fn granted(token: &str, kind: Option<&str>, scope: Option<&str>) -> Granted {
        Granted {
            access_token: token.to_owned(),
            expires: None,
            refresh_token: None,
            scope: scope.map(str::to_owned),
            issued_token_type: kind.map(str::to_owned),
        }
    }

    fn jwt(claims: &Value) -> String {
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn answer_that_is_not_what_was_requested_is_refused() {
        let own = |aud: Value| jwt(&json!({"aud": aud, "sub": "ada"}));
        for (token, kind, scope, is_good) in [
            ("opaque".to_owned(), Some(ACCESS_TOKEN), None, true),
            ("opaque".to_owned(), Some(JWT), None, true),
            ("opaque".to_owned(), Some("urn:ietf:params:oauth:token-type:id_token"), None, false),
            ("opaque".to_owned(), None, None, false),
            ("inbound".to_owned(), Some(ACCESS_TOKEN), None, false),
            ("opaque".to_owned(), Some(ACCESS_TOKEN), Some("write read more"), true),
            ("opaque".to_owned(), Some(ACCESS_TOKEN), Some("read"), false),
            (own(json!("https://crm.example/mcp")), Some(ACCESS_TOKEN), None, true),
            (own(json!(["other", "crm"])), Some(ACCESS_TOKEN), None, true),
            (own(json!("https://gate.example/mcp")), Some(ACCESS_TOKEN), None, false),
            (own(json!(["other"])), Some(ACCESS_TOKEN), None, false),
            (jwt(&json!({"sub": "ada"})), Some(ACCESS_TOKEN), None, true),
            ("a.b.c".to_owned(), Some(ACCESS_TOKEN), None, true),
        ] {
            let checked = Grant::Exchange.check(&WANTED, Some("inbound"), &granted(&token, kind, scope));
            assert_eq!(checked.is_ok(), is_good, "{token} {kind:?} {scope:?}: {checked:?}");
        }
    }

    #[test]
    fn requests_have_the_parameters_of_their_standard() {
        let form = |grant: Grant, wanted: &Wanted<'_>| {
            let form = grant.form(wanted, Some("inbound"));
            form.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        };
        let entra = Wanted { resource: None, audience: None, scope: "api://crm/read", is_entra: true };
        for (grant, wanted, expected) in [
            (
                Grant::Exchange,
                &WANTED,
                "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=inbound\
                 &subject_token_type=urn:ietf:params:oauth:token-type:access_token\
                 &requested_token_type=urn:ietf:params:oauth:token-type:access_token\
                 &resource=https://crm.example/mcp&audience=crm&scope=read write",
            ),
            (
                Grant::OnBehalfOf,
                &entra,
                "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=inbound\
                 &requested_token_use=on_behalf_of&scope=api://crm/read",
            ),
            (Grant::ClientCredentials, &entra, "grant_type=client_credentials&scope=api://crm/.default"),
        ] {
            assert_eq!(form(grant, wanted), expected);
        }
    }
}
