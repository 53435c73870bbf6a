//! The caller as the platform describes it to applications: the fields `X-MS-CLIENT-PRINCIPAL`
//! (learn.microsoft.com, "Work with user identities in Azure App Service authentication").

use crate::auth::Caller;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

/// The short names of claims in tokens, and the platform's long names.
const LONG: [(&str, &str); 5] = [
    ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"),
    ("tid", "http://schemas.microsoft.com/identity/claims/tenantid"),
    ("scp", "http://schemas.microsoft.com/identity/claims/scope"),
    ("sub", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"),
    ("email", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"),
];

/// The claims that may be the name of a person, the best one first.
const NAMES: [&str; 5] = ["email", "preferred_username", "upn", "unique_name", "name"];

/// Sets the fields for a caller with a token. Other callers have none.
pub(super) fn describe(caller: &Caller, fields: &mut HeaderMap) {
    let Some(claims) = caller.claims::<Map<String, Value>>() else { return };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let provider = provider(text("iss").unwrap_or_default());
    let name_of = NAMES.into_iter().find(|name| text(name).is_some()).unwrap_or("name");
    let document = json!({
        "auth_typ": provider,
        "claims": claims.iter().flat_map(|(name, value)| entries(name, value)).collect::<Vec<_>>(),
        "name_typ": long(name_of),
        "role_typ": "roles",
    });
    let mut set = |name: &'static str, value: &str| {
        // A name that no header field can hold is in the document.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            fields.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-ms-client-principal", &STANDARD.encode(document.to_string()));
    set("x-ms-client-principal-idp", &provider);
    if let Some(id) = text("oid").or_else(|| text("sub")) {
        set("x-ms-client-principal-id", id);
    }
    if let Some(name) = text(name_of) {
        set("x-ms-client-principal-name", name);
    }
}

/// The entries of a claim. A claim with several values has several.
fn entries(name: &str, value: &Value) -> Vec<Value> {
    let entry = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        json!({"typ": long(name), "val": text})
    };
    match value {
        Value::Array(values) => values.iter().map(entry).collect(),
        one => vec![entry(one)],
    }
}

fn long(name: &str) -> &str {
    LONG.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long)
}

/// The platform's name of an issuer: a word for the providers that it knows, and the host of others.
fn provider(issuer: &str) -> String {
    let host = issuer.split_once("://").map_or(issuer, |(_, rest)| rest.split('/').next().unwrap_or_default());
    match host {
        "login.microsoftonline.com" | "sts.windows.net" => "aad".to_owned(),
        "accounts.google.com" => "google".to_owned(),
        "appleid.apple.com" => "apple".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_with_a_token_is_described_with_the_names_of_the_platform() {
        let caller = Caller::new("s")
            .with_claim("iss", "https://login.microsoftonline.com/t/v2.0")
            .with_claim("oid", "o")
            .with_claim("preferred_username", "ada@example.org")
            .with_role("admin")
            .with_role("reader");
        let mut fields = HeaderMap::new();
        describe(&caller, &mut fields);
        let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        assert_eq!(text("x-ms-client-principal-id"), "o");
        assert_eq!(text("x-ms-client-principal-name"), "ada@example.org");
        assert_eq!(text("x-ms-client-principal-idp"), "aad");
        let document = STANDARD.decode(text("x-ms-client-principal")).expect("Base64");
        let document: Value = serde_json::from_slice(&document).expect("JSON");
        assert_eq!((&document["auth_typ"], &document["name_typ"]), (&json!("aad"), &json!("preferred_username")));
        let claims = document["claims"].as_array().expect("a list");
        let values = |typ: &str| -> Vec<_> {
            claims.iter().filter(|claim| claim["typ"] == typ).map(|claim| claim["val"].clone()).collect()
        };
        assert_eq!(values(document["role_typ"].as_str().expect("a text")), [json!("admin"), json!("reader")]);
        assert_eq!(values("http://schemas.microsoft.com/identity/claims/objectidentifier"), [json!("o")]);
    }

    #[test]
    fn caller_without_a_token_has_no_fields() {
        let mut fields = HeaderMap::new();
        describe(&Caller::guest(), &mut fields);
        assert!(fields.is_empty());
    }
}
