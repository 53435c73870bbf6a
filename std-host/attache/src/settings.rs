//! The settings of a command that reads the configuration: the file and the flags.

use super::config::{Config, Flags, Layers};
use super::print::complain;
use super::problem::Problem;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
pub(super) struct Settings {
    /// Configuration file [env: ATTACHE_CONFIG]; attache.toml in the working directory is read
    /// without being named
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub(super) config: Option<PathBuf>,

    #[command(flatten)]
    pub(super) flags: Flags,
}

impl Settings {
    /// Reads all sources of values, and warns of variables that are not settings.
    pub(super) fn layers(&self) -> Result<Layers, Problem> {
        Layers::unknown_variables().iter().for_each(|warning| complain(&format!("warning: {warning}")));
        Ok(Layers::read(&self.flags, self.config.as_deref())?)
    }

    /// Reads all sources of values again, without the warnings of the start.
    pub(super) fn layers_again(&self) -> Result<Layers, Problem> {
        Ok(Layers::read(&self.flags, self.config.as_deref())?)
    }

    /// Reads the configuration.
    pub(super) fn config(&self) -> Result<Config, Problem> {
        Ok(self.layers()?.config()?)
    }
}
