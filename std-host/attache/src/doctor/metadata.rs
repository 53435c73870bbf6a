//! The metadata of the protected resource (RFC 9728).

use super::challenge::{BROWSER, First};
use super::entra::is_entra;
use super::finding::Code;
use super::http::{Answer, Body};
use super::report::Step;
use super::walk::Walk;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use url::Url;

/// The members that the doctor reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) resource: Option<String>,
    pub(super) issuers: Vec<String>,
    pub(super) scopes: Vec<String>,
}

impl Metadata {
    fn read(json: &Value) -> Option<Self> {
        let texts = |name: &str| -> Vec<String> {
            let list = json.get(name).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        json.as_object()?;
        Some(Self {
            resource: json.get("resource").and_then(Value::as_str).map(str::to_owned),
            issuers: texts("authorization_servers"),
            scopes: texts("scopes_supported"),
        })
    }
}

impl Walk<'_> {
    /// Reads the metadata at each place where clients look.
    pub(super) async fn metadata(&mut self, first: &First) -> Option<Metadata> {
        let mut found: Option<(Url, Metadata)> = None;
        let mut missing = Vec::new();
        for url in self.places(first.metadata_url()) {
            let headers = HeaderMap::from_iter([(http::header::ORIGIN, HeaderValue::from_static(BROWSER))]);
            let answer = match self.http.send(Method::GET, &url, headers, String::new(), Body::Whole).await {
                Ok(answer) => answer,
                Err(why) => {
                    self.unanswered(Step::Metadata, &url, &why);
                    continue;
                }
            };
            let Some(metadata) = self.document(&url, &answer) else {
                missing.push(format!("{url}: {}", answer.summary()));
                continue;
            };
            match &found {
                Some((place, known)) if *known != metadata => {
                    self.report.found(Step::Metadata, Code::MetadataContradicts, format!("{place} and {url} differ"));
                }
                Some(_) => {}
                None => {
                    if answer.header("access-control-allow-origin").is_none() {
                        self.report.found(Step::Metadata, Code::MetadataWithoutCors, url.as_str());
                    }
                    found = Some((url, metadata));
                }
            }
        }
        let Some((place, metadata)) = found else {
            let is_explained = [Code::MetadataProtected, Code::MetadataMalformed].map(|code| self.report.has(code));
            if is_explained == [false, false] && !missing.is_empty() {
                self.report.found(Step::Metadata, Code::MetadataMissing, missing.join("; "));
            }
            return None;
        };
        self.report.saw(Step::Metadata, format!("{place} has the metadata"));
        self.judge(&metadata, first);
        Some(metadata)
    }

    /// The URL in the challenge, and the places of RFC 9728 §3.1: with the path, and without.
    fn places(&self, challenged: Option<&str>) -> Vec<Url> {
        let mut places: Vec<Url> = challenged.and_then(|url| Url::parse(url).ok()).into_iter().collect();
        let path = self.url.path().trim_end_matches('/');
        for path in [path, ""] {
            let mut url = self.url.clone();
            url.set_query(None);
            url.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
            if !places.contains(&url) {
                places.push(url);
            }
        }
        places
    }

    fn document(&mut self, url: &Url, answer: &Answer) -> Option<Metadata> {
        let seen = || format!("{url}: {}", answer.summary());
        match answer.status {
            StatusCode::OK => {
                let metadata = answer.json().as_ref().and_then(Metadata::read);
                if metadata.is_none() {
                    self.report.found(Step::Metadata, Code::MetadataMalformed, seen());
                }
                metadata
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.report.found(Step::Metadata, Code::MetadataProtected, seen());
                None
            }
            _ => None,
        }
    }

    fn judge(&mut self, metadata: &Metadata, first: &First) {
        match &metadata.resource {
            None => self.report.found(Step::Metadata, Code::ResourceMissing, "there is no resource"),
            Some(resource) => self.resource(resource),
        }
        if metadata.issuers.is_empty() {
            self.report.found(Step::Metadata, Code::IssuerMissing, "authorization_servers has no entry");
        }
        let challenged = first.scopes().unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
        let mut scopes = metadata.scopes.clone();
        scopes.extend(challenged.map(str::to_owned));
        scopes.dedup();
        match scopes.as_slice() {
            [] => self.report.found(Step::Metadata, Code::ScopesMissing, "neither metadata nor challenge has scopes"),
            scopes => self.report.saw(Step::Metadata, format!("the scopes are {}", scopes.join(" "))),
        }
        if metadata.issuers.iter().any(|issuer| is_entra(issuer, None)) {
            self.scopes_of_entra(metadata.resource.as_deref().unwrap_or_default(), &scopes);
        }
    }

    /// Compares `resource` with the URL that clients use: RFC 9728 §3.3 wants them identical.
    fn resource(&mut self, resource: &str) {
        let seen = format!("resource is {resource}; clients use {}", self.written);
        let code = match Url::parse(resource) {
            _ if resource == self.written => return self.report.saw(Step::Metadata, seen),
            Err(_) => Code::ResourceHost,
            // An origin has a slash or not; the parser of URLs adds it.
            Ok(url) if url == self.url && self.url.path() == "/" => return self.report.saw(Step::Metadata, seen),
            Ok(url) if url.host() != self.url.host() => Code::ResourceHost,
            Ok(url) if url.scheme() != self.url.scheme() => Code::ResourceScheme,
            Ok(url) if url.port_or_known_default() != self.url.port_or_known_default() => Code::ResourceHost,
            Ok(url) if url.path().trim_end_matches('/') == self.url.path().trim_end_matches('/') => {
                Code::ResourceTrailingSlash
            }
            Ok(_) => Code::ResourcePath,
        };
        self.report.found(Step::Metadata, code, seen);
    }
}
