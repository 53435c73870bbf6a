//! The client that sends a request to the token endpoint or the revocation endpoint, and its authentication (OAuth 2.1 §2.4).

use super::AuthorizationServer;
use super::assertion::{self, NotAuthenticated};
use super::client::Proof;
use super::error::{ErrorCode, OAuthError};
use super::grant::Sender;
use super::grants::blocking;
use super::parameters::Parameters;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::sync::Arc;

const fn unknown(what: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, what)
}

/// Returns the client that sends the request. A client that does not authenticate is named by `client_id` alone.
// RFC 6749 §2.3: a client MUST NOT use more than one authentication method in a request.
pub(super) async fn sender(
    server: &Arc<AuthorizationServer>,
    headers: &HeaderMap,
    form: &Parameters,
    now: u64,
) -> Result<Sender, OAuthError> {
    let assertion = form.get("client_assertion");
    if let Some(value) = headers.get(AUTHORIZATION) {
        if assertion.is_some() || form.get("client_secret").is_some() {
            return Err(OAuthError::new(ErrorCode::InvalidRequest, "a client authenticates by one method"));
        }
        let (id, secret) = basic(value.as_bytes()).ok_or(unknown(NO_SECRET).with_basic())?;
        let is_other = form.get("client_id").is_some_and(|other| other != id);
        let is_proven = !is_other && server.clients.proof(&id, Some(&secret), now) == Some(Proof::Secret);
        return if is_proven { Ok(Sender::proven(id)) } else { Err(unknown(NO_SECRET).with_basic()) };
    }
    if let Some(assertion) = assertion {
        return by_assertion(server, form, assertion, now).await;
    }
    let id = form.get("client_id").ok_or(unknown("client_id is missing"))?;
    match server.clients.proof(id, form.get("client_secret"), now) {
        Some(Proof::None) => Ok(Sender::new(id.to_owned())),
        Some(Proof::Secret) => Ok(Sender::proven(id.to_owned())),
        Some(Proof::Wrong) => Err(unknown("the client secret is missing or wrong")),
        // `invalid_client` makes clients register again.
        None => Err(unknown("the client is unknown: register again")),
    }
}

const NO_SECRET: &str =
    "no client with this id has this secret: clients without a secret send client_id in the form, and no Authorization";

// RFC 6749 §2.3.1: both parts are encoded as in a form.
fn basic(value: &[u8]) -> Option<(String, String)> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let credentials =
        scheme.eq_ignore_ascii_case(b"basic ").then(|| STANDARD.decode(rest.trim_ascii()).ok()).flatten()?;
    let (id, secret) = core::str::from_utf8(&credentials).ok()?.split_once(':')?;
    let decoded = |text: &str| {
        let pair = format!("v={}", text.replace('&', "%26"));
        form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((decoded(id)?, decoded(secret)?))
}

/// Authenticates a client by its assertion.
async fn by_assertion(
    server: &Arc<AuthorizationServer>,
    form: &Parameters,
    assertion: &str,
    now: u64,
) -> Result<Sender, OAuthError> {
    if form.get("client_assertion_type") != Some(assertion::TYPE) || form.get("client_secret").is_some() {
        let what =
            "client_assertion needs client_assertion_type urn:ietf:params:oauth:client-assertion-type:jwt-bearer alone";
        return Err(OAuthError::new(ErrorCode::InvalidRequest, what));
    }
    let subject =
        assertion::subject(assertion).ok_or(unknown("client_assertion is not a signed token with a subject"))?;
    // RFC 7521 §4.2: `client_id` must identify the same client.
    if form.get("client_id").is_some_and(|id| id != subject) {
        return Err(unknown("client_id is not the subject of client_assertion"));
    }
    let endpoint = format!("{}/oauth/token", server.issuer);
    let expected = assertion::Expected { client_id: &subject, audiences: [&server.issuer, &endpoint], now };
    let verified = server.clients.verify(assertion, &expected).await;
    let verified = verified.map_err(|why| {
        tracing::info!(client = subject, reason = %why, "client assertion refused");
        match why {
            NotAuthenticated::Keys(why) if why.is_temporary() => UNREADABLE,
            _ => unknown("client_assertion does not authenticate the client"),
        }
    })?;
    let shared = Arc::clone(server);
    match blocking(move || shared.grants.is_first_use(&verified.key, verified.until, now)).await? {
        true => Ok(Sender::proven(subject)),
        false => Err(unknown("client_assertion was used before: each one needs a jti of its own")),
    }
}

/// Never `invalid_client`, at which clients register again.
const UNREADABLE: OAuthError =
    OAuthError::new(ErrorCode::TemporarilyUnavailable, "the keys of the client cannot be fetched right now: try again");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_http_basic_are_encoded_as_in_a_form() {
        let of = |scheme: &str, text: &str| format!("{scheme}{}", STANDARD.encode(text));
        for (value, expected) in [
            (of("Basic ", "agents:s3cret"), Some(("agents", "s3cret"))),
            (of("bAsIc ", "a:b:c"), Some(("a", "b:c"))),
            (of("Basic ", "a%20b:c+d%26e&f"), Some(("a b", "c d&e&f"))),
            (of("Basic ", "a:"), Some(("a", ""))),
            (of("Basic ", "a"), None),
            (of("Bearer ", "a:b"), None),
            ("Basic".to_owned(), None),
            ("Basic ?".to_owned(), None),
            (String::new(), None),
        ] {
            let expected = expected.map(|(id, secret)| (id.to_owned(), secret.to_owned()));
            assert_eq!(basic(value.as_bytes()), expected, "{value}");
        }
    }
}
