//! The policy in the form of a function platform with built-in authorization: `authsettingsV2`, as the body of its resource or as
//! `auth.json`. What it says and is not served here stops the start. Passed over is only what signs people in by a browser: clients of
//! tools sign in at the issuer.

use super::{Fault, Policy};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Scopes that clients are told to ask for, with commas or spaces between.
const SCOPES: &str = "WEBSITE_AUTH_PRM_DEFAULT_WITH_SCOPES";
/// Tenants whose callers may call, with commas between.
const TENANTS: &str = "WEBSITE_AUTH_AAD_ALLOWED_TENANTS";

/// An object all of whose members are known.
macro_rules! known {
    ($($name:ident { $($field:ident: $type:ty,)* })*) => { $(
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        struct $name { $($field: $type,)* }
    )* };
}

known! {
    Settings {
        platform: Platform,
        global_validation: GlobalValidation,
        http_settings: HttpSettings,
        identity_providers: IdentityProviders,
        // What people sign in to by a browser. Clients of tools sign in at the issuer, so nothing here is asked for.
        login: Option<Value>,
    }
    Platform { enabled: Option<bool>, runtime_version: Option<String>, config_file_path: Option<String>, }
    GlobalValidation {
        require_authentication: Option<bool>,
        unauthenticated_client_action: Option<String>,
        redirect_to_provider: Option<String>,
        excluded_paths: Vec<String>,
    }
    HttpSettings { require_https: Option<bool>, routes: Routes, forward_proxy: ForwardProxy, }
    Routes { api_prefix: Option<String>, }
    ForwardProxy {
        convention: Option<String>,
        custom_host_header_name: Option<String>,
        custom_proto_header_name: Option<String>,
    }
    IdentityProviders {
        azure_active_directory: Option<Entra>,
        custom_open_id_connect_providers: BTreeMap<String, Custom>,
        apple: Other,
        azure_static_web_apps: Other,
        facebook: Other,
        git_hub: Other,
        google: Other,
        legacy_microsoft_account: Other,
        twitter: Other,
    }
    Entra { enabled: Option<bool>, registration: EntraRegistration, login: Option<Value>, validation: Validation, is_auto_provisioned: Option<bool>, }
    EntraRegistration {
        open_id_issuer: Option<String>,
        client_id: Option<String>,
        // For signing people in, which is not done here.
        client_secret_setting_name: Option<String>,
        client_secret_certificate_thumbprint: Option<String>,
        client_secret_certificate_issuer: Option<String>,
        client_secret_certificate_subject_alternative_name: Option<String>,
    }
    Custom { enabled: Option<bool>, registration: CustomRegistration, login: Option<Value>, validation: Validation, }
    CustomRegistration {
        client_id: Option<String>,
        client_credential: Option<Value>,
        open_id_connect_configuration: OpenIdConnect,
    }
    OpenIdConnect {
        well_known_open_id_configuration: Option<String>,
        issuer: Option<String>,
        authorization_endpoint: Option<String>,
        token_endpoint: Option<String>,
        certification_uri: Option<String>,
    }
    Validation {
        allowed_audiences: Vec<String>,
        jwt_claim_checks: ClaimChecks,
        default_authorization_policy: AuthorizationPolicy,
    }
    ClaimChecks { allowed_groups: Vec<String>, allowed_client_applications: Vec<String>, }
    AuthorizationPolicy { allowed_applications: Vec<String>, allowed_principals: Principals, }
    Principals { identities: Vec<String>, groups: Vec<String>, }
}

/// A provider that signs people in and issues no tokens for others.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Other {
    enabled: Option<bool>,
    registration: Option<Value>,
}

impl Other {
    fn is_used(&self) -> bool {
        self.registration.is_some() && self.enabled != Some(false)
    }
}

/// Reads the file, and what the environment says besides (`variable` gives a variable of it).
pub(super) fn read(path: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Policy, Fault> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::of(format!("auth.platform_file {shown} cannot be read: {error}")))?;
    let mut policy = parsed(&text).map_err(|what| Fault::of(format!("{shown}: {what}")))?;
    let words = |name: &str| {
        let text = variable(name).unwrap_or_default();
        text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    policy.scopes = words(SCOPES);
    policy.tenants = words(TENANTS);
    if policy.issuers.iter().any(|issuer| issuer.contains("{tenantid}")) && policy.tenants.is_empty() {
        return Err(Fault::of(format!(
            "{shown}: the issuer is of any tenant: name those whose callers may call in {TENANTS}"
        )));
    }
    Ok(policy)
}

/// What the text says. The error is for whoever wrote it.
fn parsed(text: &str) -> Result<Policy, String> {
    let mut whole: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    // The body of the resource has the settings one level deeper.
    let mut settings = match whole.get_mut("properties").map(Value::take) {
        Some(properties) => {
            let envelope = ["id", "kind", "location", "name", "properties", "systemData", "tags", "type"];
            let mut members = whole.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            if let Some(other) = members.find(|name| !envelope.contains(name)) {
                return Err(format!(
                    "{other} stands beside properties, which has all settings: put it there or take it away"
                ));
            }
            properties
        }
        None => whole,
    };
    without_nulls(&mut settings);
    let settings: Settings = serde_path_to_error::deserialize(settings).map_err(|error| {
        let path = error.path().to_string();
        format!("{path}: {}", error.inner())
    })?;
    let Settings { platform, global_validation, http_settings, identity_providers, login: _ } = settings;
    served("platform.enabled", platform.enabled, true)?;
    served("globalValidation.requireAuthentication", global_validation.require_authentication, true)?;
    let action = global_validation.unauthenticated_client_action;
    served("globalValidation.unauthenticatedClientAction", action, "Return401".to_owned())?;
    let is_open = |path: &&String| OPEN.contains(&path.as_str());
    if let Some(path) = global_validation.excluded_paths.iter().find(|path| !is_open(path)) {
        return Err(format!(
            "globalValidation.excludedPaths: {path} is not served without authentication here, only {} are: take it away",
            OPEN.join(" and ")
        ));
    }
    served("httpSettings.routes.apiPrefix", http_settings.routes.api_prefix, "/.auth".to_owned())?;
    let convention = http_settings.forward_proxy.convention;
    served("httpSettings.forwardProxy.convention", convention, "NoProxy".to_owned())
        .map_err(|error| format!("{error}; say by auth.resource what the public URL is"))?;
    let policy = one_of(identity_providers)?;
    // As on the platform where nothing is said of it.
    Ok(Policy { require_https: http_settings.require_https != Some(false), ..policy })
}

/// Paths at which nobody is asked anything, whatever the policy.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Takes away what is null, which means that it is not set.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Refuses a value that means something which is not done here.
fn served<T: PartialEq + core::fmt::Debug>(key: &str, value: Option<T>, only: T) -> Result<(), String> {
    match value {
        Some(value) if value != only => Err(format!("{key} is {value:?}, which is not served: {only:?} is")),
        _ => Ok(()),
    }
}

fn one_of(providers: IdentityProviders) -> Result<Policy, String> {
    let IdentityProviders { azure_active_directory, custom_open_id_connect_providers, .. } = &providers;
    let others = [
        ("apple", &providers.apple),
        ("azureStaticWebApps", &providers.azure_static_web_apps),
        ("facebook", &providers.facebook),
        ("gitHub", &providers.git_hub),
        ("google", &providers.google),
        ("legacyMicrosoftAccount", &providers.legacy_microsoft_account),
        ("twitter", &providers.twitter),
    ];
    if let Some((name, _)) = others.iter().find(|(_, other)| other.is_used()) {
        return Err(format!("identityProviders.{name} issues no access tokens for this server: take it away"));
    }
    let mut policies = Vec::new();
    if let Some(entra) = azure_active_directory.as_ref().filter(|entra| entra.enabled != Some(false)) {
        policies.push(of_entra(entra)?);
    }
    for (name, custom) in custom_open_id_connect_providers {
        if custom.enabled != Some(false) {
            policies.push(of_custom(&format!("identityProviders.customOpenIdConnectProviders.{name}"), custom)?);
        }
    }
    let several = "identityProviders has several that are enabled: one is served here";
    match policies.len() {
        0 => Err("identityProviders has none that is enabled".to_owned()),
        1 => Ok(policies.remove(0)),
        _ => Err(several.to_owned()),
    }
}

fn of_entra(entra: &Entra) -> Result<Policy, String> {
    const KEY: &str = "identityProviders.azureActiveDirectory.registration";
    let registration = &entra.registration;
    let issuer = registration.open_id_issuer.clone().ok_or(format!("{KEY}.openIdIssuer is missing"))?;
    let client = registration.client_id.clone().ok_or(format!("{KEY}.clientId is missing"))?;
    // azure.md D.5: tokens of the first version have another issuer. Both are of the one tenant.
    let tenant = issuer.split('/').nth(3).unwrap_or_default().to_owned();
    let second = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let issuers = match issuer == second {
        true if matches!(tenant.as_str(), "common" | "organizations" | "consumers") => {
            vec!["https://login.microsoftonline.com/{tenantid}/v2.0".to_owned()]
        }
        true => vec![format!("https://sts.windows.net/{tenant}/")],
        false => Vec::new(),
    };
    validated(
        "identityProviders.azureActiveDirectory",
        &entra.validation,
        Policy { issuer, issuers, ..Policy::default() },
        client,
    )
}

fn of_custom(key: &str, custom: &Custom) -> Result<Policy, String> {
    let OpenIdConnect { well_known_open_id_configuration: known, issuer, .. } =
        &custom.registration.open_id_connect_configuration;
    let inside = format!("{key}.registration.openIdConnectConfiguration");
    if custom.registration.open_id_connect_configuration.certification_uri.is_some() {
        return Err(format!("{inside}.certificationUri is not served: keys are found by the issuer's metadata"));
    }
    let issuer = match (issuer, known) {
        (Some(issuer), Some(url)) if !url.starts_with(issuer.trim_end_matches('/')) => {
            return Err(format!("{inside} names issuer {issuer} and metadata of another one, {url}: keep one of them"));
        }
        (Some(issuer), _) => issuer.clone(),
        (None, Some(url)) => url
            .strip_suffix("/.well-known/openid-configuration")
            .map(str::to_owned)
            .ok_or(format!("{inside}.wellKnownOpenIdConfiguration must end with /.well-known/openid-configuration"))?,
        (None, None) => return Err(format!("{inside} needs wellKnownOpenIdConfiguration or issuer")),
    };
    let client = custom.registration.client_id.clone().ok_or(format!("{key}.registration.clientId is missing"))?;
    validated(key, &custom.validation, Policy { issuer, ..Policy::default() }, client)
}

fn validated(key: &str, validation: &Validation, policy: Policy, client: String) -> Result<Policy, String> {
    let Validation { allowed_audiences, jwt_claim_checks: old, default_authorization_policy: new } = validation;
    let one = |name: &str, old: &[String], new: &[String]| match (old.is_empty(), new.is_empty()) {
        (false, false) => Err(format!(
            "{key}.validation asks for {name} in jwtClaimChecks and in defaultAuthorizationPolicy: keep one"
        )),
        (false, true) => Ok(old.to_vec()),
        _ => Ok(new.to_vec()),
    };
    let mut audiences = vec![client];
    audiences.extend(allowed_audiences.iter().cloned());
    Ok(Policy {
        audiences,
        applications: one("applications", &old.allowed_client_applications, &new.allowed_applications)?,
        identities: new.allowed_principals.identities.clone(),
        groups: one("groups", &old.allowed_groups, &new.allowed_principals.groups)?,
        ..policy
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "66666666-7777-8888-9999-000000000000";

    fn entra(changes: &str) -> String {
        let provider = format!(
            r#"{{"registration":{{"openIdIssuer":"https://login.microsoftonline.com/{TENANT}/v2.0","clientId":"app"}},
            "validation":{{"allowedAudiences":["api://app"],"defaultAuthorizationPolicy":{{"allowedApplications":["code"]}}}}}}"#
        );
        format!(r#"{{"identityProviders":{{"azureActiveDirectory":{provider}}}{changes}}}"#)
    }

    #[test]
    fn settings_of_the_platform_are_a_policy_in_both_of_their_forms() {
        let plain = entra(
            r#","platform":{"enabled":true,"runtimeVersion":"~1"},"globalValidation":{"requireAuthentication":true,"unauthenticatedClientAction":"Return401"}"#,
        );
        let resource = format!(r#"{{"name":"authsettingsV2","properties":{plain}}}"#);
        let exported = plain.replacen('{', r#"{"login":null,"httpSettings":{"forwardProxy":null},"#, 1);
        for text in [plain, resource, exported] {
            let policy = parsed(&text).unwrap();
            assert_eq!(policy.issuer, format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
            assert_eq!(policy.issuers, [format!("https://sts.windows.net/{TENANT}/")]);
            assert_eq!(
                (policy.audiences, policy.applications),
                (vec!["app".to_owned(), "api://app".to_owned()], vec!["code".to_owned()])
            );
        }
        let custom = r#"{"identityProviders":{"customOpenIdConnectProviders":{"id":{"registration":{"clientId":"app",
            "openIdConnectConfiguration":{"wellKnownOpenIdConfiguration":"https://id.example/t/.well-known/openid-configuration"}},
            "validation":{"jwtClaimChecks":{"allowedGroups":["g"]}}}}}}"#;
        let policy = parsed(custom).unwrap();
        assert_eq!((policy.issuer.as_str(), policy.groups), ("https://id.example/t", vec!["g".to_owned()]));
    }

    #[test]
    fn paths_that_are_open_anyway_may_be_excluded_and_https_is_required_unless_it_says_otherwise() {
        let open = entra(r#","globalValidation":{"excludedPaths":["/healthz"]}"#);
        assert!(parsed(&open).unwrap().require_https);
        assert!(!parsed(&entra(r#","httpSettings":{"requireHttps":false}"#)).unwrap().require_https);
    }

    #[test]
    fn what_is_not_served_stops_with_its_name() {
        for (text, words) in [
            ("{".to_owned(), &["JSON"][..]),
            ("{}".to_owned(), &["identityProviders"]),
            (entra(r#","platform":{"enabled":false}"#), &["platform.enabled"]),
            (entra(r#","platfrom":{}"#), &["platfrom"]),
            (
                entra(r#","globalValidation":{"unauthenticatedClientAction":"AllowAnonymous"}"#),
                &["AllowAnonymous", "Return401"],
            ),
            (
                entra(r#","globalValidation":{"unauthenticatedClientAction":"RedirectToLoginPage"}"#),
                &["RedirectToLoginPage"],
            ),
            (entra(r#","globalValidation":{"requireAuthentication":false}"#), &["requireAuthentication"]),
            (entra(r#","globalValidation":{"excludedPaths":["/open"]}"#), &["excludedPaths", "/open"]),
            (
                entra(r#","httpSettings":{"forwardProxy":{"convention":"Standard"}}"#),
                &["forwardProxy.convention", "auth.resource"],
            ),
            (entra(r#","httpSettings":{"routes":{"apiPrefix":7}}"#), &["httpSettings.routes.apiPrefix"]),
            (entra("").replace("\"registration\"", "\"registrations\""), &["azureActiveDirectory", "registrations"]),
            (format!(r#"{{"properties":{},"platform":{{}}}}"#, entra("")), &["platform stands beside properties"]),
            (
                r#"{"identityProviders":{"customOpenIdConnectProviders":{"id":{"registration":{"clientId":"a",
                "openIdConnectConfiguration":{"issuer":"https://id.example","certificationUri":"https://id.example/k"}}}}}}"#.to_owned(),
                &["customOpenIdConnectProviders.id", "certificationUri"],
            ),
            (entra("").replace("clientId", "clientSecretSettingName"), &["clientId is missing"]),
            (
                entra("").replace(r#""identityProviders":{"#, r#""identityProviders":{"google":{"registration":{}},"#),
                &["identityProviders.google"],
            ),
        ] {
            let said = parsed(&text).expect_err(&text);
            assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
        }
    }
}
