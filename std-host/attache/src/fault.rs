//! Faults of the configuration: where each was written, what is wrong, and what to write instead.

use core::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
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

/// Why the program does not start: one cause or several.
#[derive(Debug)]
pub(super) struct Fault(Vec<Cause>);

#[derive(Debug, PartialEq, Eq)]
struct Cause {
    origin: Option<Origin>,
    what: String,
}

impl Fault {
    pub(super) fn at(origin: Origin, what: String) -> Self {
        Self(vec![Cause { origin: Some(origin), what }])
    }

    /// Several faults, at least one, that have no single place.
    pub(super) fn all(whats: impl Iterator<Item = String>) -> Self {
        Self(whats.map(|what| Cause { origin: None, what }).collect())
    }

    /// A fault that has no single place.
    pub(super) fn of(what: String) -> Self {
        Self(vec![Cause { origin: None, what }])
    }
}

impl fmt::Display for Fault {
    /// One line for each cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Cause { origin, what }) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            if let Some(origin) = origin {
                write!(f, "{origin}: ")?;
            }
            f.write_str(what)?;
        }
        Ok(())
    }
}

impl core::error::Error for Fault {}

/// Collects faults, so that an operator reads all of them at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Cause>);

impl Faults {
    /// The value, or the default of its type where there is a fault.
    pub(super) fn or_default<T: Default>(&mut self, result: Result<T, Fault>) -> T {
        result.unwrap_or_else(|fault| {
            self.add(fault);
            T::default()
        })
    }

    /// Adds the causes of a fault; those that are there already are not repeated.
    pub(super) fn add(&mut self, fault: Fault) {
        for cause in fault.0 {
            if !self.0.contains(&cause) {
                self.0.push(cause);
            }
        }
    }

    /// # Errors
    /// All faults that were collected.
    pub(super) fn end(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault(self.0)) }
    }
}
