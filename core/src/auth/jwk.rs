//! Reads public keys in the format that issuers publish (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use super::base64url::decode;
use super::verify::Algorithm;
use crate::json::{Kind, Reader, Text, Value};

/// A public key that verifies signatures, read from its JWK.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Jwk<'k> {
    /// The key id; empty if absent.
    pub kid: Text<'k>,
    /// The only issuer that the key is valid for; empty if the key names none. Entra ID publishes
    /// this member; `{tenantid}` in it is a placeholder for the tenant of the token.
    pub issuer: Text<'k>,
    /// The public numbers of the key.
    pub public: Public<'k>,
}

/// The numbers of a public key, big-endian, with the one algorithm of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Public<'k> {
    /// RSA, for RS256: modulus and exponent.
    Rsa(&'k [u8], &'k [u8]),
    /// RSA, for another [`Algorithm`]: RS384, RS512 or PS256.
    OtherRsa(Algorithm, &'k [u8], &'k [u8]),
    /// A point on P-256, for ES256.
    P256(&'k [u8; 32], &'k [u8; 32]),
    /// A point on P-384, for ES384.
    P384(&'k [u8; 48], &'k [u8; 48]),
    /// A point on Ed25519, for EdDSA.
    Ed25519(&'k [u8; 32]),
}

impl Public<'_> {
    /// Returns the algorithm of the key.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(..) => Algorithm::Rs256,
            Self::OtherRsa(algorithm, ..) => *algorithm,
            Self::P256(..) => Algorithm::Es256,
            Self::P384(..) => Algorithm::Es384,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }
}

impl<'k> Jwk<'k> {
    /// Reads a key. Its numbers are written to `scratch`; a key of 4096 bits needs 515 bytes of it.
    ///
    /// Returns `None` if the key is malformed, or does not verify signatures with one of the
    /// [`Algorithm`]s. A set may contain keys for other uses, and readers ignore those (RFC 7517
    /// §5).
    pub fn read(value: &Value<'k>, scratch: &'k mut [u8]) -> Option<Self> {
        let text = |name| value.member(name).and_then(|member| member.text());
        let allows = |name, wanted: &str| match value.member(name) {
            None => true,
            Some(member) => member.text().is_some_and(|text| text.is(wanted)),
        };
        // RFC 7517 §4.2, §4.3: a key is used only for the operations that it lists.
        let operations = value.member("key_ops").is_none_or(|operations| has(operations, "verify"));
        if !operations || !allows("use", "sig") {
            return None;
        }
        let mut rest = scratch;
        let mut number = |name| {
            let len = decode(text(name)?.plain()?.as_bytes(), rest).ok()?;
            let (number, behind) = core::mem::take(&mut rest).split_at_mut_checked(len)?;
            rest = behind;
            Some(&*number)
        };
        let kty = text("kty")?;
        let public = if kty.is("RSA") {
            // RFC 8725 §3.2: each key has one algorithm. An RSA key without `alg` is for RS256.
            let says = |algorithm: &Algorithm| text("alg").is_some_and(|alg| alg.is(algorithm.name()));
            match [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256].into_iter().find(says) {
                Some(algorithm) => Public::OtherRsa(algorithm, number("n")?, number("e")?),
                None => Public::Rsa(number("n")?, number("e")?),
            }
        } else if kty.is("EC") && allows("crv", "P-256") {
            Public::P256(number("x")?.try_into().ok()?, number("y")?.try_into().ok()?)
        } else if kty.is("EC") && allows("crv", "P-384") {
            Public::P384(number("x")?.try_into().ok()?, number("y")?.try_into().ok()?)
        } else if kty.is("OKP") && allows("crv", "Ed25519") {
            Public::Ed25519(number("x")?.try_into().ok()?)
        } else {
            return None;
        };
        let optional = |name| value.member(name).map_or(Some(Text::default()), |member| member.text());
        let (kid, issuer) = (optional("kid")?, optional("issuer")?);
        allows("alg", public.algorithm().name()).then_some(Self { kid, issuer, public })
    }
}

/// Returns the keys of a published key set (RFC 7517 §5); `None` if `json` is not a key set.
pub fn jwk_set(json: &[u8]) -> Option<impl Iterator<Item = Value<'_>>> {
    let whole = Reader::behind_mark(json).and_then(|mut reader| reader.skip()).ok()?.of(json);
    let list = whole.member("keys").filter(|keys| keys.kind() == Kind::Array)?;
    let mut entries = list.reader();
    matches!(entries.enter_array(), Ok(Some(_))).then_some(())?;
    Some(core::iter::from_fn(move || match entries.element() {
        Ok(true) => entries.skip().ok().map(|item| item.of(list.raw())),
        _ => None,
    }))
}

fn has(list: Value<'_>, wanted: &str) -> bool {
    let mut reader = list.reader();
    if !matches!(reader.enter_array(), Ok(Some(_))) {
        return false;
    }
    while let Ok(true) = reader.element() {
        match reader.skip() {
            Ok(item)
                if item.kind() == Kind::String && item.of(list.raw()).text().is_some_and(|text| text.is(wanted)) =>
            {
                return true;
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}
