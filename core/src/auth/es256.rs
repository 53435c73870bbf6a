//! ES256, implemented with `p256` (feature `es256`).

use super::{Algorithm, Forged, Verify};
use p256::EncodedPoint;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};

/// A P-256 public key.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Es256(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] VerifyingKey);

impl Es256 {
    /// Makes a key from its coordinates (`x` and `y` of a JWK), big-endian. Returns `None` if they
    /// are not a point of the curve.
    pub fn new(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let point = EncodedPoint::from_affine_coordinates(x.into(), y.into(), false);
        VerifyingKey::from_encoded_point(&point).ok().map(Self)
    }
}

impl Verify for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    // RFC 7518 §3.4: `r` and `s`, together 64 bytes.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        let signature = Signature::from_slice(signature).map_err(|_| Forged)?;
        self.0.verify(message, &signature).map_err(|_| Forged)
    }
}
