//! The members of the platform's policy file.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Declares structs that refuse unknown members.
macro_rules! known {
    ($($name:ident { $($field:ident: $type:ty,)* })*) => { $(
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub(super) struct $name { $(pub(super) $field: $type,)* }
    )* };
}

known! {
    Settings {
        platform: Runtime,
        global_validation: GlobalValidation,
        http_settings: HttpSettings,
        identity_providers: IdentityProviders,
        login: Login,
    }
    Login {
        routes: LoginRoutes,
        token_store: TokenStore,
        preserve_url_fragments_for_logins: Option<bool>,
        allowed_external_redirect_urls: Vec<String>,
        cookie_expiration: CookieExpiration,
        nonce: Nonce,
    }
    LoginRoutes { logout_endpoint: Option<String>, }
    TokenStore {
        enabled: Option<bool>,
        token_refresh_extension_hours: Option<f64>,
        // The store of this program is a setting of its own.
        file_system: Option<Value>,
        azure_blob_storage: Option<Value>,
    }
    CookieExpiration { convention: Option<String>, time_to_expiration: Option<String>, }
    Nonce { validate_nonce: Option<bool>, nonce_expiration_interval: Option<String>, }
    Runtime { enabled: Option<bool>, runtime_version: Option<String>, config_file_path: Option<String>, }
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
        git_hub: OAuth,
        google: OAuth,
        legacy_microsoft_account: Other,
        twitter: Other,
    }
    OAuth { enabled: Option<bool>, registration: Option<OAuthRegistration>, login: OAuthLogin, validation: Option<Value>, }
    OAuthRegistration { client_id: Option<String>, client_secret_setting_name: Option<String>, }
    OAuthLogin { scopes: Vec<String>, }
    EntraLogin { login_parameters: Vec<String>, disable_www_authenticate: Option<bool>, }
    CustomLogin { name_claim_type: Option<String>, scopes: Vec<String>, login_parameter_names: Vec<String>, }
    ClientCredential { method: Option<String>, client_secret_setting_name: Option<String>, }
    Entra { enabled: Option<bool>, registration: EntraRegistration, login: EntraLogin, validation: Validation, is_auto_provisioned: Option<bool>, }
    EntraRegistration {
        open_id_issuer: Option<String>,
        client_id: Option<String>,
        client_secret_setting_name: Option<String>,
        client_secret_certificate_thumbprint: Option<String>,
        client_secret_certificate_issuer: Option<String>,
        client_secret_certificate_subject_alternative_name: Option<String>,
    }
    Custom { enabled: Option<bool>, registration: CustomRegistration, login: CustomLogin, validation: Validation, }
    CustomRegistration {
        client_id: Option<String>,
        client_credential: ClientCredential,
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

impl OAuth {
    pub(super) fn is_used(&self) -> bool {
        self.registration.is_some() && self.enabled != Some(false)
    }
}

/// A provider at which people cannot sign in here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Other {
    enabled: Option<bool>,
    registration: Option<Value>,
}

impl Other {
    pub(super) fn is_used(&self) -> bool {
        self.registration.is_some() && self.enabled != Some(false)
    }
}
