//! The policy for the tokens of one issuer, as a value that owns its lists.

use super::rules::Rules;
use crate::limits;

/// The policy for the tokens of one issuer. [`Rules`] borrow from it, and explain each list.
///
/// `L` is a list of texts that owns its memory: `Vec<String>` on a host, a list of fixed size in a
/// page of a device's flash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "provision", derive(serde::Serialize, serde::Deserialize))]
pub struct IssuerPolicy<L> {
    /// See [`Rules::issuers`].
    pub issuers: L,
    /// See [`Rules::audiences`].
    pub audiences: L,
    /// See [`Rules::applications`].
    pub applications: L,
    /// See [`Rules::tenants`].
    pub tenants: L,
    /// See [`Rules::identities`].
    pub identities: L,
    /// See [`Rules::groups`].
    pub groups: L,
    /// See [`Rules::leeway`].
    pub leeway: u64,
    /// See [`Rules::max_age`].
    pub max_age: Option<u64>,
}

impl<L> IssuerPolicy<L> {
    /// Makes a policy from the lists that `list` returns for their names, such as `audiences`.
    pub fn of_lists(mut list: impl FnMut(&'static str) -> L) -> Self {
        Self {
            issuers: list("issuers"),
            audiences: list("audiences"),
            applications: list("applications"),
            tenants: list("tenants"),
            identities: list("identities"),
            groups: list("groups"),
            leeway: limits::LEEWAY,
            max_age: None,
        }
    }

    /// Returns the lists with their names.
    pub const fn lists(&self) -> [(&'static str, &L); 6] {
        [
            ("issuers", &self.issuers),
            ("audiences", &self.audiences),
            ("applications", &self.applications),
            ("tenants", &self.tenants),
            ("identities", &self.identities),
            ("groups", &self.groups),
        ]
    }

    /// Returns the same policy with lists of another type. `convert` gets each list with its name.
    ///
    /// # Errors
    /// The first error of `convert`.
    pub fn try_map<'p, M, E>(
        &'p self,
        mut convert: impl FnMut(&'static str, &'p L) -> Result<M, E>,
    ) -> Result<IssuerPolicy<M>, E> {
        Ok(IssuerPolicy {
            issuers: convert("issuers", &self.issuers)?,
            audiences: convert("audiences", &self.audiences)?,
            applications: convert("applications", &self.applications)?,
            tenants: convert("tenants", &self.tenants)?,
            identities: convert("identities", &self.identities)?,
            groups: convert("groups", &self.groups)?,
            leeway: self.leeway,
            max_age: self.max_age,
        })
    }

    /// Returns the rules of this policy, for an issuer that puts scopes in `scp` or `scope`.
    pub fn rules<S>(&self) -> Rules<'_, S>
    where
        L: AsRef<[S]>,
    {
        Rules {
            issuers: self.issuers.as_ref(),
            audiences: self.audiences.as_ref(),
            applications: self.applications.as_ref(),
            tenants: self.tenants.as_ref(),
            identities: self.identities.as_ref(),
            groups: self.groups.as_ref(),
            leeway: self.leeway,
            max_age: self.max_age,
            ..Rules::NONE
        }
    }
}

impl<L: Default> Default for IssuerPolicy<L> {
    /// A policy with empty lists, which accepts no token.
    fn default() -> Self {
        Self::of_lists(|_| L::default())
    }
}
