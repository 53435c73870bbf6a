//! The redirect to the issuer at which people sign in, and the callback from it.

use super::consent::Approved;
use super::cookie::Cookie;
use super::error::{ErrorCode, OAuthError};
use super::grant::Proof;
use super::grants::blocking;
use super::limits::{CLAIMS, CONSENT, COOKIE, OPEN_SIGN_INS, PROOF};
use super::parameters::Parameters;
use super::refused::{Refused, Why};
use super::seals::Purpose;
use super::{AuthorizationServer, Person, SignIn, answer};
use crate::clock::now;
use crate::provider::{Attempt, Failed, Identity, Tokens, Upstream};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

impl AuthorizationServer {
    /// The values of the sign-in with this id. All of them can be made again from the id and the index of the seal key, and by this
    /// server alone.
    fn attempt(&self, id: [u8; 16], begun: u64, key: usize) -> Attempt {
        let sealed = |purpose| self.seals.seal_by(key, purpose, begun + CONSENT.as_secs(), &id);
        Attempt {
            state: sealed(Purpose::State),
            nonce: sealed(Purpose::Nonce),
            verifier: sealed(Purpose::Verifier),
            redirect_uri: format!("{}/oauth/callback", self.issuer),
        }
    }

    fn cookie(&self, id: [u8; 16], begun: u64) -> Cookie {
        Cookie { kind: "u", begun, id, is_https: self.is_https() }
    }
}

/// Redirects the browser to the issuer after the person has agreed. The redirect carries a state, and the cookie of the
/// browser has to match it when the browser comes back.
pub(super) async fn leave(
    server: &AuthorizationServer,
    upstream: &Upstream,
    approved: &Approved,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    let consent = &approved.consent;
    let bytes = serde_json::to_vec(approved).unwrap_or_default();
    let sealed = server.seals.seal(Purpose::Approved, consent.begun + CONSENT.as_secs(), &bytes);
    if sealed.len() > COOKIE {
        let error = OAuthError::new(ErrorCode::InvalidRequest, "state, scope and client_id are too long together");
        return Err(consent.refused(error));
    }
    let attempt = server.attempt(consent.id, consent.begun, 0);
    let url = upstream.authorization_url(&attempt).await.map_err(|failed| refused(approved, &failed))?;
    let mut response = answer::see_other(&url);
    for cookie in server.cookie(consent.id, consent.begun).set(&sealed, headers, OPEN_SIGN_INS) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Handles the callback: a person comes back from the issuer.
pub(super) async fn callback(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let SignIn::Upstream(upstream) = &server.sign_in else { return StatusCode::NOT_FOUND.into_response() };
    let (head, _) = request.into_parts();
    let query = Parameters::parse(head.uri.query().unwrap_or_default().as_bytes());
    let answer = back(&server, upstream, &head.headers, &query, now()).await;
    answer.unwrap_or_else(|refused| {
        tracing::warn!(reason = ?refused, "sign-in failed");
        refused.answer(&server)
    })
}

async fn back(
    server: &Arc<AuthorizationServer>,
    upstream: &Upstream,
    headers: &HeaderMap,
    query: &Parameters,
    now: u64,
) -> Result<Response, Refused> {
    let opened = query.get("state").and_then(|state| server.seals.open_by(Purpose::State, now, state));
    let (id, begun, key) = opened
        .and_then(|(key, expires, id)| Some((id.try_into().ok()?, expires.checked_sub(CONSENT.as_secs())?, key)))
        .ok_or(Refused::Page(UNKNOWN))?;
    let approved = approved(server, headers, id, begun, now).ok_or(Refused::Page(NO_COOKIE))?;
    // RFC 9207 §2.4: before anything else is believed. An answer of another issuer ends here.
    match upstream.has_sent(query.get("iss").or_else(|| query.is_repeated("iss").then_some(""))).await {
        Ok(true) => {}
        Ok(false) => return Err(Refused::Page(MIXED_UP)),
        Err(failed) => return Err(refused(&approved, &failed)),
    }
    if let Some(error) = query.get("error") {
        tracing::info!(error = error.chars().take(64).collect::<String>(), "the issuer has not signed the person in");
        return Err(approved.consent.refused(of_issuer(error)));
    }
    let code = query.get("code").ok_or(Refused::Page(UNKNOWN))?;
    // A browser may load the page twice. The code of the issuer works once, ours is still there.
    if let Some(code) = pending(server, &approved).await? {
        return Ok(approved.consent.with_code(server, &code));
    }
    match upstream.signed_in(code, &server.attempt(id, begun, key), now).await {
        Ok((identity, tokens)) => {
            admit(server, upstream, &identity)?;
            let proof = proof(server, tokens, now);
            approved.finish(server, person(upstream.configured(identity))?, proof, now).await
        }
        Err(failed) => match pending(server, &approved).await? {
            Some(code) => Ok(approved.consent.with_code(server, &code)),
            None => Err(refused(&approved, &failed)),
        },
    }
}

/// Returns the consent that this browser has given.
fn approved(server: &AuthorizationServer, headers: &HeaderMap, id: [u8; 16], begun: u64, now: u64) -> Option<Approved> {
    let value = server.cookie(id, begun).value(headers)?;
    let (_, bytes) = server.seals.open(Purpose::Approved, now, value)?;
    let approved: Approved = serde_json::from_slice(&bytes).ok()?;
    (approved.consent.id == id).then_some(approved)
}

async fn pending(server: &Arc<AuthorizationServer>, approved: &Approved) -> Result<Option<String>, Refused> {
    let (id, shared) = (approved.consent.id, Arc::clone(server));
    let pending = blocking(move || shared.grants.pending(&id, now())).await;
    pending.map_err(|error| approved.consent.refused(error))
}

/// Checks that people of this tenant may sign in.
fn admit(server: &AuthorizationServer, upstream: &Upstream, identity: &Identity) -> Result<(), Refused> {
    if server.tenants.is_empty() && !upstream.has_tenants() {
        return Ok(());
    }
    let is_admitted = |tenant: &str| server.tenants.iter().any(|own| own == tenant || own == attache_core::auth::ANY);
    match identity.tenant().is_some_and(is_admitted) {
        true => Ok(()),
        false => Err(Refused::Page(OTHER_TENANT)),
    }
}

/// Returns what is stored to ask the issuer again about the person.
fn proof(server: &AuthorizationServer, tokens: Tokens, now: u64) -> Option<Proof> {
    let refresh_token = tokens.refresh_token.filter(|token| token.len() <= PROOF)?;
    (!server.recheck.after.is_zero()).then_some(Proof { refresh_token, proven: now })
}

fn person(identity: Identity) -> Result<Person, Refused> {
    let size = serde_json::to_vec(&identity.claims).map_or(usize::MAX, |bytes| bytes.len());
    if size > CLAIMS {
        return Err(Refused::Page(TOO_MANY_CLAIMS));
    }
    let person = Person { claims: identity.claims, ..Person::new(&identity.issuer, &identity.subject) };
    Ok(match identity.name {
        Some(name) => person.name(&super::pages::shown(&name)),
        None => person,
    })
}

/// Returns the error that the client gets for an error of the issuer. The text of the issuer is not
/// passed on.
fn of_issuer(error: &str) -> OAuthError {
    match error {
        "access_denied" | "consent_required" | "interaction_required" | "login_required" => {
            OAuthError::new(ErrorCode::AccessDenied, "the person was not signed in")
        }
        "temporarily_unavailable" | "server_error" => UNAVAILABLE,
        _ => OAuthError::new(
            ErrorCode::ServerError,
            "the issuer has refused the request: the log of the server says why",
        ),
    }
}

const UNAVAILABLE: OAuthError =
    OAuthError::new(ErrorCode::TemporarilyUnavailable, "people cannot sign in right now: try again");

fn refused(approved: &Approved, failed: &Failed) -> Refused {
    tracing::warn!(reason = %failed, "sign-in at the issuer failed");
    match failed {
        Failed::Unavailable(_) => approved.consent.refused(UNAVAILABLE),
        Failed::Refused(_) => approved.consent.refused(of_issuer("")),
        // The code or the token may have been injected, so nothing goes to the client.
        Failed::Code | Failed::IdToken(_) => Refused::Page(NOT_PROVEN),
    }
}

const UNKNOWN: Why =
    ("This sign-in is unknown here, or took too long.", "Start again in the program in which you wanted to sign in.");
const NO_COOKIE: Why = (
    "Your browser did not keep the cookie of this sign-in, or the sign-in began in another browser.",
    "Use one ordinary browser window that keeps cookies, and start again in your program.",
);
const MIXED_UP: Why = (
    "The answer came from another issuer than the one at which the sign-in began.",
    "Start again in your program, and tell the operator of this server if it happens again.",
);
const NOT_PROVEN: Why = (
    "The issuer did not confirm who you are.",
    "Start again in your program. If it happens again, the log of this server says why.",
);
const OTHER_TENANT: Why = (
    "Your account is of an organization whose people may not sign in here.",
    "Sign in with an account of another organization, or ask the operator of this server.",
);
const TOO_MANY_CLAIMS: Why = (
    "Your account has more groups or roles than fit into a token.",
    "Ask the operator of this server to copy fewer claims.",
);
