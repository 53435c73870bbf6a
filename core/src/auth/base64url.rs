//! Base64url without padding (RFC 7515 §2), decoded into a buffer.

use crate::json::{Full, sextet};

/// The reasons why a text was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NotDecoded {
    /// The text is not canonical Base64url: it uses another alphabet, has padding, has a length
    /// that no byte sequence encodes to, or has non-zero bits left over.
    NotCanonical,
    /// The buffer is too small.
    Full,
}

impl From<Full> for NotDecoded {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// Decodes `text` into the front of `buffer` and returns the number of bytes.
///
/// # Errors
/// [`NotDecoded`] if the text is not canonical or does not fit.
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
            // The bits that are not written yet: two, four or none.
            bits &= (1 << count) - 1;
        }
    }
    // RFC 4648 §3.5: the bits left over must be zero, otherwise two different tokens would mean the
    // same bytes. Six bits left over mean that there is one character too many.
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
