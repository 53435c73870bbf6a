//! `attache package`: puts a function app into a file or a directory from which others run it.

mod container;
mod files;
mod functions;
mod ignore;
mod settings;

use super::fault::Fault;
use super::problem::Problem;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Package a function app: as the zip of a platform, or as the context of a container
///
/// A package never has local.settings.json, .env files, .git, files of keys, and what .funcignore names. The command
/// lists what it has taken and left out, and the application settings to set where the package runs.
#[derive(Args, Debug)]
pub(super) struct Package {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    Functions(functions::Zip),
    Container(container::Context),
}

impl Package {
    pub(super) fn run(self) -> Result<(), Problem> {
        match self.kind {
            Kind::Functions(zip) => zip.run(),
            Kind::Container(context) => context.run(),
        }
    }
}

/// Returns the canonical directory of an app, and its name.
fn app(directory: &Path) -> Result<(PathBuf, String), Fault> {
    let unreadable = |error| Fault::of(format!("{}: cannot be read: {error}", directory.display()));
    let directory = directory.canonicalize().map_err(unreadable)?;
    let name = directory.file_name().map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok((directory, name))
}
