//! Callers that a platform in front of the server has authenticated, from the header
//! `X-MS-CLIENT-PRINCIPAL` (learn.microsoft.com, "Work with user identities in Azure App Service
//! authentication").

use crate::clock::now;
use attache_core::auth::{Denied, Verified, Voucher, decode_base64url};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The caller as the platform describes it.
#[derive(Deserialize)]
struct Principal {
    auth_typ: Option<String>,
    claims: Vec<Claim>,
    role_typ: Option<String>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

/// The platform's long names for claims, and their short names in tokens.
pub(crate) const LONG: [(&str, &str); 6] = [
    ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid"),
    ("http://schemas.microsoft.com/identity/claims/tenantid", "tid"),
    ("http://schemas.microsoft.com/identity/claims/scope", "scp"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "sub"),
    ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "email"),
    ("http://schemas.microsoft.com/ws/2008/06/identity/claims/role", "roles"),
];

/// Claims that are numbers in tokens; the platform writes all claims as texts.
const NUMBERS: [&str; 3] = ["exp", "iat", "nbf"];

/// Returns the caller that the platform describes, in the form of the claims of a token.
pub(super) fn caller(head: &HeaderMap) -> Result<Verified<Vec<u8>>, Denied<'static>> {
    let mut came = head.get_all("x-ms-client-principal").iter();
    let text = match (came.next(), came.next()) {
        (Some(text), None) => text.as_bytes(),
        (None, _) => return Err(Denied::NoToken),
        (Some(_), Some(_)) => return Err(Denied::Malformed),
    };
    let principal = decoded(text).and_then(|json| serde_json::from_slice(&json).ok()).ok_or(Denied::NotAnObject)?;
    let id = head.get("x-ms-client-principal-id").and_then(|id| id.to_str().ok());
    Verified::vouched(&Voucher::Platform, Value::from(claims(principal, id)).to_string().into_bytes())
}

/// Decodes Base64 of the standard alphabet, with padding.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let bare = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let url: Vec<u8> = bare
        .iter()
        .map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            // Not a character of the standard alphabet.
            b'-' | b'_' => b'?',
            other => *other,
        })
        .collect();
    let mut bytes = vec![0; url.len()];
    let len = decode_base64url(&url, &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

fn claims(principal: Principal, id: Option<&str>) -> Map<String, Value> {
    let Principal { auth_typ, claims, role_typ } = principal;
    let mut all: Map<String, Value> = Map::new();
    for Claim { typ, val } in claims {
        let is_role = role_typ.as_ref() == Some(&typ);
        let long = LONG.iter().find(|(long, _)| *long == typ);
        let name = if is_role { "roles" } else { long.map_or(typ.as_str(), |(_, short)| short) };
        let number = val.parse::<u64>().ok().filter(|_| NUMBERS.contains(&name));
        let value = number.map_or(Value::from(val), Value::from);
        match all.get_mut(name) {
            None => drop(all.insert(name.to_owned(), value)),
            // A claim with several values has several entries.
            Some(Value::Array(values)) => values.push(value),
            Some(one) => *one = Value::from(vec![one.take(), value]),
        }
    }
    // Set by default, because a provider that issues no tokens does not set these claims. The
    // platform has just checked the caller, and this request is served now.
    let mut unless_said = |name: &str, value: Value| {
        all.entry(name).or_insert(value);
    };
    unless_said("iss", auth_typ.unwrap_or_default().into());
    unless_said("aud", "".into());
    unless_said("exp", (now() + 60).into());
    if let Some(id) = id {
        unless_said("sub", id.into());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use attache_core::auth::Authenticated;
    use base64::Engine as _;
    use http::HeaderValue;
    use serde_json::json;

    fn base64(bytes: &[u8]) -> String {
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    fn head(principals: &[&str]) -> HeaderMap {
        let fields = principals
            .iter()
            .map(|principal| ("x-ms-client-principal".parse().unwrap(), HeaderValue::from_str(principal).unwrap()));
        fields.collect()
    }

    #[test]
    fn principal_of_the_platform_is_read_by_long_names_and_short_ones() {
        let principal = json!({
            "auth_typ": "aad", "role_typ": "role-of-this-one",
            "claims": [
                {"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": "ada"},
                {"typ": "tid", "val": "t"},
                {"typ": "http://schemas.microsoft.com/identity/claims/scope", "val": "read write"},
                {"typ": "role-of-this-one", "val": "operator"},
                {"typ": "role-of-this-one", "val": "reader"},
                {"typ": "groups", "val": "g"},
                {"typ": "azp", "val": "code"},
                {"typ": "exp", "val": "1900000000"},
            ],
        });
        let mut head = head(&[&base64(principal.to_string().as_bytes())]);
        head.insert("x-ms-client-principal-id", HeaderValue::from_static("ada"));
        let verified = caller(&head).unwrap();
        let claims = Authenticated::token(&verified).claims().unwrap();
        assert!(claims.object().is("ada") && claims.subject().is("ada") && claims.tenant().is("t"));
        assert!(claims.issuer().is("aad") && claims.application().is("code") && claims.expires() == 1_900_000_000);
        assert!(claims.has_scope("write") && claims.has_role("operator") && claims.has_role("reader"));
        assert!(claims.in_group("g") && !claims.is_application());
    }

    #[test]
    fn invalid_or_repeated_principal_header_is_refused() {
        let good = base64(br#"{"auth_typ":"aad","claims":[]}"#);
        for (principals, expected) in [
            (&[][..], Some(Denied::NoToken)),
            (&[good.as_str()], None),
            (&[&good, &good], Some(Denied::Malformed)),
            (&["e30="], Some(Denied::NotAnObject)),
            (&["not base64"], Some(Denied::NotAnObject)),
            (&[&base64(br#"{"claims":[{"typ":"sub","val":7}]}"#)], Some(Denied::NotAnObject)),
            (
                &[&base64(br#"{"claims":[{"typ":"azp","val":"a"},{"typ":"appid","val":"b"}]}"#)],
                Some(Denied::NotAnObject),
            ),
        ] {
            assert_eq!(caller(&head(principals)).err(), expected, "{principals:?}");
        }
    }
}
