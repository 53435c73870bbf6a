//! Base64 (RFC 4648 §4) without a buffer: decodes byte by byte for comparison, encodes into a sink.

use super::{Full, Sink};

/// Iterator over the decoded bytes of a Base64 text. The whole text is checked before the first
/// byte is returned.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Base64<'a> {
    groups: core::slice::Iter<'a, [u8; 4]>,
    ready: [u8; 3],
    at: usize,
    len: usize,
}

impl<'a> Base64<'a> {
    /// Returns `None` unless `text` consists of whole groups of the standard alphabet, with padding
    /// and without leftover bits.
    pub fn decode(text: &'a [u8]) -> Option<Self> {
        let (groups, []) = text.as_chunks::<4>() else {
            return None;
        };
        let good = match groups.split_last() {
            Some((last, front)) => {
                front.iter().all(|group| matches!(triple(group), Some((_, 3)))) && triple(last).is_some()
            }
            None => true,
        };
        good.then(|| Self { groups: groups.iter(), ready: [0; 3], at: 0, len: 0 })
    }
}

impl Iterator for Base64<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.at == self.len {
            (self.ready, self.len) = triple(self.groups.next()?)?;
            self.at = 0;
        }
        let byte = self.ready.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }
}

/// Decodes `text` to the front of `buffer` in one pass and returns the number of decoded bytes.
///
/// Returns `None` where [`Base64::decode`] does, and if `buffer` is too small.
#[cfg(feature = "seal")]
pub(crate) fn decode_base64(text: &[u8], buffer: &mut [u8]) -> Option<usize> {
    let room = buffer.len();
    let (groups, []) = text.as_chunks::<4>() else {
        return None;
    };
    let Some((last, front)) = groups.split_last() else {
        return Some(0);
    };
    let mut rest = buffer;
    for group in front {
        let (place, behind) = rest.split_first_chunk_mut::<3>()?;
        let [_, bytes @ ..] = bits(group)?.to_be_bytes();
        *place = bytes;
        rest = behind;
    }
    let (bytes, len) = triple(last)?;
    rest.get_mut(..len)?.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    Some(room - rest.len() + len)
}

/// Decodes four characters to three bytes; also returns how many of the bytes count.
fn triple(group: &[u8; 4]) -> Option<([u8; 3], usize)> {
    let [a, b, c, d] = *group;
    let (len, c, d) = match (c, d) {
        (b'=', b'=') => (1, b'A', b'A'),
        (c, b'=') => (2, c, b'A'),
        (c, d) => (3, c, d),
    };
    let [_, x, y, z] = bits(&[a, b, c, d])?.to_be_bytes();
    // RFC 4648 §3.5: padding bits must be zero; otherwise two texts would decode to the same bytes.
    let canonical = match len {
        1 => y == 0 && z == 0,
        2 => z == 0,
        _ => true,
    };
    canonical.then_some(([x, y, z], len))
}

/// Returns the 24 bits of four characters that contain no padding.
fn bits(group: &[u8; 4]) -> Option<u32> {
    let [a, b, c, d] = group.map(|char| sextet(char, b"+/"));
    Some(a? << 18 | b? << 12 | c? << 6 | d?)
}

/// Returns the six bits that a character encodes. `last` holds the last two characters of the
/// alphabet (RFC 4648 §4 or §5).
pub(crate) const fn sextet(char: u8, last: &[u8; 2]) -> Option<u32> {
    let value = match char {
        b'a'..=b'z' => char - b'a' + 26,
        b'A'..=b'Z' => char - b'A',
        b'0'..=b'9' => char - b'0' + 52,
        _ if char == last[0] => 62,
        _ if char == last[1] => 63,
        _ => return None,
    };
    Some(value as u32)
}

/// Appends `bytes` to `out` as padded Base64.
///
/// # Errors
/// [`Full`] if `out` is too small; a part may have been written then.
pub fn encode_base64(bytes: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
    let (groups, rest) = bytes.as_chunks::<3>();
    for &[a, b, c] in groups {
        out.put(&quad(a, b, c))?;
    }
    match *rest {
        [a] => {
            let [w, x, ..] = quad(a, 0, 0);
            out.put(&[w, x, b'=', b'='])
        }
        [a, b] => {
            let [w, x, y, _] = quad(a, b, 0);
            out.put(&[w, x, y, b'='])
        }
        _ => Ok(()),
    }
}

fn quad(a: u8, b: u8, c: u8) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [bits >> 18, bits >> 12, bits >> 6, bits].map(|sextet| match (sextet & 0x3F) as u8 {
        value @ 0..26 => b'A' + value,
        value @ 26..52 => b'a' + (value - 26),
        value @ 52..62 => b'0' + (value - 52),
        62 => b'+',
        _ => b'/',
    })
}

#[cfg(test)]
mod tests {
    use super::super::Slice;
    use super::*;

    #[test]
    fn bytes_encoded_are_the_texts_of_rfc_4648_and_decode_to_themselves() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{fb}\u{ff}\u{3}~", "w7vDvwN+"),
        ] {
            let mut buffer = [0; 16];
            let mut out = Slice::new(&mut buffer);
            encode_base64(bytes.as_bytes(), &mut out).unwrap();
            assert_eq!(out.written(), text.as_bytes());
            assert!(Base64::decode(text.as_bytes()).unwrap().eq(bytes.bytes()));
            #[cfg(feature = "seal")]
            for room in 0..8 {
                let mut decoded = [0; 8];
                let len = decode_base64(text.as_bytes(), &mut decoded[..room]);
                assert_eq!(len, (room >= bytes.len()).then_some(bytes.len()), "{text}");
                assert!(len.is_none_or(|len| decoded[..len] == *bytes.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn texts_that_are_not_canonical_base64_are_refused() {
        for text in ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 8=", "Zm8\n", "Zm_8"] {
            assert!(Base64::decode(text.as_bytes()).is_none(), "{text}");
            #[cfg(feature = "seal")]
            assert_eq!(decode_base64(text.as_bytes(), &mut [0; 16]), None, "{text}");
        }
    }
}
