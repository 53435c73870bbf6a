//! Failures of the client commands and their exit codes.

use super::print::clean;
use attache_host::client::{Error, OAuthError};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command line is wrong.
    Usage(String),
    Client(Error),
    /// The tool returned an error, which has been printed.
    Tool,
    /// The user pressed Ctrl-C.
    Interrupted,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

/// Prints why a command failed, and returns the exit status.
pub(super) fn report(failure: Failure) -> ExitCode {
    match failure {
        Failure::Usage(why) => {
            eprintln!("attache: {why}");
            ExitCode::from(2)
        }
        Failure::Client(error) => {
            eprintln!("attache: {}", clean(&error.to_string()));
            if let Some(hint) = hint(&error) {
                eprintln!("{hint}");
            }
            ExitCode::FAILURE
        }
        Failure::Tool => ExitCode::from(3),
        // The exit status that shells report for a program that SIGINT has ended.
        Failure::Interrupted => ExitCode::from(130),
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unauthorized(_) => {
            Some("Sign in with --sign-in, or give a token with --token-file, or a key with --key.")
        }
        Error::Forbidden(Some(challenge)) if challenge.contains("insufficient_scope") => {
            Some("Sign in again with --sign-in to allow the scopes that the server asks for.")
        }
        Error::OAuth(OAuthError::NoRegistration(_)) => {
            Some("Give the id of a client that is registered there with --client-id.")
        }
        Error::PlainHttp => Some("To allow it in your own network, add --plain-http."),
        _ => None,
    }
}
