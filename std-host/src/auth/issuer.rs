//! An issuer of tokens, and what is asked of them.

use super::fetch::{Fetcher, Reach};
use super::key_set::{KeySet, NoKeys};
use super::source::Source;
use attache_core::auth::{ANY, Rules};
use core::time::Duration;

/// An issuer that the server believes, and what its tokens have to say. Closed by default: without
/// [`applications`](Issuer::applications) only an application may call whose id is an audience.
#[derive(Debug)]
pub struct Issuer {
    /// The authorization server, as clients find it.
    pub(super) server: String,
    /// The values of `iss` that mean it; the first one is what its metadata says.
    issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    applications: Vec<String>,
    tenants: Vec<String>,
    identities: Vec<String>,
    groups: Vec<String>,
    scopes_in: Option<String>,
    leeway: Duration,
    oldest: Option<Duration>,
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
    /// Entra ID has one set of metadata for all tenants: `https://login.microsoftonline.com/common/v2.0`, or `organizations` instead of
    /// `common`, or the identifier with `{tenantid}` in the place of the tenant. Name the [`tenants`](Issuer::tenants) then:
    /// without them every token is refused.
    ///
    /// # Panics
    /// If `issuer` is not an `https` URL; `http` is allowed for `localhost`.
    #[track_caller]
    pub fn discovered(issuer: &str) -> Self {
        assert!(Self::may_be_asked(issuer), "issuer {issuer:?} must be an https URL, or an http one of this machine");
        let Names { server, issuer } = Names::of(issuer);
        let source = Source::fetched(Fetcher::new(&server, &issuer));
        Self::with(server, issuer, source)
    }

    /// Whether an issuer with this identifier may be asked for its keys: by https, or on this machine, and not at an address that means
    /// something else to each machine.
    pub fn may_be_asked(issuer: &str) -> bool {
        let Names { server, .. } = Names::of(issuer);
        Reach::of(&server).is_some_and(|reach| reach.allows(&server))
    }

    /// Whether the tokens of an issuer with this identifier are of many tenants, so that those whose callers may call have to be named.
    pub fn has_tenants(issuer: &str) -> bool {
        Names::of(issuer).issuer.contains(TENANT)
    }

    /// An issuer whose keys are given as a set in JSON (RFC 7517): nothing is fetched.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub fn with_keys(issuer: &str, keys: &str) -> Result<Self, NoKeys> {
        let source = Source::fixed(KeySet::read(keys.as_bytes())?);
        let Names { server, issuer } = Names::of(issuer);
        Ok(Self::with(server, issuer, source))
    }

    fn with(server: String, issuer: String, source: Source) -> Self {
        Self {
            server,
            issuers: vec![issuer],
            audiences: Vec::new(),
            applications: Vec::new(),
            tenants: Vec::new(),
            identities: Vec::new(),
            groups: Vec::new(),
            scopes_in: None,
            leeway: Duration::from_secs(attache_core::limits::LEEWAY),
            oldest: None,
            source,
        }
    }

    lists! {
        /// Other values of `iss` that mean the same issuer, as Entra ID has two. `{tenantid}` stands for the tenant of the token.
        issuers
        /// What `aud` may be, besides the endpoint's own URL.
        audiences
        /// The applications that may call, by their ids (`azp`, `appid`, `client_id` or `cid`).
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

    /// Refuses tokens that were issued longer ago (`iat`), whatever their end. Seconds count. Tokens that do not say when they were issued
    /// are refused, too.
    #[must_use]
    pub const fn oldest(mut self, age: Duration) -> Self {
        self.oldest = Some(age);
        self
    }

    /// The rules, with the generation of the keys by which a token is verified.
    pub(super) fn rules(&self, generation: u32) -> Rules<'_, String> {
        Rules {
            issuers: &self.issuers,
            audiences: &self.audiences,
            applications: &self.applications,
            tenants: &self.tenants,
            identities: &self.identities,
            groups: &self.groups,
            scopes_in: self.scopes_in.as_deref(),
            leeway: self.leeway.as_secs(),
            max_age: self.oldest.map(|age| age.as_secs()),
            generation,
        }
    }
}

/// Stands for the tenant of a token.
const TENANT: &str = "{tenantid}";

/// The two names of an issuer, which differ where it has many tenants.
struct Names {
    /// The authorization server, where metadata is looked for.
    server: String,
    /// What the metadata says, and tokens say with their tenant in it.
    issuer: String,
}

impl Names {
    // learn.microsoft.com, "OpenID Connect on the Microsoft identity platform": the metadata of `common` and
    // `organizations` has `{tenantid}` in its issuer, that of `consumers` the tenant of all personal accounts.
    fn of(issuer: &str) -> Self {
        let ends = [
            ("/common/v2.0", TENANT),
            ("/organizations/v2.0", TENANT),
            ("/consumers/v2.0", "9188040d-6c67-4c5b-b112-36a304b66dad"),
        ];
        let of_all = ends.iter().find_map(|(end, tenant)| {
            let origin = issuer.strip_suffix(end)?;
            // With a path in front it is another issuer than Entra ID.
            let is_origin = origin.split_once("://").is_some_and(|(_, host)| !host.contains('/'));
            is_origin.then(|| format!("{origin}/{tenant}/v2.0"))
        });
        match of_all {
            Some(named) => Self { server: issuer.to_owned(), issuer: named },
            None => Self { server: issuer.replace(TENANT, "common"), issuer: issuer.to_owned() },
        }
    }
}
