//! Reads the policy of a function platform with built-in authorization: `authsettingsV2`, either as
//! the body of its resource or as `auth.json`. A setting that this program cannot apply stops the
//! start.

mod members;
mod once;
mod providers;
mod sign_in;

use http::header::HeaderName;
use members::{ForwardProxy, GlobalValidation, Settings};
use once::Once;
use providers::{TENANTS, enabled};
use serde_json::Value;

pub use providers::IssuerSettings;
pub use sign_in::{PlatformProvider, PlatformSignIn, ProviderKind};

/// Scopes that clients are told to request, separated by commas or spaces.
const SCOPES: &str = "WEBSITE_AUTH_PRM_DEFAULT_WITH_SCOPES";
/// Whether the calling application must have a service principal in the tenant.
const PRINCIPAL: &str = "WEBSITE_AUTH_AAD_REQUIRE_CLIENT_SERVICE_PRINCIPAL";

/// The settings of a platform's policy file.
#[derive(Debug, Default)]
pub struct PlatformFile {
    /// The issuers of access tokens.
    pub policies: Vec<IssuerSettings>,
    /// Scopes that clients are told to request.
    pub scopes: Vec<String>,
    /// Whether plain HTTP is served on loopback addresses only.
    pub require_https: bool,
    /// The status for unauthenticated callers.
    pub unauthenticated: Option<u16>,
    /// Whether people with a browser are sent to the sign-in page.
    pub redirects_people: bool,
    /// The sign-in of people with a browser. `None` if no provider has a secret.
    pub sign_in: Option<PlatformSignIn>,
    /// Whether callers without a token may call tools that require no scope or role.
    pub admits_guests: bool,
    /// The header fields in which a proxy passes the public host and scheme.
    pub forwarded: Option<[HeaderName; 2]>,
}

impl PlatformFile {
    /// Parses the policy in `text`, for the endpoint at the path `endpoint`. `variable` returns the
    /// value of an environment variable.
    ///
    /// # Errors
    /// All independent faults of the text.
    pub fn parse(text: &str, endpoint: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let words = |name: &str| {
            let text = variable(name).unwrap_or_default();
            text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut faults = Vec::new();
        if variable(PRINCIPAL).is_some_and(|word| word == "1" || word.eq_ignore_ascii_case("true")) {
            faults.push(format!(
                "{PRINCIPAL} is set, which is not served: name the callers in allowedPrincipals instead, and remove it"
            ));
        }
        let Settings { platform, global_validation, http_settings, identity_providers, login } = match settings(text) {
            Ok(settings) => settings,
            Err(fault) => {
                faults.push(fault);
                return Err(faults);
            }
        };
        // Tokens contain the ids of tenants in lower case (learn.microsoft.com, "Access token claims
        // reference").
        let tenants: Vec<String> = words(TENANTS).iter().map(|tenant| tenant.to_ascii_lowercase()).collect();
        let paths = global_validation.excluded_paths.iter().map(|path| excluded(path, endpoint));
        faults.extend(paths.filter_map(Result::err));
        or_default(&mut faults, served("platform.enabled", platform.enabled, true));
        let prefix = served("httpSettings.routes.apiPrefix", http_settings.routes.api_prefix, "/.auth".to_owned());
        or_default(&mut faults, prefix);
        let (unauthenticated, admits_guests) = or_default(&mut faults, action(&global_validation));
        let redirects_people = !admits_guests && action_is_redirect(&global_validation);
        let redirect_to = global_validation.redirect_to_provider.as_deref();
        let sign_in = sign_in::read(&identity_providers, &login, redirect_to, redirects_people, &variable);
        let platform = PlatformFile {
            policies: or_default(&mut faults, enabled(&identity_providers, &tenants)),
            scopes: words(SCOPES),
            // The platform requires HTTPS unless the setting says otherwise.
            require_https: http_settings.require_https != Some(false),
            unauthenticated,
            redirects_people,
            sign_in: or_default(&mut faults, sign_in),
            admits_guests,
            forwarded: or_default(&mut faults, forwarded(&http_settings.forward_proxy)),
        };
        if faults.is_empty() { Ok(platform) } else { Err(faults) }
    }
}

fn or_default<T: Default>(faults: &mut Vec<String>, result: Result<T, String>) -> T {
    result.unwrap_or_else(|fault| {
        faults.push(fault);
        T::default()
    })
}

/// Reads the settings from the file, or from the body of the resource.
fn settings(text: &str) -> Result<Settings, String> {
    let Once = serde_json::from_str(text).map_err(|error| format!("is no JSON of ours: {error}"))?;
    let mut whole: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    // In the body of the resource, the settings are one level deeper.
    let mut settings = match whole.get_mut("properties").map(Value::take) {
        Some(properties) => {
            let envelope = ["id", "kind", "location", "name", "properties", "systemData", "tags", "type"];
            let mut members = whole.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            if let Some(other) = members.find(|name| !envelope.contains(name)) {
                return Err(format!(
                    "{other} is next to properties, which has all settings: move it into properties or remove it"
                ));
            }
            properties
        }
        None => whole,
    };
    without_nulls(&mut settings);
    serde_path_to_error::deserialize(settings).map_err(|error| {
        let path = error.path().to_string();
        format!("{path}: {}", error.inner())
    })
}

const REDIRECT: &str = "RedirectToLoginPage";

fn action_is_redirect(validation: &GlobalValidation) -> bool {
    validation.unauthenticated_client_action.as_deref() == Some(REDIRECT)
}

/// The status for unauthenticated callers, and whether they are admitted as guests.
fn action(validation: &GlobalValidation) -> Result<(Option<u16>, bool), String> {
    const KEY: &str = "globalValidation.unauthenticatedClientAction";
    match (validation.require_authentication, validation.unauthenticated_client_action.as_deref()) {
        (Some(true), Some("AllowAnonymous")) => {
            Err(format!("{KEY} is AllowAnonymous, and globalValidation.requireAuthentication is true: keep one"))
        }
        (Some(false), _) | (_, Some("AllowAnonymous")) => Ok((None, true)),
        (_, None | Some("Return401" | REDIRECT)) => Ok((None, false)),
        (_, Some("Return403")) => Ok((Some(403), false)),
        (_, Some("Return404")) => Ok((Some(404), false)),
        (_, Some(other)) => Err(format!(
            "{KEY} is {other:?}, which is not served: Return401, Return403, Return404, RedirectToLoginPage and AllowAnonymous are"
        )),
    }
}

/// Checks a path that the policy excludes from authentication. The program serves nothing there, or
/// only public documents, so an excluded path must not be a path of the endpoint. Paths are
/// compared byte by byte, without normalization: a path with more than one reading is refused.
fn excluded(path: &str, endpoint: &str) -> Result<(), String> {
    const KEY: &str = "globalValidation.excludedPaths";
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_~.".contains(&byte);
    let leads_elsewhere = |segment: &str| matches!(segment, "." | "..");
    if !path.starts_with('/')
        || !path.bytes().all(is_plain)
        || path.contains("//")
        || path.split('/').any(leads_elsewhere)
    {
        return Err(format!(
            "{KEY}: {path} is no plain path: write it without patterns, escapes and dots that lead upwards"
        ));
    }
    if path.trim_end_matches('/') == endpoint.trim_end_matches('/') {
        return Err(format!(
            "{KEY}: {path} is the endpoint itself, which would be open to all: take it away, or say AllowAnonymous"
        ));
    }
    Ok(())
}

/// The header fields from which the public host and scheme are taken.
fn forwarded(proxy: &ForwardProxy) -> Result<Option<[HeaderName; 2]>, String> {
    const KEY: &str = "httpSettings.forwardProxy";
    let [host, proto] = [&proxy.custom_host_header_name, &proxy.custom_proto_header_name];
    let name = |key: &str, name: &Option<String>| match name.as_deref().map(str::parse::<HeaderName>) {
        Some(Ok(name)) => Ok(name),
        _ => Err(format!("{KEY}.{key} must be the name of a header field")),
    };
    let customs = host.is_some() || proto.is_some();
    match proxy.convention.as_deref() {
        Some("Custom") => Ok(Some([name("customHostHeaderName", host)?, name("customProtoHeaderName", proto)?])),
        None | Some("NoProxy" | "Standard") if customs => {
            Err(format!("{KEY} has custom names, and its convention is not Custom: keep one"))
        }
        Some("Standard") => Ok(Some(["x-forwarded-host", "x-forwarded-proto"].map(HeaderName::from_static))),
        None | Some("NoProxy") => Ok(None),
        Some(other) => Err(format!("{KEY}.convention is {other:?}: NoProxy, Standard and Custom are served")),
    }
}

/// Removes members that are null, which means that they are not set.
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

/// Refuses a value that asks for a behavior which this program does not have.
fn served<T: PartialEq + core::fmt::Debug>(key: &str, value: Option<T>, only: T) -> Result<(), String> {
    match value {
        Some(value) if value != only => Err(format!("{key} is {value:?}, which is not served: {only:?} is")),
        _ => Ok(()),
    }
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

    fn parsed(text: &str) -> Result<PlatformFile, String> {
        PlatformFile::parse(text, "/mcp", |_| None).map_err(|faults| faults.join("\n"))
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = entra(
            r#","platform":{"enabled":false},"globalValidation":{"unauthenticatedClientAction":"Return500","excludedPaths":["mcp","/mcp"]},"httpSettings":{"forwardProxy":{"convention":"Own"}}"#,
        );
        let said = parsed(&text).unwrap_err();
        let expected =
            ["excludedPaths: mcp", "excludedPaths: /mcp", "platform.enabled", "Return500", "forwardProxy.convention"];
        assert_eq!(said.lines().count(), expected.len(), "{said}");
        assert!(said.lines().zip(expected).all(|(line, words)| line.contains(words)), "{said}");
    }

    /// The policy of the only provider.
    fn policy(text: &str) -> IssuerSettings {
        parsed(text).unwrap().policies.remove(0)
    }

    #[test]
    fn settings_of_the_platform_are_a_policy_in_both_of_their_forms() {
        let plain = entra(
            r#","platform":{"enabled":true,"runtimeVersion":"~1"},"globalValidation":{"requireAuthentication":true,"unauthenticatedClientAction":"Return401"}"#,
        );
        let resource = format!(r#"{{"name":"authsettingsV2","properties":{plain}}}"#);
        let exported = plain.replacen('{', r#"{"login":null,"httpSettings":{"forwardProxy":null},"#, 1);
        for text in [plain, resource, exported] {
            let policy = policy(&text);
            assert_eq!(policy.issuer, format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
            assert_eq!(policy.rules.issuers, [format!("https://sts.windows.net/{TENANT}/")]);
            assert_eq!(
                (policy.rules.audiences, policy.rules.applications),
                (vec!["app".to_owned(), "api://app".to_owned()], vec!["code".to_owned()])
            );
        }
        let custom = r#"{"identityProviders":{"customOpenIdConnectProviders":{"id":{"registration":{"clientId":"app",
            "openIdConnectConfiguration":{"wellKnownOpenIdConfiguration":"https://id.example/t/.well-known/openid-configuration"}},
            "validation":{"jwtClaimChecks":{"allowedGroups":["g"]}}}}}}"#;
        let policy = policy(custom);
        assert_eq!((policy.issuer.as_str(), policy.rules.groups), ("https://id.example/t", vec!["g".to_owned()]));
    }

    #[test]
    fn paths_beside_the_endpoint_may_be_excluded_and_https_is_required_unless_it_says_otherwise() {
        let open = entra(r#","globalValidation":{"excludedPaths":["/healthz","/mcp/page.html"]}"#);
        assert!(parsed(&open).unwrap().require_https);
        assert!(!parsed(&entra(r#","httpSettings":{"requireHttps":false}"#)).unwrap().require_https);
    }

    #[test]
    fn each_action_has_its_answer() {
        for (validation, expected) in [
            (r#"{}"#, (None, false)),
            (r#"{"unauthenticatedClientAction":"Return401"}"#, (None, false)),
            (r#"{"unauthenticatedClientAction":"Return403"}"#, (Some(403), false)),
            (r#"{"unauthenticatedClientAction":"Return404"}"#, (Some(404), false)),
            (r#"{"unauthenticatedClientAction":"AllowAnonymous"}"#, (None, true)),
            (r#"{"requireAuthentication":false,"unauthenticatedClientAction":"RedirectToLoginPage"}"#, (None, true)),
        ] {
            let platform = parsed(&entra(&format!(r#","globalValidation":{validation}"#))).unwrap();
            assert_eq!((platform.unauthenticated, platform.admits_guests), expected, "{validation}");
        }
    }

    #[test]
    fn fields_of_the_proxy_are_those_of_its_convention() {
        for (proxy, expected) in [
            (r#"{"convention":"NoProxy"}"#, None),
            (r#"{"convention":"Standard"}"#, Some(["x-forwarded-host", "x-forwarded-proto"])),
            (
                r#"{"convention":"Custom","customHostHeaderName":"X-Host","customProtoHeaderName":"X-Proto"}"#,
                Some(["x-host", "x-proto"]),
            ),
        ] {
            let platform = parsed(&entra(&format!(r#","httpSettings":{{"forwardProxy":{proxy}}}"#))).unwrap();
            assert_eq!(platform.forwarded, expected.map(|names| names.map(HeaderName::from_static)), "{proxy}");
        }
    }

    #[test]
    fn rule_in_the_environment_that_is_not_served_stops_the_start() {
        let with = |word: &'static str| {
            PlatformFile::parse(&entra(""), "/mcp", move |name| (name == PRINCIPAL).then(|| word.to_owned()))
        };
        assert!(with("True").is_err_and(|said| said.concat().contains(PRINCIPAL)));
        assert!(with("1").is_err() && with("false").is_ok());
    }

    #[test]
    fn issuer_of_any_tenant_needs_the_tenants_to_be_named_and_several_providers_have_a_policy_each() {
        let any = entra("").replace(TENANT, "common");
        assert!(parsed(&any).unwrap_err().contains(TENANTS));
        let named = PlatformFile::parse(&any, "/mcp", |name| (name == TENANTS).then(|| "t".to_owned()))
            .unwrap()
            .policies
            .remove(0);
        let second = "https://login.microsoftonline.com/{tenantid}/v2.0";
        assert_eq!(named.rules.issuers, [second, "https://sts.windows.net/{tenantid}/"]);
        assert_eq!(named.rules.tenants, ["t"]);
        let both = entra("").replacen(
            r#""azure"#,
            r#""customOpenIdConnectProviders":{"id":{"registration":{"clientId":"other",
            "openIdConnectConfiguration":{"issuer":"https://id.example"}}}},"azure"#,
            1,
        );
        let policies = parsed(&both).unwrap().policies;
        let audiences: Vec<_> = policies.iter().map(|policy| policy.rules.audiences.concat()).collect();
        assert_eq!(audiences, ["appapi://app", "other"]);
    }

    #[test]
    fn what_is_not_served_stops_with_its_name() {
        for (text, words) in [
            ("{".to_owned(), &["JSON"][..]),
            ("{}".to_owned(), &["identityProviders"]),
            (entra(r#","platform":{"enabled":false}"#), &["platform.enabled"]),
            (entra(r#","platfrom":{}"#), &["platfrom"]),
            (entra(r#","httpSettings":{"requireHttps":true,"requireHttps":false}"#), &["requireHttps is there twice"]),
            (
                entra(
                    r#","globalValidation":{"requireAuthentication":true,"unauthenticatedClientAction":"AllowAnonymous"}"#,
                ),
                &["AllowAnonymous", "requireAuthentication"],
            ),
            (
                entra(r#","globalValidation":{"unauthenticatedClientAction":"RedirectToLoginPage"}"#),
                &["RedirectToLoginPage", "clientSecretSettingName"],
            ),
            (entra(r#","globalValidation":{"excludedPaths":["/mcp/"]}"#), &["excludedPaths", "/mcp/"]),
            (entra(r#","globalValidation":{"excludedPaths":["/open/*"]}"#), &["excludedPaths", "/open/*"]),
            (entra(r#","globalValidation":{"excludedPaths":["/a/../mcp"]}"#), &["excludedPaths", "/a/../mcp"]),
            (entra(r#","globalValidation":{"excludedPaths":["/%6dcp"]}"#), &["excludedPaths", "/%6dcp"]),
            (entra(r#","httpSettings":{"forwardProxy":{"convention":"Other"}}"#), &["forwardProxy.convention", "Other"]),
            (
                entra(r#","httpSettings":{"forwardProxy":{"convention":"Custom","customHostHeaderName":"X"}}"#),
                &["customProtoHeaderName"],
            ),
            (
                entra(r#","httpSettings":{"forwardProxy":{"convention":"Standard","customHostHeaderName":"X"}}"#),
                &["forwardProxy", "Custom"],
            ),
            (entra(r#","httpSettings":{"routes":{"apiPrefix":7}}"#), &["httpSettings.routes.apiPrefix"]),
            (entra("").replace("\"registration\"", "\"registrations\""), &["azureActiveDirectory", "registrations"]),
            (format!(r#"{{"properties":{},"platform":{{}}}}"#, entra("")), &["platform is next to properties"]),
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
