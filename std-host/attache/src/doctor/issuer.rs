//! The authorization servers that the metadata names.

use super::entra::is_entra;
use super::finding::Code;
use super::http::NoAnswer;
use super::metadata::Metadata;
use super::report::Step;
use super::walk::Walk;
use serde_json::Value;
use url::Url;

/// An authorization server.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) is_entra: bool,
    /// The keys, as the server publishes them.
    pub(super) keys: Option<String>,
}

/// Most authorization servers that are examined: metadata could name any number.
const MOST: usize = 3;

impl Walk<'_> {
    /// Examines the authorization servers.
    pub(super) async fn issuers(&mut self, metadata: Option<&Metadata>) -> Vec<Issuer> {
        let mut issuers = Vec::new();
        for issuer in metadata.map(|metadata| metadata.issuers.as_slice()).unwrap_or_default().iter().take(MOST) {
            issuers.push(self.issuer(issuer, metadata).await);
        }
        issuers
    }

    async fn issuer(&mut self, issuer: &str, resource: Option<&Metadata>) -> Issuer {
        let mut known = Issuer { url: issuer.to_owned(), is_entra: is_entra(issuer, None), keys: None };
        let Ok(url) = Url::parse(issuer) else {
            self.report.found(Step::Issuer, Code::IssuerMalformed, format!("{issuer} is not a URL"));
            return known;
        };
        let is_local = super::is_local(&url);
        if url.scheme() != "https" && !(is_local && url.scheme() == "http") {
            self.report.found(Step::Issuer, Code::IssuerMalformed, format!("{issuer} is not https"));
        }
        if is_local && !super::is_local(&self.url) {
            self.report.found(Step::Issuer, Code::IssuerForbidden, format!("{issuer} is on the client's own machine"));
            return known;
        }
        self.form_of_entra(&url, known.is_entra);
        let Some((place, metadata)) = self.metadata_of(issuer, &url).await else { return known };
        self.report.saw(Step::Issuer, format!("{place} has the metadata of {issuer}"));
        if is_entra(issuer, Some(&metadata)) && !known.is_entra {
            known.is_entra = true;
            self.form_of_entra(&url, true);
            if let Some(resource) = resource {
                self.scopes_of_entra(resource.resource.as_deref().unwrap_or_default(), &resource.scopes);
            }
        }
        self.endpoints(&metadata);
        self.abilities(issuer, &metadata, known.is_entra);
        known.keys = self.keys(&metadata).await;
        known
    }

    /// Looks for the metadata at the three places, in the order of MCP basic/authorization.
    async fn metadata_of(&mut self, issuer: &str, url: &Url) -> Option<(Url, Value)> {
        let (mut seen, mut silent) = (Vec::new(), None);
        for place in places(url) {
            let answer = match self.http.get(&place).await {
                Ok(answer) => answer,
                Err(NoAnswer::Forbidden) => {
                    self.report.found(Step::Issuer, Code::IssuerForbidden, place.as_str());
                    return None;
                }
                Err(why) => {
                    silent = Some(format!("{place}: {why}"));
                    break;
                }
            };
            match answer.json().filter(|json| answer.status.is_success() && json.is_object()) {
                None => seen.push(format!("{place}: {}", answer.summary())),
                Some(metadata) => {
                    let named = metadata.get("issuer").and_then(Value::as_str).unwrap_or("nobody").to_owned();
                    // The tenant-independent metadata of Entra has a placeholder.
                    if named != issuer && !named.contains("{tenantid}") {
                        let seen = format!("{place} is the metadata of {named}, not of {issuer}");
                        self.report.found(Step::Issuer, Code::IssuerDiffers, seen);
                    }
                    return Some((place, metadata));
                }
            }
        }
        match silent {
            Some(why) => self.report.found(Step::Issuer, Code::IssuerUnreachable, why),
            None => self.report.found(Step::Issuer, Code::IssuerMetadataMissing, seen.join("; ")),
        }
        None
    }

    fn endpoints(&mut self, metadata: &Value) {
        for name in ["authorization_endpoint", "token_endpoint"] {
            let url = metadata.get(name).and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
            let is_good = url.as_ref().is_some_and(|url| url.scheme() == "https" || super::is_local(url));
            if !is_good {
                let seen = metadata.get(name).map_or("missing".to_owned(), Value::to_string);
                self.report.found(Step::Issuer, Code::EndpointMissing, format!("{name} is {seen}"));
            }
        }
    }

    fn abilities(&mut self, issuer: &str, metadata: &Value, is_entra: bool) {
        let methods = metadata.get("code_challenge_methods_supported").and_then(Value::as_array);
        let has_pkce = methods.is_some_and(|methods| methods.iter().any(|method| method == "S256"));
        // Entra ID supports PKCE, and does not say so in its metadata.
        match has_pkce || is_entra {
            true => self.report.saw(Step::Issuer, "PKCE is supported"),
            false => self.report.found(Step::Issuer, Code::PkceMissing, format!("{issuer} does not list S256")),
        }
        let registers = metadata.get("registration_endpoint").is_some();
        let reads_documents = metadata.get("client_id_metadata_document_supported") == Some(&Value::Bool(true));
        match (registers, reads_documents) {
            (false, false) => {
                let seen =
                    format!("{issuer} has neither registration_endpoint nor client_id_metadata_document_supported");
                self.report.found(Step::Issuer, Code::RegistrationMissing, seen);
            }
            (_, true) => self.report.saw(Step::Issuer, "clients register by a client metadata document"),
            (true, false) => self.report.saw(Step::Issuer, "clients register dynamically"),
        }
    }

    async fn keys(&mut self, metadata: &Value) -> Option<String> {
        let url = metadata.get("jwks_uri").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
        let Some(url) = url else {
            self.report.found(Step::Issuer, Code::KeysMissing, "the metadata has no jwks_uri");
            return None;
        };
        let keys = match self.http.get(&url).await {
            Ok(answer) if answer.status.is_success() => answer.json(),
            Ok(answer) => {
                self.report.found(Step::Issuer, Code::KeysMissing, format!("{url}: {}", answer.summary()));
                return None;
            }
            Err(why) => {
                self.report.found(Step::Issuer, Code::KeysMissing, format!("{url}: {why}"));
                return None;
            }
        };
        let count = keys.as_ref().and_then(|keys| keys.get("keys")).and_then(Value::as_array).map_or(0, Vec::len);
        match count {
            0 => self.report.found(Step::Issuer, Code::KeysMissing, format!("{url} has no keys")),
            count => self.report.saw(Step::Issuer, format!("{url} has {count} keys")),
        }
        keys.map(|keys| keys.to_string())
    }
}

/// The places of the metadata of an issuer (RFC 8414 §3.1 and §5, OpenID Connect Discovery §4).
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let inserted =
        ["oauth-authorization-server", "openid-configuration"].map(|name| format!("/.well-known/{name}{path}"));
    let appended = (!path.is_empty()).then(|| format!("{path}/.well-known/openid-configuration"));
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_query(None);
        url.set_path(&path);
        url
    };
    inserted.into_iter().chain(appended).map(at).collect()
}
