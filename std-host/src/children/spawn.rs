//! Starts children, each as the leader of a process group and with a minimal environment.

use super::group::Group;
use super::supervision::{Supervision, TooMany};
use core::fmt;
use std::ffi::OsString;
use std::io;
use tokio::process::{Child, Command};

/// The environment variables that a child inherits: the list of the TypeScript SDK.
const INHERITED: [&str; 6] = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

/// Why a child was not started.
#[derive(Debug)]
pub(crate) enum Refused {
    /// As many children as allowed are running.
    TooMany(TooMany),
    Failed(io::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(TooMany(most)) => write!(f, "{most} child processes are running, which is the limit"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Clears the environment of a command except for harmless variables.
pub(crate) fn with_minimal_environment(command: &mut Command) {
    command.env_clear().envs(inherited());
}

/// The harmless variables of this process.
pub(crate) fn inherited() -> Vec<(OsString, OsString)> {
    // A value of this form is an exported shell function.
    let value = |name| std::env::var_os(name).filter(|value| !value.as_encoded_bytes().starts_with(b"()"));
    INHERITED.iter().filter_map(|name| Some((name.into(), value(name)?))).collect()
}

/// Starts a child as the leader of a process group.
pub(crate) fn spawn(command: &mut Command, supervision: Option<&Supervision>) -> Result<(Child, Group), Refused> {
    let place = supervision.map(Supervision::place).transpose().map_err(Refused::TooMany)?;
    #[cfg(unix)]
    command.process_group(0);
    let child = command.kill_on_drop(true).spawn().map_err(Refused::Failed)?;
    let id = child.id();
    let place = place.map(|place| place.taken_by(id));
    Ok((child, Group::new(id, place)))
}
