//! The rules for accepting tokens, as plain data: constants in flash on a device, configuration on
//! a host.

use super::claim_items::ClaimItems;
use super::claims::Claims;
use super::denied::{Denied, Fault};
use crate::limits;

/// The rules for the tokens of one issuer. `S` is a string, borrowed or owned.
///
/// A token has to satisfy every list that has entries, by matching at least one entry. An empty
/// list is not checked, except `audiences` and `applications`.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rules<'a, S = &'static str> {
    /// The allowed values of `iss`, compared exactly. `{tenantid}` is a placeholder for the `tid`
    /// of the token, which then has to be one of `tenants`.
    pub issuers: &'a [S],
    /// The allowed values of `aud`: the names by which the issuer knows this server. At least one.
    pub audiences: &'a [S],
    /// The client applications that may call (`azp`, `appid`, `client_id`). If empty, only an
    /// application that is itself one of the audiences may call; [`ANY`] as the only entry allows
    /// all.
    pub applications: &'a [S],
    /// The tenants that may call (`tid`); [`ANY`] as the only entry allows all.
    pub tenants: &'a [S],
    /// The callers that may call (`oid`, or `sub` if the token has no `oid`).
    pub identities: &'a [S],
    /// The groups that may call, in addition to `identities`.
    pub groups: &'a [S],
    /// The name of the claim with the scopes, if that is neither `scp` nor `scope`.
    pub scopes_in: Option<&'a str>,
    /// The allowed clock difference in seconds.
    pub leeway: u64,
    /// The maximum age of a token in seconds, counted from `iat`, even if `exp` is later. `None`
    /// for no such limit.
    pub max_age: Option<u64>,
    /// Changes when the rules or the keys change: tokens that were verified earlier are then
    /// verified again.
    pub generation: u32,
}

/// Allows any application or any tenant. The operator has to configure it explicitly.
pub const ANY: &str = "*";

impl<S> Rules<'_, S> {
    /// Rules that accept no caller, as a start to fill in.
    pub const NONE: Self = Self {
        issuers: &[],
        audiences: &[],
        applications: &[],
        tenants: &[],
        identities: &[],
        groups: &[],
        scopes_in: None,
        leeway: limits::LEEWAY,
        max_age: None,
        generation: 0,
    };
}

impl<S: AsRef<str>> Rules<'_, S> {
    /// Whether `iss` of the token is one of the issuers.
    pub(super) fn believes(&self, claims: &Claims<'_>) -> bool {
        let is_named = |issuer: &S| names(issuer.as_ref(), claims);
        self.issuers.iter().any(is_named)
    }

    /// Whether a key that is valid only for `issuer` may verify the token. Entra ID publishes the
    /// issuer of each key, and its `common` endpoint has the keys of all tenants.
    pub(super) fn fits_key(&self, issuer: &str, claims: &Claims<'_>) -> bool {
        if names(issuer, claims) {
            return true;
        }
        // Tokens of Entra ID version 1 have another `iss` than the issuer of the keys; it has to be
        // another configured name for the issuer of the same tenant.
        let (Some(tenant), Some(iss)) = (claims.tenant().plain(), claims.issuer().plain()) else {
            return false;
        };
        let is_of_tenant = find(iss, tenant).is_some()
            && (template(issuer).is_some() || find(issuer, tenant).is_some())
            && is_guid(tenant);
        let is_other_name = |other: &S| {
            let other = other.as_ref();
            issuer == other || is_instance(issuer, other, tenant) || is_instance(other, issuer, tenant)
        };
        is_of_tenant && self.issuers.iter().any(is_other_name)
    }

    /// Makes the checks that need no signature: issuer, audience and time. `now` is in seconds
    /// since 1970; `None` if the clock is not set.
    pub(super) fn check<'t>(&self, claims: &Claims<'t>, now: Option<u64>) -> Result<(), Denied<'t>> {
        self.issued(claims)?;
        self.addressed(claims)?;
        self.in_time(claims.items, now)
    }

    pub(super) fn issued<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        if self.believes(claims) { Ok(()) } else { Err(Denied::Issuer(claims.issuer().raw())) }
    }

    // RFC 7519 §4.1.3: a token for another audience MUST be refused.
    pub(super) fn addressed<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        match self.audiences.iter().any(|audience| claims.is_for(audience.as_ref())) {
            true => Ok(()),
            false => Err(Denied::Audience(claims.audience())),
        }
    }

    pub(super) fn in_time(&self, items: &ClaimItems, now: Option<u64>) -> Result<(), Denied<'static>> {
        let now = now.ok_or(Denied::NoClock)?;
        // RFC 7519 §4.1.4: not accepted on or after `exp`; §4.1.5: not before `nbf`. A token with
        // `iat` in the future was issued with a wrong clock, so its `exp` cannot be trusted either.
        if let Some(ago) = now.checked_sub(items.exp.saturating_add(self.leeway)) {
            return Err(Denied::Expired(ago));
        }
        if let Some(most) = self.max_age {
            if items.iat == 0 {
                return Err(Denied::Claim("iat", Fault::Missing));
            }
            let age = now.saturating_sub(items.iat);
            if age > most.saturating_add(self.leeway) {
                return Err(Denied::TooOld(age));
            }
        }
        match items.nbf.max(items.iat).checked_sub(now.saturating_add(self.leeway)) {
            None | Some(0) => Ok(()),
            Some(left) => Err(Denied::NotYet(left)),
        }
    }

    /// Checks whether the holder of a valid token may call at all: tenant, application, identity
    /// and groups.
    pub(super) fn admit<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        self.admit_tenant(claims)?;
        self.admit_application(claims)?;
        self.admit_principal(claims)
    }

    pub(super) fn admit_tenant<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        let tenant = claims.tenant();
        let template = self.issuers.iter().any(|issuer| template(issuer.as_ref()).is_some());
        let any = if self.tenants.is_empty() { !template } else { is_any(self.tenants) };
        match any || self.tenants.iter().any(|allowed| tenant.is(allowed.as_ref())) {
            true => Ok(()),
            false => Err(Denied::Tenant(tenant.raw())),
        }
    }

    pub(super) fn admit_application<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        let application = claims.application();
        let named = |list: &[S]| list.iter().any(|allowed| application.is(allowed.as_ref()));
        let listed = if self.applications.is_empty() { named(self.audiences) } else { named(self.applications) };
        if !listed && !is_any(self.applications) {
            return Err(Denied::Application(application.raw()));
        }
        // No person has given consent, so the policy has to list the application, or the issuer has
        // to give it a role (learn.microsoft.com, "Protected web API: Verify scopes and app
        // roles").
        if claims.is_application() && !listed && !claims.has_any_role() {
            return Err(Denied::AppWithoutRole);
        }
        Ok(())
    }

    pub(super) fn admit_principal<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        if self.identities.is_empty() && self.groups.is_empty() {
            return Ok(());
        }
        let identity = if claims.has_object() { claims.object() } else { claims.subject() };
        let named = self.identities.iter().any(|allowed| identity.is(allowed.as_ref()));
        if named || self.groups.iter().any(|group| claims.in_group(group.as_ref())) {
            return Ok(());
        }
        match claims.items.overage && !self.groups.is_empty() {
            true => Err(Denied::GroupsOverage),
            false => Err(Denied::Principal(identity.raw())),
        }
    }
}

/// Whether `issuer` is the `iss` of the token.
fn names(issuer: &str, claims: &Claims<'_>) -> bool {
    if claims.issuer().is(issuer) {
        return template(issuer).is_none();
    }
    match (claims.tenant().plain(), claims.issuer().plain()) {
        // The tenant must be a GUID, otherwise it could add a path of its own (Entra ID,
        // multi-tenant applications).
        (Some(tenant), Some(iss)) => is_instance(issuer, iss, tenant) && is_guid(tenant),
        _ => false,
    }
}

/// Whether `issuer` is `pattern` with `tenant` in place of `{tenantid}`.
#[inline(never)]
fn is_instance(pattern: &str, issuer: &str, tenant: &str) -> bool {
    template(pattern).is_some_and(|(front, back)| {
        let inside =
            issuer.as_bytes().strip_prefix(front.as_bytes()).and_then(|rest| rest.strip_suffix(back.as_bytes()));
        inside == Some(tenant.as_bytes())
    })
}

/// Returns the parts of a template before and after `{tenantid}`.
fn template(issuer: &str) -> Option<(&str, &str)> {
    let at = find(issuer, TENANT)?;
    issuer.get(..at).zip(issuer.get(at + TENANT.len()..))
}

// Searches bytes, because the linker cannot prove that the library's string search never panics.
#[inline(never)]
fn find(text: &str, part: &str) -> Option<usize> {
    text.as_bytes().windows(part.len().max(1)).position(|window| window == part.as_bytes())
}

/// The placeholder for the tenant of the token in an issuer.
const TENANT: &str = "{tenantid}";

fn is_any<S: AsRef<str>>(list: &[S]) -> bool {
    matches!(list, [only] if only.as_ref() == ANY)
}

// RFC 9562 §4: 8-4-4-4-12 hexadecimal digits.
fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
