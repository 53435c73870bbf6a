//! The settings of the program's own authorization server (`auth.server` and `store`).

use super::Layers;
use super::providers::{self, ProviderConfig};
use super::secret::{self, Secret};
use super::value;
use crate::fault::{Fault, Faults, Origin};
use attache_host::auth::{Issuer, ProviderKind};
use attache_host::authorization_server::PreRegistered;
use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// An authorization server in front of another issuer.
pub(crate) struct SignIn {
    /// The public URL of the server.
    pub(crate) issuer: String,
    /// The issuer at which people sign in.
    pub(crate) upstream: ProviderConfig,
    /// The time after which the issuer is asked again.
    pub(crate) recheck: Duration,
    /// Keys in the form of PKCS #8.
    pub(crate) signing_keys: Secret<Vec<Vec<u8>>>,
    pub(crate) claims: Vec<String>,
    pub(crate) redirect_hosts: Vec<String>,
    /// The clients that the operator has registered.
    pub(crate) clients: Vec<PreRegistered>,
    pub(crate) store: PathBuf,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("issuer", &self.issuer)
            .field("upstream", &self.upstream.issuer)
            .finish_non_exhaustive()
    }
}

/// The settings that mean something only with `auth.server.issuer`.
const DEPENDENT: [&str; 10] = [
    "auth.server.upstream",
    "auth.server.client_id",
    "auth.server.client_secret_file",
    "auth.server.signing_key_file",
    "auth.server.claims",
    "auth.server.redirect_hosts",
    "auth.server.clients_file",
    "auth.server.upstream_api",
    "auth.server.tenants",
    "store.file",
];

impl Layers {
    /// The issuer that the program is itself.
    pub(super) fn own_issuer(&self) -> Option<String> {
        self.given("auth.server.issuer", None).texts.into_iter().next()
    }

    pub(super) fn sign_in(&self) -> Result<Option<SignIn>, Fault> {
        let texts = |key: &str| self.given(key, None).texts;
        let Some(issuer) = self.own_issuer() else {
            // Sign-in pages have a store, too.
            let is_of_pages = |key: &str| key == "store.file" && self.signs_people_in();
            let means_nothing = |key: &&&str| !texts(key).is_empty() && !is_of_pages(key);
            return match DEPENDENT.iter().find(means_nothing) {
                Some(&"store.file") => {
                    Err(self.fault("store.file", "means nothing without auth.server.issuer or [[auth.provider]]"))
                }
                Some(key) => Err(self.fault(key, "means nothing without auth.server.issuer")),
                None => Ok(None),
            };
        };
        let mut faults = Faults::default();
        let needed = |key: &str, what: &str| {
            let missing = || Fault::of(format!("auth.server.issuer needs {key}: {what}"));
            texts(key).into_iter().next().ok_or_else(missing)
        };
        let sign_in = SignIn {
            issuer,
            upstream: self.upstream(&mut faults),
            recheck: texts("auth.server.recheck").first().and_then(|text| value::time(text)).unwrap_or_default(),
            signing_keys: Secret(
                faults.or_default(needed("auth.server.signing_key_file", MAKE_KEY).and_then(|_| self.signing_keys())),
            ),
            claims: texts("auth.server.claims"),
            redirect_hosts: texts("auth.server.redirect_hosts"),
            clients: faults.or_default(self.clients()),
            store: faults
                .or_default(needed("store.file", "a file, such as /var/lib/attache/store.redb").map(PathBuf::from)),
        };
        if texts("seal.key_file").is_empty() && texts("seal.keys").is_empty() {
            faults.add(Fault::of(
                "auth.server.issuer needs seal.key_file: without it, clients and sign-ins end with the program"
                    .to_owned(),
            ));
        }
        faults.end().map(|()| Some(sign_in))
    }

    /// The issuer at which people sign in, as a provider.
    fn upstream(&self, faults: &mut Faults) -> ProviderConfig {
        let given = |key: &str| self.given(key, None);
        let text = |key: &str| given(key).texts.into_iter().next().unwrap_or_default();
        let kind = providers::kind(&text("auth.server.upstream_kind"));
        let (issuer, tenants) = (text("auth.server.upstream"), given("auth.server.tenants").texts);
        let has_own = matches!(kind, ProviderKind::Google | ProviderKind::GitHub);
        if issuer.is_empty() && !has_own {
            faults.add(Fault::of(
                "auth.server.issuer needs auth.server.upstream: the issuer at which people sign in".to_owned(),
            ));
        }
        let has_tenants = Issuer::discovered(&issuer).is_ok_and(|issuer| issuer.has_tenants());
        if has_tenants && tenants.is_empty() {
            let what = "serves many tenants: name in auth.server.tenants those whose people may sign in, or \"*\" for all of them";
            faults.add(self.fault("auth.server.upstream", what));
        }
        if text("auth.server.client_id").is_empty() {
            faults.add(Fault::of(
                "auth.server.issuer needs auth.server.client_id: the client id of this program there".to_owned(),
            ));
        }
        let client_secret = faults.or_default(self.client_secret());
        if client_secret.is_none() && kind == ProviderKind::GitHub {
            faults.add(Fault::of("GitHub needs auth.server.client_secret_file: the secret of the client".to_owned()));
        }
        let scopes = given("auth.server.upstream_scopes");
        ProviderConfig {
            name: "auth.server.upstream".to_owned(),
            label: String::new(),
            kind,
            issuer,
            api_url: text("auth.server.upstream_api"),
            client_id: text("auth.server.client_id"),
            client_secret,
            // The default of GitHub is another one.
            scopes: if scopes.origin == Origin::Default { Vec::new() } else { scopes.texts },
            parameters: Vec::new(),
            identities: Vec::new(),
            groups: Vec::new(),
            tenants,
            email_domains: Vec::new(),
            origin: given("auth.server.upstream").origin,
        }
    }

    fn client_secret(&self) -> Result<Option<Secret<String>>, Fault> {
        let (key, file) = ("auth.server.client_secret_file", self.given("auth.server.client_secret_file", None));
        if file.texts.is_empty() {
            return Ok(None);
        }
        let Secret(text) = secret::read_file(key, &file)?;
        match text.trim() {
            "" => Err(self.fault(key, "is empty")),
            secret => Ok(Some(Secret(secret.to_owned()))),
        }
    }

    fn clients(&self) -> Result<Vec<PreRegistered>, Fault> {
        let (key, file) = ("auth.server.clients_file", self.given("auth.server.clients_file", None));
        if file.texts.is_empty() {
            return Ok(Vec::new());
        }
        // The file may have secrets.
        let Secret(text) = secret::read_file(key, &file)?;
        PreRegistered::read(&text).map_err(|error| self.fault(key, &format!("cannot be used: {error}")))
    }

    fn signing_keys(&self) -> Result<Vec<Vec<u8>>, Fault> {
        let key = "auth.server.signing_key_file";
        let Secret(text) = secret::read_file(key, &self.given(key, None))?;
        let keys = PrivatePkcs8KeyDer::pem_slice_iter(text.as_bytes());
        let keys: Result<Vec<_>, _> = keys.map(|key| key.map(|key| key.secret_pkcs8_der().to_vec())).collect();
        match keys {
            Ok(keys) if !keys.is_empty() => Ok(keys),
            _ => Err(self.fault(key, &format!("has no key: {MAKE_KEY}"))),
        }
    }
}

const MAKE_KEY: &str =
    "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | install -m 600 /dev/stdin signing.pem makes one";
