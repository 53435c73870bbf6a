//! The key that signs access tokens, and its public half (RFC 7517).

use super::seals::random;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A key for ES256.
struct SigningKey {
    pair: EcdsaKeyPair,
    kid: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Debug, Serialize)]
pub(super) struct Claims<'c> {
    pub(super) iss: &'c str,
    pub(super) aud: &'c str,
    pub(super) sub: &'c str,
    pub(super) client_id: &'c str,
    pub(super) scope: &'c str,
    pub(super) iat: u64,
    pub(super) exp: u64,
    pub(super) auth_time: u64,
    /// The grant from which the token comes, by which it can be revoked.
    pub(super) sid: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'c str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) roles: &'c [String],
    /// Claims of the issuer at which the person has signed in.
    #[serde(flatten)]
    pub(super) more: &'c Map<String, Value>,
}

impl SigningKey {
    /// Reads a key in the form of PKCS #8 (RFC 5208). Returns `None` if it is not a key for ES256.
    fn read(pkcs8: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new()).ok()?;
        let kid = thumbprint(pair.public_key().as_ref());
        Some(Self { pair, kid })
    }

    /// Signs an access token.
    // RFC 9068 §2.1: `typ` is `at+jwt`, so that no other kind of token is taken for an access token.
    fn token(&self, claims: &Claims<'_>) -> String {
        let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": self.kid});
        let mut payload = json!(claims);
        payload["jti"] = URL_SAFE_NO_PAD.encode(random::<16>()).into();
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{payload}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("the system has random numbers");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn grant_of(&self, token: &str, issuer: &str) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        public.verify(signed.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let is_own = claims["iss"] == issuer;
        claims["sid"].as_str().filter(|_| is_own).map(str::to_owned)
    }

    /// The public half of the key.
    fn public(&self) -> Value {
        let mut key = jwk(self.pair.public_key().as_ref());
        for (name, value) in [("kid", self.kid.as_str()), ("use", "sig"), ("alg", "ES256")] {
            key[name] = value.into();
        }
        key
    }
}

/// The keys of a server. The first one signs. All of them are published, so that tokens under an older key stay valid, and
/// caches know a newer one before it signs.
#[derive(Debug)]
pub(super) struct SigningKeys {
    first: SigningKey,
    others: Vec<SigningKey>,
}

impl SigningKeys {
    /// Returns `None` if there is no key, or one of them is not a key for ES256.
    pub(super) fn read<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Option<Self> {
        let mut keys = keys.into_iter().map(|key| SigningKey::read(key.as_ref()));
        let first = keys.next()??;
        Some(Self { first, others: keys.collect::<Option<_>>()? })
    }

    pub(super) fn token(&self, claims: &Claims<'_>) -> String {
        self.first.token(claims)
    }

    /// Returns the `sid` of an access token of this issuer, which may have expired.
    pub(super) fn grant_of(&self, token: &str, issuer: &str) -> Option<String> {
        self.all().find_map(|key| key.grant_of(token, issuer))
    }

    /// Returns the key set that verifies the tokens.
    pub(super) fn key_set(&self) -> Value {
        json!({"keys": self.all().map(SigningKey::public).collect::<Vec<_>>()})
    }

    fn all(&self) -> impl Iterator<Item = &SigningKey> {
        core::iter::once(&self.first).chain(&self.others)
    }
}

/// Makes a new key that signs access tokens, in the form of PKCS #8 (RFC 5208).
///
/// # Panics
/// If the operating system has no random numbers: nothing secret can be made then.
#[must_use]
pub fn new_signing_key() -> Vec<u8> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    key.expect("the operating system has random numbers").as_ref().to_vec()
}

/// The required members of the public key, in the order of RFC 7638 §3.2.
fn jwk(public: &[u8]) -> Value {
    // SEC 1 §2.3.3: an uncompressed point is one byte of form and two numbers.
    let (x, y) = public.get(1..).unwrap_or_default().split_at(32);
    json!({"crv": "P-256", "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
}

// RFC 7638 §3: the digest of the required members in the order of their names, without white space.
fn thumbprint(public: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(attache_core::auth::digest(jwk(public).to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_set_has_public_members_only_and_its_id_is_the_thumbprint() {
        let key = SigningKeys::read([new_signing_key(), new_signing_key()]).expect("two keys");
        let set = key.key_set();
        let members: std::collections::BTreeSet<_> =
            set["keys"][0].as_object().expect("a key").keys().cloned().collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"].map(str::to_owned).into());
        // RFC 7638 §3.1 writes the members without spaces and in this order.
        let [x, y] = ["x", "y"].map(|name| set["keys"][0][name].as_str().expect("text").to_owned());
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        assert_eq!(set["keys"][0]["kid"], URL_SAFE_NO_PAD.encode(attache_core::auth::digest(text.as_bytes())));
    }
}
