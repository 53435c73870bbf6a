//! The `Authorization` header (RFC 6750 §2.1).

use super::Denied;
use core::fmt;

/// A token from a request, not yet checked. Its `Debug` output does not contain the token.
#[derive(Clone, Copy)]
pub struct Bearer<'h>(&'h [u8]);

impl<'h> Bearer<'h> {
    /// Reads the value of an `Authorization` header. Returns `None` if the scheme is not `Bearer`,
    /// or if no token follows: the caller then has sent no credentials (RFC 6750 §3.1).
    ///
    /// # Errors
    /// [`Denied::Malformed`] if the scheme is `Bearer` and something other than one token follows.
    pub fn parse(value: &'h [u8]) -> Result<Option<Self>, Denied<'static>> {
        let Some((scheme, rest)) = value.split_at_checked(SCHEME.len()) else {
            return Ok(None);
        };
        // RFC 9110 §11.1: scheme names are case-insensitive.
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Ok(None);
        }
        match rest {
            [b' ', ..] => match rest.trim_ascii_start() {
                [] => Ok(None),
                token if is_token(token) => Ok(Some(Self(token))),
                _ => Err(Denied::Malformed),
            },
            _ => Ok(None),
        }
    }

    /// Returns the token as the caller sent it. Never log it.
    pub const fn as_bytes(&self) -> &'h [u8] {
        self.0
    }
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(..)")
    }
}

const SCHEME: &[u8] = b"Bearer";

// RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
fn is_token(text: &[u8]) -> bool {
    let mut front = text;
    while let [rest @ .., b'='] = front {
        front = rest;
    }
    // Reads all bytes even after a mismatch, so that the processor can test many bytes at once.
    !front.is_empty() && front.iter().fold(true, |all, &byte| all & is_allowed(byte))
}

/// Whether a byte is allowed in a token. This runs for every byte of every request's token.
const fn is_allowed(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    letter | digit | (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~') | (byte == b'+') | (byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 6750 §2.1: b64token
    #[test]
    fn bytes_of_a_token_are_those_of_its_rule() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_allowed(byte), byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte), "{byte}");
        }
    }

    #[test]
    fn header_is_a_token_another_scheme_or_malformed() {
        for (value, expected) in [
            ("Bearer a.b.c", Ok(Some("a.b.c"))),
            ("bEARER   a.b-_~+/c==", Ok(Some("a.b-_~+/c=="))),
            ("Basic YTpi", Ok(None)),
            ("", Ok(None)),
            ("Bear", Ok(None)),
            ("BearerToken", Ok(None)),
            ("Bearer", Ok(None)),
            ("Bearer   ", Ok(None)),
            ("Bearer =", Err(Denied::Malformed)),
            ("Bearer a b", Err(Denied::Malformed)),
            ("Bearer a,b", Err(Denied::Malformed)),
            ("Bearer \"a\"", Err(Denied::Malformed)),
            ("Bearer a=b", Err(Denied::Malformed)),
            ("Bearer a\u{e9}", Err(Denied::Malformed)),
        ] {
            let parsed = Bearer::parse(value.as_bytes()).map(|token| token.map(|token| token.as_bytes()));
            assert_eq!(parsed, expected.map(|token| token.map(str::as_bytes)), "{value}");
        }
    }
}
