//! What an authenticated caller may do.

use super::claims::Claims;
use super::denied::Denied;
use super::principal::Authenticated;
use crate::limits::IMPLIED;

/// What something that is offered asks of the token of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Need<'a> {
    /// A scope: what a person has allowed the application to do for him. An application that acts for itself has none, and is
    /// not asked for any (azure.md E.6).
    Scope(&'a str),
    /// A role: what the caller is to the server, person or application.
    Role(&'a str),
}

/// Proof that a caller may use the tool of one call. Without it no [`Ticket`](crate::exchange::Ticket) is made.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Allowed(());

/// Asks whether `who` may use what needs all of `needs`.
///
/// Anonymous callers and keys have nothing by which to tell what they may do, so the policy that let them in let them use
/// everything. A guest ([`Access::Guest`](super::Access::Guest)) may use what needs nothing.
///
/// `implied` are the scopes that include others, by number: the broad one first. What the narrow one includes is included, too.
/// Pairs behind the first [`IMPLIED`] count for nothing.
///
/// # Errors
/// [`Denied::Role`], which no other scope will mend, [`Denied::Scope`], which one will, or [`Denied::NoToken`].
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

/// Decides what the holder of a token may do: [`by_claims`].
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
    // A bit for each pair whose broad scope would do. What includes that would do, too, so it goes on until none is added.
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
