//! EdDSA on Ed25519 by `ed25519-dalek` (feature `eddsa`).

use super::{Algorithm, Forged, Verify};
use ed25519_dalek::{Signature, VerifyingKey};

/// A public key on Ed25519.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EdDsa(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] VerifyingKey);

impl EdDsa {
    /// A key from its bytes (`x` of a JWK); `None` if they are no point of the curve, or one of those with which anybody can sign.
    pub fn new(x: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(x).ok().filter(|key| !key.is_weak()).map(Self)
    }
}

impl Verify for EdDsa {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDsa
    }

    // RFC 8032 §5.1.7, without the freedom that it leaves: one signature has one form.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        let signature = Signature::from_slice(signature).map_err(|_| Forged)?;
        self.0.verify_strict(message, &signature).map_err(|_| Forged)
    }
}
