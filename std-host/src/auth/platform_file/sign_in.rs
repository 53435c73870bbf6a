//! The sign-in of people with a browser, from the platform's policy file.

use super::members::{Custom, Entra, IdentityProviders, Login, OAuth};
use super::providers::{TENANTS, issuer_of};
use core::time::Duration;

/// The sign-in of people with a browser.
#[derive(Debug, Default)]
pub struct PlatformSignIn {
    /// The providers, at least one.
    pub providers: Vec<PlatformProvider>,
    /// The provider to which people are sent without a choice.
    pub redirect_to: Option<String>,
    /// Whether the tokens of providers are stored.
    pub has_token_store: bool,
    /// The lifetime of a session that is not used. `None` if it ends with the token of the provider.
    pub life: Option<Duration>,
    /// The lifetime of a session, however often it is renewed.
    pub longest: Option<Duration>,
    /// The time that a person has to sign in.
    pub attempt_time: Option<Duration>,
    /// URLs of other origins to which browsers may be sent.
    pub external_redirects: Vec<String>,
    /// Whether the fragment of the URL that a person has opened is kept.
    pub keeps_fragments: bool,
}

/// A kind of providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderKind {
    /// An OpenID Connect provider.
    #[default]
    OpenIdConnect,
    /// Entra ID.
    Entra,
    /// Google.
    Google,
    /// GitHub.
    GitHub,
}

/// A provider at which people sign in.
#[derive(Debug, Default)]
pub struct PlatformProvider {
    /// The name in the paths of the pages.
    pub name: String,
    /// The kind of the provider.
    pub kind: ProviderKind,
    /// The issuer; that of the kind if it is empty.
    pub issuer: String,
    /// The client id of the server there.
    pub client_id: String,
    /// The secret of that client.
    pub client_secret: String,
    /// The scopes to request; those of the kind if it is empty.
    pub scopes: Vec<String>,
    /// Further parameters of the request that signs a person in.
    pub parameters: Vec<(String, String)>,
    /// People who may sign in.
    pub identities: Vec<String>,
    /// Groups whose members may sign in.
    pub groups: Vec<String>,
    /// Tenants whose people may sign in.
    pub tenants: Vec<String>,
}

/// The name of a secret that is not one, but the id of a managed identity that signs assertions.
const FEDERATED: &str = "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID";

type Variable<'v> = &'v dyn Fn(&str) -> Option<String>;

/// Reads the sign-in. `None` if no provider has a secret and people are not sent to a sign-in page.
pub(super) fn read(
    all: &IdentityProviders,
    login: &Login,
    redirect_to: Option<&str>,
    is_needed: bool,
    variable: Variable<'_>,
) -> Result<Option<PlatformSignIn>, String> {
    let providers = providers(all, variable)?;
    if providers.is_empty() {
        return match is_needed {
            true => Err("globalValidation.unauthenticatedClientAction is RedirectToLoginPage, but no provider has a secret: name an \
                         environment variable with it in registration.clientSecretSettingName, and set the variable"
                .to_owned()),
            false => Ok(None),
        };
    }
    let Login { routes, token_store, cookie_expiration, nonce, .. } = login;
    if routes.logout_endpoint.as_deref().is_some_and(|path| path != "/.auth/logout") {
        return Err("login.routes.logoutEndpoint must be /.auth/logout: another one is not served".to_owned());
    }
    if nonce.validate_nonce == Some(false) {
        return Err("login.nonce.validateNonce is false, which is not served: remove it".to_owned());
    }
    let life = match cookie_expiration.convention.as_deref() {
        None | Some("FixedTime") => {
            let time =
                time("login.cookieExpiration.timeToExpiration", cookie_expiration.time_to_expiration.as_deref())?;
            Some(time.unwrap_or(Duration::from_secs(8 * 3600)))
        }
        Some("IdentityProviderDerived") => None,
        Some(other) => {
            return Err(format!(
                "login.cookieExpiration.convention is {other:?}: FixedTime and IdentityProviderDerived are served"
            ));
        }
    };
    let redirect_to = redirect_to.map(|name| match name.to_ascii_lowercase().as_str() {
        "azureactivedirectory" => "aad".to_owned(),
        "google" | "github" => name.to_ascii_lowercase(),
        _ => name.to_owned(),
    });
    if let Some(unknown) = redirect_to.iter().find(|name| providers.iter().all(|provider| provider.name != **name)) {
        return Err(format!(
            "globalValidation.redirectToProvider names {unknown:?}, which is not a provider with a secret"
        ));
    }
    Ok(Some(PlatformSignIn {
        providers,
        redirect_to,
        has_token_store: token_store.enabled == Some(true),
        life,
        longest: hours(token_store.token_refresh_extension_hours)?,
        attempt_time: time("login.nonce.nonceExpirationInterval", nonce.nonce_expiration_interval.as_deref())?,
        external_redirects: login.allowed_external_redirect_urls.clone(),
        keeps_fragments: login.preserve_url_fragments_for_logins == Some(true),
    }))
}

fn providers(all: &IdentityProviders, variable: Variable<'_>) -> Result<Vec<PlatformProvider>, String> {
    let secret = |name: Option<&String>| {
        let name = name.filter(|name| *name != FEDERATED)?;
        variable(name).filter(|secret| !secret.is_empty())
    };
    let mut providers = Vec::new();
    if let Some(entra) = all.azure_active_directory.as_ref().filter(|entra| entra.enabled != Some(false))
        && let Some(client_secret) = secret(entra.registration.client_secret_setting_name.as_ref())
    {
        providers.push(PlatformProvider { client_secret, ..of_entra(entra, variable)? });
    }
    for (name, kind, provider) in
        [("google", ProviderKind::Google, &all.google), ("github", ProviderKind::GitHub, &all.git_hub)]
    {
        if provider.is_used() {
            providers.push(of_oauth(name, kind, provider, &secret)?);
        }
    }
    for (name, custom) in
        all.custom_open_id_connect_providers.iter().filter(|(_, custom)| custom.enabled != Some(false))
    {
        if let Some(client_secret) = secret(custom.registration.client_credential.client_secret_setting_name.as_ref()) {
            providers.push(PlatformProvider { client_secret, ..of_custom(name, custom)? });
        }
    }
    Ok(providers)
}

fn of_entra(entra: &Entra, variable: Variable<'_>) -> Result<PlatformProvider, String> {
    let mut scopes = Vec::new();
    let mut parameters = Vec::new();
    for parameter in &entra.login.login_parameters {
        match parameter.split_once('=') {
            Some(("scope", list)) => scopes.extend(list.split_whitespace().map(str::to_owned)),
            Some((name, value)) if !name.is_empty() => parameters.push((name.to_owned(), value.to_owned())),
            _ => {
                return Err(format!(
                    "identityProviders.azureActiveDirectory.login.loginParameters has {parameter:?}: write NAME=VALUE"
                ));
            }
        }
    }
    let tenants = variable(TENANTS).unwrap_or_default().to_ascii_lowercase();
    let policy = &entra.validation.default_authorization_policy.allowed_principals;
    Ok(PlatformProvider {
        name: "aad".to_owned(),
        kind: ProviderKind::Entra,
        issuer: entra.registration.open_id_issuer.clone().unwrap_or_default(),
        client_id: entra.registration.client_id.clone().unwrap_or_default(),
        scopes,
        parameters,
        identities: policy.identities.clone(),
        groups: [&policy.groups[..], &entra.validation.jwt_claim_checks.allowed_groups].concat(),
        tenants: tenants.split([',', ' ']).filter(|tenant| !tenant.is_empty()).map(str::to_owned).collect(),
        ..PlatformProvider::default()
    })
}

fn of_oauth(
    name: &str,
    kind: ProviderKind,
    provider: &OAuth,
    secret: &dyn Fn(Option<&String>) -> Option<String>,
) -> Result<PlatformProvider, String> {
    let key = if kind == ProviderKind::GitHub { "identityProviders.gitHub" } else { "identityProviders.google" };
    let registration = provider.registration.as_ref();
    let client_id = registration.and_then(|registration| registration.client_id.clone());
    let setting = registration.and_then(|registration| registration.client_secret_setting_name.as_ref());
    let client_secret = secret(setting).ok_or_else(|| {
        format!("{key}.registration.clientSecretSettingName must name an environment variable that has the secret of the client")
    })?;
    Ok(PlatformProvider {
        name: name.to_owned(),
        kind,
        client_id: client_id.ok_or_else(|| format!("{key}.registration.clientId is missing"))?,
        client_secret,
        scopes: provider.login.scopes.clone(),
        ..PlatformProvider::default()
    })
}

fn of_custom(name: &str, custom: &Custom) -> Result<PlatformProvider, String> {
    let policy = &custom.validation.default_authorization_policy.allowed_principals;
    Ok(PlatformProvider {
        name: name.to_owned(),
        issuer: issuer_of(&format!("identityProviders.customOpenIdConnectProviders.{name}"), custom)?,
        client_id: custom.registration.client_id.clone().unwrap_or_default(),
        scopes: custom.login.scopes.clone(),
        identities: policy.identities.clone(),
        groups: [&policy.groups[..], &custom.validation.jwt_claim_checks.allowed_groups].concat(),
        ..PlatformProvider::default()
    })
}

fn hours(hours: Option<f64>) -> Result<Option<Duration>, String> {
    let convert = |hours: f64| Duration::try_from_secs_f64(hours * 3600.0).ok();
    match hours.map(convert) {
        Some(None) => Err("login.tokenStore.tokenRefreshExtensionHours must be a number of hours".to_owned()),
        hours => Ok(hours.flatten()),
    }
}

/// Reads a time such as `08:00:00`, or `1.08:00:00` with days.
fn time(key: &str, text: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || format!("{key} is {text:?}: write HH:MM:SS, such as 08:00:00");
    let (days, rest) = text.split_once('.').unwrap_or(("0", text));
    let mut parts = rest.split(':').map(|part| part.parse::<u32>().ok().filter(|part| *part < 100));
    let mut part = || parts.next().flatten();
    let (Some(hours), Some(minutes), Some(seconds), Ok(days)) = (part(), part(), part(), days.parse::<u16>()) else {
        return Err(wrong());
    };
    if parts.next().is_some() {
        return Err(wrong());
    }
    let seconds = u64::from(days) * 86_400 + u64::from(hours) * 3600 + u64::from(minutes) * 60 + u64::from(seconds);
    Ok(Some(Duration::from_secs(seconds)).filter(|time| !time.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::super::PlatformFile;

    fn file(more: &str, providers: &str) -> Result<PlatformFile, String> {
        let entra = r#""azureActiveDirectory":{"registration":{"openIdIssuer":"https://login.microsoftonline.com/t/v2.0","clientId":"app",
            "clientSecretSettingName":"SECRET"},"login":{"loginParameters":["scope=openid offline_access","domain_hint=a=b"]},
            "validation":{"defaultAuthorizationPolicy":{"allowedPrincipals":{"identities":["i"],"groups":["g"]}}}}"#;
        let text = format!(r#"{{"identityProviders":{{{entra}{providers}}}{more}}}"#);
        let variable = |name: &str| matches!(name, "SECRET" | "OTHER").then(|| format!("value of {name}"));
        PlatformFile::parse(&text, "/mcp", variable).map_err(|faults| faults.join("\n"))
    }

    #[test]
    fn settings_of_the_sign_in_are_read() {
        let login = r#","login":{"tokenStore":{"enabled":true,"tokenRefreshExtensionHours":24.0},
            "cookieExpiration":{"convention":"FixedTime","timeToExpiration":"01:30:00"},"nonce":{"validateNonce":true,"nonceExpirationInterval":"00:05:00"},
            "allowedExternalRedirectUrls":["https://app.example/"],"preserveUrlFragmentsForLogins":true,"routes":{"logoutEndpoint":"/.auth/logout"}},
            "globalValidation":{"unauthenticatedClientAction":"RedirectToLoginPage","redirectToProvider":"azureactivedirectory"}"#;
        let others = r#","google":{"registration":{"clientId":"g","clientSecretSettingName":"OTHER"},"login":{"scopes":["openid"]}},
            "gitHub":{"registration":{"clientId":"h","clientSecretSettingName":"OTHER"}},
            "customOpenIdConnectProviders":{"company":{"registration":{"clientId":"c","clientCredential":{"clientSecretSettingName":"OTHER"},
            "openIdConnectConfiguration":{"issuer":"https://id.example"}},"login":{"scopes":["email"]}}}"#;
        let platform = file(login, others).expect("valid");
        assert!(platform.redirects_people && platform.unauthenticated.is_none());
        let sign_in = platform.sign_in.expect("providers have secrets");
        let names: Vec<_> = sign_in.providers.iter().map(|provider| provider.name.as_str()).collect();
        assert_eq!(names, ["aad", "google", "github", "company"]);
        let entra = &sign_in.providers[0];
        assert_eq!(
            (entra.client_secret.as_str(), entra.scopes.join(" ")),
            ("value of SECRET", "openid offline_access".to_owned())
        );
        assert_eq!(entra.parameters, [("domain_hint".to_owned(), "a=b".to_owned())]);
        assert_eq!((entra.identities.concat(), entra.groups.concat()), ("i".to_owned(), "g".to_owned()));
        assert_eq!(
            (sign_in.redirect_to.as_deref(), sign_in.has_token_store, sign_in.keeps_fragments),
            (Some("aad"), true, true)
        );
        let seconds = [sign_in.life, sign_in.longest, sign_in.attempt_time].map(|time| time.map(|time| time.as_secs()));
        assert_eq!(seconds, [Some(5400), Some(86_400), Some(300)]);
        assert_eq!(sign_in.external_redirects, ["https://app.example/"]);
        let derived =
            file(r#","login":{"cookieExpiration":{"convention":"IdentityProviderDerived"}}"#, "").expect("valid");
        assert_eq!(derived.sign_in.expect("a secret").life, None);
    }

    #[test]
    fn sign_in_that_cannot_be_served_stops_the_start() {
        for (more, providers, words) in [
            (r#","login":{"nonce":{"validateNonce":false}}"#, "", "validateNonce"),
            (r#","login":{"nonce":{"nonceExpirationInterval":"5"}}"#, "", "HH:MM:SS"),
            (r#","login":{"cookieExpiration":{"timeToExpiration":"8 hours"}}"#, "", "08:00:00"),
            (r#","login":{"cookieExpiration":{"convention":"Other"}}"#, "", "convention"),
            (r#","login":{"routes":{"logoutEndpoint":"/out"}}"#, "", "logoutEndpoint"),
            (
                r#","login":{"tokenStore":{"enabled":true,"tokenRefreshExtensionHours":-1}}"#,
                "",
                "tokenRefreshExtensionHours",
            ),
            (r#","login":{"tokenStores":{}}"#, "", "tokenStores"),
            (r#","globalValidation":{"redirectToProvider":"google"}"#, "", "redirectToProvider"),
            (
                "",
                r#","google":{"registration":{"clientId":"g","clientSecretSettingName":"UNSET"}}"#,
                "google.registration.clientSecretSettingName",
            ),
            ("", r#","gitHub":{"registration":{"clientSecretSettingName":"OTHER"}}"#, "gitHub.registration.clientId"),
            ("", r#","facebook":{"registration":{"appId":"f"}}"#, "identityProviders.facebook"),
        ] {
            let said = file(more, providers).expect_err(words);
            assert!(said.contains(words), "{more} {providers}: {said}");
        }
    }
}
