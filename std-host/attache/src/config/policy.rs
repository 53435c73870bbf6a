//! A policy for access tokens, from the settings or from the file of a platform.

use attache_core::auth::IssuerPolicy;

/// An issuer, and the policy for its tokens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The identifier by which the keys of the issuer are found.
    pub(crate) issuer: String,
    /// The issuers of its rules are other values of `iss` for the same issuer.
    pub(crate) rules: IssuerPolicy<Vec<String>>,
}
