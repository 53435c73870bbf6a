//! A policy for access tokens, from the settings or from the file of a platform.

/// The rules for the tokens of one issuer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Policy {
    pub(in super::super) issuer: String,
    pub(in super::super) issuers: Vec<String>,
    pub(in super::super) audiences: Vec<String>,
    pub(in super::super) applications: Vec<String>,
    pub(in super::super) tenants: Vec<String>,
    pub(in super::super) identities: Vec<String>,
    pub(in super::super) groups: Vec<String>,
}
