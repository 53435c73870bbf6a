//! The keys that an issuer publishes (RFC 7517), and signatures checked by them.

use attache_core::auth::{Algorithm, Forged, Jwk, Public, Rs256, Verify};
use attache_core::json::{Kind, Reader, Text};
use core::fmt;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use std::sync::Arc;

/// Keys by which the tokens of one issuer are checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet(Vec<Arc<Key>>);

/// A public key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Empty if it has none.
    kid: String,
    public: Numbers,
}

#[derive(Debug, PartialEq, Eq)]
enum Numbers {
    /// A modulus; the exponent is 65537.
    Rsa(Vec<u8>),
    /// An uncompressed point.
    P256([u8; 65]),
    Ed25519([u8; 32]),
}

/// A text is no set of keys, or has none by which tokens are checked here: RS256 of 2048 to 4096 bits, ES256, EdDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKeys;

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is no set of keys in JSON (RFC 7517) with one for RS256, ES256 or EdDSA in it")
    }
}

impl core::error::Error for NoKeys {}

impl KeySet {
    /// Reads a set in JSON. Keys for something else are passed over (RFC 7517 §5).
    pub(super) fn read(json: &[u8]) -> Result<Self, NoKeys> {
        let mut reader = Reader::new(json).map_err(|_| NoKeys)?;
        let whole = reader.skip().map_err(|_| NoKeys)?.of(json);
        let list = whole.member("keys").filter(|keys| keys.kind() == Kind::Array).ok_or(NoKeys)?;
        let mut entries = list.reader();
        let mut keys = Vec::new();
        if !matches!(entries.enter_array(), Ok(Some(_))) {
            return Err(NoKeys);
        }
        while let Ok(true) = entries.element() {
            let value = entries.skip().map_err(|_| NoKeys)?.of(list.raw());
            let mut scratch = [0; NUMBERS];
            let key = Jwk::read(&value, &mut scratch).and_then(Key::of);
            keys.extend(key.map(Arc::new));
        }
        if keys.is_empty() { Err(NoKeys) } else { Ok(Self(keys)) }
    }

    /// The key of this name, or the only one for `alg` where the token names none.
    pub(super) fn find(&self, kid: Text<'_>, alg: Text<'_>) -> Option<Arc<Key>> {
        if !kid.raw().is_empty() {
            let mut named = self.0.iter().filter(|key| kid.is(&key.kid));
            return match (named.next(), named.next()) {
                (Some(key), None) => Some(Arc::clone(key)),
                // Keys of several kinds may share a name.
                (Some(_), Some(_)) => {
                    self.0.iter().find(|key| kid.is(&key.kid) && alg.is(key.algorithm().name())).cloned()
                }
                (None, _) => None,
            };
        }
        let mut fitting = self.0.iter().filter(|key| alg.is(key.algorithm().name()));
        let first = fitting.next()?;
        fitting.next().is_none().then(|| Arc::clone(first))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// 65537, the only exponent of RSA keys that are taken.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// Bytes of the largest modulus and its exponent.
const NUMBERS: usize = 1024;

impl Key {
    fn of(jwk: Jwk<'_>) -> Option<Self> {
        let public = match jwk.public {
            // The rules are the engine's; the arithmetic is the library's.
            Public::Rsa(modulus, exponent) if Rs256::new(modulus, exponent).is_some() => Numbers::Rsa(modulus.to_vec()),
            Public::Rsa(..) => return None,
            Public::P256(x, y) => {
                let mut point = [4; 65];
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y);
                Numbers::P256(point)
            }
            Public::Ed25519(point) => Numbers::Ed25519(*point),
        };
        Some(Self { kid: jwk.kid.chars().collect(), public })
    }
}

impl Verify for Key {
    fn algorithm(&self) -> Algorithm {
        match self.public {
            Numbers::Rsa(_) => Algorithm::Rs256,
            Numbers::P256(_) => Algorithm::Es256,
            Numbers::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        let good = match &self.public {
            Numbers::Rsa(modulus) => RsaPublicKeyComponents { n: modulus.as_slice(), e: &EXPONENT[..] }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            // RFC 7518 §3.4: `r` and `s`, 64 bytes together.
            Numbers::P256(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Numbers::Ed25519(point) => UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signature),
        };
        good.map_err(|_| Forged)
    }
}
