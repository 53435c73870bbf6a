//! API keys: shared secrets, kept as digests and compared in constant time.

use super::denied::Denied;
use core::fmt;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// A key as a server keeps it: the SHA-256 of its value, and a name for the log.
///
/// A plain hash is enough, because a key is random and long, unlike a password.
#[derive(Clone)]
#[cfg_attr(feature = "provision", derive(serde::Serialize, serde::Deserialize))]
pub struct ApiKey<S = &'static str> {
    name: S,
    digest: [u8; 32],
}

impl<S> ApiKey<S> {
    /// A key by the SHA-256 of its value.
    pub const fn new(name: S, digest: [u8; 32]) -> Self {
        Self { name, digest }
    }

    /// Its name.
    pub const fn name(&self) -> &S {
        &self.name
    }
}

/// The digest of a key's value, as [`ApiKey::new`] takes it.
pub fn digest(value: &[u8]) -> [u8; 32] {
    Sha256::digest(value).into()
}

/// A key that came with a request, not checked yet.
#[derive(Clone, Copy)]
pub struct Shown<'h>(&'h [u8]);

impl<'h> Shown<'h> {
    /// The value of a key as it came.
    pub const fn new(value: &'h [u8]) -> Self {
        Self(value)
    }

    /// The key among `keys` that has this value. All of them are compared, in the same time each.
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
