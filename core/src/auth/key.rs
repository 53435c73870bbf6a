//! API keys: shared secrets. The server stores only their digests and compares in constant time.

use super::denied::Denied;
use core::fmt;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// An API key as the server stores it: the SHA-256 of its value, and a name for the log.
///
/// A plain hash is sufficient, because a key, unlike a password, is long and random.
#[derive(Clone)]
#[cfg_attr(feature = "provision", derive(serde::Serialize, serde::Deserialize))]
pub struct ApiKey<S = &'static str> {
    name: S,
    digest: [u8; 32],
}

impl<S> ApiKey<S> {
    /// Makes a key from its name and the SHA-256 of its value.
    pub const fn new(name: S, digest: [u8; 32]) -> Self {
        Self { name, digest }
    }

    /// Returns the name of the key.
    pub const fn name(&self) -> &S {
        &self.name
    }
}

/// Returns the digest of a key's value, as [`ApiKey::new`] takes it.
pub fn digest(value: &[u8]) -> [u8; 32] {
    Sha256::digest(value).into()
}

/// An API key from a request, not yet checked.
#[derive(Clone, Copy)]
pub struct Shown<'h>(&'h [u8]);

impl<'h> Shown<'h> {
    /// Wraps the value of a key as the caller sent it.
    pub const fn new(value: &'h [u8]) -> Self {
        Self(value)
    }

    /// Finds the key with this value in `keys`. The value is compared with every key, in constant
    /// time.
    pub(super) fn find<S>(self, keys: &[ApiKey<S>]) -> Result<&ApiKey<S>, Denied<'static>> {
        let shown = digest(self.0);
        let mut found = u32::MAX;
        for (index, key) in (0u32..).zip(keys) {
            found.conditional_assign(&index, key.digest.ct_eq(&shown));
        }
        keys.get(found as usize).ok_or(Denied::UnknownKey)
    }
}

impl<S> ApiKey<S> {
    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl<S: fmt::Debug> fmt::Debug for ApiKey<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(..)")
    }
}
