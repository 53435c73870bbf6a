//! `attache check`: checks the configuration or a function app, and starts backends once if told to.

use super::assemble::MakeServer;
use super::functions;
use super::print::print;
use super::problem::Problem;
use super::settings::Settings;
use super::survey::{all_connected, survey};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Also start or ask each backend once, and print what it offers and what the policy hides; exit code 1 if one cannot be connected
    #[arg(long)]
    start: bool,

    /// Directory of a function app to load and check, instead of the servers of the configuration
    #[arg(value_name = "DIR")]
    app: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

impl Check {
    /// Makes the preparations of `serve` before it opens a socket.
    pub(super) fn run(&self, make: MakeServer<'_>) -> Result<(), Problem> {
        if let Some(app) = &self.app {
            return functions::check(app);
        }
        let config = self.settings.check(make)?;
        let paths: Vec<&str> = config.servers.iter().map(|server| server.path.as_str()).collect();
        print(&format!("The configuration is valid: {} on {}\n", paths.join(", "), config.listen))?;
        if !self.start {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        let surveyed = runtime.block_on(survey(&config));
        surveyed.iter().try_for_each(|backend| print(&backend.to_string()))?;
        if all_connected(&surveyed) { Ok(()) } else { Err(Problem::Backends) }
    }
}
