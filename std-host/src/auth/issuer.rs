//! An issuer of tokens, and what is asked of them.

use super::fetch::Fetcher;
use super::key_set::{KeySet, NoKeys};
use super::source::Source;
use attache_core::auth::{ANY, Rules};
use core::time::Duration;

/// An issuer that the server believes, and what its tokens have to say. Closed by default: without
/// [`applications`](Issuer::applications) only an application may call whose id is an audience.
#[derive(Debug)]
pub struct Issuer {
    /// The first one is where keys are looked for.
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    applications: Vec<String>,
    tenants: Vec<String>,
    identities: Vec<String>,
    groups: Vec<String>,
    scopes_in: Option<String>,
    leeway: Duration,
    pub(super) source: Source,
}

/// Takes a list of texts.
macro_rules! lists {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => { $(
        $(#[doc = $doc])+
        #[must_use]
        pub fn $name<T: Into<String>>(mut self, list: impl IntoIterator<Item = T>) -> Self {
            self.$name.extend(list.into_iter().map(Into::into));
            self
        }
    )* };
}

impl Issuer {
    /// An issuer by its identifier, the `iss` of its tokens. Its keys are found by its metadata (RFC 8414, OpenID Connect Discovery
    /// 1.0), fetched when the first token comes, and kept; an issuer that cannot be reached stops nothing but its own tokens.
    ///
    /// # Panics
    /// If `issuer` is no `https` URL; `http` will do for `localhost`.
    #[track_caller]
    pub fn discovered(issuer: &str) -> Self {
        assert!(Self::may_be_asked(issuer), "issuer {issuer:?} must be an https URL, or an http one of this machine");
        Self::with(issuer, Source::fetched(Fetcher::new(issuer)))
    }

    /// Whether an issuer with this identifier may be asked for its keys: by https, or on this machine, and not at an address that means
    /// something else to each machine.
    pub fn may_be_asked(issuer: &str) -> bool {
        super::fetch::is_allowed(issuer)
    }

    /// An issuer whose keys are given as a set in JSON (RFC 7517): nothing is fetched.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub fn with_keys(issuer: &str, keys: &str) -> Result<Self, NoKeys> {
        Ok(Self::with(issuer, Source::fixed(KeySet::read(keys.as_bytes())?)))
    }

    fn with(issuer: &str, source: Source) -> Self {
        Self {
            issuers: vec![issuer.to_owned()],
            audiences: Vec::new(),
            applications: Vec::new(),
            tenants: Vec::new(),
            identities: Vec::new(),
            groups: Vec::new(),
            scopes_in: None,
            leeway: Duration::from_secs(attache_core::limits::LEEWAY),
            source,
        }
    }

    lists! {
        /// Other values of `iss` that mean the same issuer, as Entra ID has two. `{tenantid}` stands for the tenant of the token.
        issuers
        /// What `aud` may be, besides the endpoint's own URL.
        audiences
        /// The applications that may call, by their ids (`azp`, `appid` or `client_id`).
        applications
        /// The tenants whose callers may call (`tid`).
        tenants
        /// The callers who may call (`oid`, or `sub` where there is none); without identities and groups all may.
        identities
        /// The groups whose members may call, besides the identities.
        groups
    }

    /// Lets every application call that has a token for this server.
    #[must_use]
    pub fn any_application(mut self) -> Self {
        self.applications = vec![ANY.to_owned()];
        self
    }

    /// The claim that scopes stand in, where it is neither `scp` nor `scope`.
    #[must_use]
    pub fn scopes_in(mut self, claim: &str) -> Self {
        self.scopes_in = Some(claim.to_owned());
        self
    }

    /// By how much clocks may differ; a minute by default. Seconds count.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    pub(super) fn rules(&self) -> Rules<'_, String> {
        Rules {
            issuers: &self.issuers,
            audiences: &self.audiences,
            applications: &self.applications,
            tenants: &self.tenants,
            identities: &self.identities,
            groups: &self.groups,
            scopes_in: self.scopes_in.as_deref(),
            leeway: self.leeway.as_secs(),
            generation: self.source.generation(),
        }
    }
}
