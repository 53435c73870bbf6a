//! Registration of the client at an authorization server.

use super::discovery::Issuer;
use super::error::OAuthError;
use super::fetch::{Body, Fetch};
use super::token::{ClientAuth, Method};
use serde::Deserialize;
use serde_json::json;

/// The registration that the operator or the author of the client has made beforehand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Application {
    /// The name that people see on the consent page.
    pub(crate) name: String,
    /// A client that was registered at the authorization server.
    pub(crate) registered: Option<ClientAuth>,
    /// The URL of a client id metadata document.
    pub(crate) document: Option<String>,
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
    token_endpoint_auth_method: Option<Method>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    error: String,
    error_description: Option<String>,
}

/// Returns the identity of the client at an authorization server.
// MCP 2026-07-28 basic/authorization, "Client registration": a client that was registered before, then a client id metadata
// document, then dynamic registration.
pub(crate) async fn register(
    fetch: &Fetch,
    issuer: &Issuer,
    application: &Application,
    redirect_uri: &str,
    scope: &str,
) -> Result<ClientAuth, OAuthError> {
    let supported = &issuer.token_endpoint_auth_methods_supported;
    if let Some(registered) = &application.registered {
        let method = match registered.client_secret {
            Some(_) => Method::with_secret(supported),
            None => Method::None,
        };
        return Ok(ClientAuth { method, ..registered.clone() });
    }
    if let Some(document) = application.document.as_ref().filter(|_| issuer.client_id_metadata_document_supported) {
        return Ok(ClientAuth { client_id: document.clone(), ..ClientAuth::default() });
    }
    let Some(endpoint) = &issuer.registration_endpoint else {
        return Err(OAuthError::NoRegistration(issuer.issuer.clone()));
    };
    let is_public = supported.is_empty() || supported.iter().any(|method| method == "none");
    let method = if is_public { Method::None } else { Method::with_secret(supported) };
    let mut metadata = json!({
        "client_name": application.name,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method.name(),
        // MCP 2026-07-28 basic/authorization: the client MUST send it.
        "application_type": "native",
    });
    if !scope.is_empty() {
        metadata["scope"] = scope.into();
    }
    let answer = fetch.post(endpoint, Body::Json(metadata.to_string()), None).await?;
    // RFC 7591 §3.2.1: 201. Some servers answer with 200.
    if !matches!(answer.status, 200 | 201) {
        let Ok(Problem { error, error_description }) = answer.read(endpoint) else {
            let reason = format!("it answers the registration with HTTP status {}", answer.status);
            return Err(OAuthError::Unavailable { url: endpoint.clone(), reason, retry_after: answer.retry_after });
        };
        return Err(OAuthError::Refused { error, description: error_description, demand: None });
    }
    let registered: Registered = answer.read(endpoint)?;
    // RFC 7591 §3.2.1: the server may choose another method than the client has asked for.
    let chosen = registered.token_endpoint_auth_method.unwrap_or(method);
    let method = if registered.client_secret.is_none() { Method::None } else { chosen };
    Ok(ClientAuth { client_id: registered.client_id, client_secret: registered.client_secret, method })
}
