//! Scopes and roles: what a token must have for an offer.

use super::claims::Claims;
use super::denied::Denied;
use crate::limits::IMPLIED;

/// A scope or a role that the caller's token must have for a tool, prompt or resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Need<'a> {
    /// A scope: a permission that a person has given to the application. An application that calls
    /// for itself has no scopes and needs none (learn.microsoft.com, "Protected web API: Verify
    /// scopes and app roles").
    Scope(&'a str),
    /// A role that the issuer has given to the caller, a person or an application.
    Role(&'a str),
}

/// Proof that a caller may use the operation of one call. A [`Ticket`](crate::exchange::Ticket)
/// cannot be made without it.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Allowed(pub(super) ());

/// The check of a token's permissions: [`by_claims`].
#[derive(Clone, Copy)]
pub(super) struct Rights(pub(super) Check);

impl core::fmt::Debug for Rights {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Rights")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Rights {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Rights");
    }
}

type Check = for<'c, 'n> fn(
    &Claims<'c>,
    &mut dyn Iterator<Item = Need<'n>>,
    &dyn Fn(usize) -> Option<(&'n str, &'n str)>,
) -> Result<Allowed, Denied<'static>>;

#[cold]
pub(super) fn by_claims<'n>(
    claims: &Claims<'_>,
    needs: &mut dyn Iterator<Item = Need<'n>>,
    implied: &dyn Fn(usize) -> Option<(&'n str, &'n str)>,
) -> Result<Allowed, Denied<'static>> {
    let mut scopes = true;
    for need in needs {
        match need {
            Need::Role(role) if !claims.has_role(role) => return Err(Denied::Role),
            Need::Role(_) => {}
            Need::Scope(scope) => scopes &= claims.is_application() || grants(claims, scope, implied),
        }
    }
    if scopes { Ok(Allowed(())) } else { Err(Denied::Scope) }
}

// MCP 2026-07-28 basic/authorization: a broader scope that implies a narrower one MUST be
// recognised as sufficient.
fn grants<'n>(claims: &Claims<'_>, scope: &str, implied: &dyn Fn(usize) -> Option<(&'n str, &'n str)>) -> bool {
    if claims.has_scope(scope) {
        return true;
    }
    let pairs = || (0..IMPLIED).map_while(|number| Some((number, implied(number)?)));
    // One bit for each pair with a broad scope that is sufficient. A scope that implies such a
    // scope is sufficient, too, so the loop repeats until it adds no bit.
    let mut would_do = 0u64;
    loop {
        let before = would_do;
        for (number, (_, narrow)) in pairs() {
            let includes = |(other, (broad, _)): (usize, (&str, &str))| before >> other & 1 == 1 && broad == narrow;
            if narrow == scope || pairs().any(includes) {
                would_do |= 1 << number;
            }
        }
        if would_do == before {
            return pairs().any(|(number, (broad, _))| would_do >> number & 1 == 1 && claims.has_scope(broad));
        }
    }
}
