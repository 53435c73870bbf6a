//! The metadata documents of the server (RFC 8414, OpenID Connect Discovery 1.0).

use serde_json::{Value, json};

/// Returns the metadata for this issuer. `scopes` are those of the resources: some clients read them here and not from the
/// metadata of the resource. `has_secrets` says whether a client authenticates by a secret.
pub(super) fn metadata(issuer: &str, scopes: &[String], has_secrets: bool) -> Value {
    let at = |path: &str| format!("{issuer}/oauth/{path}");
    let mut methods = vec!["none", "private_key_jwt"];
    if has_secrets {
        methods.extend(["client_secret_basic", "client_secret_post"]);
    }
    // RFC 8414 §2: required with `private_key_jwt`.
    let algorithms: Vec<_> = crate::auth::key_set::SERVED.iter().map(|algorithm| algorithm.name()).collect();
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "registration_endpoint": at("register"),
        "revocation_endpoint": at("revoke"),
        "jwks_uri": at("jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        // MCP basic/authorization: clients refuse to go on without this member.
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "client_id_metadata_document_supported": true,
        // RFC 9207 §3: advertised, because every answer has `iss`.
        "authorization_response_iss_parameter_supported": true,
    });
    if !scopes.is_empty() {
        let offline = "offline_access".to_owned();
        metadata["scopes_supported"] = scopes.iter().chain([&offline]).cloned().collect();
    }
    metadata
}

/// Adds the members that readers of OpenID Connect metadata require, although clients get no ID tokens.
// OpenID Connect Discovery 1.0 §3.
pub(super) fn of_openid(mut metadata: Value) -> Value {
    metadata["subject_types_supported"] = json!(["public"]);
    metadata["id_token_signing_alg_values_supported"] = json!(["ES256"]);
    metadata
}

/// Whether a text can be an issuer: one spelling of an https URL, or of an http URL on this machine.
// RFC 8414 §2: https, no query, no fragment. A slash at the end and a default port are spellings that others would change.
pub(super) fn is_issuer(issuer: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(issuer) else { return false };
    let is_local = url.host_str().is_some_and(|host| attache_core::http::LOOPBACK.contains(&host));
    let is_scheme = url.scheme() == "https" || url.scheme() == "http" && is_local;
    let has_one_spelling = url.as_str().strip_suffix('/').unwrap_or(url.as_str()) == issuer;
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    is_scheme && has_one_spelling && !has_credentials && url.query().is_none() && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_has_one_spelling() {
        for (issuer, expected) in [
            ("https://gw.example.net", true),
            ("https://gw.example.net:8443/team", true),
            ("http://127.0.0.1:8089", true),
            ("http://[::1]:8089", true),
            ("https://gw.example.net/", false),
            ("https://gw.example.net/team/", false),
            ("https://gw.example.net:443", false),
            ("https://GW.example.net", false),
            ("https://gw.example.net?x", false),
            ("https://gw.example.net#x", false),
            ("https://user@gw.example.net", false),
            ("http://gw.example.net", false),
            ("gw.example.net", false),
        ] {
            assert_eq!(is_issuer(issuer), expected, "{issuer}");
        }
    }
}
