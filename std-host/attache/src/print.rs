//! Output for people and scripts. A closed pipe never causes a panic.

use super::problem::Problem;
use std::io::{self, Write};

/// Prints the output of a command.
///
/// # Errors
/// [`Problem::Unread`] if the reader has closed the pipe, or the error of the write.
pub(super) fn print(text: &str) -> Result<(), Problem> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Problem::Unread,
        _ => Problem::Stdio(error),
    })
}

/// Prints a line for the operator who starts a server. The server keeps running if the pipe is
/// closed.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints a warning or an error on standard error. Each line begins with the name of the program.
pub(super) fn complain(text: &str) {
    let mut errors = io::stderr().lock();
    for line in text.lines() {
        let _ = writeln!(errors, "attache: {line}");
    }
}
