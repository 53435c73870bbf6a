//! The session as pages and programs of the person see it.

use super::SignIn;
use super::limits::REFRESHED;
use super::own_page::is_own_script;
use super::pages::message;
use super::session::{HEADER, SignedIn};
use super::stored::{Stored, row};
use crate::auth::LONG;
use crate::authorization_server::answer::json;
use crate::clock::now;
use crate::provider::Failed;
use attache_core::http::Refusal;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{SET_COOKIE, VARY};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

/// Members of a session that are not claims about the person.
const OWN: [&str; 3] = ["idp", "sid", "scope"];

/// Describes the person who has signed in, in the form of the function platform.
pub(super) async fn me(State(sign_in): State<Arc<SignIn>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let session = match sign_in.session(&head).await {
        Ok(Some(session)) => session,
        Ok(None) => return error(StatusCode::UNAUTHORIZED, "there is no session: open /.auth/login in a browser"),
        Err(refusal) => return refused(refusal),
    };
    let mut me = described(&session);
    // A page of another website, a frame or a form must not get at the tokens.
    let may_see_tokens = is_own_script(&head.headers) || head.headers.contains_key(HEADER);
    if let (true, true, Some(rows)) = (sign_in.exposes_tokens, may_see_tokens, &sign_in.rows)
        && let Ok(Some(Stored { tokens, .. })) = row::get(rows, session.key(), now()).await
    {
        me["access_token"] = tokens.access_token.into();
        me["id_token"] = tokens.id_token.into();
        me["refresh_token"] = tokens.refresh_token.into();
        me["expires_on"] = tokens.expires.into();
    }
    let mut response = json(StatusCode::OK, &json!([me]));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Cookie, Sec-Fetch-Site, Sec-Fetch-Dest"));
    response
}

/// The claims with the names of the platform. A claim with several values has several entries.
fn described(session: &SignedIn) -> Value {
    let entry = |name: &str, value: &Value| {
        let long = LONG.iter().find(|(_, short)| *short == name && *short != "roles");
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        json!({"typ": long.map_or(name, |(long, _)| long), "val": text})
    };
    let claims = session.person.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    let claims = claims.flat_map(|(name, value)| match value {
        Value::Array(values) => values.iter().map(|value| entry(name, value)).collect(),
        value => vec![entry(name, value)],
    });
    let claims: Vec<Value> = claims.collect();
    let text = |name: &str| session.person.get(name).and_then(Value::as_str);
    let id = text("email").or_else(|| text("preferred_username")).or_else(|| text("sub"));
    json!({"provider_name": session.idp, "user_id": id, "user_claims": claims})
}

/// Refreshes the tokens of the provider, and the session with them.
pub(super) async fn refresh(State(sign_in): State<Arc<SignIn>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let session = match sign_in.session(&head).await {
        Ok(Some(session)) => session,
        Ok(None) => return error(StatusCode::UNAUTHORIZED, "there is no session: open /.auth/login in a browser"),
        Err(refusal) => return refused(refusal),
    };
    let Some(rows) = &sign_in.rows else {
        return error(StatusCode::FORBIDDEN, "this server keeps no tokens of providers: it has no store");
    };
    let key = session.key();
    // Providers take a refresh token that comes twice for a stolen one, so only one refresh of a session runs at a time.
    let _alone = sign_in.refreshing[usize::from(key[0]) % sign_in.refreshing.len()].lock().await;
    let now = now();
    let mut stored = match row::get(rows, key, now).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return error(StatusCode::UNAUTHORIZED, "the session has ended"),
        Err(_) => return refused(Refusal::Undecided),
    };
    if stored.refreshed.is_none_or(|refreshed| now.saturating_sub(refreshed) >= REFRESHED) {
        let Some(provider) = sign_in.provider(&session.idp) else { return refused(Refusal::Forbidden) };
        let tokens = match provider.upstream.refresh(&stored.tokens, now).await {
            Ok(tokens) => tokens,
            Err(failed) => {
                tracing::warn!(provider = provider.name, reason = %failed, "the tokens of a session were not refreshed");
                return match failed {
                    Failed::Unavailable(_) => {
                        error(StatusCode::SERVICE_UNAVAILABLE, "the provider does not answer: try again")
                    }
                    _ => error(StatusCode::FORBIDDEN, "the provider gives no new tokens: sign in again"),
                };
            }
        };
        let until = session.auth_time + sign_in.most.as_secs();
        stored = Stored { tokens, refreshed: Some(now) };
        let value = stored.to_bytes().unwrap_or_default();
        match row::replace(rows, key, value, until, now).await {
            Ok(true) => {}
            Ok(false) => return error(StatusCode::UNAUTHORIZED, "the session has ended"),
            Err(_) => return refused(Refusal::Undecided),
        }
    }
    let mut renewed = session.renewed(&sign_in, now);
    if let (true, Some(expires)) = (sign_in.ends_with_token, stored.tokens.expires) {
        renewed.exp = renewed.exp.min(expires);
    }
    let mut response = json(StatusCode::OK, &json!({}));
    // A program with the header keeps its session itself.
    if !head.headers.contains_key(HEADER)
        && let Some(cookies) = sign_in
            .seal(&renewed)
            .and_then(|sealed| sign_in.cookie().set(&sealed, renewed.exp.saturating_sub(now), &head.headers))
    {
        for cookie in cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}

fn refused(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
    let text = match refusal {
        Refusal::Undecided => "the session cannot be checked now: try again",
        _ => "the person may not use this server",
    };
    error(status, text)
}

fn error(status: StatusCode, text: &str) -> Response {
    json(status, &json!({ "error": text }))
}

/// The page after a sign-in that was begun without a URL to go to.
pub(super) async fn done(State(sign_in): State<Arc<SignIn>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    match sign_in.session(&head).await {
        Ok(Some(session)) => {
            let text = format!("You have signed in as {}. You can close this window.", session.shown());
            message("You are signed in", &text, Some(("/.auth/logout", "Sign out")))
        }
        _ => message("You are not signed in", "Your browser sent no session.", Some(("/.auth/login", "Sign in"))),
    }
}
