//! Public keys as issuers publish them (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use super::base64url::decode;
use super::verify::Algorithm;
use crate::json::{Kind, Reader, Text, Value};

/// A key that checks signatures, taken out of its JSON.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Jwk<'k> {
    /// Its name; empty if it has none.
    pub kid: Text<'k>,
    /// The issuer for whose tokens alone the key counts; empty if it names none. Entra ID has this member;
    /// `{tenantid}` in it stands for the tenant of the token.
    pub issuer: Text<'k>,
    /// What it is.
    pub public: Public<'k>,
}

/// The numbers of a public key, big-endian, with the one algorithm that the key is for.
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
    /// The algorithm it is for.
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
    /// Reads a key; its numbers go to `scratch`, of which a key of 4096 bits needs 515 bytes.
    ///
    /// `None` for a key that is malformed, or is not for verifying signatures by one of the [`Algorithm`]s. Sets hold
    /// keys for other uses too, and readers ignore those (RFC 7517 §5).
    pub fn read(value: &Value<'k>, scratch: &'k mut [u8]) -> Option<Self> {
        let text = |name| value.member(name).and_then(|member| member.text());
        let allows = |name, wanted: &str| match value.member(name) {
            None => true,
            Some(member) => member.text().is_some_and(|text| text.is(wanted)),
        };
        // RFC 7517 §4.2, §4.3: what a key is not meant for, it does not do.
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
            // RFC 8725 §3.2: one key, one algorithm. A key that does not say which is for RS256.
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

/// The keys of a set as issuers publish it (RFC 7517 §5); `None` if `json` is no such set.
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
