//! The claims of a token (RFC 7519 §4, RFC 9068 §2.2, and what Entra ID calls the same).

use super::denied::{Denied, Fault};
use super::jws::object;
use crate::json::{Item, Kind, Reader, Text, Value};

/// The claims that are read. Each may be there once; others are skipped.
const NAMES: [&str; 19] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "tid",
    "oid",
    "azp",
    "appid",
    "client_id",
    "scp",
    "scope",
    "roles",
    "groups",
    "idtyp",
    "_claim_names",
    "hasgroups",
    "ver",
];

/// The claims that are read, where they stand in the text of all claims.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Found {
    iss: Item,
    sub: Option<Item>,
    pub(super) aud: Item,
    pub(super) exp: u64,
    pub(super) nbf: u64,
    pub(super) iat: u64,
    tid: Option<Item>,
    oid: Option<Item>,
    application: Option<Item>,
    scopes: Option<Item>,
    roles: Option<Item>,
    groups: Option<Item>,
    idtyp: Option<Item>,
    pub(super) overage: bool,
}

impl Found {
    pub(super) const fn has_object(&self) -> bool {
        self.oid.is_some()
    }

    /// Reads the claims in `text`. `scopes` is the claim that scopes stand in, where it is neither `scp` nor `scope`.
    pub(super) fn read<'t>(text: &'t [u8], scopes: Option<&str>) -> Result<Self, Denied<'t>> {
        let fields = object(text, &NAMES)?;
        let get = |index: usize| {
            let name = NAMES.get(index).copied().unwrap_or_default();
            fields.get(index).map_err(|_| Denied::Claim(name, Fault::Repeated))
        };
        let of_kind = |index: usize, kinds: &[Kind]| match get(index)? {
            Some(item) if !kinds.contains(&item.kind()) => {
                Err(Denied::Claim(NAMES.get(index).copied().unwrap_or_default(), Fault::Type))
            }
            item => Ok(item),
        };
        let string = |index| of_kind(index, &[Kind::String]);
        let strings = |index| match of_kind(index, &[Kind::String, Kind::Array])? {
            Some(item) if !all_strings(item.of(text)) => {
                Err(Denied::Claim(NAMES.get(index).copied().unwrap_or_default(), Fault::Type))
            }
            item => Ok(item),
        };
        let time = |index| match of_kind(index, &[Kind::Number])? {
            None => Ok(None),
            Some(item) => match seconds(item.of(text)) {
                Some(seconds) => Ok(Some(seconds)),
                None => Err(Denied::Claim(NAMES.get(index).copied().unwrap_or_default(), Fault::Type)),
            },
        };
        let iss = string(0)?.ok_or(Denied::Claim("iss", Fault::Missing))?;
        let sub = string(1)?;
        let aud = strings(2)?.ok_or(Denied::Claim("aud", Fault::Missing))?;
        let exp = time(3)?.ok_or(Denied::Claim("exp", Fault::Missing))?;
        let (nbf, iat) = (time(4)?.unwrap_or(0), time(5)?.unwrap_or(0));
        let [tid, oid] = [string(6)?, string(7)?];
        let application = same([string(8)?, string(9)?, string(10)?], text)?;
        let [scp, scope] = [strings(11)?, strings(12)?];
        let scopes = match scopes {
            Some(name) => named(text, name)?,
            None => scp.or(scope),
        };
        let [roles, groups] = [strings(13)?, strings(14)?];
        let idtyp = string(15)?;
        // Entra ID, "groups overage claim": the groups are somewhere else.
        let overage = get(16)?.is_some_and(|names| names.of(text).member("groups").is_some()) || get(17)?.is_some();
        string(18)?;
        Ok(Self { iss, sub, aud, exp, nbf, iat, tid, oid, application, scopes, roles, groups, idtyp, overage })
    }
}

/// The claim `name`, which a policy names: strings, there once or not at all.
fn named<'t>(text: &'t [u8], name: &str) -> Result<Option<Item>, Denied<'t>> {
    let fields = object(text, &[name])?;
    match fields.get(0).map_err(|_| Denied::Claim("of scopes", Fault::Repeated))? {
        Some(item) if !all_strings(item.of(text)) => Err(Denied::Claim("of scopes", Fault::Type)),
        item => Ok(item),
    }
}

/// The application, which has three names (`azp` of OpenID Connect, `appid` of Entra's first version, `client_id` of RFC 9068).
/// A token that names two applications names none.
fn same<'t>(names: [Option<Item>; 3], text: &'t [u8]) -> Result<Option<Item>, Denied<'t>> {
    let mut found: Option<Item> = None;
    for item in names.into_iter().flatten() {
        match found {
            Some(before)
                if !before.of(text).text().unwrap_or_default().chars().eq(item
                    .of(text)
                    .text()
                    .unwrap_or_default()
                    .chars()) =>
            {
                return Err(Denied::Claim("azp, appid or client_id", Fault::Repeated));
            }
            _ => found = Some(item),
        }
    }
    Ok(found)
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

/// Seconds since 1970, without their fraction (RFC 7519 §2, NumericDate). No exponents, no sign: a number that has to be worked
/// out is read differently by different readers.
fn seconds(value: Value<'_>) -> Option<u64> {
    let digits = value.raw();
    let whole = digits.split(|&byte| byte == b'.').next()?;
    let plain = digits.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    core::str::from_utf8(whole).ok().filter(|_| plain)?.parse().ok()
}

/// What a checked token says of its holder.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Claims<'t> {
    pub(super) text: &'t [u8],
    pub(super) found: &'t Found,
}

impl<'t> Claims<'t> {
    /// `iss`: who has issued the token.
    pub fn issuer(&self) -> Text<'t> {
        self.text_of(Some(self.found.iss))
    }

    /// `sub`: the caller, by a name that the issuer gives to nobody else; empty if there is none.
    pub fn subject(&self) -> Text<'t> {
        self.text_of(self.found.sub)
    }

    /// `oid`: the caller's object in a tenant of Entra ID, the same for all applications; empty elsewhere.
    pub fn object(&self) -> Text<'t> {
        self.text_of(self.found.oid)
    }

    /// `tid`: the tenant of Entra ID; empty elsewhere.
    pub fn tenant(&self) -> Text<'t> {
        self.text_of(self.found.tid)
    }

    /// `azp`, `appid` or `client_id`: the application that calls; empty if there is none.
    pub fn application(&self) -> Text<'t> {
        self.text_of(self.found.application)
    }

    /// The second since 1970 from which on the token is void.
    pub const fn expires(&self) -> u64 {
        self.found.exp
    }

    /// Whether the token has this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.has(self.found.scopes, scope)
    }

    /// Whether the token has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.has_value(self.found.roles, role)
    }

    /// Whether the caller is in this group, as far as the token says.
    pub fn in_group(&self, group: &str) -> bool {
        self.has_value(self.found.groups, group)
    }

    /// Whether an application acts for itself, with no person behind.
    // Entra ID: `idtyp` is an optional claim; without it, a token without scopes whose subject is the object itself.
    pub fn is_application(&self) -> bool {
        match self.found.idtyp {
            Some(idtyp) => self.text_of(Some(idtyp)).is("app"),
            None => {
                let same = self.found.oid.is_some() && self.subject().chars().eq(self.object().chars());
                self.found.scopes.is_none() && same
            }
        }
    }

    /// Any claim by its name; the first, if it is there more than once.
    pub fn claim(&self, name: &str) -> Option<Value<'t>> {
        Value::parse(self.text).ok()?.member(name)
    }

    /// All claims, as JSON.
    pub const fn json(&self) -> &'t [u8] {
        self.text
    }

    pub(super) fn has_any_role(&self) -> bool {
        self.found.roles.is_some_and(|roles| !each(roles.of(self.text), |role| role.raw().is_empty()))
    }

    /// `aud` is a string or an array of strings (RFC 7519 §4.1.3).
    pub(super) fn is_for(&self, audience: &str) -> bool {
        self.has_value(Some(self.found.aud), audience)
    }

    /// `aud` as it was written.
    pub(super) fn audience(&self) -> &'t [u8] {
        self.found.aud.of(self.text).raw()
    }

    // RFC 8693 §4.2 and RFC 6749 §3.3: scopes stand in one string with spaces between; some issuers send an array.
    fn has(&self, claim: Option<Item>, wanted: &str) -> bool {
        let Some(claim) = claim else {
            return false;
        };
        !each(claim.of(self.text), |scopes| !has_word(scopes, wanted))
    }

    fn has_value(&self, claim: Option<Item>, wanted: &str) -> bool {
        claim.is_some_and(|claim| !each(claim.of(self.text), |value| !value.is(wanted)))
    }

    fn text_of(&self, item: Option<Item>) -> Text<'t> {
        item.and_then(|item| item.of(self.text).text()).unwrap_or_default()
    }
}

/// Whether one of the words of a text, with spaces between, is `wanted`.
fn has_word(text: Text<'_>, wanted: &str) -> bool {
    // What is left of `wanted` to come in the word at hand; nothing if the word is another.
    let mut rest = Some(wanted.chars());
    let ended = |rest: Option<core::str::Chars<'_>>| rest.is_some_and(|rest| rest.as_str().is_empty());
    for char in text.chars() {
        if char == ' ' {
            if ended(rest) {
                return true;
            }
            rest = Some(wanted.chars());
        } else {
            rest = rest.and_then(|mut rest| (rest.next() == Some(char)).then_some(rest));
        }
    }
    ended(rest)
}

/// Whether `holds` for the string, or for each string of the array.
fn each<'t>(value: Value<'t>, mut holds: impl FnMut(Text<'t>) -> bool) -> bool {
    if let Some(text) = value.text() {
        return holds(text);
    }
    let mut reader: Reader<'t> = value.reader();
    if !matches!(reader.enter_array(), Ok(Some(_))) {
        return true;
    }
    while let Ok(true) = reader.element() {
        let Ok(item) = reader.skip() else {
            return true;
        };
        if !holds(item.of(value.raw()).text().unwrap_or_default()) {
            return false;
        }
    }
    true
}
