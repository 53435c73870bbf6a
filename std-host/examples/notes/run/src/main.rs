//! The notes server with the flags, configuration, TLS, keys, metrics and stop of `attache serve`.

use notes::store::Store;
use notes::{Notes, server};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let path = std::env::var("NOTES_DATABASE").unwrap_or_else(|_| "notes.db".to_owned());
    match Store::open(&path) {
        Ok(store) => {
            let notes = Arc::new(Notes(store));
            attache::run(move |_| server(&notes))
        }
        Err(error) => {
            eprintln!("cannot open {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
