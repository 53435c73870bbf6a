//! Compares what a server publishes with its configuration.

use super::finding::Code;
use super::issuer::Issuer;
use super::metadata::Metadata;
use super::report::Step;
use super::walk::Walk;
use crate::client_config::public_url;
use crate::config::Config;
use attache_core::auth::ANY;
use url::Url;

/// The part of a configuration that is compared.
#[derive(Debug)]
pub(super) struct Configured {
    /// The URL that clients use.
    pub(super) url: String,
    resource: Option<String>,
    issuers: Vec<String>,
    /// Whether the program is an authorization server itself.
    has_server: bool,
    /// The ids of allowed clients, if there is one issuer.
    applications: Vec<String>,
}

/// Visual Studio Code at Microsoft Entra ID.
const VISUAL_STUDIO_CODE: &str = "aebc6443-996d-45c2-90f0-388ff96faa56";

impl Configured {
    /// The server that has the path of `url`; without a URL, the first server.
    pub(super) fn of(config: &Config, url: Option<&str>) -> Result<Self, String> {
        let path = url.and_then(|url| Url::parse(url).ok()).map(|url| url.path().to_owned());
        let same = config.servers.iter().find(|server| path.as_deref() == Some(server.path()));
        let server = same.or(config.servers.first()).ok_or("the configuration has no server")?;
        let policies = &server.protection.policies;
        let applications = match policies.as_slice() {
            [one] => one.rules.applications.clone(),
            _ => vec![ANY.to_owned()],
        };
        Ok(Self {
            url: public_url(server, config.listen.address(), config.tls.as_ref()),
            resource: server.protection.resource.clone(),
            issuers: policies.iter().map(|policy| policy.issuer.clone()).collect(),
            has_server: config.sign_in.is_some(),
            applications,
        })
    }

    /// Whether the client may use the server. An empty list means the app of the server itself,
    /// whose id is an audience; this is not judged here.
    fn allows(&self, application: &str) -> bool {
        let any = |allowed: &String| allowed == ANY || allowed == application;
        self.applications.is_empty() || self.applications.iter().any(any)
    }
}

impl Walk<'_> {
    /// Compares the metadata with the configuration.
    pub(super) fn compare(&mut self, configured: &Configured, metadata: Option<&Metadata>, issuers: &[Issuer]) {
        let Some(metadata) = metadata else { return };
        match (&configured.resource, &metadata.resource) {
            (Some(configured), Some(published)) if configured != published => {
                let seen = format!("auth.resource is {configured}; the server publishes {published}");
                self.report.found(Step::Configuration, Code::ConfigurationOtherResource, seen);
            }
            _ => {}
        }
        let is_published = |issuer: &&String| metadata.issuers.contains(*issuer);
        // [auth.server] publishes itself instead of the issuers behind it.
        let is_own = configured.has_server;
        if let Some(issuer) = configured.issuers.iter().find(|issuer| !is_published(issuer)).filter(|_| !is_own) {
            let seen = format!("auth.issuer is {issuer}; the server publishes {}", metadata.issuers.join(", "));
            self.report.found(Step::Configuration, Code::ConfigurationOtherIssuer, seen);
        }
        let has_entra = issuers.iter().any(|issuer| issuer.is_entra);
        if has_entra && !configured.applications.is_empty() && !configured.allows(VISUAL_STUDIO_CODE) {
            let seen = format!("auth.applications has {}", configured.applications.join(", "));
            self.report.found(Step::Configuration, Code::ClientNotPreauthorized, seen);
        }
    }

    /// Whether the client of a token is in the allow-list of the configuration.
    pub(super) fn allow_list(&mut self, configured: &Configured, application: Option<&str>) {
        let Some(application) = application else { return };
        match configured.allows(application) {
            true => self.report.saw(Step::Configuration, format!("the client {application} is allowed")),
            false => {
                let seen = format!("the client {application} is not in {}", configured.applications.join(", "));
                self.report.found(Step::Configuration, Code::ClientNotAllowed, seen);
            }
        }
    }
}
