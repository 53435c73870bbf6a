//! The consent of a person: what is asked on the page, and the decision that comes back.

use super::AuthorizationServer;
use super::answer::{page, see_other};
use super::authorize::Refused;
use super::error::{ErrorCode, OAuthError};
use super::grant::Terms;
use super::limits::{CONSENT, OPEN_CONSENTS};
use super::parameters::{Parameters, form};
use super::redirect::with_parameters;
use super::seals::{Purpose, random};
use crate::clock::now;
use attache_core::auth::digest;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An authorization request that was checked, and waits for the decision of a person. The page keeps it, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Consent {
    /// Becomes the id of the grant.
    pub(super) id: [u8; 16],
    /// When the page was made.
    pub(super) begun: u64,
    /// The digest of the cookie of the browser that has asked.
    browser: [u8; 32],
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
    pub(super) state: Option<String>,
}

/// A consent without its browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
    pub(super) state: Option<String>,
}

impl Asked {
    /// Binds the request to a browser. Also returns the value of the browser's cookie.
    pub(super) fn bind(self, now: u64) -> (Consent, String) {
        let cookie = URL_SAFE_NO_PAD.encode(random::<16>());
        let Self { client_id, redirect_uri, challenge, resource, scopes, state } = self;
        let browser = digest(cookie.as_bytes());
        let consent =
            Consent { id: random(), begun: now, browser, client_id, redirect_uri, challenge, resource, scopes, state };
        (consent, cookie)
    }
}

impl Consent {
    /// The name of the cookie for this page. It begins with the time, so that the oldest cookie can be found.
    fn cookie_name(&self, is_https: bool) -> String {
        let id = URL_SAFE_NO_PAD.encode(&self.id[..6]);
        format!("{}{:010x}-{id}", prefix(is_https), self.begun)
    }

    pub(super) fn seal(&self, server: &AuthorizationServer) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        server.seals.seal(Purpose::Consent, self.begun + CONSENT.as_secs(), &bytes)
    }

    /// Returns the cookies that a browser with these `headers` has to store: the one of this page, and empty ones for old pages.
    pub(super) fn cookies(&self, value: &str, headers: &HeaderMap, is_https: bool) -> Vec<HeaderValue> {
        let attributes =
            if is_https { "Path=/; Secure; HttpOnly; SameSite=Lax" } else { "Path=/; HttpOnly; SameSite=Lax" };
        let mut open: Vec<_> = cookies(headers).map(|(name, _)| name).collect();
        open.retain(|name| name.starts_with(prefix(is_https)));
        open.sort_unstable();
        let too_many = (open.len() + 1).saturating_sub(OPEN_CONSENTS);
        let set = format!("{}={value}; Max-Age={}; {attributes}", self.cookie_name(is_https), CONSENT.as_secs());
        let ended = open.iter().take(too_many).map(|name| format!("{name}=; Max-Age=0; {attributes}"));
        ended.chain([set]).filter_map(|cookie| HeaderValue::from_str(&cookie).ok()).collect()
    }

    /// Whether the browser that sends these headers is the one that was asked.
    fn is_of_browser(&self, headers: &HeaderMap, is_https: bool) -> bool {
        let name = self.cookie_name(is_https);
        let mut values = cookies(headers).filter(|(own, _)| *own == name).map(|(_, value)| digest(value.as_bytes()));
        values.next().is_some_and(|browser| browser == self.browser) && values.next().is_none()
    }
}

/// The common beginning of the names of cookies. RFC 6265bis §4.1.3.2: browsers accept `__Host-` only with `Secure`, without a
/// domain, and for the whole host, so that no neighbour can set such a cookie. Over plain http on loopback, `Secure` is not
/// possible in every browser.
const fn prefix(is_https: bool) -> &'static str {
    if is_https { "__Host-attache-c-" } else { "attache-c-" }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// Shows the page for this request.
pub(super) fn ask(
    server: &AuthorizationServer,
    client: &super::client::Client,
    asked: Asked,
    headers: &HeaderMap,
) -> Response {
    let (consent, cookie) = asked.bind(now());
    let html = server.site().consent(client, &consent, &consent.seal(server), &server.people);
    let mut response = page(StatusCode::OK, html);
    for cookie in consent.cookies(&cookie, headers, server.is_https()) {
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
    let answer = decided(&server, &head.headers, &form, now());
    answer.unwrap_or_else(|refused| refused.answer(&server))
}

fn decided(
    server: &AuthorizationServer,
    headers: &HeaderMap,
    form: &Parameters,
    now: u64,
) -> Result<Response, Refused> {
    let opened = form.get("consent").and_then(|sealed| server.seals.open(Purpose::Consent, now, sealed));
    let consent = opened.and_then(|(_, bytes)| serde_json::from_slice::<Consent>(&bytes).ok());
    let consent = consent.ok_or(Refused::Page(EXPIRED))?;
    if !is_own_page(server, headers) {
        return Err(Refused::Page(FOREIGN));
    }
    if !consent.is_of_browser(headers, server.is_https()) {
        return Err(Refused::Page(NO_COOKIE));
    }
    let failed = |error| Refused::Client(consent.redirect_uri.clone(), consent.state.clone(), error);
    // Everything but a clear yes is a no.
    if form.get("decision") != Some("allow") {
        let denied = OAuthError::new(ErrorCode::AccessDenied, "the person has not allowed it");
        return Err(failed(denied));
    }
    let chosen = form.get("person").and_then(|number| number.parse::<usize>().ok());
    let person = chosen.and_then(|number| server.people.get(number)).ok_or(Refused::Page(EXPIRED))?;
    let is_ticked = |number: usize| form.get(&format!("scope-{number}")) == Some("yes");
    let scopes = consent.scopes.iter().enumerate().filter(|(number, _)| is_ticked(*number));
    let terms = Terms {
        client_id: consent.client_id.clone(),
        redirect_uri: consent.redirect_uri.clone(),
        resource: consent.resource.clone(),
        scopes: scopes.map(|(_, scope)| scope.clone()).collect(),
        person: person.clone(),
        signed_in: now,
    };
    let code = server.grants.begin(&consent.id, &terms, &consent.challenge, now).map_err(failed)?;
    let code = code.ok_or(Refused::Page(USED))?;
    tracing::info!(
        person = person.subject, redirect_uri = terms.redirect_uri, resource = terms.resource, scopes = ?terms.scopes,
        loopback = terms.is_for_loopback(), "sign-in allowed"
    );
    let mut parameters = vec![("code", code.as_str())];
    parameters.extend(consent.state.as_deref().map(|state| ("state", state)));
    // RFC 9207 §2: every answer names its issuer.
    parameters.push(("iss", &server.issuer));
    Ok(see_other(&with_parameters(&consent.redirect_uri, &parameters)))
}

/// Whether the form was sent by a page of this server. Browsers that send neither field are protected by the cookie alone.
fn is_own_page(server: &AuthorizationServer, headers: &HeaderMap) -> bool {
    let is_same_site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    // Fetch Standard §3.2: because of `Referrer-Policy: no-referrer`, the origin of a form is `null`.
    let is_origin = |origin: &HeaderValue| origin == "null" || origin == server.origin();
    is_same_site && headers.get(ORIGIN).is_none_or(is_origin)
}

/// A page that says why the sign-in cannot go on, and what to do.
pub(super) type Why = (&'static str, &'static str);

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
const USED: Why = ("This sign-in was completed before.", "If your program is not signed in, start again there.");

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(begun: u64) -> (Consent, String) {
        let asked = Asked {
            client_id: "a".to_owned(),
            redirect_uri: "http://127.0.0.1:1/".to_owned(),
            challenge: String::new(),
            resource: String::new(),
            scopes: Vec::new(),
            state: None,
        };
        asked.bind(begun)
    }

    fn headers(cookies: &[String]) -> HeaderMap {
        let value = |cookie: &String| HeaderValue::from_str(cookie).expect("a cookie");
        cookies.iter().map(|cookie| (COOKIE, value(cookie))).collect()
    }

    #[test]
    fn consent_is_bound_to_the_browser_that_was_asked() {
        let (consent, value) = consent(1_800_000_000);
        let (name, other) = (consent.cookie_name(true), consent.cookie_name(false));
        assert!(name.starts_with("__Host-"), "{name}");
        for (cookies, expected) in [
            (vec![format!("a=b; {name}={value}; c=d")], true),
            (vec![], false),
            (vec![format!("{name}=other")], false),
            (vec![format!("{other}={value}")], false),
            // A neighbour of the host may have set a second one.
            (vec![format!("{name}={value}; {name}=other")], false),
        ] {
            assert_eq!(consent.is_of_browser(&headers(&cookies), true), expected, "{cookies:?}");
        }
    }

    #[test]
    fn browser_keeps_ten_cookies_at_most_and_the_oldest_ones_go_first() {
        let mut jar: Vec<String> = Vec::new();
        for second in 0..12 {
            let (consent, value) = consent(1_800_000_000 + second);
            for cookie in consent.cookies(&value, &headers(&jar), true) {
                let cookie = cookie.to_str().expect("text");
                let (pair, attributes) = cookie.split_once("; ").expect("attributes");
                let name = pair.split('=').next().expect("a name").to_owned();
                jar.retain(|kept| !kept.starts_with(&name));
                assert!(attributes.contains("Secure; HttpOnly; SameSite=Lax"), "{attributes}");
                if !attributes.contains("Max-Age=0") {
                    jar.push(pair.to_owned());
                }
            }
        }
        assert_eq!(jar.len(), OPEN_CONSENTS);
        assert!(jar[0].contains(&format!("{:x}", 1_800_000_002)), "{jar:?}");
    }
}
