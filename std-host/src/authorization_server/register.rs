//! Registration of clients (RFC 7591).

use super::AuthorizationServer;
use super::answer::json;
use super::client::Registration;
use super::error::{ErrorCode, OAuthError};
use super::limits::{ALL_REDIRECT_URIS, REDIRECT_URIS, REGISTRATION};
use super::pages::shown;
use super::parameters::{bytes, has_type, object};
use super::redirect::RedirectRules;
use super::seals::random;
use crate::clock::now;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The members of a registration that are read. Others are ignored (RFC 7591 §2).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    application_type: Option<String>,
    software_statement: Option<Value>,
}

/// A redirect URI that was left out, and why.
type LeftOut = (String, &'static str);

pub(super) async fn register(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    match registered(&server, request).await {
        Ok(answer) => json(StatusCode::CREATED, &answer),
        Err(error) => error.into_response(),
    }
}

async fn registered(server: &AuthorizationServer, request: Request) -> Result<Value, OAuthError> {
    let (head, body) = request.into_parts();
    if !has_type(&head.headers, "application/json") {
        let error = OAuthError::new(ErrorCode::InvalidRequest, "the body must be application/json");
        return Err(error.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = bytes(body, REGISTRATION, server.body_time).await?;
    let wanted = object::<Wanted>(&body).ok_or({
        OAuthError::new(ErrorCode::InvalidClientMetadata, "the body is not a JSON object of client metadata (RFC 7591)")
    })?;
    let (registration, left_out) = wanted.accepted(server.clients.rules(), now())?;
    let id = server.clients.register(&registration);
    tracing::info!(name = registration.name, redirect_uris = ?registration.redirect_uris, "client registered");
    Ok(answer(&id, &registration, &left_out))
}

impl Wanted {
    fn accepted(self, rules: &RedirectRules, now: u64) -> Result<(Registration, Vec<LeftOut>), OAuthError> {
        // RFC 7591 §2.3: a server that does not support software statements may ignore them; then the client would believe that
        // it was recognized.
        if self.software_statement.is_some() {
            return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, "software statements are not supported"));
        }
        let (mut accepted, mut left_out) = (Vec::new(), Vec::new());
        // Clients register URIs for several of their programs at once. One that is not accepted must not keep the others out.
        for uri in self.redirect_uris.into_iter().take(REDIRECT_URIS + 1) {
            let room: usize = ALL_REDIRECT_URIS - accepted.iter().map(String::len).sum::<usize>();
            match rules.check(&uri) {
                Err(why) => left_out.push((uri, why.as_str())),
                Ok(()) if accepted.len() == REDIRECT_URIS || uri.len() > room => {
                    left_out.push((uri, "there are too many"));
                }
                Ok(()) => accepted.push(uri),
            }
        }
        if accepted.is_empty() {
            let what = "redirect_uris needs an https URL, or an http URL of 127.0.0.1, [::1] or localhost";
            return Err(OAuthError::new(ErrorCode::InvalidRedirectUri, what));
        }
        let application_type = self.application_type.filter(|kind| matches!(kind.as_str(), "native" | "web"));
        let name = self.client_name.as_deref().map(shown).filter(|name| !name.is_empty());
        Ok((
            Registration {
                redirect_uris: accepted,
                name,
                application_type,
                issued: now,
                number: u64::from_ne_bytes(random()),
            },
            left_out,
        ))
    }
}

// RFC 7591 §3.2.1: the answer has all metadata as registered. Clients follow it, so it names `none` even if they have asked for
// another method. It has no `registration_client_uri`, because RFC 7592 is not served.
fn answer(id: &str, registration: &Registration, left_out: &[LeftOut]) -> Value {
    let mut answer = json!({
        "client_id": id,
        "client_id_issued_at": registration.issued,
        "redirect_uris": registration.redirect_uris,
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    if let Some(name) = &registration.name {
        answer["client_name"] = name.as_str().into();
    }
    if let Some(kind) = &registration.application_type {
        answer["application_type"] = kind.as_str().into();
    }
    if !left_out.is_empty() {
        let reasons = left_out.iter().map(|(uri, why)| json!({"redirect_uri": uri, "reason": why}));
        answer["refused_redirect_uris"] = reasons.collect();
    }
    answer
}
