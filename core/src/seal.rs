//! Sealed values: small values that leave the server, come back, and are accepted only if no one
//! else made or changed them (feature `seal`). Used for the state of a call that waits for its
//! client (MCP 2026-07-28 basic/patterns/mrtr), and for session ids.
//!
//! A sealed value is Base64 of: one byte of format (1), the expiry time in seconds since 1970
//! (eight bytes, big-endian), the value, and 32 bytes of HMAC-SHA256. The MAC also covers the
//! binding, each part of it preceded by its length. The value is authenticated, not encrypted.

use crate::json::{Full, Sink, Slice, Text, decode_base64, encode_base64};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The sealing key of a server. It has no `Debug` implementation, so that it cannot reach a log.
///
/// The part of the MAC that depends on the key alone is computed once: it is half of the work for a
/// short value.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Creates a key from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        // HMAC pads a 32-byte key to a block of 64 bytes. Passing the block avoids a check of the
        // length.
        let mut block = [0; 64];
        for (slot, byte) in block.iter_mut().zip(bytes) {
            *slot = byte;
        }
        Self(<Hmac<Sha256> as hmac::digest::KeyInit>::new(&block.into()))
    }

    /// Seals `value` until `expires` (inclusive), bound to `to`. `scratch` must have at least 41
    /// bytes more than the value.
    ///
    /// # Errors
    /// [`Full`] if `scratch` or `out` is too small.
    pub fn seal(
        &self,
        to: &[&[u8]],
        expires: u64,
        value: &[u8],
        scratch: &mut [u8],
        out: &mut dyn Sink,
    ) -> Result<(), Full> {
        let mut sealed = Slice::new(scratch);
        sealed.put(&[FORMAT])?;
        sealed.put(&expires.to_be_bytes())?;
        sealed.put(value)?;
        let mac = self.mac(to, sealed.written()).finalize().into_bytes();
        sealed.put(&mac)?;
        encode_base64(sealed.written(), out)
    }

    /// Opens a value that was sealed with the same key and binding and has not expired at `now`,
    /// and writes it to the front of `scratch`.
    ///
    /// Returns `None` for every fault, and if `scratch` is too small.
    pub fn open<'s>(&self, to: &[&[u8]], now: u64, sealed: Text<'_>, scratch: &'s mut [u8]) -> Option<&'s [u8]> {
        self.open_until(to, now, sealed.plain()?.as_bytes(), scratch).map(|(_, value)| value)
    }

    /// Like [`open`](Key::open), for bytes that are not a JSON string; also returns the expiry time
    /// of the value.
    pub fn open_until<'s>(
        &self,
        to: &[&[u8]],
        now: u64,
        sealed: &[u8],
        scratch: &'s mut [u8],
    ) -> Option<(u64, &'s [u8])> {
        let len = decode_base64(sealed, scratch)?;
        let (front, mac) = scratch.get(..len)?.split_at_checked(len.checked_sub(32)?)?;
        // The library compares in constant time.
        self.mac(to, front).verify_slice(mac).ok()?;
        let (format, rest) = front.split_first()?;
        let (expires, value) = rest.split_first_chunk()?;
        let expires = u64::from_be_bytes(*expires);
        (*format == FORMAT && now <= expires).then_some((expires, value))
    }

    fn mac(&self, to: &[&[u8]], front: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in to {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.update(front);
        mac
    }
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Value;

    #[test]
    fn sealed_value_opens_with_the_same_key_binding_and_time_alone() {
        let key = Key::new([7; 32]);
        let bound: [&[u8]; 2] = [b"tool", b"{}"];
        let mut buffer = [b'"'; 128];
        let mut scratch = [0; 64];
        let mut out = Slice::new(&mut buffer[1..]);
        key.seal(&bound, 1000, b"value", &mut scratch, &mut out).unwrap();
        let len = out.len();
        let open = |key: &Key, to: &[&[u8]], now, text: &[u8]| {
            let quoted = Value::parse(text).unwrap();
            let mut scratch = [0; 64];
            key.open(to, now, quoted.text().unwrap(), &mut scratch).map(|value| value == b"value")
        };
        let sealed = &buffer[..len + 2];
        assert_eq!(open(&key, &bound, 1000, sealed), Some(true));
        assert_eq!(open(&key, &bound, 1001, sealed), None, "void");
        assert_eq!(open(&Key::new([8; 32]), &bound, 0, sealed), None, "another key");
        assert_eq!(open(&key, &[b"too", b"l{}"], 0, sealed), None, "another binding");
        for at in 1..=len {
            let mut changed = buffer;
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(open(&key, &bound, 0, &changed[..len + 2]), None, "byte {at} changed");
        }
        assert_eq!(open(&key, &bound, 0, b"\"\""), None);
    }
}
