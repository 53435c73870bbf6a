//! Signature verification. Libraries verify signatures, or a few lines of this crate if no library
//! is small enough. The key determines the algorithm, never the token.

use crate::json::Text;

/// The algorithm of a key (RFC 7518 §3.1, RFC 8037 §3.1). `none` and shared secrets are absent: a
/// server that only verifies tokens does not need them, and attackers have used a public key as a
/// shared secret (RFC 8725 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256; the signature is `r` and `s`, 32 bytes each.
    Es256,
    /// ECDSA on P-384 with SHA-384; the signature is `r` and `s`, 48 bytes each.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Returns the name of the algorithm in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// The signature is invalid, for any reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Forged;

/// A public key with its one algorithm.
pub trait Verify {
    /// Returns the algorithm.
    fn algorithm(&self) -> Algorithm;

    /// Returns the only issuer that the key is valid for, if the publisher names one; `{tenantid}`
    /// is a placeholder for the tenant of the token. Entra ID publishes it in the member `issuer`
    /// of a key.
    fn issuer(&self) -> Option<&str> {
        None
    }

    /// Verifies that the holder of the private key has made `signature` over `message`.
    ///
    /// # Errors
    /// [`Forged`] if the signature is invalid.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged>;
}

impl<V: Verify + ?Sized> Verify for &V {
    fn algorithm(&self) -> Algorithm {
        (**self).algorithm()
    }

    fn issuer(&self) -> Option<&str> {
        (**self).issuer()
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        (**self).verify(message, signature)
    }
}

/// The keys of an issuer.
pub trait IssuerKeys {
    /// Returns the key with this `kid`; if the token has no `kid`, the only key of the issuer.
    fn key(&self, kid: Text<'_>) -> Option<&dyn Verify>;
}

impl<V: Verify> IssuerKeys for [(&str, V)] {
    fn key(&self, kid: Text<'_>) -> Option<&dyn Verify> {
        let found = match self {
            [only] if kid.raw().is_empty() => Some(only),
            all => all.iter().find(|(name, _)| kid.is(name)),
        };
        found.map(|(_, key)| key as &dyn Verify)
    }
}

impl<V: Verify, const KEYS: usize> IssuerKeys for [(&str, V); KEYS] {
    fn key(&self, kid: Text<'_>) -> Option<&dyn Verify> {
        self.as_slice().key(kid)
    }
}
