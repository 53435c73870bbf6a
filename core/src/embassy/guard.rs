//! Who may call a device: keys, and tokens whose issuer's keys lie in its flash. Nothing is fetched.

use super::wall_clock::WallClock;
use crate::auth::{ApiKey, Authenticated, Bearer, Denied, IssuerKeys, Rules, Shown, Verified};
use crate::http::{Refusal, Resource, Unverified};
use crate::limits;
#[cfg(feature = "provision")]
use crate::provision::{Page, Verifiers};
use core::cell::{Cell, Ref, RefCell};
use embassy_time::Instant;
use sha2::{Digest, Sha256};

/// What callers of a device have to show, as the gate of its [`Policy`](crate::http::Policy) asks for it.
#[derive(Clone, Copy)]
pub struct Guard<'a> {
    /// The keys that let callers in.
    pub keys: &'a [ApiKey],
    /// The tokens that do; they take one of the features `rs256`, `es256` and `eddsa`.
    pub tokens: Option<&'a Tokens<'a>>,
    /// Hears why a caller was kept out. It is for the log of the device; its client is not told.
    pub denied: fn(&Denied<'_>),
}

impl Guard<'_> {
    /// Lets nobody in who has to show something: for devices whose gate asks for nothing.
    pub const NONE: Self = Guard { keys: &[], tokens: None, denied: |_| {} };
}

/// The tokens of one issuer.
pub struct Tokens<'a> {
    /// The endpoint as its clients write it. Its path begins where the metadata of the device is served (RFC 9728).
    pub resource: Resource<'a>,
    /// What the tokens have to say.
    pub rules: Rules<'a>,
    /// The keys of the issuer: an array of them with their names (`kid`), or what was [provisioned](crate::provision).
    pub issuer_keys: &'a dyn IssuerKeys,
    /// What a client needs for the most ordinary use.
    pub scopes: &'a [&'a str],
    /// The time of day. While it is not known no token is taken, for each of them ends.
    pub clock: &'a WallClock,
    /// Room for tokens that were checked: one for each caller whose calls run at the same time, at least one. A token that comes again
    /// while there is room costs no signature.
    pub seen: &'a [Seen],
    /// How often a signature is checked at most.
    pub ration: &'a Ration,
}

/// Room for one token that was checked.
pub struct Seen(RefCell<Option<Kept>>);

struct Kept {
    token: [u8; 32],
    verified: Verified<Claims>,
}

/// The claims of a token.
pub(super) struct Claims {
    bytes: [u8; limits::CLAIMS],
    len: usize,
}

impl Seen {
    /// Free room.
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self::new()
    }
}

impl TryFrom<&[u8]> for Claims {
    type Error = Denied<'static>;

    fn try_from(text: &[u8]) -> Result<Self, Self::Error> {
        let mut bytes = [0; limits::CLAIMS];
        let place = bytes.get_mut(..text.len()).ok_or(Denied::TooLong)?;
        place.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
        Ok(Self { bytes, len: text.len() })
    }
}

impl AsRef<[u8]> for Claims {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Signatures that may still be checked. A device has one core, and each check holds everything up: a flood of tokens must not.
pub struct Ration {
    left: Cell<u8>,
    /// When the last one came back, in milliseconds of the clock of the device.
    since: Cell<u64>,
}

impl Ration {
    /// A whole ration.
    pub const fn new() -> Self {
        Self { left: Cell::new(limits::SIGNATURES), since: Cell::new(0) }
    }

    /// Takes one; `false` if there is none.
    fn take(&self, now: u64) -> bool {
        let back = now.saturating_sub(self.since.get()) / limits::SIGNATURE_MS;
        if back > 0 {
            let left = u64::from(self.left.get()).saturating_add(back).min(limits::SIGNATURES.into());
            self.left.set(u8::try_from(left).unwrap_or(limits::SIGNATURES));
            self.since.set(self.since.get().saturating_add(back.saturating_mul(limits::SIGNATURE_MS)));
        }
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl Default for Ration {
    fn default() -> Self {
        Self::new()
    }
}

/// A caller who was let in, as long as his request is served.
pub(super) enum Guest<'a> {
    /// He was asked for nothing, or for a key.
    Known(Authenticated<'a>),
    Token(Ref<'a, Verified<Claims>>),
}

impl Guest<'_> {
    pub(super) fn who(&self) -> Authenticated<'_> {
        match self {
            Self::Known(who) => *who,
            Self::Token(verified) => Authenticated::token(verified),
        }
    }
}

impl<'a> Guard<'a> {
    /// The tokens that let callers in. An image that can check no signature takes none, and has nothing for them in it.
    pub(super) fn tokens(&self) -> Option<&'a Tokens<'a>> {
        if cfg!(any(feature = "rs256", feature = "es256", feature = "eddsa")) { self.tokens } else { None }
    }

    /// Finds out whether what `came` is good; `scratch` is for the token.
    pub(super) fn check(&self, came: &Unverified<'_>, scratch: &mut [u8]) -> Result<Guest<'a>, Refusal> {
        match came {
            Unverified::Key(shown) => self.key(*shown).map(Guest::Known),
            Unverified::Token(bearer) => self.token(*bearer, scratch),
            // The token says who calls.
            Unverified::Both(shown, bearer) => self.key(*shown).and_then(|_| self.token(*bearer, scratch)),
            // No platform is in front of a device: the sender of such a header is the caller itself.
            Unverified::Platform => Err(self.told(&Denied::NoToken)),
        }
    }

    fn key(&self, shown: Shown<'_>) -> Result<Authenticated<'a>, Refusal> {
        shown.check(self.keys).map_err(|denied| self.told(&denied))
    }

    fn token(&self, bearer: Bearer<'_>, scratch: &mut [u8]) -> Result<Guest<'a>, Refusal> {
        let Some(tokens) = self.tokens() else {
            return Err(self.told(&Denied::KeyUnavailable));
        };
        let now = tokens.clock.now();
        let digest: [u8; 32] = Sha256::digest(bearer.as_bytes()).into();
        if let Some(seen) = tokens.find(&digest) {
            match Authenticated::cached(&*seen, &tokens.rules, now).map(|_| ()) {
                Ok(()) => return Ok(Guest::Token(seen)),
                Err(denied) => return Err(self.told(&denied)),
            }
        }
        let told = |denied: Denied<'_>| self.told(&denied);
        let claimed = bearer.read(tokens.rules.scopes_in, scratch).map_err(told)?;
        let candidate = claimed.check(&tokens.rules, now).map_err(told)?;
        let Some(key) = tokens.issuer_keys.key(candidate.kid()) else {
            return Err(told(Denied::Kid(candidate.kid().raw())));
        };
        // The checks that cost little come before, and what was checked before costs none.
        if !tokens.ration.take(Instant::now().as_millis()) {
            told!("denied: more signatures than are checked in this time");
            return Err(Refusal::Rate);
        }
        let verified = candidate.verify(key).and_then(|verified| verified.keep::<Claims>()).map_err(told)?;
        tokens.clock.was(verified.issued());
        tokens.keep(Kept { token: digest, verified }).ok_or_else(|| told(Denied::KeyUnavailable)).map(Guest::Token)
    }

    fn told(&self, denied: &Denied<'_>) -> Refusal {
        told!("denied: {}", denied);
        (self.denied)(denied);
        Refusal::from(*denied)
    }
}

#[cfg(feature = "provision")]
impl<'a> Tokens<'a> {
    /// The tokens that `page` names, by the keys that it has for them ([`Page::verifiers`]); `None` if it names none.
    pub fn provisioned(
        page: &'a Page<'static>,
        issuer_keys: &'a Verifiers<'static>,
        clock: &'a WallClock,
        seen: &'a [Seen],
        ration: &'a Ration,
    ) -> Option<Self> {
        let resource = Resource::new(page.resource)?;
        Some(Self { resource, rules: page.rules(), issuer_keys, scopes: &page.scopes, clock, seen, ration })
    }
}

impl<'a> Tokens<'a> {
    /// Whether the metadata of the endpoint belongs at this path (RFC 9728 §3.1); at the root, too, for clients that look there.
    pub(super) fn has_metadata_at(&self, path: &str) -> bool {
        let [well_known, own] = self.resource.metadata_path();
        path.strip_prefix(well_known).is_some_and(|rest| rest == own || rest.is_empty())
    }

    fn find(&self, digest: &[u8; 32]) -> Option<Ref<'a, Verified<Claims>>> {
        self.seen.iter().find_map(|seen| {
            let kept = seen.0.try_borrow().ok()?;
            Ref::filter_map(kept, |kept| kept.as_ref().filter(|kept| kept.token == *digest).map(|kept| &kept.verified))
                .ok()
        })
    }

    /// Keeps a token where no request needs the one before: in free room, or instead of the one that ends first.
    fn keep(&self, kept: Kept) -> Option<Ref<'a, Verified<Claims>>> {
        let free = self.seen.iter().filter_map(|seen| {
            let inside = seen.0.try_borrow_mut().ok()?;
            Some((inside.as_ref().map_or(0, |kept| kept.verified.expires()), seen))
        });
        let (_, room) = free.min_by_key(|(expires, _)| *expires)?;
        *room.0.try_borrow_mut().ok()? = Some(kept);
        Ref::filter_map(room.0.try_borrow().ok()?, |kept| kept.as_ref().map(|kept| &kept.verified)).ok()
    }
}

impl core::fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Guard").field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_rationed_and_come_back_with_time() {
        let ration = Ration::new();
        let take = |now| (0..10).filter(|_| ration.take(now)).count();
        assert_eq!(take(10_000), usize::from(limits::SIGNATURES));
        assert_eq!(take(10_000), 0);
        assert_eq!(take(10_000 + limits::SIGNATURE_MS), 1);
        assert_eq!(take(10_000 + 3 * limits::SIGNATURE_MS), 2);
        assert_eq!(take(u64::MAX), usize::from(limits::SIGNATURES));
    }
}
