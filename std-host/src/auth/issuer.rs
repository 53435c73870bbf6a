//! An issuer of tokens, and the policy for them.

#[cfg(feature = "discovery")]
use super::fetch::{Fetcher, Reach};
use super::key_set::{KeySet, NoKeys};
use super::revocations::Revocations;
use super::source::Source;
use attache_core::auth::{ANY, IssuerPolicy, Rules};
#[cfg(feature = "discovery")]
use core::fmt;
use core::time::Duration;

/// An issuer that the server believes, and the policy for its tokens. Closed by default: without
/// [`applications`](Issuer::applications) only an application with the id of an audience may call.
#[derive(Debug)]
pub struct Issuer {
    /// The URL of the authorization server, as clients use it.
    pub(super) server: String,
    /// The first of its issuers is the one in the metadata.
    policy: IssuerPolicy<Vec<String>>,
    scopes_in: Option<String>,
    pub(super) source: Source,
    pub(super) revocations: Option<Revocations>,
}

#[cfg(feature = "discovery")]
/// The identifier of an issuer from which the server would fetch no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidIssuer {
    /// The identifier.
    pub issuer: String,
}

#[cfg(feature = "discovery")]
impl fmt::Display for InvalidIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "issuer {:?} must be an https URL, or an http URL of this machine", self.issuer)
    }
}

#[cfg(feature = "discovery")]
impl core::error::Error for InvalidIssuer {}

/// Takes a list of texts.
macro_rules! lists {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => { $(
        $(#[doc = $doc])+
        #[must_use]
        pub fn $name<T: Into<String>>(mut self, list: impl IntoIterator<Item = T>) -> Self {
            self.policy.$name.extend(list.into_iter().map(Into::into));
            self
        }
    )* };
}

impl Issuer {
    /// Creates an issuer from its identifier, the `iss` of its tokens. Its keys are found through
    /// its metadata (RFC 8414, OpenID Connect Discovery 1.0). They are fetched when the first token
    /// arrives, and are kept. If an issuer cannot be reached, only its own tokens are affected.
    ///
    /// Entra ID has one set of metadata for all tenants:
    /// `https://login.microsoftonline.com/common/v2.0`, or `organizations` instead of `common`, or
    /// the identifier with `{tenantid}` in the place of the tenant. In these cases, set the
    /// [`tenants`](Issuer::tenants): without them, every token is refused.
    ///
    /// # Errors
    /// [`InvalidIssuer`] if `issuer` is not an `https` URL, or names an address that means something else to each machine; `http` is
    /// allowed on this machine.
    #[cfg(feature = "discovery")]
    pub fn discovered(issuer: &str) -> Result<Self, InvalidIssuer> {
        let Names { server, issuer: named } = Names::of(issuer);
        let reach = Reach::of(&server).filter(|reach| reach.allows(&server));
        let reach = reach.ok_or_else(|| InvalidIssuer { issuer: issuer.to_owned() })?;
        let source = Source::fetched(Fetcher::new(reach, &server, &named));
        Ok(Self::with(server, named, source))
    }

    /// Whether the tokens of the issuer are of many tenants, so that its [`tenants`](Issuer::tenants) have to be named.
    pub fn has_tenants(&self) -> bool {
        self.policy.issuers.first().is_some_and(|issuer| issuer.contains(TENANT))
    }

    /// Whether the issuer is on this machine, so that its tokens are good for development alone.
    #[cfg(feature = "discovery")]
    pub fn is_local(issuer: &str) -> bool {
        Reach::of(&Names::of(issuer).server).is_some_and(|reach| reach.is_local())
    }

    /// Creates an issuer with keys from a JSON Web Key Set (RFC 7517). Nothing is fetched.
    ///
    /// # Errors
    /// [`NoKeys`] if the text has no usable key.
    pub fn with_keys(issuer: &str, keys: &str) -> Result<Self, NoKeys> {
        let source = Source::fixed(KeySet::read(keys.as_bytes())?);
        let Names { server, issuer } = Names::of(issuer);
        Ok(Self::with(server, issuer, source))
    }

    fn with(server: String, issuer: String, source: Source) -> Self {
        let policy = IssuerPolicy { issuers: vec![issuer], ..IssuerPolicy::default() };
        Self { server, policy, scopes_in: None, source, revocations: None }
    }

    /// Sets the whole policy at once. The issuer's own identifier remains the first of its issuers.
    #[must_use]
    pub fn policy(mut self, mut policy: IssuerPolicy<Vec<String>>) -> Self {
        policy.issuers.splice(0..0, self.policy.issuers.drain(..1));
        self.policy = policy;
        self
    }

    lists! {
        /// Further values of `iss` for the same issuer; Entra ID, for example, has two.
        /// `{tenantid}` is a placeholder for the tenant of the token.
        issuers
        /// Allowed values of `aud`, in addition to the endpoint's own URL.
        audiences
        /// Allow-list of applications, by their ids (`azp`, `appid`, `client_id` or `cid`).
        applications
        /// Allow-list of tenants (`tid`).
        tenants
        /// Allow-list of callers (`oid`, or `sub` if the token has no `oid`). Without identities
        /// and groups, all callers are allowed.
        identities
        /// Allow-list of groups (`groups`), in addition to the identities.
        groups
    }

    /// Allows every application that has a token for this server.
    #[must_use]
    pub fn any_application(mut self) -> Self {
        self.policy.applications = vec![ANY.to_owned()];
        self
    }

    /// Sets the claim that contains the scopes, if it is neither `scp` nor `scope`.
    #[must_use]
    pub fn scopes_in(mut self, claim: &str) -> Self {
        self.scopes_in = Some(claim.to_owned());
        self
    }

    /// Refuses tokens whose grant (claim `sid`) has ended.
    #[must_use]
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Sets the tolerated clock difference, a minute by default. Fractions of a second are ignored.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.policy.leeway = leeway.as_secs();
        self
    }

    /// Refuses tokens with an `iat` older than this, even if they have not expired. Tokens without
    /// `iat` are refused, too. Fractions of a second are ignored.
    #[must_use]
    pub const fn oldest(mut self, age: Duration) -> Self {
        self.policy.max_age = Some(age.as_secs());
        self
    }

    /// Returns the rules, with the generation of the keys that verify a token.
    pub(super) fn rules(&self, generation: u32) -> Rules<'_, String> {
        Rules { scopes_in: self.scopes_in.as_deref(), generation, ..self.policy.rules() }
    }
}

/// The placeholder for the tenant of a token.
pub(crate) const TENANT: &str = "{tenantid}";

/// The two names of an issuer. They differ if the issuer has many tenants.
pub(crate) struct Names {
    /// The URL of the authorization server, where its metadata is found.
    pub(crate) server: String,
    /// The issuer in the metadata, with a placeholder for the tenant. Tokens have their tenant in
    /// its place.
    pub(crate) issuer: String,
}

impl Names {
    // learn.microsoft.com, "OpenID Connect on the Microsoft identity platform": the metadata of
    // `common` and `organizations` has `{tenantid}` in its issuer; that of `consumers` has the
    // tenant of all personal accounts.
    pub(crate) fn of(issuer: &str) -> Self {
        let ends = [
            ("/common/v2.0", TENANT),
            ("/organizations/v2.0", TENANT),
            ("/consumers/v2.0", "9188040d-6c67-4c5b-b112-36a304b66dad"),
        ];
        let of_all = ends.iter().find_map(|(end, tenant)| {
            let origin = issuer.strip_suffix(end)?;
            // An issuer with a path in front is not Entra ID.
            let is_origin = origin.split_once("://").is_some_and(|(_, host)| !host.contains('/'));
            is_origin.then(|| format!("{origin}/{tenant}/v2.0"))
        });
        match of_all {
            Some(named) => Self { server: issuer.to_owned(), issuer: named },
            None => Self { server: issuer.replace(TENANT, "common"), issuer: issuer.to_owned() },
        }
    }
}
