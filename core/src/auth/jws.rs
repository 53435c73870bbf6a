//! The compact form of a signed token (RFC 7515 §7.1): three parts of Base64url, separated by dots.

use super::base64url::{NotDecoded, decode};
use super::denied::{Denied, Fault};
use super::verify::Verify;
use crate::json::{Fields, Item, Reader, Text, Value};

/// The parts of a token. The signature is not verified yet, so nothing in the token is trusted.
#[derive(Clone, Copy)]
pub struct Jws<'t> {
    /// The signed bytes: the first two parts of the token as sent, with the dot.
    signed: &'t [u8],
    header: Header<'t>,
    /// The claims.
    payload: &'t [u8],
    signature: &'t [u8],
}

/// The members of the header that later steps need.
#[derive(Clone, Copy)]
struct Header<'t> {
    alg: Text<'t>,
    kid: Text<'t>,
    /// Whether `typ` declares an access token (RFC 9068 §2.1).
    is_access_token: bool,
}

impl<'t> Jws<'t> {
    /// Splits `token`. The decoded parts are written to `scratch`, which needs three quarters of
    /// the token's length.
    ///
    /// # Errors
    /// The fault of the token's form or of its header.
    pub fn read(token: &'t [u8], scratch: &'t mut [u8]) -> Result<Self, Denied<'t>> {
        let mut parts = token.split(|&byte| byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Denied::NotCompact);
        };
        // The first two parts and the dot between them.
        let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let (header, scratch) = part(header, scratch)?;
        let (payload, scratch) = part(payload, scratch)?;
        let (signature, _) = part(signature, scratch)?;
        Ok(Self { signed, header: Header::read(header)?, payload, signature })
    }

    /// Returns the `kid` of the token, which is the name of a key; empty if absent.
    pub const fn kid(&self) -> Text<'t> {
        self.header.kid
    }

    /// Returns the `alg` of the token. It helps to choose among keys without names and decides
    /// nothing else.
    pub const fn alg(&self) -> Text<'t> {
        self.header.alg
    }

    /// Returns whether `typ` declares an access token (RFC 9068 §2.1).
    pub(super) const fn is_access_token(&self) -> bool {
        self.header.is_access_token
    }

    /// Returns the length of the signature in bytes.
    pub(super) const fn signature_len(&self) -> usize {
        self.signature.len()
    }

    /// Returns the claims if the signature is valid.
    ///
    /// # Errors
    /// [`Denied::Algorithm`] or [`Denied::Signature`].
    pub fn verify(&self, key: &(impl Verify + ?Sized)) -> Result<&'t [u8], Denied<'t>> {
        // RFC 8725 §3.1: the key determines the algorithm, and `alg` has to match it.
        if !self.header.alg.is(key.algorithm().name()) {
            return Err(Denied::Algorithm { key: key.algorithm(), came: self.header.alg.raw() });
        }
        key.verify(self.signed, self.signature).map_err(|_| Denied::Signature)?;
        Ok(self.payload)
    }

    /// Returns the claims without verification of the signature.
    pub(super) const fn unverified(&self) -> &'t [u8] {
        self.payload
    }
}

fn part<'s>(text: &[u8], scratch: &'s mut [u8]) -> Result<(&'s [u8], &'s mut [u8]), Denied<'static>> {
    let len = decode(text, scratch).map_err(|error| match error {
        NotDecoded::NotCanonical => Denied::NotBase64url,
        NotDecoded::Full => Denied::TooLong,
    })?;
    let (part, rest) = scratch.split_at_mut_checked(len).ok_or(Denied::TooLong)?;
    Ok((part, rest))
}

impl core::fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Jws").finish_non_exhaustive()
    }
}

/// The members of a header that are read. Members that contain or locate a key (`jku`, `jwk`,
/// `x5u`, `x5c`) are ignored: a token must not choose the key that verifies it (RFC 8725 §3.10).
const MEMBERS: [&str; 8] = ["alg", "kid", "typ", "crit", "b64", "zip", "nonce", "cty"];

impl<'t> Header<'t> {
    fn read(text: &'t [u8]) -> Result<Self, Denied<'t>> {
        let fields = object(text, &MEMBERS)?;
        let member = |index: usize| match fields.get(index) {
            Ok(member) => Ok(member.map(|item: Item| item.of(text))),
            Err(_) => Err(Denied::Header(MEMBERS.get(index).copied().unwrap_or_default(), Fault::Repeated)),
        };
        let string = |value: Value<'t>, name| value.text().ok_or(Denied::Header(name, Fault::Type));
        let [alg, kid, typ] = [member(0)?, member(1)?, member(2)?];
        // RFC 7515 §4.1.11: extensions that the recipient does not understand MUST be refused; this
        // server understands none. Members of RFC 7797 and RFC 7516 change the signed bytes,
        // critical or not. RFC 7519 §5.2: `cty` declares a nested token.
        for (index, name) in MEMBERS.into_iter().enumerate().skip(3) {
            if member(index)?.is_some() {
                return Err(Denied::Extension(name));
            }
        }
        let mut is_access_token = false;
        if let Some(typ) = typ {
            // RFC 7515 §4.1.9: `application/` may be left out; media types are case-insensitive.
            let name = string(typ, "typ")?;
            let name = name.plain().unwrap_or_default().as_bytes();
            let name = match name.split_at_checked(12) {
                Some((prefix, rest)) if prefix.eq_ignore_ascii_case(b"application/") => rest,
                _ => name,
            };
            is_access_token = name.eq_ignore_ascii_case(b"at+jwt");
            if !(is_access_token || name.eq_ignore_ascii_case(b"jwt")) {
                return Err(Denied::Type(typ.raw()));
            }
        }
        let alg = string(alg.ok_or(Denied::Header("alg", Fault::Missing))?, "alg")?;
        let kid = kid.map_or(Ok(Text::default()), |kid| string(kid, "kid"))?;
        Ok(Self { alg, kid, is_access_token })
    }
}

/// Returns the members, by their number in `names`, of a text that is exactly one JSON object.
pub(super) fn object<const N: usize>(text: &[u8], names: &[&str; N]) -> Result<Fields<N>, Denied<'static>> {
    let read = || {
        let mut fields = Fields::new();
        let mut reader = Reader::new(text).ok()?;
        fields.read(&mut reader, names, |_, _| Ok(None)).ok()??;
        reader.end().ok()?;
        Some(fields)
    };
    read().ok_or(Denied::NotAnObject)
}
