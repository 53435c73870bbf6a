//! Errors of the configuration: where each value was written, what is wrong, and what to write
//! instead.

use attache_host::private_file::InvalidFile;
use core::fmt;
use std::path::PathBuf;

/// The source of a value.
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

/// Why the program does not start: one or more causes.
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

    /// Several faults, at least one, without a position.
    pub(super) fn all(whats: impl Iterator<Item = String>) -> Self {
        Self(whats.map(|what| Cause { origin: None, what }).collect())
    }

    /// A fault without a position.
    pub(super) fn of(what: String) -> Self {
        Self(vec![Cause { origin: None, what }])
    }
}

impl fmt::Display for Fault {
    /// Writes one line for each cause.
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

impl From<InvalidFile> for Fault {
    fn from(file: InvalidFile) -> Self {
        Self::all(file.causes().iter().cloned())
    }
}

/// Collects faults, so that the operator sees all of them at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Cause>);

impl Faults {
    /// Returns the value. For a fault, collects it and returns the default of the type.
    pub(super) fn or_default<T: Default>(&mut self, result: Result<T, Fault>) -> T {
        result.unwrap_or_else(|fault| {
            self.add(fault);
            T::default()
        })
    }

    /// Adds the causes of a fault, without duplicates.
    pub(super) fn add(&mut self, fault: Fault) {
        for cause in fault.0 {
            if !self.0.contains(&cause) {
                self.0.push(cause);
            }
        }
    }

    /// Returns the collected faults, if there are any.
    ///
    /// # Errors
    /// All faults that were collected.
    pub(super) fn end(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault(self.0)) }
    }
}
