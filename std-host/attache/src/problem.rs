//! Failures of the program and their exit codes.

use super::fault::Fault;
use attache_host::private_file::InvalidFile;
use core::fmt;
use std::io;
use std::process::ExitCode;

/// Why the program fails, and what the operator can do about it.
#[derive(Debug)]
pub(super) enum Problem {
    Config(Fault),
    Runtime(io::Error),
    /// The program cannot listen at this address.
    Listen(String, io::Error),
    Signals(io::Error),
    Stdio(io::Error),
    /// The reader of standard output has closed the pipe.
    Unread,
    Health(String),
    /// Pins could not be written, or differ from what backends offer.
    Pins(String),
    /// A backend could not be connected.
    Backends,
    KeptOut,
    /// Clients cannot use the server that the doctor has examined.
    Unusable,
}

impl Problem {
    /// Returns 2 for wrong flags and configuration, as clap does, and 1 for other failures.
    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(2),
            // A reader that closes the pipe when it has read enough is not a failure.
            Self::Unread => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Config(fault)
    }
}

impl From<InvalidFile> for Problem {
    fn from(file: InvalidFile) -> Self {
        Self::Config(file.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(fault) => write!(f, "{fault}"),
            Self::Runtime(error) => write!(f, "cannot start the runtime: {error}"),
            Self::Listen(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{address} is in use: stop the other program, or choose another address with --listen")
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Signals(error) => write!(f, "cannot receive signals: {error}"),
            Self::Stdio(error) => write!(f, "standard input or output: {error}"),
            Self::Unread => f.write_str("standard output has no reader"),
            Self::Health(why) | Self::Pins(why) => f.write_str(why),
            Self::Backends => f.write_str("a backend cannot be connected"),
            Self::Unusable => f.write_str("clients cannot use this server; see the report"),
            Self::KeptOut => f.write_str("the holder of this token may not call"),
        }
    }
}
