//! The settings of the sign-in pages for people with a browser (`auth.provider` and `auth.session`).

use super::providers::ProviderConfig;
use super::{Layers, value};
use crate::fault::{Fault, Faults};
use crate::print::complain;
use attache_host::auth::PlatformSignIn;
use core::time::Duration;
use std::path::PathBuf;

/// Sign-in pages.
#[derive(Debug)]
pub(crate) struct SignInPages {
    /// The public origin of the program. `None` for the address on which it listens.
    pub(crate) origin: Option<String>,
    pub(crate) providers: Vec<ProviderConfig>,
    /// The provider to which people are sent without a choice.
    pub(crate) redirect_to: Option<String>,
    /// The lifetime of a session that is not used. `None` if it ends with the token of the provider.
    pub(crate) life: Option<Duration>,
    pub(crate) longest: Duration,
    pub(crate) attempt_time: Option<Duration>,
    pub(crate) expose_tokens: bool,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirects: Vec<String>,
    pub(crate) keep_fragments: bool,
    pub(crate) store: Option<PathBuf>,
}

/// The settings that mean something only with a provider.
const DEPENDENT: [&str; 5] = [
    "auth.session.url",
    "auth.session.redirects",
    "auth.session.scopes",
    "auth.session.provider",
    "auth.session.expose_tokens",
];

const NEEDS_STORE: &str = "needs a store for the tokens of providers. Add to attache.toml:\n\n    [store]\n    file = \"/var/lib/attache/store.redb\"\n";

impl Layers {
    /// Whether people can sign in with a browser.
    pub(super) fn signs_people_in(&self) -> bool {
        !self.providers.is_empty() || self.platform_sign_in().is_some()
    }

    /// The sign-in of the platform's policy file. Faults of the file are reported with the rules for tokens.
    fn platform_sign_in(&self) -> Option<PlatformSignIn> {
        self.policy(None).ok()?.sign_in
    }

    pub(super) fn sign_in_pages(&self) -> Result<Option<SignInPages>, Fault> {
        let mut faults = Faults::default();
        let platform = self.platform_sign_in();
        for server in (0..self.servers()).map(Some) {
            let own = self.given("auth.platform_file", server);
            let is_other = own.texts != self.given("auth.platform_file", None).texts;
            if is_other && self.policy(server).is_ok_and(|policy| policy.redirects_people) {
                let what = "auth.platform_file with RedirectToLoginPage belongs to the whole program: write it above the first [[server]]";
                faults.add(Fault::at(own.origin, what.to_owned()));
            }
        }
        let texts = |key: &str| self.given(key, None).texts;
        let is_on = |key: &str| texts(key).first().is_some_and(|text| text == "true");
        let pages = match (platform, self.providers.clone()) {
            (None, providers) if providers.is_empty() => {
                if let Some(key) = DEPENDENT.iter().find(|key| texts(key).first().is_some_and(|text| text != "false")) {
                    faults.add(self.fault(key, "means nothing without [[auth.provider]]"));
                }
                if self.text("auth.unauthenticated") == "sign-in" {
                    faults.add(self.fault("auth.unauthenticated", NO_PROVIDER));
                }
                return faults.end().map(|()| None);
            }
            (Some(_), providers) if !providers.is_empty() => {
                let what =
                    "[[auth.provider]] and the providers of auth.platform_file exclude each other: keep one of them";
                faults.add(Fault::at(providers[0].origin.clone(), what.to_owned()));
                return faults.end().map(|()| None);
            }
            (Some(platform), _) => self.of_platform(platform, &mut faults),
            (None, providers) => SignInPages {
                origin: None,
                providers,
                redirect_to: texts("auth.session.provider").into_iter().next(),
                life: value::time(&self.text("auth.session.life")),
                longest: self.time("auth.session.longest"),
                attempt_time: None,
                expose_tokens: is_on("auth.session.expose_tokens"),
                scopes: texts("auth.session.scopes"),
                redirects: texts("auth.session.redirects"),
                keep_fragments: is_on("auth.session.keep_fragments"),
                store: None,
            },
        };
        let store = texts("store.file").into_iter().next().map(PathBuf::from);
        if pages.expose_tokens && store.is_none() {
            faults.add(self.fault("auth.session.expose_tokens", NEEDS_STORE));
        }
        if texts("seal.key_file").is_empty() && texts("seal.keys").is_empty() {
            faults.add(Fault::of(
                "sign-in pages need seal.key_file, which seals cookies: without it, sessions end with the program. Write the output of \
                 openssl rand -hex 32 into it"
                    .to_owned(),
            ));
        }
        let origin = texts("auth.session.url").into_iter().next().or_else(|| self.public_origin());
        faults.end().map(|()| Some(SignInPages { origin, store, ..pages }))
    }

    fn of_platform(&self, platform: PlatformSignIn, faults: &mut Faults) -> SignInPages {
        let file = self.given("auth.platform_file", None).origin;
        let has_store = !self.given("store.file", None).texts.is_empty();
        if platform.has_token_store && !has_store {
            faults.add(Fault::at(file, format!("login.tokenStore.enabled {NEEDS_STORE}or set it to false")));
        } else if has_store && !platform.has_token_store {
            complain(
                "warning: store.file is set, so tokens of providers are stored although login.tokenStore.enabled is not true",
            );
        }
        let scopes = self.given("auth.session.scopes", None).texts;
        SignInPages {
            origin: None,
            providers: platform.providers.into_iter().map(ProviderConfig::from).collect(),
            redirect_to: platform.redirect_to,
            life: platform.life,
            longest: platform.longest.unwrap_or_else(|| self.time("auth.session.longest")),
            attempt_time: platform.attempt_time,
            expose_tokens: self.text("auth.session.expose_tokens") == "true",
            scopes,
            redirects: platform.external_redirects,
            keep_fragments: platform.keeps_fragments,
            store: None,
        }
    }

    /// The origin of the first public URL of an endpoint.
    fn public_origin(&self) -> Option<String> {
        let servers = (0..self.servers()).map(Some).chain([None]);
        let url = servers.filter_map(|server| self.given("auth.resource", server).texts.into_iter().next()).next()?;
        let host = url.find("://")? + 3;
        let end = url[host..].find('/').map_or(url.len(), |at| host + at);
        Some(url[..end].to_owned())
    }
}

const NO_PROVIDER: &str = "is sign-in, but people have nowhere to sign in: add a provider, such as\n\n    [[auth.provider]]\n    name = \
                           \"company\"\n    kind = \"oidc\"\n    issuer = \"https://id.example\"\n    client_id = \"…\"\n    \
                           client_secret_file = \"/etc/attache/company.secret\"";
