//! The keys that an issuer publishes (RFC 7517), and signatures checked by them.

use attache_core::auth::{Algorithm, Forged, Jwk, Public, Rs256, Verify, jwk_set};
use attache_core::json::Text;
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
        let mut keys = Vec::new();
        for value in jwk_set(json).ok_or(NoKeys)? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use attache_core::auth::Jws;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    use serde_json::{Value, json};

    /// The groups of a file of Wycheproof.
    fn groups(file: &str) -> Vec<Value> {
        let path = format!("{}/../tests/vectors/wycheproof/{file}_test.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut whole: Value = serde_json::from_slice(&text).unwrap();
        whole["testGroups"].as_array_mut().map(core::mem::take).unwrap()
    }

    fn set(keys: &[Value]) -> Option<KeySet> {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).ok()
    }

    fn hex(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// The key of a group, as an issuer would publish it.
    fn jwk(group: &Value) -> Value {
        let key = &group["publicKey"];
        if key["modulus"].is_string() {
            let [n, e] = ["modulus", "publicExponent"].map(|name| {
                let bytes = hex(&key[name]);
                BASE64URL.encode(bytes.strip_prefix(&[0]).unwrap_or(&bytes))
            });
            json!({"kty": "RSA", "n": n, "e": e})
        } else if key["uncompressed"].is_string() {
            let point = hex(&key["uncompressed"]);
            json!({"kty": "EC", "crv": "P-256", "x": BASE64URL.encode(&point[1..33]), "y": BASE64URL.encode(&point[33..])})
        } else {
            group["publicKeyJwk"].clone()
        }
    }

    #[test]
    fn signatures_are_judged_as_wycheproof_judges_them() {
        for (file, least) in [
            ("rsa_signature_2048_sha256", 100),
            ("rsa_signature_3072_sha256", 100),
            ("rsa_signature_4096_sha256", 100),
            ("ecdsa_secp256r1_sha256_p1363", 100),
            ("ed25519", 50),
        ] {
            let mut judged = 0;
            for group in groups(file) {
                let key = set(&[jwk(&group)]).map(|KeySet(keys)| Arc::clone(&keys[0]));
                // No issuer has another exponent, and none is taken.
                let served = group["publicKey"]["publicExponent"].as_str().is_none_or(|exponent| exponent == "010001");
                for test in group["tests"].as_array().unwrap() {
                    let good =
                        key.as_ref().is_some_and(|key| key.verify(&hex(&test["msg"]), &hex(&test["sig"])).is_ok());
                    assert_eq!(
                        good,
                        served && test["result"] == "valid",
                        "{file} {}: {}",
                        test["tcId"],
                        test["comment"]
                    );
                    judged += 1;
                }
            }
            assert!(judged > least, "{file}: {judged}");
        }
    }

    #[test]
    fn tokens_are_judged_as_wycheproof_judges_them_by_the_key_that_the_set_has_for_them() {
        let mut good = 0;
        for group in ["json_web_signature", "json_web_key"].into_iter().flat_map(groups) {
            let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
            let keys = key["keys"].as_array().cloned().unwrap_or_else(|| vec![key.clone()]);
            let set = set(&keys);
            for test in group["tests"].as_array().unwrap() {
                let Some(token) = test["jws"].as_str() else { continue };
                let mut scratch = vec![0; token.len()];
                let verified = Jws::read(token.as_bytes(), &mut scratch).is_ok_and(|jws| {
                    let key = set.as_ref().and_then(|set| set.find(jws.kid(), jws.alg()));
                    key.is_some_and(|key| jws.verify(&*key).is_ok())
                });
                // Of the algorithms there, three are served here.
                let served = keys.iter().any(|key| matches!(key["alg"].as_str(), Some("RS256" | "ES256" | "EdDSA")));
                assert_eq!(verified, test["result"] == "valid" && served, "{}: {}", test["tcId"], test["comment"]);
                good += usize::from(verified);
            }
        }
        assert!(good >= 8, "{good}");
    }

    #[test]
    fn keys_for_something_else_are_passed_over_and_a_set_without_any_other_is_none() {
        let good = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": BASE64URL.encode([7; 32])});
        let other = json!({"kty": "oct", "k": "c2VjcmV0"});
        assert_eq!(set(&[other.clone(), good]).map(|KeySet(keys)| keys.len()), Some(1));
        assert!(set(&[other]).is_none() && set(&[]).is_none());
    }
}
