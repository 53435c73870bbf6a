//! The beginning of a sign-in: with a browser, or with a token that a program has.

use super::limits::{ATTEMPT, BODY, OPEN, PRESENTED};
use super::pages::{Why, choice, failure, fragment};
use super::redirect::allowed;
use super::session::{NotSignedIn, SignedIn};
use super::{Provider, SignIn};
use crate::authorization_server::answer::{json, see_other};
use crate::authorization_server::cookie::Cookie;
use crate::authorization_server::parameters::{Parameters, bytes, has_type, object};
use crate::authorization_server::seals::{Purpose, random};
use crate::clock::now;
use crate::provider::{Attempt, Failed, Tokens};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// A sign-in that is under way. The browser keeps it in a cookie, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) id: [u8; 16],
    pub(super) provider: String,
    /// The URL to which the browser goes afterwards.
    pub(super) to: Option<String>,
}

impl SignIn {
    /// The values of the sign-in with this id. All of them can be made again from the id, and by this server alone.
    pub(super) fn attempt(&self, provider: &Provider, id: &[u8; 16], begun: u64) -> Attempt {
        let sealed = |purpose| self.seals.seal(purpose, begun + self.attempt.as_secs(), id);
        Attempt {
            state: sealed(Purpose::State),
            nonce: sealed(Purpose::Nonce),
            verifier: sealed(Purpose::Verifier),
            redirect_uri: format!("{}/.auth/login/{}/callback", self.origin, provider.name),
        }
    }

    /// The cookie of the sign-in with this id.
    pub(super) const fn attempt_cookie(&self, id: [u8; 16], begun: u64) -> Cookie {
        Cookie { kind: "s", begun, id, is_https: self.is_https() }
    }
}

/// Shows the providers, or goes to the only one.
pub(super) async fn choose(State(sign_in): State<Arc<SignIn>>, request: Request) -> Response {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    match sign_in.providers.as_slice() {
        [only] => see_other(&format!("/.auth/login/{}{query}", only.name)),
        _ => choice(&sign_in, &query),
    }
}

/// Sends the browser to the provider.
pub(super) async fn begin(State(sign_in): State<Arc<SignIn>>, Path(name): Path<String>, request: Request) -> Response {
    let Some(provider) = sign_in.provider(&name) else { return failure(NO_PROVIDER, Some("/.auth/login")) };
    let query = Parameters::parse(request.uri().query().unwrap_or_default().as_bytes());
    if query.is_repeated("post_login_redirect_uri") {
        return failure(NOT_ALLOWED, None);
    }
    let asked = query.get("post_login_redirect_uri");
    if let (true, Some(_), None) = (sign_in.keeps_fragments, asked, query.get("fragment")) {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        return fragment(&format!("{path}&fragment=%23"));
    }
    // The fragment begins with `#`, so it cannot change the other parts of the URL.
    let with_fragment = |asked: &str| match query.get("fragment").filter(|fragment| fragment.len() > 1) {
        Some(fragment) if fragment.starts_with('#') && !asked.contains('#') => format!("{asked}{fragment}"),
        _ => asked.to_owned(),
    };
    let to = asked.map(|asked| allowed(&with_fragment(asked), &sign_in.origin, &sign_in.external));
    match to {
        Some(None) => failure(NOT_ALLOWED, None),
        to => leave(&sign_in, provider, to.flatten(), request.headers()).await,
    }
}

async fn leave(sign_in: &SignIn, provider: &Provider, to: Option<String>, headers: &HeaderMap) -> Response {
    let (id, begun) = (random::<16>(), now());
    let attempt = sign_in.attempt(provider, &id, begun);
    let url = match provider.upstream.authorization_url(&attempt).await {
        Ok(url) => url,
        Err(failed) => return refused(provider, &failed),
    };
    let pending = Pending { id, provider: provider.name.clone(), to };
    let bytes = serde_json::to_vec(&pending).unwrap_or_default();
    let sealed = sign_in.seals.seal(Purpose::Attempt, begun + sign_in.attempt.as_secs(), &bytes);
    let mut response = see_other(&url);
    for cookie in sign_in.attempt_cookie(id, begun).set(&sealed, headers, OPEN) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// The page for a failure of the provider.
pub(super) fn refused(provider: &Provider, failed: &Failed) -> Response {
    tracing::warn!(provider = provider.name, reason = %failed, "sign-in failed");
    let again = format!("/.auth/login/{}", provider.name);
    let why = match failed {
        Failed::Unavailable(_) => UNAVAILABLE,
        Failed::Refused(_) => MISCONFIGURED,
        Failed::Code | Failed::IdToken(_) => NOT_PROVEN,
    };
    failure(why, Some(&again))
}

/// The body of a request that signs a program in.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Presented {
    access_token: Option<String>,
    id_token: Option<String>,
}

/// Signs a program in with a token that it has got at the provider, and returns a session for the header `X-ZUMO-AUTH`. No cookie is
/// set, so a page of another website cannot sign a browser in.
pub(super) async fn present(
    State(sign_in): State<Arc<SignIn>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let error = |status, text: &str| json(status, &json!({ "error": text }));
    let Some(provider) = sign_in.provider(&name) else {
        return error(StatusCode::NOT_FOUND, "there is no such provider");
    };
    let (head, body) = request.into_parts();
    if !has_type(&head.headers, "application/json") {
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    let body = match bytes(body, BODY, sign_in.body_time).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let presented = object::<Presented>(&body).unwrap_or_default();
    // Entra ID and Google: the ID token says who the person is, and an access token may come with it.
    let Some(token) = presented.id_token.as_ref().or(presented.access_token.as_ref()) else {
        return error(StatusCode::BAD_REQUEST, "the body must have id_token or access_token");
    };
    if token.len() > PRESENTED {
        return error(StatusCode::UNAUTHORIZED, "the token is too long");
    }
    let now = now();
    let identity = match provider.upstream.presented(token, now).await {
        Ok(identity) => identity,
        Err(failed) => {
            tracing::warn!(provider = provider.name, reason = %failed, "sign-in with a token failed");
            return match failed {
                Failed::Unavailable(_) => {
                    error(StatusCode::SERVICE_UNAVAILABLE, "the provider does not answer: try again")
                }
                Failed::Refused(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the provider refuses this server"),
                Failed::Code | Failed::IdToken(_) => {
                    error(StatusCode::UNAUTHORIZED, "the token is not valid for this server")
                }
            };
        }
    };
    let session = SignedIn::begin(&sign_in, provider, identity, now);
    let Presented { access_token, id_token } = presented;
    let tokens = Tokens { access_token: access_token.unwrap_or_default(), id_token, ..Tokens::default() };
    match sign_in.start(provider, &session, tokens).await {
        Ok(sealed) => {
            let user =
                format!("sid:{}", session.person.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default());
            json(StatusCode::OK, &json!({"authenticationToken": sealed, "user": {"userId": user}}))
        }
        Err(refused) => {
            let (status, why, _) = not_signed_in(provider, refused);
            error(status, why)
        }
    }
}

/// The text for a person who cannot be signed in.
pub(super) fn not_signed_in(provider: &Provider, refused: NotSignedIn) -> Why {
    tracing::warn!(provider = provider.name, reason = ?refused, "a person was not signed in");
    match refused {
        NotSignedIn::NotAllowed(_) => FORBIDDEN,
        NotSignedIn::TooLarge => TOO_LARGE,
        NotSignedIn::StoreUnavailable => NO_STORE,
    }
}

/// The longest time for a sign-in.
pub(super) const LONGEST: core::time::Duration = ATTEMPT;

const NO_PROVIDER: Why =
    (StatusCode::NOT_FOUND, "This server has no sign-in of this name.", "Choose one of those that it has.");
const NOT_ALLOWED: Why = (
    StatusCode::BAD_REQUEST,
    "The link leads to a website to which this server does not send people.",
    "If the link is yours, ask the operator of this server to allow its post_login_redirect_uri.",
);
const UNAVAILABLE: Why = (
    StatusCode::SERVICE_UNAVAILABLE,
    "The sign-in service does not answer right now.",
    "Wait a moment, and try again.",
);
const MISCONFIGURED: Why = (
    StatusCode::INTERNAL_SERVER_ERROR,
    "The sign-in service refuses this server.",
    "Tell the operator of this server. The log says why.",
);
const NOT_PROVEN: Why = (
    StatusCode::BAD_REQUEST,
    "The sign-in service did not confirm who you are.",
    "Start again. If it happens again, the log of this server says why.",
);
const FORBIDDEN: Why = (
    StatusCode::FORBIDDEN,
    "You have signed in, but you may not use this server.",
    "Use another account, or ask the operator of this server for access.",
);
const TOO_LARGE: Why = (
    StatusCode::BAD_REQUEST,
    "Your account has more groups, roles or tokens than this server can keep.",
    "Ask the operator of this server to request fewer of them from the sign-in service.",
);
const NO_STORE: Why = (
    StatusCode::SERVICE_UNAVAILABLE,
    "This server cannot store your sign-in right now.",
    "Wait a moment, and try again.",
);
