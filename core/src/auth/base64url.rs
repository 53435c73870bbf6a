//! Base64url without padding (RFC 7515 §2), decoded into a buffer.

use crate::json::{Full, sextet};

/// Why a text was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NotDecoded {
    /// It is not canonical Base64url: another alphabet, padding, a length that no bytes have, or bits left over.
    NotCanonical,
    /// The buffer is too small.
    Full,
}

impl From<Full> for NotDecoded {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// Decodes `text` to the front of `buffer` and says how many bytes it has.
///
/// # Errors
/// [`NotDecoded`] if it is not canonical or does not fit.
pub fn decode(text: &[u8], buffer: &mut [u8]) -> Result<usize, NotDecoded> {
    let mut len = 0;
    let mut bits: u32 = 0;
    let mut count = 0;
    for &char in text {
        bits = bits << 6 | sextet(char, b"-_").ok_or(NotDecoded::NotCanonical)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            *buffer.get_mut(len).ok_or(NotDecoded::Full)? = byte;
            len += 1;
            // What has not been given out yet: two, four or no bits.
            bits &= (1 << count) - 1;
        }
    }
    // RFC 4648 §3.5: bits left over must be zero, or two tokens would mean the same bytes. Six of them are one character
    // too many.
    if count == 6 || bits != 0 { Err(NotDecoded::NotCanonical) } else { Ok(len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<([u8; 8], usize), NotDecoded> {
        let mut buffer = [0; 8];
        decode(text.as_bytes(), &mut buffer).map(|len| (buffer, len))
    }

    #[test]
    fn canonical_texts_are_the_bytes_of_rfc_4648() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg", b"f"),
            ("Zm8", b"fo"),
            ("Zm9v", b"foo"),
            ("w7vDvwN-_w", &[0xc3, 0xbb, 0xc3, 0xbf, 3, 0x7e, 0xff]),
        ] {
            let (buffer, len) = decoded(text).unwrap();
            assert_eq!(&buffer[..len], bytes, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["Z", "Zg==", "Zm8=", "Zh", "Zm9", "Zm9vZ", "Zm+v", "Zm/v", "Zm 8", "Zm8\n", "Zm\u{e9}"] {
            assert_eq!(decoded(text), Err(NotDecoded::NotCanonical), "{text}");
        }
        assert_eq!(decoded("Zm9vZm9vZm9v"), Err(NotDecoded::Full));
    }
}
