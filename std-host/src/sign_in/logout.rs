//! The end of a session, here and at the provider.

use super::SignIn;
use super::limits::{ATTEMPT, BODY};
use super::own_page::is_from_elsewhere;
use super::pages::{Why, confirm_sign_out, failure, message};
use super::redirect::allowed;
use super::session::SignedIn;
use super::stored::row;
use crate::authorization_server::answer::see_other;
use crate::authorization_server::parameters::{Parameters, bytes};
use crate::authorization_server::seals::Purpose;
use crate::clock::now;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// Signs out after a link.
pub(super) async fn link(State(sign_in): State<Arc<SignIn>>, request: Request) -> Response {
    let query = Parameters::parse(request.uri().query().unwrap_or_default().as_bytes());
    let asked = query.get("post_logout_redirect_uri");
    // Other websites must not be able to sign people out by a link.
    if is_from_elsewhere(request.headers()) && sign_in.session_of_cookie(request.headers()).is_some() {
        return confirm_sign_out(asked);
    }
    sign_out(&sign_in, &query, request.headers()).await
}

/// Signs out after the form of the page that asks for a confirmation. Its `Origin` was checked.
pub(super) async fn form(State(sign_in): State<Arc<SignIn>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match bytes(body, BODY, sign_in.body_time).await {
        Ok(body) => sign_out(&sign_in, &Parameters::parse(&body), &head.headers).await,
        Err(error) => error.into_response(),
    }
}

async fn sign_out(sign_in: &SignIn, query: &Parameters, headers: &HeaderMap) -> Response {
    let to = match query.get("post_logout_redirect_uri") {
        _ if query.is_repeated("post_logout_redirect_uri") => return failure(NOT_ALLOWED, None),
        None => None,
        Some(asked) => match allowed(asked, &sign_in.origin, &sign_in.external) {
            Some(to) => Some(to),
            None => return failure(NOT_ALLOWED, None),
        },
    };
    let session = sign_in.session_of_cookie(headers);
    let mut url = None;
    if let Some(session) = &session {
        url = at_provider(sign_in, session, to.as_deref()).await;
        if sign_in.end(session).await.is_err() {
            // Without this answer, the person would believe that the session has ended.
            return failure(NO_STORE, None);
        }
        tracing::info!(provider = session.idp, person = session.shown(), "signed out");
    }
    let url = url.or(to).unwrap_or_else(|| "/.auth/logout/done".to_owned());
    let mut response = see_other(&url);
    for cookie in sign_in.cookie().ended(headers) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Returns the URL that ends the session at the provider (OpenID Connect RP-Initiated Logout 1.0 §2), if it has one. A provider that
/// does not answer does not keep the person from signing out here.
async fn at_provider(sign_in: &SignIn, session: &SignedIn, to: Option<&str>) -> Option<String> {
    let provider = sign_in.provider(&session.idp)?;
    let mut url = provider.upstream.session_end().await.ok().flatten()?;
    let stored = match &sign_in.rows {
        Some(rows) => row::get(rows, session.key(), now()).await.ok().flatten(),
        None => None,
    };
    let done = format!("{}/.auth/logout/done", sign_in.origin);
    let state = to.map(|to| sign_in.seals.seal(Purpose::SignedOut, now() + ATTEMPT.as_secs(), to.as_bytes()));
    let mut query = url.query_pairs_mut();
    query.append_pair("client_id", provider.upstream.client_id()).append_pair("post_logout_redirect_uri", &done);
    if let Some(id_token) = stored.and_then(|stored| stored.tokens.id_token) {
        query.append_pair("id_token_hint", &id_token);
    }
    if let Some(state) = &state {
        query.append_pair("state", state);
    }
    drop(query);
    Some(url.into())
}

/// Where the browser arrives after the sign-out at the provider.
pub(super) async fn done(State(sign_in): State<Arc<SignIn>>, request: Request) -> Response {
    let query = Parameters::parse(request.uri().query().unwrap_or_default().as_bytes());
    let opened = query.get("state").and_then(|state| sign_in.seals.open(Purpose::SignedOut, now(), state));
    match opened.and_then(|(_, to)| String::from_utf8(to).ok()) {
        Some(to) => see_other(&to),
        None => message("You are signed out", "You can close this window.", Some(("/.auth/login", "Sign in again"))),
    }
}

const NOT_ALLOWED: Why = (
    StatusCode::BAD_REQUEST,
    "The link leads to a website to which this server does not send people.",
    "If the link is yours, ask the operator of this server to allow its post_logout_redirect_uri.",
);
const NO_STORE: Why = (
    StatusCode::SERVICE_UNAVAILABLE,
    "You are still signed in, because this server cannot change its store right now.",
    "Wait a moment, and sign out again.",
);
