//! Child processes: how they start, what they may use, and how they end, even if this process is killed.
//!
//! Each child leads a process group, because package runners such as npx start the real server as a
//! grandchild. Signals go to the group. A [`Supervision`] adds what one process cannot do for itself:
//!
//! - A *watchdog* ends the groups if this process is killed with SIGKILL. It is a second process,
//!   because a killed process cannot run code. This process tells it each group over a pipe. When the
//!   pipe ends, the watchdog ends the groups that are left.
//! - A *state file* lists the groups for the next start, in case the watchdog was killed as well.
//! - A *cap* bounds the number of children.
//!
//! Without a supervision, a child whose parent is killed reads the end of its standard input, and may
//! ignore it.
//!
//! ```no_run
//! use attache_host::children::{Supervision, watch_groups};
//! use attache_host::client::{Client, ServerCommand};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // The watchdog is this program again, with an argument that `main` knows.
//! if std::env::args().nth(1).as_deref() == Some("watchdog") {
//!     watch_groups(std::io::stdin().lock());
//!     return Ok(());
//! }
//! let mut watchdog = std::process::Command::new(std::env::current_exe()?);
//! watchdog.arg("watchdog");
//! let supervision = Supervision::new(64);
//! supervision.start_watchdog(watchdog)?;
//! let command = ServerCommand::new("my-server", ["--stdio"]).supervision(&supervision);
//! let client = Client::builder("my-app", "1.0").command(command).await?;
//! # drop(client);
//! # Ok(())
//! # }
//! ```

mod caps;
#[cfg(target_os = "linux")]
mod control_group;
mod ending;
mod group;
pub mod limits;
mod lines;
mod process_table;
mod redact;
mod signal;
mod spawn;
mod state_file;
mod stderr;
mod supervision;
mod watchdog;

pub use caps::Caps;
pub(crate) use group::Group;
#[cfg(feature = "functions")]
pub(crate) use lines::each_line;
pub(crate) use signal::Signal;
#[cfg(feature = "proxy")]
pub(crate) use spawn::inherited;
pub(crate) use spawn::{Refused, spawn, with_minimal_environment};
pub(crate) use stderr::Tail;
pub use supervision::Supervision;
pub use watchdog::watch_groups;
