//! The public keys of an issuer (RFC 7517), and signature checks with them.

use attache_core::auth::{Algorithm, Denied, Forged, Jwk, Public, Rs256, Verify, jwk_set};
use attache_core::json::Text;
use attache_core::limits::{RSA_BITS, RSA_MAX_BITS};
use core::fmt;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use std::sync::Arc;

/// The keys of one issuer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySet {
    keys: Vec<Arc<Key>>,
    /// The `kid` of keys that are not served here, because of their algorithm, size or use.
    not_served: Vec<String>,
}

/// A public key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Empty if the key has no `kid`.
    kid: String,
    /// The issuer of all tokens that the key may verify, if the set names one.
    issuer: Option<String>,
    public: Numbers,
}

#[derive(Debug, PartialEq, Eq)]
enum Numbers {
    /// A modulus; the exponent is 65537.
    Rsa(Algorithm, Vec<u8>),
    /// An uncompressed point.
    P256([u8; 65]),
    /// An uncompressed point.
    P384([u8; 97]),
    Ed25519([u8; 32]),
}

/// The algorithms that are served.
pub(crate) const SERVED: [Algorithm; 7] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

/// Checks whether any key could verify a token with this `alg` and a signature of this length. If
/// not, no keys are fetched for the token.
///
/// # Errors
/// [`Denied::AlgorithmNotServed`] or [`Denied::Signature`].
pub(super) fn could_be_verified(alg: Text<'_>, signature: usize) -> Result<(), Denied<'_>> {
    let served = SERVED.iter().find(|served| alg.is(served.name())).ok_or(Denied::AlgorithmNotServed(alg.raw()))?;
    let lengths = match served {
        // RFC 7518 §3.4 and RFC 8037 §3.1: two numbers of the curve's size.
        Algorithm::Es256 | Algorithm::EdDsa => 64..=64,
        Algorithm::Es384 => 96..=96,
        // RFC 8017 §8.1.2 and §8.2.2: as long as the modulus.
        _ => RSA_BITS / 8..=RSA_MAX_BITS / 8,
    };
    if lengths.contains(&signature) { Ok(()) } else { Err(Denied::Signature) }
}

/// The error for a text that is not a key set, or has no key for an algorithm that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKeys;

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = SERVED.iter().map(|algorithm| algorithm.name()).collect();
        write!(f, "not a set of keys in JSON (RFC 7517) with at least one key for {}", names.join(", "))
    }
}

impl core::error::Error for NoKeys {}

impl KeySet {
    /// Reads a key set from JSON. Keys for other uses are ignored (RFC 7517 §5).
    pub(crate) fn read(json: &[u8]) -> Result<Self, NoKeys> {
        let mut set = Self::default();
        for value in jwk_set(json).ok_or(NoKeys)? {
            let mut scratch = [0; NUMBERS];
            match Jwk::read(&value, &mut scratch).and_then(Key::of) {
                Some(key) => set.keys.push(Arc::new(key)),
                None => set.not_served.extend(value.member("kid").and_then(|kid| kid.text()).map(owned)),
            }
        }
        if set.keys.is_empty() { Err(NoKeys) } else { Ok(set) }
    }

    /// Returns the key with this `kid` that `fits`. If the token has no `kid`, returns the fitting
    /// key for `alg`, provided there is exactly one.
    pub(crate) fn find(&self, kid: Text<'_>, alg: Text<'_>, fits: impl Fn(&Key) -> bool) -> Option<Arc<Key>> {
        let is_for = |key: &&Arc<Key>| alg.is(key.algorithm().name());
        if !kid.raw().is_empty() {
            let mut named: Vec<_> = self.keys.iter().filter(|key| kid.is(&key.kid)).collect();
            // Several keys may share a `kid`: of several kinds, or of several issuers. A single
            // match is returned even if it does not fit, because its refusal says why.
            if named.len() > 1 {
                named.retain(|key| is_for(key) && fits(key));
            }
            return named.first().map(|key| Arc::clone(key));
        }
        let mut fitting = self.keys.iter().filter(|key| is_for(key) && fits(key));
        let first = fitting.next()?;
        fitting.next().is_none().then(|| Arc::clone(first))
    }

    /// Whether the issuer has a key with this `kid` that is not served here.
    pub(super) fn has_unserved(&self, kid: Text<'_>) -> bool {
        !kid.raw().is_empty() && self.not_served.iter().any(|name| kid.is(name))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// 65537, the only exponent of RSA keys that are accepted.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// Size in bytes of the buffer for the numbers of a key: the largest modulus and its exponent.
const NUMBERS: usize = 1024;

impl Key {
    fn of(jwk: Jwk<'_>) -> Option<Self> {
        let algorithm = jwk.public.algorithm();
        let public = match jwk.public {
            // Core's rules for RSA keys apply to every hash; the arithmetic is done by `ring`.
            Public::Rsa(modulus, exponent) | Public::OtherRsa(_, modulus, exponent) => {
                Rs256::new(modulus, exponent)?;
                Numbers::Rsa(algorithm, modulus.to_vec())
            }
            Public::P256(x, y) => Numbers::P256(uncompressed(x, y)),
            Public::P384(x, y) => Numbers::P384(uncompressed(x, y)),
            Public::Ed25519(point) => Numbers::Ed25519(*point),
            _ => return None,
        };
        let issuer = Some(owned(jwk.issuer)).filter(|issuer| !issuer.is_empty());
        Some(Self { kid: owned(jwk.kid), issuer, public })
    }
}

fn owned(text: Text<'_>) -> String {
    text.chars().collect()
}

/// Encodes a point as SEC 1 §2.3.3 says: the byte 4, then `x`, then `y`.
fn uncompressed<const POINT: usize>(x: &[u8], y: &[u8]) -> [u8; POINT] {
    let mut point = [4; POINT];
    let (front, back) = point[1..].split_at_mut(x.len());
    front.copy_from_slice(x);
    back.copy_from_slice(y);
    point
}

impl Verify for Key {
    fn algorithm(&self) -> Algorithm {
        match self.public {
            Numbers::Rsa(algorithm, _) => algorithm,
            Numbers::P256(_) => Algorithm::Es256,
            Numbers::P384(_) => Algorithm::Es384,
            Numbers::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        let good = match &self.public {
            Numbers::Rsa(algorithm, modulus) => {
                let parameters = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    _ => return Err(Forged),
                };
                RsaPublicKeyComponents { n: modulus.as_slice(), e: &EXPONENT[..] }
                    .verify(parameters, message, signature)
            }
            // RFC 7518 §3.4: `r` and `s`, each as long as the curve's numbers.
            Numbers::P256(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Numbers::P384(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
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

    /// Reads the test groups of a Wycheproof file.
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

    /// Returns the key of a group, as an issuer would publish it for `alg`.
    fn jwk(group: &Value, alg: &str) -> Value {
        let key = &group["publicKey"];
        if key["modulus"].is_string() {
            let [n, e] = ["modulus", "publicExponent"].map(|name| {
                let bytes = hex(&key[name]);
                BASE64URL.encode(bytes.strip_prefix(&[0]).unwrap_or(&bytes))
            });
            json!({"kty": "RSA", "alg": alg, "n": n, "e": e})
        } else if key["uncompressed"].is_string() {
            let point = hex(&key["uncompressed"]);
            let (x, y) = point[1..].split_at(point.len() / 2);
            let curve = if x.len() == 32 { "P-256" } else { "P-384" };
            json!({"kty": "EC", "crv": curve, "x": BASE64URL.encode(x), "y": BASE64URL.encode(y)})
        } else {
            group["publicKeyJwk"].clone()
        }
    }

    #[test]
    fn signatures_are_judged_as_wycheproof_judges_them() {
        for (file, alg, least) in [
            ("rsa_signature_2048_sha256", "RS256", 100),
            ("rsa_signature_3072_sha256", "RS256", 100),
            ("rsa_signature_4096_sha256", "RS256", 100),
            ("rsa_signature_2048_sha384", "RS384", 100),
            ("rsa_signature_2048_sha512", "RS512", 100),
            ("rsa_pss_2048_sha256_mgf1_32", "PS256", 50),
            ("ecdsa_secp256r1_sha256_p1363", "ES256", 100),
            ("ecdsa_secp384r1_sha384_p1363", "ES384", 100),
            ("ed25519", "EdDSA", 50),
        ] {
            let mut judged = 0;
            for group in groups(file) {
                let key = set(&[jwk(&group, alg)]).map(|set| Arc::clone(&set.keys[0]));
                assert!(key.as_ref().is_none_or(|key| key.algorithm().name() == alg), "{file}");
                // Only the exponent 65537 is accepted; issuers use no other.
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
    fn tokens_are_judged_as_wycheproof_judges_them() {
        let mut good = 0;
        for group in ["json_web_signature", "json_web_key"].into_iter().flat_map(groups) {
            let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
            let keys = key["keys"].as_array().cloned().unwrap_or_else(|| vec![key.clone()]);
            let set = set(&keys);
            for test in group["tests"].as_array().unwrap() {
                let Some(token) = test["jws"].as_str() else { continue };
                let mut scratch = vec![0; token.len()];
                let verified = Jws::read(token.as_bytes(), &mut scratch).is_ok_and(|jws| {
                    let key = set.as_ref().and_then(|set| set.find(jws.kid(), jws.alg(), |_| true));
                    key.is_some_and(|key| jws.verify(&*key).is_ok())
                });
                // Wycheproof has two PS256 keys with tokens signed by PS384. Here a key has exactly
                // one algorithm.
                let (header, _) = token.split_once('.').unwrap_or_default();
                let header = BASE64URL.decode(header).unwrap_or_default();
                let alg = serde_json::from_slice(&header).map_or(Value::Null, |header: Value| header["alg"].clone());
                let is_served =
                    |key: &Value| key["alg"] == alg && SERVED.iter().any(|served| key["alg"] == served.name());
                let served = keys.iter().any(is_served);
                assert_eq!(verified, test["result"] == "valid" && served, "{}: {}", test["tcId"], test["comment"]);
                good += usize::from(verified);
            }
        }
        assert!(good >= 8, "{good}");
    }

    #[test]
    fn keys_for_other_uses_are_skipped_and_a_set_without_a_usable_key_is_refused() {
        let good = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": BASE64URL.encode([7; 32])});
        let other = json!({"kty": "oct", "k": "c2VjcmV0"});
        assert_eq!(set(&[other.clone(), good]).map(|set| set.keys.len()), Some(1));
        assert!(set(&[other]).is_none() && set(&[]).is_none());
    }

    #[test]
    fn key_has_the_one_algorithm_that_it_names_or_that_its_type_and_curve_imply() {
        let modulus = BASE64URL.encode([&[0xC0][..], &[0x5A; 254], &[1]].concat());
        let rsa = |alg: Value| json!({"kty": "RSA", "kid": "k", "n": modulus, "e": "AQAB", "alg": alg});
        let ec = |curve: &str, bytes: usize, alg: Value| {
            let number = BASE64URL.encode(vec![7; bytes]);
            json!({"kty": "EC", "kid": "k", "crv": curve, "x": number, "y": number, "alg": alg})
        };
        for (mut key, expected) in [
            (rsa(Value::Null), Some("RS256")),
            (rsa("RS256".into()), Some("RS256")),
            (rsa("RS384".into()), Some("RS384")),
            (rsa("RS512".into()), Some("RS512")),
            (rsa("PS256".into()), Some("PS256")),
            (rsa("PS384".into()), None),
            (rsa("PS512".into()), None),
            (rsa("RSA-OAEP-256".into()), None),
            (rsa("ES256".into()), None),
            (rsa(256.into()), None),
            (ec("P-256", 32, Value::Null), Some("ES256")),
            (ec("P-384", 48, Value::Null), Some("ES384")),
            (ec("P-384", 48, "ES384".into()), Some("ES384")),
            (ec("P-384", 48, "ES256".into()), None),
            (ec("P-256", 32, "ES384".into()), None),
            (ec("P-384", 32, Value::Null), None),
            (ec("P-521", 66, Value::Null), None),
            (ec("secp256k1", 32, Value::Null), None),
        ] {
            if key["alg"].is_null() {
                key.as_object_mut().unwrap().remove("alg");
            }
            let other = json!({"kty": "OKP", "crv": "Ed25519", "kid": "other", "x": BASE64URL.encode([7; 32])});
            let set = set(&[key.clone(), other]).unwrap();
            let found = set.keys.iter().find(|found| found.kid == "k").map(|found| found.algorithm().name());
            assert_eq!(found, expected, "{key}");
            let kid = attache_core::json::Value::parse(br#""k""#).unwrap().text().unwrap();
            assert_eq!(set.has_unserved(kid), expected.is_none(), "{key}");
        }
    }
}
