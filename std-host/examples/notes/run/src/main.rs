//! The notes server with the flags and the configuration of `attache`.

use notes::{Notes, server, store::Store};
use std::process::{self, ExitCode};
use std::sync::{Arc, LazyLock};

fn main() -> ExitCode {
    // Commands that serve nothing do not open the database, and all endpoints share it.
    let notes = LazyLock::new(|| {
        let file = std::env::var("NOTES_DATABASE").unwrap_or_else(|_| "notes.db".to_owned());
        let store = Store::open(&file).unwrap_or_else(|error| {
            eprintln!("notes-run: {file}: {error}");
            process::exit(2)
        });
        Arc::new(Notes(store))
    });
    attache::run(|_| server(&notes))
}
