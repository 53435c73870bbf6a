//! The providers of the platform's policy file, each an issuer with rules for its tokens.

use super::members::{Custom, Entra, IdentityProviders, OpenIdConnect, Validation};
use attache_core::auth::IssuerPolicy;

/// The tenants with callers that may call, separated by commas.
pub(super) const TENANTS: &str = "WEBSITE_AUTH_AAD_ALLOWED_TENANTS";
/// The base URL of the platform's issuers.
const ENTRA: &str = "https://login.microsoftonline.com/";

/// An issuer of access tokens, and the policy for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct IssuerSettings {
    /// The identifier by which the keys of the issuer are found.
    pub issuer: String,
    /// The rules for its tokens. Their issuers are other values of `iss` for the same issuer.
    pub rules: IssuerPolicy<Vec<String>>,
}

pub(super) fn enabled(providers: &IdentityProviders, tenants: &[String]) -> Result<Vec<IssuerSettings>, String> {
    let IdentityProviders { azure_active_directory, custom_open_id_connect_providers, .. } = providers;
    let others = [
        ("apple", &providers.apple),
        ("azureStaticWebApps", &providers.azure_static_web_apps),
        ("facebook", &providers.facebook),
        ("legacyMicrosoftAccount", &providers.legacy_microsoft_account),
        ("twitter", &providers.twitter),
    ];
    if let Some((name, _)) = others.iter().find(|(_, other)| other.is_used()) {
        return Err(format!(
            "identityProviders.{name} is not served: people can sign in at Entra ID, Google, GitHub and OpenID Connect providers. Take it away"
        ));
    }
    let mut policies = Vec::new();
    if let Some(entra) = azure_active_directory.as_ref().filter(|entra| entra.enabled != Some(false)) {
        policies.push(of_entra(entra, tenants)?);
    }
    for (name, custom) in custom_open_id_connect_providers {
        if custom.enabled != Some(false) {
            policies.push(of_custom(&format!("identityProviders.customOpenIdConnectProviders.{name}"), custom)?);
        }
    }
    let signs_in = providers.google.is_used() || providers.git_hub.is_used();
    if policies.is_empty() && !signs_in {
        Err("identityProviders has none that is enabled".to_owned())
    } else {
        Ok(policies)
    }
}

fn of_entra(entra: &Entra, tenants: &[String]) -> Result<IssuerSettings, String> {
    const KEY: &str = "identityProviders.azureActiveDirectory.registration";
    let registration = &entra.registration;
    let issuer = registration.open_id_issuer.clone().ok_or(format!("{KEY}.openIdIssuer is missing"))?;
    let client = registration.client_id.clone().ok_or(format!("{KEY}.clientId is missing"))?;
    // Tokens of version 1.0 have another issuer. Both issuers belong to the one tenant
    // (learn.microsoft.com, "Access tokens in the Microsoft identity platform").
    let tenant = issuer.split('/').nth(3).unwrap_or_default().to_owned();
    let second = format!("{ENTRA}{tenant}/v2.0");
    let issuers = match issuer == second {
        true if matches!(tenant.as_str(), "common" | "organizations" | "consumers") => {
            if tenants.is_empty() {
                return Err(format!("the issuer is of any tenant: name those whose callers may call in {TENANTS}"));
            }
            vec![format!("{ENTRA}{{tenantid}}/v2.0"), "https://sts.windows.net/{tenantid}/".to_owned()]
        }
        true => vec![format!("https://sts.windows.net/{tenant}/")],
        false => Vec::new(),
    };
    validated(
        "identityProviders.azureActiveDirectory",
        &entra.validation,
        IssuerSettings {
            issuer,
            rules: IssuerPolicy { issuers, tenants: tenants.to_vec(), ..IssuerPolicy::default() },
        },
        client,
    )
}

/// The issuer of a custom provider. `key` is that of the provider.
pub(super) fn issuer_of(key: &str, custom: &Custom) -> Result<String, String> {
    let OpenIdConnect { well_known_open_id_configuration: known, issuer, .. } =
        &custom.registration.open_id_connect_configuration;
    let inside = format!("{key}.registration.openIdConnectConfiguration");
    if custom.registration.open_id_connect_configuration.certification_uri.is_some() {
        return Err(format!("{inside}.certificationUri is not served: keys are found by the issuer's metadata"));
    }
    match (issuer, known) {
        (Some(issuer), Some(url)) if !url.starts_with(issuer.trim_end_matches('/')) => {
            Err(format!("{inside} names issuer {issuer} and metadata of another one, {url}: keep one of them"))
        }
        (Some(issuer), _) => Ok(issuer.clone()),
        (None, Some(url)) => url
            .strip_suffix("/.well-known/openid-configuration")
            .map(str::to_owned)
            .ok_or(format!("{inside}.wellKnownOpenIdConfiguration must end with /.well-known/openid-configuration")),
        (None, None) => Err(format!("{inside} needs wellKnownOpenIdConfiguration or issuer")),
    }
}

fn of_custom(key: &str, custom: &Custom) -> Result<IssuerSettings, String> {
    let issuer = issuer_of(key, custom)?;
    let client = custom.registration.client_id.clone().ok_or(format!("{key}.registration.clientId is missing"))?;
    validated(key, &custom.validation, IssuerSettings { issuer, ..IssuerSettings::default() }, client)
}

fn validated(
    key: &str,
    validation: &Validation,
    policy: IssuerSettings,
    client: String,
) -> Result<IssuerSettings, String> {
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
    let rules = IssuerPolicy {
        audiences,
        applications: one("applications", &old.allowed_client_applications, &new.allowed_applications)?,
        identities: new.allowed_principals.identities.clone(),
        groups: one("groups", &old.allowed_groups, &new.allowed_principals.groups)?,
        ..policy.rules
    };
    Ok(IssuerSettings { rules, ..policy })
}
