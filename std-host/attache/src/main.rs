//! The program `attache`, with the demo tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    attache::run(attache::demo)
}
