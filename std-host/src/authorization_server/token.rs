//! The token endpoint and the revocation endpoint (OAuth 2.1 §3.2, RFC 7009).

use super::AuthorizationServer;
use super::answer::json;
use super::error::{ErrorCode, OAuthError};
use super::grant::{Redemption, Sender};
use super::grants::{Issued, blocking};
use super::parameters::{Parameters, form};
use super::recheck::recheck;
use super::sender::sender;
use super::signing::Claims;
use crate::clock::now;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn token(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let issued = async {
        let form = form(&head.headers, body, server.body_time).await?;
        let now = now();
        let sender = sender(&server, &head.headers, &form, now).await?;
        if let (Some("refresh_token"), Some(token)) = (form.get("grant_type"), form.get("refresh_token")) {
            recheck(&server, token, &sender, now).await?;
        }
        blocking(move || issued(&server, &sender, &form, now)).await
    };
    match issued.await {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(error) => error.into_response(),
    }
}

fn issued(server: &AuthorizationServer, sender: &Sender, form: &Parameters, now: u64) -> Result<Value, OAuthError> {
    let missing = |what| OAuthError::new(ErrorCode::InvalidRequest, what);
    let resources = || form.all("resource").collect::<Vec<_>>().into_iter();
    let issued = match form.get("grant_type") {
        Some("authorization_code") => {
            let shown = Redemption {
                sender,
                redirect_uri: form.get("redirect_uri"),
                verifier: form.get("code_verifier").ok_or(missing("code_verifier is missing"))?,
            };
            let code = form.get("code").ok_or(missing("code is missing"))?;
            server.grants.redeem(code, shown, resources(), now)?
        }
        Some("refresh_token") => {
            let token = form.get("refresh_token").ok_or(missing("refresh_token is missing"))?;
            server.grants.refresh(token, sender, form.get("scope"), resources(), now)?
        }
        Some(_) => {
            let what = "grant_type must be authorization_code or refresh_token";
            return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, what));
        }
        None => return Err(missing("grant_type is missing")),
    };
    Ok(answer(server, &issued, now))
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

fn end(server: &AuthorizationServer, sender: &Sender, form: &Parameters, now: u64) -> Result<(), OAuthError> {
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "token is missing");
    let token = form.get("token").ok_or(missing)?;
    // RFC 7009 §2.1: the hint may be wrong, so the token itself says what it is.
    match server.keys.grant_of(token, &server.issuer).and_then(|sid| URL_SAFE_NO_PAD.decode(sid).ok()) {
        Some(sid) => match sid.try_into() {
            Ok(id) => server.grants.end(&id, sender, now),
            Err(_) => Ok(()),
        },
        None => server.grants.revoke(token, sender, now),
    }
}

/// Revokes a grant by one of its tokens.
pub(super) async fn revoke(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let revoked = async {
        let form = form(&head.headers, body, server.body_time).await?;
        let now = now();
        let sender = sender(&server, &head.headers, &form, now).await?;
        blocking(move || end(&server, &sender, &form, now)).await
    };
    match revoked.await {
        // RFC 7009 §2.2: 200 for unknown tokens as well.
        Ok(()) => json(StatusCode::OK, &json!({})),
        Err(error) => error.into_response(),
    }
}
