//! Texts that people write, as editors and shells of any system leave them.

use std::io;
use std::path::Path;

/// The text in a file, without the byte order mark that editors of Windows put before it.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    std::fs::read_to_string(path).map(without_mark)
}

/// A text without its byte order mark.
pub(super) fn without_mark(mut text: String) -> String {
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    text
}
