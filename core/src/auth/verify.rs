//! Signatures. What makes them good is a library's business, or a few lines where none is small enough; which algorithm is used
//! is decided by the key, never by the token.

use crate::json::Text;

/// What a key is for (RFC 7518 §3.1, RFC 8037 §3.1). `none` and shared secrets are not here: a server that only reads tokens
/// has no use for them, and a public key taken for a secret is an old trick (RFC 8725 §2.1).
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
    /// Its name in `alg`.
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

/// The signature is not good, for whatever reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Forged;

/// A public key, with the one algorithm that it is for.
pub trait Verify {
    /// The algorithm.
    fn algorithm(&self) -> Algorithm;

    /// The issuer for whose tokens alone the key counts, if its publisher names one; `{tenantid}` stands for
    /// the tenant of the token. Keys of Entra ID have such a name in the member `issuer`.
    fn issuer(&self) -> Option<&str> {
        None
    }

    /// Checks that `signature` was made over `message` by the holder of the private key.
    ///
    /// # Errors
    /// [`Forged`] if it was not.
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
    /// The key of the name `kid`; where a token names none, the only one that there is.
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
