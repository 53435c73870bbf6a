//! The supervision of the child processes of the program, and the watchdog that ends them if the
//! program is killed.

use super::config::{ChildLimits, Config};
use super::problem::Problem;
use super::system;
use attache_host::children::{Supervision, watch_groups};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Ends the child processes of another process when that process is killed
///
/// The program starts this command itself. It reads process groups from standard input.
#[derive(Args, Debug)]
pub(super) struct Watchdog {}

/// The name of the hidden command.
pub(super) const COMMAND: &str = "watchdog";

impl Watchdog {
    pub(super) fn run() -> Result<(), Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        // A service manager sends SIGTERM to all processes of a service. The watchdog has to live for
        // as long as the program, which may take a while to stop.
        let _taken = runtime.block_on(async {
            let signals = system::Signals::take().map_err(Problem::Signals)?;
            system::Reload::take().map_err(Problem::Signals).map(|reload| (signals, reload))
        })?;
        watch_groups(std::io::stdin().lock());
        Ok(())
    }
}

/// Returns the supervision of the children of backends. It has no watchdog if no backend has children.
pub(super) fn supervision(config: &Config) -> Supervision {
    let has_children = config.servers.iter().flat_map(|server| &server.backends).any(|backend| backend.has_children());
    if has_children { with_watchdog(config) } else { Supervision::new(config.children.most) }
}

/// Returns the supervision of all children of the program, with a watchdog and a state file. The program also runs
/// without these two, and says so in the log.
pub(super) fn with_watchdog(config: &Config) -> Supervision {
    config.children.supervision.get_or_init(|| start(&config.children)).clone()
}

fn start(limits: &ChildLimits) -> Supervision {
    let ChildLimits { most, state_directory, .. } = limits;
    let supervision = Supervision::new(*most);
    // Other systems than Unix have no process groups.
    if !cfg!(unix) {
        return supervision;
    }
    let directory = state_directory.clone().unwrap_or_else(default_directory);
    if let Err(error) = supervision.use_state_directory(&directory) {
        tracing::warn!(%error, "children of a killed run are not found at the next start: set children.state_dir");
    }
    if let Err(error) = watchdog().and_then(|command| supervision.start_watchdog(command)) {
        tracing::warn!(%error, "no watchdog could be started: children may survive if this program is killed");
    }
    supervision
}

fn watchdog() -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(COMMAND);
    Ok(command)
}

/// The directory of the state file: that of the service, or of the login session of the user.
fn default_directory() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    // systemd.exec(5): with several directories, there are colons between them.
    if let Some(directory) = named("RUNTIME_DIRECTORY").and_then(|value| value.into_string().ok()) {
        return Path::new(directory.split(':').next().unwrap_or_default()).to_owned();
    }
    match named("XDG_RUNTIME_DIR") {
        Some(directory) => Path::new(&directory).join("attache"),
        None => std::env::temp_dir().join(format!("attache-{}", system::user())),
    }
}
