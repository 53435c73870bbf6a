//! The account of a caller, which memory and slots are charged to.

use core::hash::BuildHasher;
use core::net::IpAddr;
use std::hash::RandomState;
use std::sync::LazyLock;

/// The account that memory and slots are charged to: the caller's identity if it is known,
/// otherwise its address. It is a hash with a secret key, so that no caller can choose to share the
/// account of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account(u64);

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The secret key of `identity`: a random odd number, made at the start of the process.
static MIX: LazyLock<u64> = LazyLock::new(|| KEY.hash_one(0_u8) | 1);

impl Account {
    /// The account of callers that cannot be told apart. Only the limits of the whole apply to it,
    /// not those of one caller.
    pub const UNKNOWN: Self = Self(0);

    /// Returns the account of the caller at this address. An IPv6 network of 64 bits is one caller.
    pub fn address(address: Option<IpAddr>) -> Self {
        address.map_or(Self::UNKNOWN, |address| Self::of(network(address)))
    }

    /// Returns the account of the caller with this identity.
    // An identity is a digest, which a caller cannot choose, so mixing it with the key is enough.
    pub fn identity(identity: &[u8]) -> Self {
        let key = *MIX;
        let (words, rest) = identity.as_chunks::<8>();
        let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(key).rotate_left(29);
        let hash = words.iter().fold(key, |hash, word| mix(hash, u64::from_ne_bytes(*word)));
        Self(rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte))).max(1))
    }

    fn of(value: impl core::hash::Hash) -> Self {
        Self(KEY.hash_one(value).max(1))
    }

    /// Returns the hash, or `None` for callers that cannot be told apart.
    pub(crate) const fn number(self) -> Option<u64> {
        match self.0 {
            0 => None,
            number => Some(number),
        }
    }
}

/// Returns the part of an address that tells callers apart: an IPv6 caller has a whole network of
/// 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_differ_by_identity_by_address_and_by_network_and_an_unknown_caller_has_none() {
        let address = |text: &str| Account::address(Some(text.parse().unwrap()));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(Account::identity(b"a"), Account::identity(b"b"));
        assert_eq!(Account::address(None).number(), None);
    }
}
