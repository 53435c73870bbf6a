//! Output for people and scripts. A reader may close its end at any time, which is never a panic.

use super::problem::Problem;
use std::io::{self, Write};

/// Prints what a command was asked for.
///
/// # Errors
/// [`Problem::Unread`] if the reader has gone, or what else keeps it from being written.
pub(super) fn print(text: &str) -> Result<(), Problem> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Problem::Unread,
        _ => Problem::Stdio(error),
    })
}

/// Prints a line for the operator who starts a server. The server runs on without a reader.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints a warning or an error, a line each, with the name of the program in front.
pub(super) fn complain(text: &str) {
    let mut errors = io::stderr().lock();
    for line in text.lines() {
        let _ = writeln!(errors, "attache: {line}");
    }
}
