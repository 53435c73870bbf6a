//! The callback: the browser comes back from the provider.

use super::login::{Pending, not_signed_in, refused};
use super::pages::{Why, failure};
use super::session::SignedIn;
use super::{Provider, SignIn};
use crate::authorization_server::answer::see_other;
use crate::authorization_server::cookie::Cookie;
use crate::authorization_server::parameters::Parameters;
use crate::authorization_server::seals::Purpose;
use crate::clock::now;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// Handles the callback.
pub(super) async fn callback(
    State(sign_in): State<Arc<SignIn>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let Some(provider) = sign_in.provider(&name) else { return failure(UNKNOWN, Some("/.auth/login")) };
    let query = Parameters::parse(request.uri().query().unwrap_or_default().as_bytes());
    let headers = request.headers();
    let again = format!("/.auth/login/{}", provider.name);
    let now = now();
    let Some((id, begun)) = attempt(&sign_in, &query, now) else { return failure(UNKNOWN, Some(&again)) };
    let cookie = sign_in.attempt_cookie(id, begun);
    // The state is bound to the browser in which the sign-in began, so a link with the answer for another person signs in no one.
    let Some(pending) =
        pending(&sign_in, &cookie, headers, id, now).filter(|pending| pending.provider == provider.name)
    else {
        return failure(NO_COOKIE, Some(&again));
    };
    let mut response = back(&sign_in, provider, &pending, begun, &query, headers).await;
    // The sign-in is over, whatever its end is, so its answer cannot be sent twice.
    if let Some(ended) = cookie.ended() {
        response.headers_mut().append(SET_COOKIE, ended);
    }
    response
}

/// Reads the state of an answer: the id of the sign-in, and when it has begun.
fn attempt(sign_in: &SignIn, query: &Parameters, now: u64) -> Option<([u8; 16], u64)> {
    let (expires, id) = sign_in.seals.open(Purpose::State, now, query.get("state")?)?;
    Some((id.try_into().ok()?, expires.checked_sub(sign_in.attempt.as_secs())?))
}

/// Returns the sign-in with this id that this browser has begun.
fn pending(sign_in: &SignIn, cookie: &Cookie, headers: &HeaderMap, id: [u8; 16], now: u64) -> Option<Pending> {
    let (_, bytes) = sign_in.seals.open(Purpose::Attempt, now, cookie.value(headers)?)?;
    serde_json::from_slice::<Pending>(&bytes).ok().filter(|pending| pending.id == id)
}

async fn back(
    sign_in: &SignIn,
    provider: &Provider,
    pending: &Pending,
    begun: u64,
    query: &Parameters,
    headers: &HeaderMap,
) -> Response {
    let again = format!("/.auth/login/{}", provider.name);
    // RFC 9207 §2.4: an answer of another issuer ends here.
    match provider.upstream.has_sent(query.get("iss").or_else(|| query.is_repeated("iss").then_some(""))).await {
        Ok(true) => {}
        Ok(false) => return failure(MIXED_UP, Some(&again)),
        Err(failed) => return refused(provider, &failed),
    }
    if let Some(error) = query.get("error") {
        let error: String = error.chars().take(64).collect();
        tracing::info!(provider = provider.name, error, "the provider has not signed the person in");
        let why = match error.as_str() {
            "temporarily_unavailable" | "server_error" => BUSY,
            _ => DENIED,
        };
        return failure(why, Some(&again));
    }
    let Some(code) = query.get("code") else { return failure(UNKNOWN, Some(&again)) };
    let now = now();
    let attempt = sign_in.attempt(provider, &pending.id, begun);
    let (identity, tokens) = match provider.upstream.signed_in(code, &attempt, now).await {
        Ok(signed_in) => signed_in,
        Err(failed) => return refused(provider, &failed),
    };
    let mut session = SignedIn::begin(sign_in, provider, identity, now);
    if let (true, Some(expires)) = (sign_in.ends_with_token, tokens.expires) {
        session.exp = session.exp.min(expires);
    }
    let sealed = match sign_in.start(provider, &session, tokens).await {
        Ok(sealed) => sealed,
        Err(why) => return failure(not_signed_in(provider, why), Some("/.auth/login")),
    };
    // The session that the browser had before ends.
    if let Some(old) = sign_in.session_of_cookie(headers)
        && sign_in.end(&old).await.is_err()
    {
        tracing::warn!("the tokens of an older session were not removed: the store cannot be written");
    }
    let Some(cookies) = sign_in.cookie().set(&sealed, session.exp.saturating_sub(now), headers) else {
        return failure(TOO_LARGE, None);
    };
    let mut response = see_other(pending.to.as_deref().unwrap_or("/.auth/login/done"));
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

const UNKNOWN: Why = (StatusCode::BAD_REQUEST, "This sign-in is unknown here, or took too long.", "Start again.");
const NO_COOKIE: Why = (
    StatusCode::BAD_REQUEST,
    "This sign-in is complete already, or it began in another browser, or your browser did not keep its cookie.",
    "Use one ordinary browser window that keeps cookies, and start again.",
);
const MIXED_UP: Why = (
    StatusCode::BAD_REQUEST,
    "The answer came from another sign-in service than the one at which the sign-in began.",
    "Start again, and tell the operator of this server if it happens again.",
);
const DENIED: Why = (
    StatusCode::FORBIDDEN,
    "The sign-in service did not sign you in.",
    "If you have cancelled the sign-in, all is well.",
);
const BUSY: Why = (
    StatusCode::SERVICE_UNAVAILABLE,
    "The sign-in service cannot sign people in right now.",
    "Wait a moment, and try again.",
);
const TOO_LARGE: Why = (
    StatusCode::BAD_REQUEST,
    "Your account has more groups or roles than fit into a cookie.",
    "Ask the operator of this server to request fewer of them from the sign-in service.",
);
