//! The parameters of a request, from a query or a form.

use super::error::{ErrorCode, OAuthError};
use super::limits;
use axum::body::{Body, to_bytes};
use core::time::Duration;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// Decoded parameters. Those without a value are left out (RFC 6749 §3.1: treated as omitted).
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Returns the only value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Returns every value of a parameter.
    pub(crate) fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether this parameter occurs more than once.
    pub(crate) fn is_repeated(&self, name: &str) -> bool {
        self.all(name).nth(1).is_some()
    }

    /// Fails if a parameter occurs more than once.
    // RFC 6749 §3.1 and §3.2: parameters MUST NOT be included more than once. RFC 8707 §2: `resource` may be.
    pub(super) fn check_repetition(&self) -> Result<(), OAuthError> {
        let repeated = self.0.iter().any(|(name, _)| name != "resource" && self.is_repeated(name));
        match repeated {
            true => Err(OAuthError::new(ErrorCode::InvalidRequest, "a parameter occurs more than once")),
            false => Ok(()),
        }
    }
}

/// Reads a whole form, within the limits for its size and time.
pub(super) async fn form(headers: &HeaderMap, body: Body, time: Duration) -> Result<Parameters, OAuthError> {
    // RFC 6749 §3.2 and appendix B: the parameters come in this format.
    if !has_type(headers, "application/x-www-form-urlencoded") {
        let error = OAuthError::new(ErrorCode::InvalidRequest, "the body must be application/x-www-form-urlencoded");
        return Err(error.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let parameters = Parameters::parse(&bytes(body, limits::FORM, time).await?);
    parameters.check_repetition().map(|()| parameters)
}

/// Reads a whole body of at most so many bytes.
pub(crate) async fn bytes(body: Body, most: usize, time: Duration) -> Result<bytes::Bytes, OAuthError> {
    match timeout(time, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(OAuthError::new(ErrorCode::InvalidRequest, "the body is too large")
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(_) => Err(OAuthError::new(ErrorCode::InvalidRequest, "the body took too long to arrive")
            .with_status(StatusCode::REQUEST_TIMEOUT)),
    }
}

/// Reads a JSON object. Without this check, an array would do as well: its entries would be the members in their order.
pub(crate) fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json).ok().filter(|_| json.trim_ascii_start().starts_with(b"{"))
}

/// Whether the body has this media type, which occurs once. Parameters such as `charset` are ignored.
pub(crate) fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let first = types.next().and_then(|value| value.to_str().ok()).filter(|_| types.next().is_none());
    let essence = first.map(|value| value.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn repeated_parameter_is_refused_unless_it_is_a_resource() {
        for (text, allowed) in [
            ("a=1&b=2", true),
            ("resource=x&resource=y", true),
            ("a=1&a=2", false),
            ("a=1&%61=1", false),
            // RFC 6749 §3.1: a parameter without a value is omitted.
            ("a=1&a=", true),
        ] {
            assert_eq!(Parameters::parse(text.as_bytes()).check_repetition().is_ok(), allowed, "{text}");
        }
        assert_eq!(Parameters::parse(b"a=1&a=2").get("a"), None);
        assert_eq!(Parameters::parse(b"a=x%20y+z").get("a"), Some("x y z"));
    }

    #[test]
    fn media_type_of_a_form_must_occur_once() {
        let form = "application/x-www-form-urlencoded";
        for (types, expected) in [
            (&[form][..], true),
            (&["Application/X-WWW-Form-Urlencoded; charset=utf-8"], true),
            (&[form, form], false),
            (&["application/json"], false),
            (&["application/x-www-form-urlencodedx"], false),
            (&[], false),
        ] {
            let fields = types.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            fields.for_each(|(name, value)| {
                headers.append(name, value);
            });
            assert_eq!(has_type(&headers, form), expected, "{types:?}");
        }
    }
}
