//! The consent of a person: what a client asks for, and what the person has allowed.

use super::answer::see_other;
use super::cookie::Cookie;
use super::error::OAuthError;
use super::grant::{Proof, Terms};
use super::grants::blocking;
use super::limits::CONSENT;
use super::redirect::with_parameters;
use super::refused::{Refused, Why};
use super::seals::{Purpose, random};
use super::{AuthorizationServer, Person};
use attache_core::auth::digest;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
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
    /// Whether the client has to authenticate.
    #[serde(default)]
    pub(super) is_confidential: bool,
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
    pub(super) is_confidential: bool,
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
        let Self { client_id, is_confidential, redirect_uri, challenge, resource, scopes, state } = self;
        let browser = digest(cookie.as_bytes());
        let id = random();
        let consent = Consent {
            id,
            begun: now,
            browser,
            client_id,
            is_confidential,
            redirect_uri,
            challenge,
            resource,
            scopes,
            state,
        };
        (consent, cookie)
    }
}

impl Consent {
    pub(super) fn seal(&self, server: &AuthorizationServer) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        server.seals.seal(Purpose::Consent, self.begun + CONSENT.as_secs(), &bytes)
    }

    pub(super) fn cookie(&self, is_https: bool) -> Cookie {
        Cookie { kind: "c", begun: self.begun, id: self.id, is_https }
    }

    /// Whether the browser that sends these headers is the one that got the page.
    pub(super) fn is_of_browser(&self, headers: &HeaderMap, is_https: bool) -> bool {
        let value = self.cookie(is_https).value(headers);
        value.is_some_and(|value| digest(value.as_bytes()) == self.browser)
    }
}

/// A consent that a person has given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Approved {
    pub(super) consent: Consent,
    /// The scopes that the person has left ticked.
    pub(super) scopes: Vec<String>,
}

impl Consent {
    /// The error that goes to the client of this request.
    pub(super) fn refused(&self, error: OAuthError) -> Refused {
        Refused::Client(self.redirect_uri.clone(), self.state.clone(), error)
    }

    /// Sends the browser to the client with this code.
    pub(super) fn with_code(&self, server: &AuthorizationServer, code: &str) -> Response {
        let mut parameters = vec![("code", code)];
        parameters.extend(self.state.as_deref().map(|state| ("state", state)));
        // RFC 9207 §2: every answer names its issuer.
        parameters.push(("iss", &server.issuer));
        see_other(&with_parameters(&self.redirect_uri, &parameters))
    }
}

impl Approved {
    /// Stores the grant of this person, and sends its code to the client.
    pub(super) async fn finish(
        &self,
        server: &Arc<AuthorizationServer>,
        person: Person,
        proof: Option<Proof>,
        now: u64,
    ) -> Result<Response, Refused> {
        let Self { consent, scopes } = self;
        let terms = Terms {
            client_id: consent.client_id.clone(),
            redirect_uri: consent.redirect_uri.clone(),
            resource: consent.resource.clone(),
            scopes: scopes.clone(),
            person,
            signed_in: now,
            is_confidential: consent.is_confidential,
        };
        tracing::info!(
            person = terms.person.subject, redirect_uri = terms.redirect_uri, resource = terms.resource,
            scopes = ?terms.scopes, loopback = terms.is_for_loopback(), "sign-in allowed"
        );
        let (id, challenge, shared) = (consent.id, consent.challenge.clone(), Arc::clone(server));
        let code = blocking(move || shared.grants.begin(&id, &terms, &challenge, proof.as_ref(), now)).await;
        let code = code.map_err(|error| consent.refused(error))?.ok_or(Refused::Page(USED))?;
        Ok(consent.with_code(server, &code))
    }
}

const USED: Why = ("This sign-in was completed before.", "If your program is not signed in, start again there.");

#[cfg(test)]
mod tests {
    use super::super::limits::OPEN_CONSENTS;
    use super::*;
    use http::HeaderValue;
    use http::header::COOKIE;

    fn consent(begun: u64) -> (Consent, String) {
        let asked = Asked {
            client_id: "a".to_owned(),
            is_confidential: false,
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
        let (name, other) = (consent.cookie(true).name(), consent.cookie(false).name());
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
            for cookie in consent.cookie(true).set(&value, &headers(&jar), OPEN_CONSENTS) {
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
