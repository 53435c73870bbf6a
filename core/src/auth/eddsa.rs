//! EdDSA with Ed25519, implemented with `ed25519-dalek` (feature `eddsa`).

use super::{Algorithm, Forged, Verify};
use ed25519_dalek::{Signature, VerifyingKey};

/// An Ed25519 public key.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EdDsa(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] VerifyingKey);

impl EdDsa {
    /// Makes a key from its bytes (`x` of a JWK). Returns `None` if the bytes are not a point of
    /// the curve, or are a weak key, for which anyone can make a signature.
    pub fn new(x: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(x).ok().filter(|key| !key.is_weak()).map(Self)
    }
}

impl Verify for EdDsa {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDsa
    }

    // RFC 8032 §5.1.7, strict: each signature has exactly one valid encoding.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        let signature = Signature::from_slice(signature).map_err(|_| Forged)?;
        self.0.verify_strict(message, &signature).map_err(|_| Forged)
    }
}
