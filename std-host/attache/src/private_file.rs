//! Files with secrets: their permissions, and the hexadecimal digits in which they hold keys.

use super::fault::Fault;
use super::{system, text};
use core::fmt::Write as _;
use std::io;
use std::path::Path;

/// Refuses a file with secrets that another user could read or change. `key` is the setting that names the file.
///
/// # Errors
/// What is wrong with its owner or mode, and the command that mends it.
pub(super) fn check(key: &str, file: &Path) -> Result<(), Fault> {
    refuse(key, file, system::exposure)?;
    refuse(key, file, system::foreign_owner)
}

fn refuse(key: &str, file: &Path, why: fn(&Path) -> io::Result<Option<String>>) -> Result<(), Fault> {
    let path = file.display();
    match why(file) {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(Fault::of(format!("{key} {path} {why}"))),
        Err(error) => Err(Fault::of(format!("{key} {path} cannot be read: {error}"))),
    }
}

/// Reads a file with secrets.
///
/// # Errors
/// As [`check`], or if the file is not text.
pub(super) fn read(key: &str, file: &Path) -> Result<String, Fault> {
    check(key, file)?;
    read_text(key, file)
}

/// Reads a file with secrets that root keeps for a service which runs as another user.
///
/// # Errors
/// If others than its owner could read or change it, or if it is not text.
pub(super) fn read_for_owner(key: &str, file: &Path) -> Result<String, Fault> {
    refuse(key, file, system::exposure)?;
    read_text(key, file)
}

fn read_text(key: &str, file: &Path) -> Result<String, Fault> {
    text::read(file).map_err(|error| Fault::of(format!("{key} {} cannot be read: {error}", file.display())))
}

/// 32 bytes in 64 hexadecimal digits.
pub(super) fn bytes(word: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = word.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then_some(())?;
    bytes.try_into().ok()
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A `String` takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
