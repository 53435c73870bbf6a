//! Secrets: where they may stand, and that they are printed nowhere.

use super::fault::Fault;
use super::layers::Given;
use crate::cli::{system, text};
use core::fmt;
use std::path::Path;

/// A value that is for nobody's eyes; no log, error or listing has it.
#[derive(Clone)]
pub(in crate::cli) struct Secret<T>(pub(in crate::cli) T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Refuses a file with secrets that other users can read.
pub(in crate::cli) fn check_readers(key: &str, file: &Path) -> Result<(), Fault> {
    let path = file.display();
    match system::others_read(file) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Fault::of(format!("{key} {path} can be read by other users: chmod 600 {path}"))),
        Err(error) => Err(Fault::of(format!("{key} {path} cannot be read: {error}"))),
    }
}

/// The secret text that `file`, the value of a setting, holds.
pub(super) fn read_file(key: &str, file: &Given) -> Result<Secret<String>, Fault> {
    let path = Path::new(file.texts.first().map_or("", String::as_str));
    check_readers(key, path)?;
    let text = text::read(path);
    text.map(Secret)
        .map_err(|error| Fault::at(file.origin.clone(), format!("{key} {} cannot be read: {error}", path.display())))
}

/// The keys in a text: 64 hexadecimal digits each, with anything between them that is no such digit. The one that seals is the
/// first; there are two at the most, and at least one.
pub(super) fn keys(text: &Secret<String>) -> Option<Secret<Vec<[u8; 32]>>> {
    let words = text.0.split(|letter: char| letter.is_whitespace() || letter == ',').filter(|word| !word.is_empty());
    let keys: Vec<[u8; 32]> = words.map(bytes).collect::<Option<_>>()?;
    matches!(keys.len(), 1 | 2).then_some(Secret(keys))
}

/// 32 bytes in 64 hexadecimal digits.
pub(in crate::cli) fn bytes(word: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = word.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then_some(())?;
    bytes.try_into().ok()
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
