//! Comparison of resource URIs after RFC 3986 §6.2.2.1: the hex digits of a percent-escape are
//! case-insensitive.

use crate::json::Text;

/// Returns whether `uri` is equal to `known`.
pub fn same_uri(known: &str, uri: Text<'_>) -> bool {
    let (mut chars, mut pair) = (uri.chars(), Pair::new());
    uri.is(known)
        || known.chars().all(|known| chars.next().is_some_and(|char| pair.same(known, char))) && chars.next().is_none()
}

/// Compares two URIs character by character. The characters before are equal, so an escape sequence
/// begins and ends at the same position in both.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// The number of digits of an escape that still follow.
    digits: u8,
}

impl Pair {
    pub(super) const fn new() -> Self {
        Self { digits: 0 }
    }

    /// Returns whether the next characters are equal.
    pub(super) fn same(&mut self, known: char, char: char) -> bool {
        let is_digit = self.digits > 0 && known.is_ascii_hexdigit();
        self.digits = match known {
            '%' => 2,
            _ if is_digit => self.digits.saturating_sub(1),
            _ => 0,
        };
        known == char || is_digit && known.eq_ignore_ascii_case(&char)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Value;

    #[test]
    fn uris_are_the_same_whatever_the_case_of_the_digits_in_their_escapes() {
        for (known, uri, same) in [
            ("at://a%2Fb", r#""at://a%2fb""#, true),
            ("at://a%c3%a9", r#""at://a%C3%A9""#, true),
            ("at://a%2Fb", r#""at://a\u00252fb""#, true),
            ("at://a%2Fb", r#""at://A%2Fb""#, false),
            ("at://a%2Fb", r#""at://a%2FB""#, false),
            ("at://%%AF", r#""at://%%af""#, true),
            ("at://%GA", r#""at://%Ga""#, false),
            ("at://aF", r#""at://af""#, false),
            ("at://a%2", r#""at://a%2F""#, false),
            ("at://a%2F", r#""at://a%2""#, false),
        ] {
            let uri = Value::parse(uri.as_bytes()).unwrap().text().unwrap();
            assert_eq!(same_uri(known, uri), same, "{known} {uri:?}");
        }
    }
}
