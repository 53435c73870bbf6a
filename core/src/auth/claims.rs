//! The claims of a verified token, as policies, tools and handlers read them.

use super::claim_items::{ClaimItems, text_of};
use crate::json::{Item, Reader, Text, Value};

/// The claims of a verified token.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Claims<'t> {
    pub(super) text: &'t [u8],
    pub(super) items: &'t ClaimItems,
}

impl<'t> Claims<'t> {
    /// `iss`: the issuer of the token.
    pub fn issuer(&self) -> Text<'t> {
        self.text_of(Some(self.items.iss))
    }

    /// `sub`: identifies the caller; the issuer gives each caller a different value. Empty if
    /// absent.
    pub fn subject(&self) -> Text<'t> {
        self.text_of(self.items.sub)
    }

    /// `oid`: the object id of the caller in its Entra ID tenant, the same for all applications;
    /// empty for other issuers.
    pub fn object(&self) -> Text<'t> {
        self.text_of(self.items.oid)
    }

    /// `tid`: the Entra ID tenant; empty for other issuers.
    pub fn tenant(&self) -> Text<'t> {
        self.text_of(self.items.tid)
    }

    /// `azp`, `appid`, `client_id` or `cid`: the client application that calls; empty if absent.
    pub fn application(&self) -> Text<'t> {
        self.text_of(self.items.application)
    }

    /// `exp`: the time, in seconds since 1970, from which the token is no longer accepted.
    pub const fn expires(&self) -> u64 {
        self.items.exp
    }

    /// Whether the token has this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.has(self.items.scopes, scope)
    }

    /// Whether the token has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.has_value(self.items.roles, role)
    }

    /// Whether the token lists this group. A token may list fewer groups than the caller has.
    pub fn in_group(&self, group: &str) -> bool {
        self.has_value(self.items.groups, group)
    }

    /// Whether an application calls for itself and not for a person.
    // Entra ID: `idtyp` is an optional claim. Without it, the token is an application's if it has
    // no scopes and its subject equals its object id. RFC 6749 §4.4: a client's own token may
    // identify only the client.
    pub fn is_application(&self) -> bool {
        if let Some(idtyp) = self.items.idtyp {
            return self.text_of(Some(idtyp)).is("app");
        }
        let own = match (self.has_object(), self.items.sub) {
            (true, _) => self.subject().chars().eq(self.object().chars()),
            (false, Some(_)) => false,
            (false, None) => self.items.application.is_some(),
        };
        self.items.scopes.is_none() && own
    }

    /// Whether the token identifies its holder: a person, or at least the client application.
    /// Otherwise, the server cannot tell the holders of such tokens apart.
    pub fn names_caller(&self) -> bool {
        [self.subject(), self.object(), self.application()].iter().any(|name| !name.raw().is_empty())
    }

    /// Returns a claim by its name; the first one if it occurs more than once.
    pub fn claim(&self, name: &str) -> Option<Value<'t>> {
        Value::parse(self.text).ok()?.member(name)
    }

    /// All claims, as JSON.
    pub const fn json(&self) -> &'t [u8] {
        self.text
    }

    pub(super) fn has_object(&self) -> bool {
        !self.object().raw().is_empty()
    }

    pub(super) fn has_any_role(&self) -> bool {
        self.items.roles.is_some_and(|roles| !each(roles.of(self.text), |role| role.raw().is_empty()))
    }

    /// Whether `aud`, a string or an array of strings (RFC 7519 §4.1.3), contains `audience`.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        self.has_value(Some(self.items.aud), audience)
    }

    /// Returns `aud` as the issuer wrote it.
    pub(super) fn audience(&self) -> &'t [u8] {
        self.items.aud.of(self.text).raw()
    }

    // RFC 8693 §4.2 and RFC 6749 §3.3: the scopes are one string, separated by spaces; some issuers
    // send an array.
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
        text_of(self.text, item)
    }
}

/// Whether `wanted` is one of the words of a text that are separated by spaces.
fn has_word(text: Text<'_>, wanted: &str) -> bool {
    // The part of `wanted` that the current word still has to match; `None` if the word differs.
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

/// Whether `holds` returns true for the string, or for every string of the array.
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
