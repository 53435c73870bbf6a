//! Authentication of callers on a device, by API keys and by tokens whose issuer's keys are in flash. Nothing is fetched.

use super::wall_clock::WallClock;
use crate::auth::{Access, ApiKey, Authenticated, Bearer, Denied, IssuerKeys, Rules, Shown, Verified};
use crate::http::{Refusal, Resource, Unverified};
use crate::limits;
#[cfg(feature = "provision")]
use crate::provision::{Page, Verifiers};
use core::cell::{Cell, Ref, RefCell};
use core::net::IpAddr;
use embassy_time::Instant;
use sha2::{Digest, Sha256};

/// The credentials that a device accepts. Which of them a caller must send is said by the [`Policy`](crate::http::Policy).
#[derive(Clone, Copy)]
pub struct Guard<'a> {
    /// The API keys of callers.
    pub keys: &'a [ApiKey],
    /// The access tokens of callers. They need one of the features `rs256`, `es256` and `eddsa`.
    pub tokens: Option<&'a Tokens<'a>>,
    /// Is called with the reason when a caller is refused. It is for the log of the device: the client is not told.
    pub denied: fn(&Denied<'_>),
}

impl Guard<'_> {
    /// No credentials: for devices whose policy asks for none.
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
    pub seen: &'a [TokenSlot],
    /// The rate limit for signatures.
    pub ration: &'a SignatureBudget,
}

/// Room for one token that was checked.
pub struct TokenSlot(RefCell<Option<Kept>>);

struct Kept {
    token: [u8; 32],
    verified: Verified<Claims>,
}

/// The claims of a token.
pub(super) struct Claims {
    bytes: [u8; limits::CLAIMS],
    len: usize,
}

impl TokenSlot {
    /// Free room.
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }
}

impl Default for TokenSlot {
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

/// The rate limit for checking signatures: a token bucket for all callers, and one for each address. A device has one core, and
/// nothing else runs while it checks a signature, so a flood of forged tokens must be cut off; and the flood of one address must not
/// use up what another needs.
pub struct SignatureBudget {
    /// When the bucket of all callers is full again, in milliseconds since the start.
    all: Cell<u64>,
    shares: [Share; limits::SIGNATURE_ADDRESSES],
}

/// The token bucket of one address.
struct Share {
    address: Cell<u64>,
    /// When it is full again, in milliseconds since the start.
    full_at: Cell<u64>,
}

impl SignatureBudget {
    /// Full buckets.
    pub const fn new() -> Self {
        let shares = [const { Share { address: Cell::new(0), full_at: Cell::new(0) } }; limits::SIGNATURE_ADDRESSES];
        Self { all: Cell::new(0), shares }
    }

    /// Takes one signature for the client at `from`, at `now` in milliseconds since the start; `false` if the limit is reached.
    fn take(&self, from: Option<IpAddr>, now: u64) -> bool {
        let address = network(from);
        // An address that is new takes the place of the one whose bucket is full, or will be first.
        let known = self.shares.iter().find(|share| share.address.get() == address);
        let Some(share) = known.or_else(|| self.shares.iter().min_by_key(|share| share.full_at.get())) else {
            return false;
        };
        let full_at = known.map_or(0, |share| share.full_at.get());
        let own = spend(full_at, now, limits::SIGNATURES_EACH, limits::SIGNATURE_EACH_MS);
        let (Some(own), Some(all)) = (own, spend(self.all.get(), now, limits::SIGNATURES, limits::SIGNATURE_MS)) else {
            return false;
        };
        share.address.set(address);
        share.full_at.set(own);
        self.all.set(all);
        true
    }
}

/// Takes one from a bucket that is full at `full_at`, holds `burst` and gets one back every `each` milliseconds. Returns when it is
/// full again; `None` if it is empty.
const fn spend(full_at: u64, now: u64, burst: u64, each: u64) -> Option<u64> {
    let owed = full_at.saturating_sub(now).saturating_add(each);
    if owed > burst.saturating_mul(each) { None } else { Some(now.saturating_add(owed)) }
}

/// What shares of the rate limit are counted by: an IPv4 address, or the first 64 bits of an IPv6 address, since one client has all
/// addresses behind those. 0 for clients without an address.
fn network(from: Option<IpAddr>) -> u64 {
    match from.map(|address| address.to_canonical()) {
        None => 0,
        Some(IpAddr::V4(address)) => u64::from(u32::from(address)),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        }
    }
}

impl Default for SignatureBudget {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the image can check signatures.
const SIGNATURES: bool = cfg!(any(feature = "rs256", feature = "es256", feature = "eddsa"));

/// A caller who was let in, while its request is served.
pub(super) enum Guest<'a> {
    /// The caller was asked for nothing, or for a key.
    Known(Authenticated<'a>),
    Token(Ref<'a, Verified<Claims>>),
}

impl Guest<'_> {
    pub(super) fn who(&self) -> Authenticated<'_> {
        match self {
            Self::Known(who) => *who,
            Self::Token(verified) if SIGNATURES => Authenticated::token(verified),
            // No token is accepted in an image that can check none, so the code for their rights is not in it either.
            Self::Token(_) => Authenticated::anonymous(&Access::Guest),
        }
    }
}

impl<'a> Guard<'a> {
    /// The tokens of callers. An image that cannot check signatures accepts none, and has no code for them.
    pub(super) fn tokens(&self) -> Option<&'a Tokens<'a>> {
        if SIGNATURES { self.tokens } else { None }
    }

    /// Authenticates a client at the address `from` by the credentials that `came`; `scratch` is for the token.
    pub(super) fn check(
        &self,
        came: &Unverified<'_>,
        from: Option<IpAddr>,
        scratch: &mut [u8],
    ) -> Result<Guest<'a>, Refusal> {
        let bearer = match came {
            Unverified::Key(shown) => return self.key(*shown).map(Guest::Known),
            Unverified::Token(bearer) => bearer,
            Unverified::Both(shown, bearer) => {
                self.key(*shown)?;
                // The token says who calls.
                bearer
            }
            // No platform is in front of a device: the sender of such a header is the caller itself.
            Unverified::Platform => return Err(self.log_denial(&Denied::NoToken)),
        };
        self.token(*bearer, from, scratch)
    }

    fn key(&self, shown: Shown<'_>) -> Result<Authenticated<'a>, Refusal> {
        shown.check(self.keys).map_err(|denied| self.log_denial(&denied))
    }

    fn token(&self, bearer: Bearer<'_>, from: Option<IpAddr>, scratch: &mut [u8]) -> Result<Guest<'a>, Refusal> {
        let Some(tokens) = self.tokens() else {
            return Err(self.log_denial(&Denied::KeyUnavailable));
        };
        let now = tokens.clock.now();
        let digest: [u8; 32] = Sha256::digest(bearer.as_bytes()).into();
        if let Some(seen) = tokens.find(&digest) {
            match Authenticated::cached(&*seen, &tokens.rules, now).map(|_| ()) {
                Ok(()) => return Ok(Guest::Token(seen)),
                Err(denied) => return Err(self.log_denial(&denied)),
            }
        }
        let refuse = |denied: Denied<'_>| self.log_denial(&denied);
        let claimed = bearer.read(tokens.rules.scopes_in, scratch).map_err(refuse)?;
        let candidate = claimed.check(&tokens.rules, now).map_err(refuse)?;
        let Some(key) = tokens.issuer_keys.key(candidate.kid()) else {
            return Err(refuse(Denied::Kid(candidate.kid().raw())));
        };
        // Cheap checks come first, and a token that was checked before costs nothing.
        if !tokens.ration.take(from, Instant::now().as_millis()) {
            warning!("denied: rate limit for signatures");
            return Err(Refusal::Rate);
        }
        let verified = candidate.verify(key).and_then(|verified| verified.keep::<Claims>()).map_err(refuse)?;
        tokens.clock.was(verified.issued());
        tokens.keep(Kept { token: digest, verified }).ok_or_else(|| refuse(Denied::KeyUnavailable)).map(Guest::Token)
    }

    fn log_denial(&self, denied: &Denied<'_>) -> Refusal {
        warning!("denied: {}", denied);
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
        seen: &'a [TokenSlot],
        ration: &'a SignatureBudget,
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

    const START: u64 = 10_000;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 168, 1, last]))
    }

    /// How many of ten tries at `now` succeed.
    fn taken(ration: &SignatureBudget, from: impl Fn(u8) -> Option<IpAddr>, now: u64) -> usize {
        (0..10).filter(|number| ration.take(from(*number), now)).count()
    }

    #[test]
    fn all_addresses_together_have_a_burst_of_signatures_that_comes_back_with_time() {
        let ration = SignatureBudget::new();
        for (later, count) in [(0, 4), (0, 0), (500, 1), (1500, 2), (1 << 40, 4)] {
            assert_eq!(taken(&ration, address, START + later), count, "{later} ms later");
        }
    }

    #[test]
    fn one_address_has_half_of_the_signatures_and_leaves_the_rest_to_others() {
        let ration = SignatureBudget::new();
        for later in (0..60_000).step_by(100) {
            let flood = taken(&ration, |_| address(1), START + later);
            assert!(flood <= if later == 0 { 3 } else { 1 }, "{later} ms later: {flood}");
            if later % 1000 == 0 {
                assert!(ration.take(address(2), START + later), "{later} ms later");
            }
        }
    }

    #[test]
    fn addresses_beyond_those_that_are_remembered_give_nobody_a_second_share() {
        let ration = SignatureBudget::new();
        let mut of_one = 0;
        for later in (0..60_000u32).step_by(50) {
            of_one += usize::from(ration.take(address(1), START + u64::from(later)));
            taken(&ration, |number| address(10 + number + (later / 50 % 20) as u8 * 10), START + u64::from(later));
        }
        assert!(of_one <= 3 + 60, "{of_one}");
    }

    #[test]
    fn addresses_of_one_ipv6_network_and_clients_without_an_address_share() {
        let six = |number: u8| Some(IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, number]));
        for from in [&six as &dyn Fn(u8) -> Option<IpAddr>, &|_| None] {
            assert_eq!(taken(&SignatureBudget::new(), from, START), 3);
        }
    }
}
