//! Texts of clients in error messages: they are truncated, so that an error is not as long as the
//! request.

use crate::limits;
use core::fmt::{self, Write};

/// Returns the beginning of a caller's text, as much as is quoted to the model.
pub(super) fn echoed(text: impl Iterator<Item = char>) -> String {
    let mut short = Shortened { text: String::new(), room: limits::ECHOED };
    for char in text {
        if short.write_char(char).is_err() {
            break;
        }
    }
    short.text
}

/// A text that is cut at a maximum length, and then ends with an ellipsis.
pub(super) struct Shortened {
    pub(super) text: String,
    /// The number of characters that still fit.
    pub(super) room: usize,
}

impl fmt::Write for Shortened {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match self.room.checked_sub(1) {
                Some(room) => self.room = room,
                None => {
                    self.text.push('…');
                    return Err(fmt::Error);
                }
            }
            self.text.push(char);
        }
        Ok(())
    }
}
