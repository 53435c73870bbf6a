//! Secret settings: where they may be written, and a wrapper that is never printed.

use super::given::Given;
use crate::fault::Fault;
use attache_host::private_file::{self, bytes};
use core::fmt;
use std::path::Path;

/// A secret value. Logs, errors and listings do not print it.
#[derive(Clone)]
pub(crate) struct Secret<T>(pub(crate) T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Reads the secret text in `file`, which is the value of a setting.
pub(super) fn read_file(key: &str, file: &Given) -> Result<Secret<String>, Fault> {
    private_file::read(key, Path::new(file.texts.first().map_or("", String::as_str))).map(Secret).map_err(Fault::from)
}

/// Parses the seal keys in a text: one or two keys of 64 hexadecimal digits, separated by commas or
/// whitespace. The first one seals.
pub(super) fn keys(text: &Secret<String>) -> Option<Secret<Vec<[u8; 32]>>> {
    let words = text.0.split(|letter: char| letter.is_whitespace() || letter == ',').filter(|word| !word.is_empty());
    let keys: Vec<[u8; 32]> = words.map(bytes).collect::<Option<_>>()?;
    matches!(keys.len(), 1 | 2).then_some(Secret(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_64_hexadecimal_digits_and_two_may_live() {
        let (one, two) = ("0f".repeat(32), "A0".repeat(32));
        let read = |text: &str| keys(&Secret(text.to_owned())).map(|keys| keys.0);
        assert_eq!(read(&format!("{one}\n")), Some(vec![[0x0f; 32]]));
        assert_eq!(read(&format!("{one}\n\n{two}\n")), Some(vec![[0x0f; 32], [0xa0; 32]]));
        assert_eq!(read(&format!("{one},{two}")), Some(vec![[0x0f; 32], [0xa0; 32]]));
        for bad in
            ["", "0f", &one[1..], &format!("{one}0"), &"zz".repeat(32), &"ä".repeat(64), &format!("{one} ").repeat(3)]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret("word")), "(hidden)");
    }
}
