//! A policy for access tokens, as the settings or the file of a platform say it.

/// What is asked of the tokens of one issuer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) issuer: String,
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) applications: Vec<String>,
    pub(crate) tenants: Vec<String>,
    pub(crate) identities: Vec<String>,
    pub(crate) groups: Vec<String>,
}
