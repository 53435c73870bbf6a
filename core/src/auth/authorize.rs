//! Authorization: checks what an authenticated caller may use.

use super::denied::Denied;
use super::principal::Authenticated;
use super::scope::{Allowed, Need, Rights};

/// Checks whether `who` may use an offer that requires all of `needs`.
///
/// Anonymous callers and holders of keys have no scopes or roles; a policy that accepts them lets
/// them use everything. A guest ([`Access::Guest`](super::Access::Guest)) may use offers that
/// require nothing.
///
/// `implied` returns pairs of scopes by number, the broad one first: a token with the broad scope
/// also has the narrow one, transitively. Only the first [`IMPLIED`](crate::limits::IMPLIED) pairs are read.
///
/// # Errors
/// [`Denied::Role`] if a role is missing, [`Denied::Scope`] if a scope is missing, which the caller
/// can request, or [`Denied::NoToken`] for a guest.
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
