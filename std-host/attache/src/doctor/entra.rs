//! Checks that apply to Microsoft Entra ID only.

use super::finding::Code;
use super::report::Step;
use super::walk::Walk;
use serde_json::Value;
use url::Url;

/// Whether the issuer is Microsoft Entra ID, by its host or by members that only its metadata has.
pub(super) fn is_entra(issuer: &str, metadata: Option<&Value>) -> bool {
    let host = Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let of_entra = [
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
        "sts.windows.net",
    ];
    of_entra.contains(&host.as_str())
        || host.ends_with(".ciamlogin.com")
        || metadata.is_some_and(|metadata| metadata.get("tenant_region_scope").is_some())
}

impl Walk<'_> {
    /// Judges the form of an issuer of Entra ID: its tenant, and its version.
    pub(super) fn form_of_entra(&mut self, url: &Url, is_entra: bool) {
        let mut parts = url.path_segments().into_iter().flatten();
        let (tenant, version) = (parts.next().unwrap_or_default(), parts.next());
        if !is_entra {
            return;
        }
        if ["common", "organizations", "consumers"].contains(&tenant) {
            self.report.found(Step::Issuer, Code::IssuerManyTenants, url.as_str());
        }
        if version != Some("v2.0") {
            self.report.found(Step::Issuer, Code::IssuerV1, url.as_str());
        }
    }

    /// Microsoft Entra ID accepts a `resource` only if the scopes begin with it.
    pub(super) fn scopes_of_entra(&mut self, resource: &str, scopes: &[String]) {
        for scope in scopes.iter().filter(|scope| !OF_OPENID.contains(&scope.as_str())) {
            let Some((prefix, _)) = scope.rsplit_once('/') else {
                self.report.found(Step::Metadata, Code::ScopeUnqualified, format!("the scope {scope} has no prefix"));
                continue;
            };
            if prefix.trim_end_matches('/') != resource.trim_end_matches('/') {
                let seen = format!("the scope {scope} does not begin with the resource {resource}");
                self.report.found(Step::Metadata, Code::ScopePrefixDiffers, seen);
            }
        }
    }
}

/// Scopes of OpenID Connect, which belong to no resource.
const OF_OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
