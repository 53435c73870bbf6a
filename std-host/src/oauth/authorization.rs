//! The authorization request, and its response at the redirect URI (RFC 6749 §4.1, RFC 7636, RFC
//! 8707, RFC 9207).

use super::discovery::Issuer;
use super::error::OAuthError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;

/// The secrets of one sign-in: `state`, and the PKCE verifier.
pub(crate) struct Attempt {
    pub(crate) state: String,
    pub(crate) verifier: String,
}

/// An authorization request.
pub(crate) struct Request<'r> {
    pub(crate) issuer: &'r Issuer,
    pub(crate) client_id: &'r str,
    pub(crate) redirect_uri: &'r str,
    /// The resource, unless the authorization server refuses the parameter.
    pub(crate) resource: Option<&'r str>,
    pub(crate) scope: &'r str,
}

impl Attempt {
    pub(crate) fn new() -> Result<Self, OAuthError> {
        Ok(Self { state: random()?, verifier: random()? })
    }

    /// Returns the code in the query of a request to the redirect URI. `None` if the request does not belong to this attempt.
    pub(crate) fn code(&self, query: &str, issuer: &Issuer) -> Option<Result<String, OAuthError>> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let get = |name: &str| {
            let mut values = pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_ref());
            let first = values.next();
            // RFC 6749 §3.1: a parameter must not occur more than once.
            first.filter(|_| values.next().is_none())
        };
        if get("state") != Some(&self.state) {
            return None;
        }
        let is_own = match pairs.iter().any(|(name, _)| name == "iss") {
            // RFC 9207 §2.4: compared as text, also in error responses.
            true => get("iss") == Some(&issuer.issuer),
            false => !issuer.authorization_response_iss_parameter_supported,
        };
        if !is_own {
            return Some(Err(OAuthError::OtherIssuer(issuer.issuer.clone())));
        }
        Some(match (get("error"), get("code")) {
            (Some(error), _) => Err(OAuthError::Denied(error.to_owned())),
            (None, Some(code)) => Ok(code.to_owned()),
            (None, None) => Err(OAuthError::Denied("the response has no code".to_owned())),
        })
    }
}

impl Request<'_> {
    /// Returns the URL that the browser opens.
    pub(crate) fn url(&self, attempt: &Attempt) -> Result<Url, OAuthError> {
        let endpoint = &self.issuer.authorization_endpoint;
        let no_endpoint =
            || OAuthError::NoIssuerMetadata(self.issuer.issuer.clone(), "no authorization_endpoint".to_owned());
        let mut url = Url::parse(endpoint).map_err(|_| no_endpoint())?;
        let challenge = URL_SAFE_NO_PAD.encode(attache_core::auth::digest(attempt.verifier.as_bytes()));
        let mut own = vec![
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
            ("state", &attempt.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        own.extend(self.resource.map(|resource| ("resource", resource)));
        if !self.scope.is_empty() {
            own.push(("scope", self.scope));
        }
        // OpenID Connect Core 1.0 §11: offline access needs the consent of the person.
        if self.scope.split(' ').any(|scope| scope == "offline_access") {
            own.push(("prompt", "consent"));
        }
        // The endpoint may have a query, in which no parameter may occur twice.
        let kept: Vec<_> =
            url.query_pairs().into_owned().filter(|(name, _)| own.iter().all(|(own, _)| own != name)).collect();
        url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(own);
        Ok(url)
    }
}

/// Returns 256 random bits in 43 characters, as RFC 7636 §4.1 recommends for a verifier.
fn random() -> Result<String, OAuthError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| OAuthError::Store(format!("no random numbers: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(has_iss: bool) -> Issuer {
        Issuer {
            issuer: "https://id.example".to_owned(),
            authorization_endpoint: "https://id.example/authorize?tenant=a&prompt=none".to_owned(),
            authorization_response_iss_parameter_supported: has_iss,
            ..Issuer::default()
        }
    }

    #[test]
    fn response_must_have_the_state_and_the_issuer_of_the_request() {
        let attempt = Attempt { state: "s".to_owned(), verifier: "v".to_owned() };
        let other = || Some(Err(OAuthError::OtherIssuer("https://id.example".to_owned())));
        let denied = |error: &str| Some(Err(OAuthError::Denied(error.to_owned())));
        let own = "iss=https%3A%2F%2Fid.example";
        for (query, has_iss, expected) in [
            ("state=s&code=c", false, Some(Ok("c".to_owned()))),
            ("state=s&code=c", true, other()),
            (&format!("state=s&code=c&{own}"), true, Some(Ok("c".to_owned()))),
            (&format!("state=s&code=c&{own}"), false, Some(Ok("c".to_owned()))),
            (&format!("state=s&code=c&{own}%2F"), false, other()),
            (&format!("state=s&code=c&{own}&{own}"), true, other()),
            ("state=s&error=access_denied&iss=https%3A%2F%2Fevil.example", true, other()),
            ("state=s&error=access_denied&code=c", false, denied("access_denied")),
            ("state=s", false, denied("the response has no code")),
            ("state=t&code=c", false, None),
            ("state=s&state=s&code=c", false, None),
            ("code=c", false, None),
            ("", false, None),
        ] {
            assert_eq!(attempt.code(query, &issuer(has_iss)), expected, "{query}");
        }
    }

    #[test]
    fn request_has_every_parameter_once_and_keeps_the_query_of_the_endpoint() {
        let attempt =
            Attempt { state: "s".to_owned(), verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned() };
        let request = Request {
            issuer: &issuer(true),
            client_id: "app",
            redirect_uri: "http://127.0.0.1:1/callback",
            resource: Some("https://a.example/mcp"),
            scope: "read offline_access",
        };
        let url = request.url(&attempt).expect("a URL");
        let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
        pairs.sort();
        let expected = [
            ("client_id", "app"),
            // RFC 7636, appendix B.
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
            ("prompt", "consent"),
            ("redirect_uri", "http://127.0.0.1:1/callback"),
            ("resource", "https://a.example/mcp"),
            ("response_type", "code"),
            ("scope", "read offline_access"),
            ("state", "s"),
            ("tenant", "a"),
        ];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(Attempt::new().expect("random numbers").verifier.len(), 43);
    }
}
