//! The page that asks a person for consent, and the decision that it sends back.

use super::answer::page;
use super::client::Client;
use super::consent::{Approved, Asked, Consent};
use super::error::{ErrorCode, OAuthError};
use super::limits::OPEN_CONSENTS;
use super::parameters::{Parameters, form};
use super::refused::{Refused, Why};
use super::seals::Purpose;
use super::{AuthorizationServer, SignIn, callback};
use crate::clock::now;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;

/// Shows the page for this request.
pub(super) fn ask(server: &AuthorizationServer, client: &Client, asked: Asked, headers: &HeaderMap) -> Response {
    let (consent, cookie) = asked.bind(now());
    let html = server.site().consent(client, &consent, &consent.seal(server), &server.sign_in);
    let mut response = page(StatusCode::OK, html);
    for cookie in consent.cookie(server.is_https()).set(&cookie, headers, OPEN_CONSENTS) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Takes the decision of a person.
pub(super) async fn decide(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let form = match form(&head.headers, body, server.body_time).await {
        Ok(form) => form,
        Err(error) => return error.into_response(),
    };
    let now = now();
    let answer = async {
        let approved = approved(&server, &head.headers, &form, now)?;
        match &server.sign_in {
            SignIn::MadeUp(people) => {
                let chosen = form.get("person").and_then(|number| number.parse::<usize>().ok());
                let person = chosen.and_then(|number| people.get(number)).ok_or(Refused::Page(EXPIRED))?;
                approved.finish(&server, person.clone(), None, now).await
            }
            SignIn::Upstream(upstream) => callback::leave(&server, upstream, &approved, &head.headers).await,
        }
    };
    answer.await.unwrap_or_else(|refused| refused.answer(&server))
}

fn approved(
    server: &AuthorizationServer,
    headers: &HeaderMap,
    form: &Parameters,
    now: u64,
) -> Result<Approved, Refused> {
    let opened = form.get("consent").and_then(|sealed| server.seals.open(Purpose::Consent, now, sealed));
    let consent = opened.and_then(|(_, bytes)| serde_json::from_slice::<Consent>(&bytes).ok());
    let consent = consent.ok_or(Refused::Page(EXPIRED))?;
    if !is_own_page(server, headers) {
        return Err(Refused::Page(FOREIGN));
    }
    if !consent.is_of_browser(headers, server.is_https()) {
        return Err(Refused::Page(NO_COOKIE));
    }
    // Everything but a clear yes is a no.
    if form.get("decision") != Some("allow") {
        return Err(consent.refused(OAuthError::new(ErrorCode::AccessDenied, "the person has not allowed it")));
    }
    let is_ticked = |number: usize| form.get(&format!("scope-{number}")) == Some("yes");
    let scopes = consent.scopes.iter().enumerate().filter(|(number, _)| is_ticked(*number));
    let scopes = scopes.map(|(_, scope)| scope.clone()).collect();
    Ok(Approved { consent, scopes })
}

/// Whether the form was sent by a page of this server. Browsers that send neither field are protected by the cookie alone.
fn is_own_page(server: &AuthorizationServer, headers: &HeaderMap) -> bool {
    let is_same_site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    // Fetch Standard §3.2: because of `Referrer-Policy: no-referrer`, the origin of a form is `null`.
    let is_origin = |origin: &HeaderValue| origin == "null" || origin == server.origin();
    is_same_site && headers.get(ORIGIN).is_none_or(is_origin)
}

const EXPIRED: Why = (
    "This page is too old, or was changed.",
    "Go back to the program in which you wanted to sign in, and start again there.",
);
const FOREIGN: Why = (
    "The answer came from a page of another website.",
    "That website may have tried to sign you in without your knowledge. If you wanted to sign in, start again in your program.",
);
const NO_COOKIE: Why = (
    "Your browser did not send the cookie of this page.",
    "Open the link in an ordinary browser window that keeps cookies, and start again in your program.",
);
