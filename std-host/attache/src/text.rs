//! Reads texts that people write, with the peculiarities of editors and shells of any system.

use std::io;
use std::path::Path;

/// Reads the text in a file, without the byte order mark that editors on Windows add.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    std::fs::read_to_string(path).map(without_mark)
}

/// Removes the byte order mark of a text.
pub(super) fn without_mark(mut text: String) -> String {
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    text
}
