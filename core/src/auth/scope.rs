//! What an authenticated caller may do.

use super::claims::Claims;
use super::denied::Denied;
use super::principal::Authenticated;
use crate::limits::IMPLIED;

/// A scope or a role that a tool, prompt or resource requires of its caller's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Need<'a> {
    /// A scope: what a person has allowed the application to do. An application that acts for itself has no scopes, and none
    /// are required of it (learn.microsoft.com, "Protected web API: Verify scopes and app roles").
    Scope(&'a str),
    /// A role that the issuer has given to the caller, a person or an application.
    Role(&'a str),
}

/// Proof that a caller may use the tool of one call. Without it no [`Ticket`](crate::exchange::Ticket) is made.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Allowed(());

/// Checks whether `who` may use something that requires all of `needs`.
///
/// Anonymous callers and holders of keys have no scopes or roles, so the policy that accepts them lets them use everything. A
/// guest ([`Access::Guest`](super::Access::Guest)) may use what requires nothing.
///
/// `implied` are pairs of scopes by number, the broad one first: a token with the broad scope has the narrow one too, over any
/// number of steps. Only the first [`IMPLIED`] pairs count.
///
/// # Errors
/// [`Denied::Role`], which no other scope helps with, [`Denied::Scope`], which a scope helps with, or [`Denied::NoToken`].
pub fn authorize<'n>(
    who: &Authenticated<'_>,
    mut needs: impl Iterator<Item = Need<'n>>,
    implied: impl Fn(usize) -> Option<(&'n str, &'n str)>,
) -> Result<Allowed, Denied<'static>> {
    match who.rights() {
        None if who.is_guest() && needs.next().is_some() => Err(Denied::NoToken),
        None => Ok(Allowed(())),
        Some((claims, Rights(check))) => check(&claims, &mut needs, &implied),
    }
}

/// The check of the permissions of a token: [`by_claims`].
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

// MCP 2026-07-28 basic/authorization: a broader scope that implies a narrower one MUST be recognised as sufficient.
fn grants<'n>(claims: &Claims<'_>, scope: &str, implied: &dyn Fn(usize) -> Option<(&'n str, &'n str)>) -> bool {
    if claims.has_scope(scope) {
        return true;
    }
    let pairs = || (0..IMPLIED).map_while(|number| Some((number, implied(number)?)));
    // A bit for each pair whose broad scope is enough. A scope that includes such a scope is enough, too, so this repeats until
    // no bit is added.
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
