//! What a server believes of tokens, as plain data: constants in flash on a device, what a file says on a host.

use super::claims::{Claims, Found};
use super::denied::Denied;
use crate::limits;

/// What is asked of the tokens of one issuer. `S` is a string, borrowed or owned.
///
/// Lists are all asked, and one entry of a list is enough; an empty list asks nothing, but for `audiences` and `applications`.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rules<'a, S = &'static str> {
    /// `iss`, exactly. `{tenantid}` stands for the `tid` of the token, which then has to be one of `tenants`.
    pub issuers: &'a [S],
    /// What `aud` may have: the names by which the issuer knows this server. At least one.
    pub audiences: &'a [S],
    /// The applications that may call (`azp`, `appid`, `client_id`). Without any, only the one that is itself the audience may;
    /// [`ANY`] as the only entry stands for all.
    pub applications: &'a [S],
    /// The tenants whose callers may call (`tid`); [`ANY`] as the only entry stands for all.
    pub tenants: &'a [S],
    /// The callers who may call (`oid`, or `sub` where there is none).
    pub identities: &'a [S],
    /// The groups whose members may call, besides `identities`.
    pub groups: &'a [S],
    /// The claim that scopes stand in, if it is neither `scp` nor `scope`.
    pub scopes_in: Option<&'a str>,
    /// Seconds by which clocks may differ.
    pub leeway: u64,
    /// Changes when these rules do, or the keys: what was checked before counts no more.
    pub generation: u32,
}

/// Any application, or any tenant: what is meant has to be said.
pub const ANY: &str = "*";

impl<S> Rules<'_, S> {
    /// Rules that let nobody in, to be filled.
    pub const NONE: Self = Self {
        issuers: &[],
        audiences: &[],
        applications: &[],
        tenants: &[],
        identities: &[],
        groups: &[],
        scopes_in: None,
        leeway: limits::LEEWAY,
        generation: 0,
    };
}

impl<S: AsRef<str>> Rules<'_, S> {
    /// Whether tokens of this issuer are for these rules to judge.
    pub(super) fn believes(&self, claims: &Claims<'_>) -> bool {
        self.issuers.iter().any(|issuer| match at_tenant(issuer.as_ref()) {
            None => claims.issuer().is(issuer.as_ref()),
            // Entra ID, multi-tenant applications: the tenant must be a GUID, or it could bring a path of its own.
            Some((front, back)) => {
                let tenant = claims.tenant();
                let expected = front.chars().chain(tenant.chars()).chain(back.chars());
                tenant.plain().is_some_and(is_guid) && claims.issuer().chars().eq(expected)
            }
        })
    }

    /// What can be told before the signature is known: is the token for this server, and is it the time for it? `now` is in
    /// seconds since 1970; `None` where the clock is not trusted.
    pub(super) fn check<'t>(&self, claims: &Claims<'t>, now: Option<u64>) -> Result<(), Denied<'t>> {
        self.issued(claims)?;
        self.addressed(claims)?;
        self.in_time(claims.found, now)
    }

    pub(super) fn issued<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        if self.believes(claims) { Ok(()) } else { Err(Denied::Issuer(claims.issuer().raw())) }
    }

    // RFC 7519 §4.1.3: a token whose audience is somebody else MUST be refused.
    pub(super) fn addressed<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        match self.audiences.iter().any(|audience| claims.is_for(audience.as_ref())) {
            true => Ok(()),
            false => Err(Denied::Audience(claims.audience())),
        }
    }

    pub(super) fn in_time(&self, found: &Found, now: Option<u64>) -> Result<(), Denied<'static>> {
        let now = now.ok_or(Denied::NoClock)?;
        // RFC 7519 §4.1.4: not accepted on or after `exp`; §4.1.5: not before `nbf`. A token of the future was made by a clock that
        // cannot be trusted with `exp` either.
        if let Some(ago) = now.checked_sub(found.exp.saturating_add(self.leeway)) {
            return Err(Denied::Expired(ago));
        }
        match found.nbf.max(found.iat).checked_sub(now.saturating_add(self.leeway)) {
            None | Some(0) => Ok(()),
            Some(left) => Err(Denied::NotYet(left)),
        }
    }

    /// Whether the holder of a good token may call at all (azure.md D.5).
    pub(super) fn admit<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        self.admit_tenant(claims)?;
        self.admit_application(claims)?;
        self.admit_principal(claims)
    }

    pub(super) fn admit_tenant<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        let tenant = claims.tenant();
        let template = self.issuers.iter().any(|issuer| at_tenant(issuer.as_ref()).is_some());
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
        // azure.md E.6: no person has given it leave, so somebody has to have named it, or given it a role.
        if claims.is_application() && !listed && !claims.has_any_role() {
            return Err(Denied::AppWithoutRole);
        }
        Ok(())
    }

    pub(super) fn admit_principal<'t>(&self, claims: &Claims<'t>) -> Result<(), Denied<'t>> {
        if self.identities.is_empty() && self.groups.is_empty() {
            return Ok(());
        }
        let identity = if claims.found.has_object() { claims.object() } else { claims.subject() };
        let named = self.identities.iter().any(|allowed| identity.is(allowed.as_ref()));
        if named || self.groups.iter().any(|group| claims.in_group(group.as_ref())) {
            return Ok(());
        }
        match claims.found.overage && !self.groups.is_empty() {
            true => Err(Denied::GroupsOverage),
            false => Err(Denied::Principal(identity.raw())),
        }
    }
}

/// What stands before and behind the place of the tenant in a template. Bytes are searched, because the search in strings of the
/// library can panic for all that a linker knows.
fn at_tenant(issuer: &str) -> Option<(&str, &str)> {
    let at = issuer.as_bytes().windows(TENANT.len()).position(|part| part == TENANT)?;
    issuer.get(..at).zip(issuer.get(at + TENANT.len()..))
}

const TENANT: &[u8] = b"{tenantid}";

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
