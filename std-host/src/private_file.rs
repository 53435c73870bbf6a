//! Files with secrets: checks of their permissions, and the hexadecimal form of keys.

use crate::system;
use attache_core::json::without_mark;
use core::fmt::{self, Write as _};
use std::path::Path;
use std::{fs, io};

/// Why a file cannot be used: one line for each cause, which says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFile(Vec<String>);

impl InvalidFile {
    /// One cause.
    #[must_use]
    pub fn new(cause: String) -> Self {
        Self(vec![cause])
    }

    /// Returns the causes.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for InvalidFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl core::error::Error for InvalidFile {}

impl FromIterator<String> for InvalidFile {
    fn from_iter<I: IntoIterator<Item = String>>(causes: I) -> Self {
        Self(causes.into_iter().collect())
    }
}

/// Refuses a file with secrets that another user could read or change. `key` says in errors what the file is.
///
/// # Errors
/// Returns the fault of its owner or mode, and the command that mends it.
pub fn check(key: &str, file: &Path) -> Result<(), InvalidFile> {
    refuse(key, file, system::exposure)?;
    refuse(key, file, system::foreign_owner)
}

fn refuse(key: &str, file: &Path, why: fn(&Path) -> io::Result<Option<String>>) -> Result<(), InvalidFile> {
    let path = file.display();
    match why(file) {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(InvalidFile::new(format!("{key} {path} {why}"))),
        Err(error) => Err(InvalidFile::new(format!("{key} {path} cannot be read: {error}"))),
    }
}

/// Reads a file with secrets.
///
/// # Errors
/// As [`check`], or if the file is not text.
pub fn read(key: &str, file: &Path) -> Result<String, InvalidFile> {
    check(key, file)?;
    read_text(key, file)
}

/// Reads a file with secrets that root keeps for a service which runs as another user.
///
/// # Errors
/// If a user other than its owner could read or change it, or if it is not text.
pub fn read_for_owner(key: &str, file: &Path) -> Result<String, InvalidFile> {
    refuse(key, file, system::exposure)?;
    read_text(key, file)
}

fn read_text(key: &str, file: &Path) -> Result<String, InvalidFile> {
    let text = fs::read(file).and_then(|bytes| {
        String::from_utf8(without_mark(&bytes).to_vec())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    text.map_err(|error| InvalidFile::new(format!("{key} {} cannot be read: {error}", file.display())))
}

/// Makes a new file that only its owner may read.
///
/// # Errors
/// If there is one already, or it cannot be written.
pub fn create(file: &Path) -> io::Result<fs::File> {
    system::create_private(file)
}

/// Returns the 32 bytes of 64 hexadecimal digits.
#[must_use]
pub fn bytes(word: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = word.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then_some(())?;
    bytes.try_into().ok()
}

/// Writes bytes in hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
