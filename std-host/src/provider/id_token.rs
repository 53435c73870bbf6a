//! Verification of ID tokens (OpenID Connect Core 1.0 §3.1.3.7).

use crate::auth::issuer::TENANT;
use crate::auth::source::{Fetch, Source};
use attache_core::auth::Jws;
use core::fmt;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The values that the ID token of a sign-in must have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'e> {
    /// `{tenantid}` in it is a placeholder for the `tid` of the token.
    pub(super) issuer: &'e str,
    pub(super) client_id: &'e str,
    /// `None` for a token that was not requested by this server.
    pub(super) nonce: Option<&'e str>,
    pub(super) now: u64,
}

/// Why an ID token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadIdToken {
    /// The token cannot be read, has no known key, or its signature is wrong.
    Signature(String),
    Claims,
    Issuer,
    Audience,
    Expired,
    NotYet,
    Nonce,
    Subject,
}

impl fmt::Display for BadIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature(why) => return f.write_str(why),
            Self::Claims => "a claim is missing, doubled or of the wrong type",
            Self::Issuer => "it is of another issuer",
            Self::Audience => "it is for another client",
            Self::Expired => "it has expired",
            Self::NotYet => "it was issued in the future",
            Self::Nonce => "it is of another sign-in",
            Self::Subject => "its subject is empty or too long",
        })
    }
}

/// The person of an ID token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The issuer, with its tenant.
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) name: Option<String>,
    /// The other claims.
    pub(crate) claims: Map<String, Value>,
}

/// The claims that are checked. Their repetition is an error.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: u64,
    iat: u64,
    nonce: Option<String>,
    name: Option<String>,
    preferred_username: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The tolerated difference between the clocks, in seconds.
const LEEWAY: u64 = 60;

/// Checks the signature and the claims of an ID token.
pub(super) async fn verify(token: &str, keys: &Source, expected: &Expected<'_>) -> Result<Identity, BadIdToken> {
    let mut scratch = vec![0; token.len()];
    let failed = |denied: &dyn fmt::Display| BadIdToken::Signature(denied.to_string());
    let jws = Jws::read(token.as_bytes(), &mut scratch).map_err(|denied| failed(&denied))?;
    let found = keys.key(jws.kid(), Fetch::Wait, |keys| keys.find(jws.kid(), jws.alg(), |_| true)).await;
    let key = found.map_err(|denied| failed(&denied))?.key;
    let claims = jws.verify(&*key).map_err(|denied| failed(&denied))?;
    let identity = read(claims, expected)?;
    // A key that names an issuer is valid for the tokens of that issuer alone.
    let tenant = identity.tenant();
    match attache_core::auth::Verify::issuer(&*key) {
        Some(of_key) if !is_issuer(of_key, &identity.issuer, tenant) => Err(BadIdToken::Issuer),
        _ => Ok(identity),
    }
}

fn read(claims: &[u8], expected: &Expected<'_>) -> Result<Identity, BadIdToken> {
    let claims: Claims = serde_json::from_slice(claims).map_err(|_| BadIdToken::Claims)?;
    let tenant = claims.rest.get("tid").and_then(Value::as_str);
    if !is_issuer(expected.issuer, &claims.iss, tenant) {
        return Err(BadIdToken::Issuer);
    }
    // Rules 3 to 5: this client is in the audience; if there are others, it is the authorized party.
    let (is_in_audience, is_alone) = match &claims.aud {
        Audience::One(one) => (one == expected.client_id, true),
        Audience::Many(many) => (many.iter().any(|one| one == expected.client_id), many.len() == 1),
    };
    let is_party = match &claims.azp {
        Some(azp) => azp == expected.client_id,
        None => is_alone,
    };
    if !is_in_audience || !is_party {
        return Err(BadIdToken::Audience);
    }
    if expected.now >= claims.exp.saturating_add(LEEWAY) {
        return Err(BadIdToken::Expired);
    }
    if claims.iat > expected.now + LEEWAY {
        return Err(BadIdToken::NotYet);
    }
    // Rule 11: the nonce binds the token to this sign-in, so a token of another one cannot be injected.
    if expected.nonce.is_some() && claims.nonce.as_deref() != expected.nonce {
        return Err(BadIdToken::Nonce);
    }
    // OpenID Connect Core 1.0 §2: at most 255 ASCII characters.
    let is_subject =
        (1..=255).contains(&claims.sub.len()) && claims.sub.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !is_subject {
        return Err(BadIdToken::Subject);
    }
    let mut rest = claims.rest;
    if let Some(username) = &claims.preferred_username {
        rest.insert("preferred_username".to_owned(), username.as_str().into());
    }
    let name = claims.name.or(claims.preferred_username);
    Ok(Identity { issuer: claims.iss, subject: claims.sub, name, claims: rest })
}

/// Whether `issuer` is `pattern` with any tenant. The tenant itself is checked with the ID token.
pub(super) fn is_of_tenant(pattern: &str, issuer: &str) -> bool {
    let Some((front, back)) = pattern.split_once(TENANT) else { return false };
    let tenant = issuer.strip_prefix(front).and_then(|rest| rest.strip_suffix(back));
    is_issuer(pattern, issuer, tenant)
}

/// Whether `issuer` is `pattern`, with the tenant in the place of `{tenantid}`.
fn is_issuer(pattern: &str, issuer: &str, tenant: Option<&str>) -> bool {
    if !pattern.contains(TENANT) {
        return pattern == issuer;
    }
    // A tenant is a GUID, so it cannot lead to another path.
    let is_guid =
        |tenant: &&str| tenant.len() == 36 && tenant.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    tenant.filter(is_guid).is_some_and(|tenant| pattern.replace(TENANT, tenant) == issuer)
}

impl Identity {
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.claims.get("tid").and_then(Value::as_str)
    }

    /// Removes all claims except these.
    pub(super) fn with_claims(mut self, names: &[String]) -> Self {
        self.claims.retain(|name, _| names.iter().any(|kept| kept == name));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const EXPECTED: Expected<'_> =
        Expected { issuer: "https://id.example", client_id: "gw", nonce: Some("n"), now: 1000 };

    fn good() -> Value {
        json!({"iss": "https://id.example", "sub": "1", "aud": "gw", "exp": 1100, "iat": 990, "nonce": "n", "name": "Ada", "groups": ["a"]})
    }

    #[test]
    fn id_token_must_be_of_this_issuer_client_and_sign_in_and_in_time() {
        for (name, value, expected) in [
            ("iss", json!("https://id.example/"), Err(BadIdToken::Issuer)),
            ("iss", json!(null), Err(BadIdToken::Claims)),
            ("aud", json!("other"), Err(BadIdToken::Audience)),
            ("aud", json!(["gw"]), Ok(())),
            ("aud", json!(["gw", "other"]), Err(BadIdToken::Audience)),
            ("aud", json!([]), Err(BadIdToken::Audience)),
            ("azp", json!("other"), Err(BadIdToken::Audience)),
            ("azp", json!("gw"), Ok(())),
            ("exp", json!(941), Ok(())),
            ("exp", json!(940), Err(BadIdToken::Expired)),
            ("exp", json!("1100"), Err(BadIdToken::Claims)),
            ("iat", json!(1061), Err(BadIdToken::NotYet)),
            ("nonce", json!("m"), Err(BadIdToken::Nonce)),
            ("nonce", json!(null), Err(BadIdToken::Nonce)),
            ("sub", json!(""), Err(BadIdToken::Subject)),
            ("sub", json!("a\nb"), Err(BadIdToken::Subject)),
            ("sub", json!("a".repeat(256)), Err(BadIdToken::Subject)),
        ] {
            let mut claims = good();
            claims[name] = value;
            assert_eq!(read(claims.to_string().as_bytes(), &EXPECTED).map(|_| ()), expected, "{claims}");
        }
        let both = r#"{"iss":"https://id.example","sub":"1","sub":"2","aud":"gw","exp":1100,"iat":990,"nonce":"n"}"#;
        assert_eq!(read(both.as_bytes(), &EXPECTED), Err(BadIdToken::Claims));
        let many = json!({"aud": ["gw", "other"], "azp": "gw"});
        let mut claims = good();
        claims["aud"] = many["aud"].clone();
        claims["azp"] = many["azp"].clone();
        assert!(read(claims.to_string().as_bytes(), &EXPECTED).is_ok());
    }

    #[test]
    fn token_of_a_tenant_has_the_tenant_in_its_issuer() {
        const TENANT: &str = "66666666-7777-8888-9999-000000000000";
        let of_tenant = Expected { issuer: "https://id.example/{tenantid}/v2.0", ..EXPECTED };
        for (tenant, iss, is_good) in [
            (TENANT, format!("https://id.example/{TENANT}/v2.0"), true),
            ("other", format!("https://id.example/{TENANT}/v2.0"), false),
            ("other", "https://id.example/other/v2.0".to_owned(), false),
            (TENANT, "https://id.example/{tenantid}/v2.0".to_owned(), false),
        ] {
            let mut claims = good();
            claims["iss"] = json!(iss);
            claims["tid"] = json!(tenant);
            let expected = if is_good { Ok(()) } else { Err(BadIdToken::Issuer) };
            assert_eq!(read(claims.to_string().as_bytes(), &of_tenant).map(|_| ()), expected, "{claims}");
        }
    }

    #[test]
    fn only_configured_claims_are_kept() {
        let identity = read(good().to_string().as_bytes(), &EXPECTED).expect("good");
        assert_eq!((identity.subject.as_str(), identity.name.as_deref()), ("1", Some("Ada")));
        assert_eq!(identity.clone().with_claims(&[]).claims, Map::new());
        let kept = identity.with_claims(&["groups".to_owned(), "email".to_owned()]).claims;
        assert_eq!(Value::Object(kept), json!({"groups": ["a"]}));
    }
}
