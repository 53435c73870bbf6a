//! What is wrong with the configuration: where it stands, and what to do.

use core::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Origin {
    Flag(String),
    Variable(String),
    File(PathBuf, usize),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

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
