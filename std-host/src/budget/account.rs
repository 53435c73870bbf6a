//! Who is charged for memory and places.

use core::hash::BuildHasher;
use core::net::IpAddr;
use std::hash::RandomState;
use std::sync::LazyLock;

/// Who is charged: a caller by its identity where that is known, else by its address. It is a hash with a secret key, so that no caller
/// can choose to be charged with another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account(u64);

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// An odd number that is made at the start.
static MIX: LazyLock<u64> = LazyLock::new(|| KEY.hash_one(0_u8) | 1);

impl Account {
    /// Callers that are not told apart. They have no share, only the whole.
    pub const UNKNOWN: Self = Self(0);

    /// The caller at this address; an IPv6 network of 64 bits is one caller.
    pub fn address(address: Option<IpAddr>) -> Self {
        address.map_or(Self::UNKNOWN, |address| Self::of(network(address)))
    }

    /// The caller with this identity.
    // An identity is a digest, which nobody can choose: it needs no more than to be mixed with the key.
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

    /// The hash; nothing for callers that are not told apart.
    pub(crate) const fn number(self) -> Option<u64> {
        match self.0 {
            0 => None,
            number => Some(number),
        }
    }
}

/// The part of an address that tells callers apart: one caller has a whole IPv6 network of 64 bits to call from.
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
