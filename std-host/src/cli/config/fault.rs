//! What is wrong with the configuration: where it stands, and what to do.

use super::layers::Origin;
use core::fmt;

/// Stops the start.
#[derive(Debug)]
pub(in crate::cli) struct Fault {
    origin: Option<Origin>,
    what: String,
}

impl Fault {
    pub(in crate::cli) const fn at(origin: Origin, what: String) -> Self {
        Self { origin: Some(origin), what }
    }

    /// What stands at no one place.
    pub(in crate::cli) const fn of(what: String) -> Self {
        Self { origin: None, what }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl core::error::Error for Fault {}
