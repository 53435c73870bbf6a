//! Requests to a token endpoint (RFC 6749 §3.2), and their answers.

use super::error::{Demand, OAuthError};
use super::fetch::{Answer, Body, Fetch};
use super::limits::RENEW_BEFORE;
use crate::clock::now;
use crate::limits::TOKEN;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The authentication of a client at a token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Method {
    /// A public client, which sends its id alone.
    #[default]
    #[serde(rename = "none")]
    None,
    #[serde(rename = "client_secret_basic")]
    Basic,
    #[serde(rename = "client_secret_post")]
    Post,
}

/// The identity of a client at an authorization server.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct ClientAuth {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<String>,
    #[serde(default)]
    pub(crate) method: Method,
}

// The secret must not be logged.
impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl ClientAuth {
    /// Returns the form of a request with these parameters, and its field `Authorization`.
    fn authenticated(&self, parameters: &[(&str, &str)]) -> (String, Option<String>) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(parameters);
        let authorization = match (self.method, &self.client_secret) {
            (Method::Basic, Some(secret)) => Some(basic(&self.client_id, secret)),
            (method, secret) => {
                form.append_pair("client_id", &self.client_id);
                let secret = secret.iter().filter(|_| method != Method::None);
                form.extend_pairs(secret.map(|secret| ("client_secret", secret)));
                None
            }
        };
        (form.finish(), authorization)
    }
}

impl Method {
    /// The method for a client with a secret at a server with this metadata.
    // RFC 8414 §2: `client_secret_basic` if the metadata names no method.
    pub(crate) fn with_secret(supported: &[String]) -> Self {
        let has = |name: &str| supported.iter().any(|method| method == name);
        match !supported.is_empty() && !has("client_secret_basic") && has("client_secret_post") {
            true => Self::Post,
            false => Self::Basic,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }
}

/// The tokens of an answer.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Granted {
    pub(crate) access_token: String,
    /// The end of the access token, in seconds since the Unix epoch. `None` if the server does not say.
    pub(crate) expires: Option<u64>,
    pub(crate) refresh_token: Option<String>,
    /// The scopes, if they differ from those that were requested.
    pub(crate) scope: Option<String>,
    /// The type of the token, in the answer to a token exchange (RFC 8693 §2.2.1).
    pub(crate) issued_token_type: Option<String>,
}

// Tokens must not be logged.
impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("expires", &self.expires).field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl Granted {
    /// Whether the access token ends soon, or has ended.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now + RENEW_BEFORE)
    }

    /// Whether the access token has ended.
    pub(crate) fn has_ended(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// An answer of a token endpoint: RFC 6749 §5.1 and §5.2.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
    refresh_token: Option<String>,
    scope: Option<String>,
    issued_token_type: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    suberror: Option<String>,
    claims: Option<String>,
}

/// A lifetime in seconds. Some servers write it as a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Seconds {
    fn get(&self) -> Option<u64> {
        match self {
            // `as` saturates, and a negative lifetime has ended.
            Self::Number(seconds) => Some(*seconds as u64),
            Self::Text(seconds) => seconds.parse().ok(),
        }
    }
}

/// Requests tokens with these parameters of a grant.
pub(crate) async fn token(
    fetch: &Fetch,
    endpoint: &str,
    client: &ClientAuth,
    parameters: &[(&str, &str)],
) -> Result<Granted, OAuthError> {
    let sent = now();
    let answer = post(fetch, endpoint, client, parameters).await?;
    read(endpoint, &answer, sent)
}

/// Revokes a token (RFC 7009).
pub(crate) async fn revoke(fetch: &Fetch, endpoint: &str, client: &ClientAuth, token: &str) -> Result<(), OAuthError> {
    let answer = post(fetch, endpoint, client, &[("token", token)]).await?;
    match answer.status {
        200 => Ok(()),
        _ => Err(unavailable(endpoint, &answer)),
    }
}

/// Posts the parameters of a request, together with those by which the client authenticates.
async fn post(
    fetch: &Fetch,
    endpoint: &str,
    client: &ClientAuth,
    parameters: &[(&str, &str)],
) -> Result<Answer, OAuthError> {
    let (form, authorization) = client.authenticated(parameters);
    fetch.post(endpoint, Body::Form(form), authorization.as_deref()).await
}

// RFC 6749 §2.3.1: both parts are encoded as in a form.
fn basic(client_id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret))))
}

fn unavailable(endpoint: &str, answer: &Answer) -> OAuthError {
    OAuthError::Unavailable {
        url: endpoint.to_owned(),
        reason: format!("it answers with HTTP status {}", answer.status),
        retry_after: answer.retry_after,
    }
}

fn read(endpoint: &str, answer: &Answer, sent: u64) -> Result<Granted, OAuthError> {
    let unavailable = || unavailable(endpoint, answer);
    if matches!(answer.status, 408 | 429 | 500..) {
        return Err(unavailable());
    }
    let fields = match answer.read::<Fields>(endpoint) {
        Ok(fields) => fields,
        Err(error) if answer.status == 200 => return Err(error),
        Err(_) => return Err(unavailable()),
    };
    // Some servers answer errors with status 200.
    match fields.error {
        Some(error) if error == "temporarily_unavailable" || error == "slow_down" => return Err(unavailable()),
        Some(error) => {
            let (claims, suberror) = (fields.claims, fields.suberror);
            let demand = (claims.is_some() || suberror.is_some()).then_some(Demand { claims, suberror });
            return Err(OAuthError::Refused { error, description: fields.error_description, demand });
        }
        None if answer.status != 200 => return Err(unavailable()),
        None => {}
    }
    let access_token = fields.access_token.filter(|token| is_token(token)).ok_or(OAuthError::UnusableToken)?;
    // RFC 6749 §7.1: a client must not use a token of a type that it does not understand.
    if !fields.token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(OAuthError::UnusableToken);
    }
    let expires = fields.expires_in.and_then(|seconds| seconds.get()).map(|seconds| sent.saturating_add(seconds));
    let refresh_token = fields.refresh_token.filter(|token| (1..=TOKEN).contains(&token.len()));
    let issued_token_type = fields.issued_token_type;
    Ok(Granted { access_token, expires, refresh_token, scope: fields.scope, issued_token_type })
}

/// Whether a header field can carry the token (RFC 6750 §2.1), in a size that servers accept.
fn is_token(token: &str) -> bool {
    (1..=TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Result<Granted, OAuthError> {
        let answer = Answer { status, retry_after: None, body: body.as_bytes().to_vec() };
        read("https://id.example/token", &answer, 1000)
    }

    #[test]
    fn answer_of_a_token_endpoint_is_a_bearer_token_or_an_error_by_its_cause() {
        for (status, body, expected) in [
            (200, r#"{"access_token":"a","token_type":"Bearer","expires_in":60}"#, Ok(Some(1060))),
            (200, r#"{"access_token":"a","token_type":"bearer"}"#, Ok(None)),
            (200, r#"{"access_token":"a","token_type":"bearer","expires_in":"60"}"#, Ok(Some(1060))),
            (200, r#"{"access_token":"a","token_type":"bearer","expires_in":-1}"#, Ok(Some(1000))),
            (200, r#"{"access_token":"a","token_type":"bearer","expires_in":1e300}"#, Ok(Some(u64::MAX))),
            (200, r#"{"access_token":"a"}"#, Err("usable")),
            (200, r#"{"access_token":"a","token_type":"DPoP"}"#, Err("usable")),
            (200, r#"{"access_token":"","token_type":"Bearer"}"#, Err("usable")),
            (200, r#"{"access_token":"a\nb","token_type":"Bearer"}"#, Err("usable")),
            (200, r#"{"token_type":"Bearer"}"#, Err("usable")),
            (200, "access_token=a&token_type=bearer", Err("cannot be read")),
            (200, r#"{"error":"invalid_grant"}"#, Err("invalid_grant")),
            (400, r#"{"error":"invalid_grant","error_description":"too\u001bold"}"#, Err("invalid_grant (too old)")),
            (400, r#"{"error":"temporarily_unavailable"}"#, Err("unavailable")),
            (400, "<html>", Err("HTTP status 400")),
            (302, "", Err("HTTP status 302")),
            (503, r#"{"error":"invalid_grant"}"#, Err("HTTP status 503")),
        ] {
            match (of(status, body), expected) {
                (Ok(granted), Ok(expires)) => assert_eq!(granted.expires, expires, "{body}"),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{body}: {error}"),
                (read, _) => panic!("{status} {body}: {read:?}"),
            }
        }
        let long = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "a".repeat(TOKEN + 1));
        assert_eq!(of(200, &long), Err(OAuthError::UnusableToken));
    }

    #[test]
    fn secret_is_sent_by_the_method_that_the_server_supports_and_encoded_as_in_a_form() {
        for (supported, expected) in [
            (&[][..], Method::Basic),
            (&["none", "client_secret_basic", "client_secret_post"], Method::Basic),
            (&["client_secret_post"], Method::Post),
            (&["private_key_jwt"], Method::Basic),
        ] {
            let supported: Vec<String> = supported.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(Method::with_secret(&supported), expected, "{supported:?}");
        }
        assert_eq!(basic("a:b", "c d"), format!("Basic {}", STANDARD.encode("a%3Ab:c+d")));
    }

    #[test]
    fn tokens_and_secrets_are_not_shown_by_debug() {
        let granted = of(200, r#"{"access_token":"canary","token_type":"Bearer","refresh_token":"canary"}"#);
        let client = ClientAuth { client_secret: Some("canary".to_owned()), ..ClientAuth::default() };
        assert!(!format!("{granted:?} {client:?}").contains("canary"));
    }
}
