//! The token endpoint and the revocation endpoint (OAuth 2.1 §3.2, RFC 7009).

use super::AuthorizationServer;
use super::answer::json;
use super::error::{ErrorCode, OAuthError};
use super::grant::Redemption;
use super::grants::{Issued, blocking};
use super::parameters::{Parameters, form};
use super::signing::Claims;
use crate::clock::now;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn token(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let issued = async {
        let form = form(&head.headers, body, server.body_time).await?;
        blocking(move || issued(&server, &head.headers, &form, now())).await
    };
    match issued.await {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(error) => error.into_response(),
    }
}

fn issued(server: &AuthorizationServer, headers: &HeaderMap, form: &Parameters, now: u64) -> Result<Value, OAuthError> {
    let client_id = client_id(server, headers, form, now)?;
    let missing = |what| OAuthError::new(ErrorCode::InvalidRequest, what);
    let resources = || form.all("resource");
    let issued = match form.get("grant_type") {
        Some("authorization_code") => {
            let shown = Redemption {
                client_id,
                redirect_uri: form.get("redirect_uri"),
                verifier: form.get("code_verifier").ok_or(missing("code_verifier is missing"))?,
            };
            let code = form.get("code").ok_or(missing("code is missing"))?;
            server.grants.redeem(code, shown, resources().collect::<Vec<_>>().into_iter(), now)?
        }
        Some("refresh_token") => {
            let token = form.get("refresh_token").ok_or(missing("refresh_token is missing"))?;
            let resources = resources().collect::<Vec<_>>().into_iter();
            server.grants.refresh(token, client_id, form.get("scope"), resources, now)?
        }
        Some(_) => {
            let what = "grant_type must be authorization_code or refresh_token";
            return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, what));
        }
        None => return Err(missing("grant_type is missing")),
    };
    Ok(answer(server, &issued, now))
}

/// Returns the id of the client that sends the request.
fn client_id<'f>(
    server: &AuthorizationServer,
    headers: &HeaderMap,
    form: &'f Parameters,
    now: u64,
) -> Result<&'f str, OAuthError> {
    let unknown = |what| OAuthError::new(ErrorCode::InvalidClient, what);
    // RFC 6749 §2.3.1: Basic has an id and a secret, and clients have no secrets here.
    if headers.contains_key(AUTHORIZATION) {
        return Err(unknown("clients send client_id in the form, and no Authorization").with_basic());
    }
    let id = form.get("client_id").ok_or(unknown("client_id is missing"))?;
    // `invalid_client` makes clients register again.
    if server.clients.could_be(id, now) { Ok(id) } else { Err(unknown("the client is unknown: register again")) }
}

fn answer(server: &AuthorizationServer, issued: &Issued, now: u64) -> Value {
    let Issued { terms, scopes, sid, refresh_token } = issued;
    let (scope, life) = (scopes.join(" "), server.access_life.as_secs());
    let claims = Claims {
        iss: &server.issuer,
        aud: &terms.resource,
        sub: &terms.person.subject,
        client_id: &terms.client_id,
        scope: &scope,
        iat: now,
        exp: now + life,
        auth_time: terms.signed_in,
        sid,
        name: terms.person.name.as_deref(),
        roles: &terms.person.roles,
        more: &terms.person.claims,
    };
    json!({
        "access_token": server.keys.token(&claims),
        "token_type": "Bearer",
        "expires_in": life,
        "refresh_token": refresh_token,
        "scope": scope,
    })
}

fn end(server: &AuthorizationServer, headers: &HeaderMap, form: &Parameters, now: u64) -> Result<(), OAuthError> {
    let client_id = client_id(server, headers, form, now)?;
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "token is missing");
    let token = form.get("token").ok_or(missing)?;
    // RFC 7009 §2.1: the hint may be wrong, so the token itself says what it is.
    match server.keys.grant_of(token, &server.issuer).and_then(|sid| URL_SAFE_NO_PAD.decode(sid).ok()) {
        Some(sid) => match sid.try_into() {
            Ok(id) => server.grants.end(&id, client_id, now),
            Err(_) => Ok(()),
        },
        None => server.grants.revoke(token, client_id, now),
    }
}

/// Revokes a grant by one of its tokens.
pub(super) async fn revoke(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let revoked = async {
        let form = form(&head.headers, body, server.body_time).await?;
        blocking(move || end(&server, &head.headers, &form, now())).await
    };
    match revoked.await {
        // RFC 7009 §2.2: 200 for unknown tokens as well.
        Ok(()) => json(StatusCode::OK, &json!({})),
        Err(error) => error.into_response(),
    }
}
