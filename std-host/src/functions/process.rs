//! The process of a worker: its environment, its output, its process group, and its end.

use super::limits::STOP_TIME;
use super::lines::Lines;
use crate::children::{Caps, Group, Refused, Signal, Supervision, spawn};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// The command that starts a worker. The arguments with its id and the address of the host come
/// behind `arguments`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// The whole environment of the process.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The directory of the app.
    pub(crate) directory: PathBuf,
    /// The directory of the worker's files.
    pub(crate) worker_directory: PathBuf,
    /// The limits of the process and its descendants.
    pub(crate) caps: Caps,
    pub(crate) supervision: Option<Supervision>,
}

/// A running process. Dropping it kills its process group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    caps: Caps,
    /// `None` after the end of the process.
    group: Option<Group>,
    /// Held open while the process runs. Waiting for a child would close it.
    _input: Option<ChildStdin>,
}

impl Process {
    /// Starts the process with further arguments.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub(super) fn start(launch: &Launch, arguments: &[String], lines: &Lines) -> io::Result<Self> {
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments).args(arguments).current_dir(&launch.directory);
        command.env_clear().envs(launch.environment.iter().map(|(name, value)| (name, value)));
        // Official Python workers are started by a launcher that ends when its input does.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let refused = |refused: Refused| match refused {
            Refused::Failed(error) => error,
            refused => io::Error::other(refused.to_string()),
        };
        let (mut child, group) = spawn(&mut command, launch.supervision.as_ref()).map_err(refused)?;
        if let Some(output) = child.stdout.take() {
            tokio::spawn(lines.clone().follow(output, false));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(lines.clone().follow(output, true));
        }
        let (group, input) = (Some(group), child.stdin.take());
        Ok(Self { child, caps: launch.caps.clone(), group, _input: input })
    }

    /// Waits for the end of the process, and kills what is left of its group.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let Some(group) = &self.group else { return self.child.wait().await };
        let status = tokio::select! {
            status = self.child.wait() => status,
            reason = self.caps.exceeded(group) => {
                tracing::warn!(reason, "a process has used more than it may, and is killed");
                group.signal(Signal::Kill);
                self.child.wait().await
            }
        };
        self.group = None;
        status
    }

    /// Asks the process to end by SIGTERM, gives it some time, and kills its group.
    pub(super) async fn terminate(self) {
        self.group.iter().for_each(|group| group.signal(Signal::Terminate));
        self.stop().await;
    }

    /// Gives the process some time to end by itself, and kills its group.
    pub(super) async fn stop(mut self) {
        let _ = timeout(STOP_TIME, self.ended()).await;
    }
}
