//! A server as a child process: its start, its environment, its standard error, and its end.

use super::error::{Error, Exit};
use super::limits::LAST_OUTPUT;
use super::router::Router;
use crate::children::limits::STOP_TIME;
use crate::children::{Caps, Group, Refused, Signal, Supervision, Tail, spawn, with_minimal_environment};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The command that starts a server on standard input and output.
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerCommand {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    caps: Caps,
    supervision: Option<Supervision>,
}

impl ServerCommand {
    /// The command and its arguments. The command is run directly, not by a shell.
    pub fn new(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect(),
            environment: Vec::new(),
            directory: None,
            caps: Caps::default(),
            supervision: None,
        }
    }

    /// Sets an environment variable. Otherwise the process inherits only `HOME`, `LOGNAME`, `PATH`,
    /// `SHELL`, `TERM` and `USER`.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Replaces the placeholder of the port in the arguments and the environment.
    pub(super) fn with_port(mut self, port: u16) -> Self {
        let replace = |text: &mut OsString| {
            if let Some(replaced) = text.to_str().filter(|text| text.contains(PORT)) {
                *text = replaced.replace(PORT, &port.to_string()).into();
            }
        };
        self.arguments.iter_mut().for_each(replace);
        self.environment.iter_mut().for_each(|(_, value)| replace(value));
        self
    }

    /// Limits what the process and its descendants may use.
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Supervises the process. Without a supervision, it survives this process if this process is
    /// killed and the server ignores the end of its standard input.
    pub fn supervision(mut self, supervision: &Supervision) -> Self {
        self.supervision = Some(supervision.clone());
        self
    }

    fn command(&self, input: Stdio) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        with_minimal_environment(&mut command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }
}

/// The placeholder of the port in the command and in the URL of a server.
pub(super) const PORT: &str = "{port}";

/// A child process. Dropping it ends the whole process group: closed input, then SIGTERM, then
/// SIGKILL.
#[derive(Debug)]
pub(super) struct Process {
    stop: Option<oneshot::Sender<()>>,
    ended: watch::Receiver<bool>,
    tail: Tail,
}

/// The streams of a child process.
pub(super) struct Streams {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
}

impl Process {
    /// Starts a process that speaks over its standard streams. When the process ends, all requests of
    /// `router` fail with its exit status.
    ///
    /// `drained` completes when its output has ended.
    pub(super) fn start(
        command: &ServerCommand,
        router: Arc<Router>,
        drained: oneshot::Receiver<()>,
    ) -> Result<(Self, Streams), Error> {
        let mut started = Started::of(command, Stdio::piped())?;
        let (Some(input), Some(output)) = (started.child.stdin.take(), started.child.stdout.take()) else {
            return Err(started.without_streams());
        };
        Ok((started.watched(router, Some(drained)), Streams { input, output }))
    }

    /// Starts a process that does not speak over its standard streams. Its output there
    /// is kept for error messages.
    pub(super) fn start_server(command: &ServerCommand, router: Arc<Router>) -> Result<Self, Error> {
        let mut started = Started::of(command, Stdio::null())?;
        let Some(output) = started.child.stdout.take() else { return Err(started.without_streams()) };
        started.readers.push(tokio::spawn(started.tail.clone().collect(output)));
        Ok(started.watched(router, None))
    }

    /// Ends the process and waits for its end.
    pub(super) async fn stop(mut self) {
        self.stop.take();
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// The output on standard error that is kept.
    pub(super) fn stderr(&self) -> Vec<String> {
        self.tail.all()
    }
}

/// A child, with everything that its end needs.
struct Started {
    child: Child,
    group: Group,
    caps: Caps,
    tail: Tail,
    /// The tasks that read into `tail`.
    readers: Vec<JoinHandle<()>>,
    program: String,
}

impl Started {
    fn of(command: &ServerCommand, input: Stdio) -> Result<Self, Error> {
        let program = command.program.to_string_lossy().into_owned();
        let refused = |refused: Refused| Error::Spawn { command: program.clone(), reason: refused.to_string() };
        let (mut child, group) = spawn(&mut command.command(input), command.supervision.as_ref()).map_err(refused)?;
        tracing::debug!(program, pid = child.id(), "server process started");
        let tail = Tail::of_child(&command.environment);
        let stderr = child.stderr.take();
        let readers = stderr.map(|stderr| tokio::spawn(tail.clone().collect(stderr))).into_iter().collect();
        Ok(Self { child, group, caps: command.caps.clone(), tail, readers, program })
    }

    fn without_streams(self) -> Error {
        Error::Spawn { command: self.program, reason: "its standard streams are not piped".to_owned() }
    }

    fn watched(self, router: Arc<Router>, drained: Option<oneshot::Receiver<()>>) -> Process {
        let (stop, stopped) = oneshot::channel();
        let (ended, is_ended) = watch::channel(false);
        let tail = self.tail.clone();
        tokio::spawn(self.watch_over(router, stopped, drained, ended));
        Process { stop: Some(stop), ended: is_ended, tail }
    }

    /// Waits for the end of the child, or ends it when `stop` completes. Then reports the end.
    /// `drained` is set for a child that speaks over its standard streams.
    async fn watch_over(
        mut self,
        router: Arc<Router>,
        stop: oneshot::Receiver<()>,
        mut drained: Option<oneshot::Receiver<()>>,
        ended: watch::Sender<bool>,
    ) {
        let speaks = drained.is_some();
        let status = tokio::select! {
            status = self.child.wait() => {
                // The pipes may still contain its last output. A grandchild may keep them open for
                // ever.
                let _ = timeout(LAST_OUTPUT, self.last_output(drained)).await;
                told(status)
            }
            // MCP 2026-07-28 basic/transports/stdio: the end of its output is the end of the server.
            () = end_of(&mut drained) => match timeout(LAST_OUTPUT, self.child.wait()).await {
                Ok(status) => told(status),
                Err(_) => told(self.end(speaks).await),
            },
            reason = self.caps.exceeded(&self.group) => {
                self.group.signal(Signal::Kill);
                let status = told(self.child.wait().await);
                format!("{status}: {reason}")
            }
            // Dropping the pipe has closed standard input.
            _ = stop => told(self.end(speaks).await),
        };
        tracing::debug!(%status, "server process ended");
        self.group.end();
        router.close(&Error::Exited(Exit { status, stderr: self.tail.last(), written: false }));
        let _ = ended.send(true);
    }

    // MCP basic/lifecycle, "Shutdown": close the input, wait, SIGTERM, wait, SIGKILL.
    async fn end(&mut self, speaks: bool) -> std::io::Result<std::process::ExitStatus> {
        // A process that was stopped cannot notice the end of its input.
        self.group.signal(Signal::Continue);
        if speaks && let Ok(status) = timeout(STOP_TIME, self.child.wait()).await {
            return status;
        }
        self.group.signal(Signal::Terminate);
        if let Ok(status) = timeout(STOP_TIME, self.child.wait()).await {
            return status;
        }
        self.group.signal(Signal::Kill);
        self.child.start_kill()?;
        self.child.wait().await
    }

    /// Waits until all output was read.
    async fn last_output(&mut self, mut drained: Option<oneshot::Receiver<()>>) {
        if drained.is_some() {
            end_of(&mut drained).await;
        }
        for reader in &mut self.readers {
            let _ = reader.await;
        }
    }
}

/// Completes when the output has ended. Never completes if there is none to wait for.
async fn end_of(drained: &mut Option<oneshot::Receiver<()>>) {
    match drained {
        // An error means that the reader was dropped.
        Some(drained) => drop(drained.await),
        None => core::future::pending().await,
    }
}

fn told(status: std::io::Result<std::process::ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
