//! Client authentication by a signed assertion (`private_key_jwt`, RFC 7523 §2.2 and §3).

use super::documents::{Document, Documents};
use super::limits::{ASSERTION, ASSERTION_LIFE};
use super::unusable::Unusable;
use crate::auth::key_set::KeySet;
use crate::store::RowKey;
use attache_core::auth::{Jws, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use serde::Deserialize;
use serde_json::Value;

/// The value of `client_assertion_type`.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion that was verified. It authenticates its client once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assertion {
    /// Stands for the client and the `jti` in the store.
    pub(super) key: RowKey,
    /// The time after which the assertion is not valid anyway.
    pub(super) until: u64,
}

/// Why an assertion does not authenticate its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotAuthenticated {
    /// The keys of the client cannot be read.
    Keys(Unusable),
    /// It cannot be read, has no known key, or its signature is wrong.
    Signature(String),
    /// A claim is missing, repeated or of the wrong type.
    Claims,
    /// It was not issued by the client.
    Issuer,
    /// It is for another server.
    Audience,
    Expired,
    /// It is valid for too long.
    TooLong,
    NotYet,
}

impl fmt::Display for NotAuthenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys(why) => return write!(f, "its keys: {why}"),
            Self::Signature(why) => why,
            Self::Claims => "a claim is missing, repeated or of the wrong type",
            Self::Issuer => "iss and sub are not the client id",
            Self::Audience => "aud is neither the issuer nor the token endpoint",
            Self::Expired => "it has expired",
            Self::TooLong => "it is valid for more than ten minutes",
            Self::NotYet => "it was issued in the future",
        })
    }
}

/// The values that an assertion must have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'e> {
    pub(super) client_id: &'e str,
    /// The issuer and the token endpoint. Clients write one or the other.
    pub(super) audiences: [&'e str; 2],
    pub(super) now: u64,
}

/// The claims that are checked. Their repetition is an error.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    jti: String,
}

/// The tolerated difference between the clocks, in seconds.
const LEEWAY: u64 = 60;

/// Verifies the assertion of a client with this document.
// RFC 8725 §3.1: the key determines the algorithm. The key sets have no symmetric keys, so an algorithm with a shared secret never
// verifies.
pub(super) async fn verify(
    assertion: &str,
    document: &Document,
    documents: &Documents,
    expected: &Expected<'_>,
) -> Result<Assertion, NotAuthenticated> {
    let failed = |denied: &dyn fmt::Display| NotAuthenticated::Signature(denied.to_string());
    if assertion.len() > ASSERTION {
        return Err(failed(&"it is too long"));
    }
    let mut scratch = vec![0; assertion.len()];
    let jws = Jws::read(assertion.as_bytes(), &mut scratch).map_err(|denied| failed(&denied))?;
    let find = |keys: &KeySet| keys.find(jws.kid(), jws.alg(), |_| true);
    let keys = documents.keys(document, |keys| find(keys).is_some()).await.map_err(NotAuthenticated::Keys)?;
    let key = find(&keys).ok_or_else(|| failed(&"the client publishes no such key"))?;
    let claims = jws.verify(&*key).map_err(|denied| failed(&denied))?;
    read(claims, expected)
}

fn read(claims: &[u8], expected: &Expected<'_>) -> Result<Assertion, NotAuthenticated> {
    let claims: Claims = serde_json::from_slice(claims).map_err(|_| NotAuthenticated::Claims)?;
    // RFC 7523 §3: `iss` and `sub` are the client id, and `aud` is this server.
    if claims.iss != expected.client_id || claims.sub != expected.client_id {
        return Err(NotAuthenticated::Issuer);
    }
    let is_here = |audience: &Value| expected.audiences.iter().any(|own| audience == own);
    let is_for_us = match &claims.aud {
        Value::Array(many) => many.iter().any(is_here),
        one => is_here(one),
    };
    if !is_for_us {
        return Err(NotAuthenticated::Audience);
    }
    if expected.now >= claims.exp.saturating_add(LEEWAY) {
        return Err(NotAuthenticated::Expired);
    }
    // Its use is remembered until it has expired, so it must not be valid for long.
    if claims.exp > expected.now + ASSERTION_LIFE.as_secs() + LEEWAY {
        return Err(NotAuthenticated::TooLong);
    }
    if [claims.nbf, claims.iat].into_iter().flatten().any(|from| from > expected.now + LEEWAY) {
        return Err(NotAuthenticated::NotYet);
    }
    // RFC 7523 §3 rule 7: `jti` is optional in general. Here it is required, because it makes the assertion valid only once.
    if claims.jti.is_empty() {
        return Err(NotAuthenticated::Claims);
    }
    let bound = [b"assertion\0", claims.sub.as_bytes(), b"\0", claims.jti.as_bytes()].concat();
    let key = digest(&bound).first_chunk().copied().unwrap_or_default();
    Ok(Assertion { key, until: claims.exp + LEEWAY })
}

/// Returns the client that an assertion names. It is not trusted.
// RFC 7521 §4.2: `client_id` is unnecessary if there is an assertion.
pub(super) fn subject(assertion: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["sub"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "https://app.example/client.json";
    const EXPECTED: Expected<'_> =
        Expected { client_id: ID, audiences: ["https://gw.example", "https://gw.example/oauth/token"], now: 1000 };

    #[test]
    fn assertion_must_be_of_its_client_for_this_server_and_short() {
        for (name, value, expected) in [
            ("x", json!(1), Ok(())),
            ("iss", json!("https://evil.example/client.json"), Err(NotAuthenticated::Issuer)),
            ("sub", json!("https://app.example/client.json/"), Err(NotAuthenticated::Issuer)),
            ("aud", json!("https://gw.example/oauth/token"), Ok(())),
            ("aud", json!(["https://other.example", "https://gw.example"]), Ok(())),
            ("aud", json!("https://gw.example/"), Err(NotAuthenticated::Audience)),
            ("aud", json!([]), Err(NotAuthenticated::Audience)),
            ("aud", json!({"https://gw.example": 1}), Err(NotAuthenticated::Audience)),
            ("exp", json!(941), Ok(())),
            ("exp", json!(940), Err(NotAuthenticated::Expired)),
            ("exp", json!(1661), Err(NotAuthenticated::TooLong)),
            ("exp", json!(u64::MAX), Err(NotAuthenticated::TooLong)),
            ("exp", json!("1100"), Err(NotAuthenticated::Claims)),
            ("iat", json!(1061), Err(NotAuthenticated::NotYet)),
            ("nbf", json!(1061), Err(NotAuthenticated::NotYet)),
            ("nbf", json!(1060), Ok(())),
            ("jti", json!(""), Err(NotAuthenticated::Claims)),
            ("jti", json!(null), Err(NotAuthenticated::Claims)),
        ] {
            let mut claims = json!({"iss": ID, "sub": ID, "aud": "https://gw.example", "exp": 1100, "jti": "a"});
            claims[name] = value;
            assert_eq!(read(claims.to_string().as_bytes(), &EXPECTED).map(|_| ()), expected, "{claims}");
        }
        let twice =
            format!(r#"{{"iss":"{ID}","sub":"{ID}","aud":"https://gw.example","exp":1100,"jti":"a","jti":"b"}}"#);
        assert_eq!(read(twice.as_bytes(), &EXPECTED), Err(NotAuthenticated::Claims));
    }

    #[test]
    fn assertions_of_one_client_differ_by_their_jti() {
        let key = |jti: &str| {
            let claims = json!({"iss": ID, "sub": ID, "aud": "https://gw.example", "exp": 1100, "jti": jti});
            read(claims.to_string().as_bytes(), &EXPECTED).expect("valid").key
        };
        assert_eq!(key("a"), key("a"));
        assert_ne!(key("a"), key("b"));
    }

    #[test]
    fn client_of_an_assertion_is_its_subject() {
        let token = |claims: &str| format!("e30.{}.AA", URL_SAFE_NO_PAD.encode(claims));
        for (assertion, expected) in [
            (token(r#"{"sub":"a"}"#), Some("a")),
            (token(r#"{"sub":1}"#), None),
            (token("x"), None),
            ("a".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(subject(&assertion).as_deref(), expected, "{assertion}");
        }
    }
}
