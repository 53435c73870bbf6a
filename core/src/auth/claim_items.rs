//! Reads the claims of a token (RFC 7519 §4, RFC 9068 §2.2) by the names that issuers use.

use super::denied::{Denied, Fault};
use super::jws::object;
use crate::json::{Fields, Item, Kind, Reader, Text, Value};

/// Declares the claims that this module reads, so that code refers to each by a name.
macro_rules! claims {
    ($($id:ident = $text:literal,)*) => {
        /// A claim that this module reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub(super) enum Claim { $($id,)* }

        /// The names of all [`Claim`]s, in their order.
        const NAMES: [&str; [$($text,)*].len()] = [$($text,)*];

        impl Claim {
            /// Returns the name of the claim in a token.
            pub(super) fn name(self) -> &'static str {
                NAMES.get(self as usize).copied().unwrap_or_default()
            }
        }
    };
}

claims! {
    // RFC 7519 §4.1.
    Issuer = "iss",
    Subject = "sub",
    Audience = "aud",
    Expiry = "exp",
    NotBefore = "nbf",
    IssuedAt = "iat",
    // Entra ID: the tenant, and the object id of the caller in the tenant.
    Tenant = "tid",
    Object = "oid",
    // The client application: OpenID Connect, Entra ID version 1, RFC 9068, Okta.
    AuthorizedParty = "azp",
    AppId = "appid",
    ClientId = "client_id",
    Cid = "cid",
    // Scopes: Entra ID and Okta, RFC 8693 §4.2.
    Scp = "scp",
    Scope = "scope",
    Roles = "roles",
    Groups = "groups",
    // Entra ID: whether the token acts for a user or for an application.
    TypeOfCaller = "idtyp",
    // Entra ID, "groups overage claim": the groups are not in the token.
    Distributed = "_claim_names",
    HasGroups = "hasgroups",
    Version = "ver",
    // Claims that occur only in tokens that are not bearer access tokens, see `marker`.
    AccessTokenHash = "at_hash",
    CodeHash = "c_hash",
    StateHash = "s_hash",
    Events = "events",
    Nonce = "nonce",
    Confirmation = "cnf",
    Type = "typ",
    TokenUse = "token_use",
}

/// The claims that were found, as spans of the text of the claims. Each occurs at most once; the
/// reader skips all other claims.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct ClaimItems {
    pub(super) iss: Item,
    pub(super) sub: Option<Item>,
    pub(super) aud: Item,
    pub(super) exp: u64,
    pub(super) nbf: u64,
    /// 0 if the token has no `iat`.
    pub(super) iat: u64,
    pub(super) tid: Option<Item>,
    pub(super) oid: Option<Item>,
    pub(super) application: Option<Item>,
    pub(super) scopes: Option<Item>,
    pub(super) roles: Option<Item>,
    pub(super) groups: Option<Item>,
    pub(super) idtyp: Option<Item>,
    pub(super) overage: bool,
    /// A claim that shows that the token is not a bearer access token.
    pub(super) marker: Option<Claim>,
}

impl ClaimItems {
    /// Reads the claims in `text`. `scopes_in` is the name of the claim with the scopes, if that is
    /// neither `scp` nor `scope`.
    pub(super) fn read<'t>(text: &'t [u8], scopes_in: Option<&str>) -> Result<Self, Denied<'t>> {
        let members = Members { text, fields: object(text, &NAMES)? };
        let (scp, scope) = (members.strings(Claim::Scp)?, members.strings(Claim::Scope)?);
        let elsewhere = members.get(Claim::Distributed)?;
        let overage = elsewhere.is_some_and(|names| names.of(text).member("groups").is_some());
        // Only the type of the version is checked, so that a token with a malformed version is
        // refused.
        members.string(Claim::Version)?;
        Ok(Self {
            iss: members.required(Claim::Issuer, members.string(Claim::Issuer)?)?,
            sub: members.string(Claim::Subject)?,
            aud: members.required(Claim::Audience, members.strings(Claim::Audience)?)?,
            exp: members.required(Claim::Expiry, members.time(Claim::Expiry)?)?,
            nbf: members.time(Claim::NotBefore)?.unwrap_or(0),
            iat: members.time(Claim::IssuedAt)?.unwrap_or(0),
            tid: members.string(Claim::Tenant)?,
            oid: members.string(Claim::Object)?,
            application: members.application()?,
            scopes: match scopes_in {
                Some(name) => scopes_of(text, name)?,
                None => scp.or(scope),
            },
            roles: members.strings(Claim::Roles)?,
            groups: members.strings(Claim::Groups)?,
            idtyp: members.string(Claim::TypeOfCaller)?,
            overage: overage || members.get(Claim::HasGroups)?.is_some(),
            marker: members.marker()?,
        })
    }
}

/// The members of the claims object, by name.
struct Members<'t> {
    text: &'t [u8],
    fields: Fields<{ NAMES.len() }>,
}

impl<'t> Members<'t> {
    #[inline(never)]
    fn get(&self, claim: Claim) -> Result<Option<Item>, Denied<'t>> {
        self.fields.get(claim as usize).map_err(|_| Denied::Claim(claim.name(), Fault::Repeated))
    }

    #[inline(never)]
    fn of_kind(&self, claim: Claim, kinds: &[Kind]) -> Result<Option<Item>, Denied<'t>> {
        match self.get(claim)? {
            Some(item) if !kinds.contains(&item.kind()) => Err(Denied::Claim(claim.name(), Fault::Type)),
            item => Ok(item),
        }
    }

    fn string(&self, claim: Claim) -> Result<Option<Item>, Denied<'t>> {
        self.of_kind(claim, &[Kind::String])
    }

    /// Returns a member that is a string or an array of strings.
    #[inline(never)]
    fn strings(&self, claim: Claim) -> Result<Option<Item>, Denied<'t>> {
        match self.of_kind(claim, &[Kind::String, Kind::Array])? {
            Some(item) if !all_strings(item.of(self.text)) => Err(Denied::Claim(claim.name(), Fault::Type)),
            item => Ok(item),
        }
    }

    #[inline(never)]
    fn time(&self, claim: Claim) -> Result<Option<u64>, Denied<'t>> {
        let item = self.of_kind(claim, &[Kind::Number])?;
        let read = |item: Item| seconds(item.of(self.text)).ok_or(Denied::Claim(claim.name(), Fault::Type));
        item.map(read).transpose()
    }

    fn required<T>(&self, claim: Claim, value: Option<T>) -> Result<T, Denied<'t>> {
        value.ok_or(Denied::Claim(claim.name(), Fault::Missing))
    }

    /// Returns the client application. A token that names two different clients is refused, because
    /// two recipients could pick different ones. The names are compared byte for byte, because an
    /// issuer writes a name always in the same way.
    fn application(&self) -> Result<Option<Item>, Denied<'t>> {
        let mut found: Option<Item> = None;
        for claim in [Claim::AuthorizedParty, Claim::AppId, Claim::ClientId, Claim::Cid] {
            match (self.string(claim)?, found) {
                (Some(item), Some(before)) if before.of(self.text).raw() != item.of(self.text).raw() => {
                    return Err(Denied::Claim("azp, appid, client_id or cid", Fault::Repeated));
                }
                (Some(item), _) => found = Some(item),
                (None, _) => {}
            }
        }
        Ok(found)
    }

    /// Returns the first claim that shows that the token is not a bearer access token.
    fn marker(&self) -> Result<Option<Claim>, Denied<'t>> {
        for (claim, values) in MARKERS {
            let Some(item) = self.get(claim)? else { continue };
            let is_marker = match item.of(self.text).text() {
                Some(text) if !values.is_empty() => text.position(values).is_some(),
                // Some issuers write null for a claim that is absent.
                _ => values.is_empty() && item.kind() != Kind::Null,
            };
            if is_marker {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }
}

/// Claims that occur only in tokens that are not bearer access tokens: with any value if the list
/// is empty, otherwise with one of these values.
const MARKERS: [(Claim, &[&str]); 8] = [
    // Keycloak and Amazon Cognito mark tokens that are not for APIs with these values.
    (Claim::Type, &["ID", "Refresh", "Offline", "Logout"]),
    (Claim::TokenUse, &["id", "refresh"]),
    // ID tokens: OpenID Connect Core §3.3.2.11, FAPI 1.0 part 2 §5.1.
    (Claim::AccessTokenHash, &[]),
    (Claim::CodeHash, &[]),
    (Claim::StateHash, &[]),
    // Security events and logout tokens: RFC 8417 §2.2.
    (Claim::Events, &[]),
    // Tokens bound to a key: RFC 7800 §3.1.
    (Claim::Confirmation, &[]),
    // ID tokens: OpenID Connect Core §2. An access token may have a nonce, too, if its `typ`
    // declares an access token; so this claim comes last.
    (Claim::Nonce, &[]),
];

/// Returns the claim `name`, which the policy configures as the claim with the scopes. `text` is
/// known to be an object.
fn scopes_of<'t>(text: &'t [u8], name: &str) -> Result<Option<Item>, Denied<'t>> {
    let mut found = None;
    let mut reader = Reader::new(text).map_err(|_| Denied::NotAnObject)?;
    reader.enter_object().map_err(|_| Denied::NotAnObject)?;
    while let Ok(Some(key)) = reader.key() {
        let item = reader.skip().map_err(|_| Denied::NotAnObject)?;
        if key.is(name) && found.replace(item).is_some() {
            return Err(Denied::Claim("of scopes", Fault::Repeated));
        }
    }
    match found {
        Some(item) if !all_strings(item.of(text)) => Err(Denied::Claim("of scopes", Fault::Type)),
        found => Ok(found),
    }
}

fn all_strings(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::String => true,
        Kind::Array => {
            let mut reader = value.reader();
            if !matches!(reader.enter_array(), Ok(Some(_))) {
                return false;
            }
            while let Ok(true) = reader.element() {
                if !matches!(reader.skip(), Ok(item) if item.kind() == Kind::String) {
                    return false;
                }
            }
            true
        }
        _ => false,
    }
}

/// Returns whole seconds since 1970 (RFC 7519 §2, NumericDate); drops the fraction. Exponents and
/// signs are refused, because implementations differ in how they compute such a number.
fn seconds(value: Value<'_>) -> Option<u64> {
    let digits = value.raw();
    let whole = digits.split(|&byte| byte == b'.').next()?;
    let plain = digits.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    core::str::from_utf8(whole).ok().filter(|_| plain)?.parse().ok()
}

/// Returns the text of a claim in `text`; empty if the token does not have the claim.
pub(super) fn text_of(text: &[u8], item: Option<Item>) -> Text<'_> {
    item.and_then(|item| item.of(text).text()).unwrap_or_default()
}
