//! A server as a child process: its start, its environment, its standard error, and its end.

use super::error::{Error, Exit};
use super::limits::{LAST_OUTPUT, STDERR_LINE, STDERR_LINES, STOP_TIME};
use super::router::Router;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// The command that starts a server on standard input and output.
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerCommand {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

impl ServerCommand {
    /// The command and its arguments. The command is run directly, not by a shell.
    pub fn new(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect(),
            environment: Vec::new(),
            directory: None,
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

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in INHERITED {
            // A value of this form is an exported shell function.
            if let Some(value) = std::env::var_os(name).filter(|value| !value.as_encoded_bytes().starts_with(b"()")) {
                command.env(name, value);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // Package runners start the real server as a grandchild, so signals are sent to the process
        // group.
        #[cfg(unix)]
        command.process_group(0);
        command
    }
}

/// The environment variables that a child inherits: the list of the TypeScript SDK.
const INHERITED: [&str; 6] = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

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
    /// Starts the process. When the process ends, all requests of `router` fail with its exit
    /// status.
    ///
    /// `drained` completes when its output has ended.
    pub(super) fn start(
        command: &ServerCommand,
        router: Arc<Router>,
        drained: oneshot::Receiver<()>,
    ) -> Result<(Self, Streams), Error> {
        let failed = |reason: String| Error::Spawn { command: command.program.to_string_lossy().into_owned(), reason };
        let mut child = command.command().spawn().map_err(|error| failed(error.to_string()))?;
        let (Some(input), Some(output), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("its standard streams are not piped".to_owned()));
        };
        tracing::debug!(program = ?command.program, pid = child.id(), "server process started");
        let tail = Tail::default();
        tokio::spawn(tail.clone().collect(stderr));
        let (stop, stopped) = oneshot::channel();
        let (ended, watched) = watch::channel(false);
        let group = Group(child.id());
        tokio::spawn(watch_over(child, group, tail.clone(), router, stopped, drained, ended));
        Ok((Self { stop: Some(stop), ended: watched, tail }, Streams { input, output }))
    }

    /// Ends the process and waits for its end.
    pub(super) async fn stop(mut self) {
        self.stop.take();
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// The last lines of standard error.
    pub(super) fn stderr(&self) -> Vec<String> {
        self.tail.lines()
    }
}

/// Waits for the end of a child, or ends it when `stop` completes. Then reports the end.
async fn watch_over(
    mut child: Child,
    group: Group,
    tail: Tail,
    router: Arc<Router>,
    stop: oneshot::Receiver<()>,
    mut drained: oneshot::Receiver<()>,
    ended: watch::Sender<bool>,
) {
    let status = tokio::select! {
        status = child.wait() => {
            // The pipe may still contain its last output. A grandchild may keep the pipe open for
            // ever.
            let _ = timeout(LAST_OUTPUT, drained).await;
            status
        }
        // MCP 2026-07-28 basic/transports/stdio: the end of its output is the end of the server.
        _ = &mut drained => match timeout(LAST_OUTPUT, child.wait()).await {
            Ok(status) => status,
            Err(_) => end(&mut child, &group).await,
        },
        // Dropping the pipe has closed standard input.
        _ = stop => end(&mut child, &group).await,
    };
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    tracing::debug!(%status, "server process ended");
    group.end();
    router.close(&Error::Exited(Exit { status, stderr: tail.lines(), written: false }));
    let _ = ended.send(true);
}

// MCP basic/lifecycle, "Shutdown": close the input, wait, SIGTERM, wait, SIGKILL.
async fn end(child: &mut Child, group: &Group) -> std::io::Result<std::process::ExitStatus> {
    if let Ok(status) = timeout(STOP_TIME, child.wait()).await {
        return status;
    }
    group.signal(Signal::Terminate);
    if let Ok(status) = timeout(STOP_TIME, child.wait()).await {
        return status;
    }
    group.signal(Signal::Kill);
    child.start_kill()?;
    child.wait().await
}

/// The process group of a child. Dropping it kills the remaining processes of the group.
#[derive(Debug)]
struct Group(Option<u32>);

enum Signal {
    Terminate,
    Kill,
}

impl Group {
    /// Kills the remaining processes after the leader has ended.
    fn end(mut self) {
        self.signal(Signal::Kill);
        // From here on, the number of the group may belong to another group.
        self.0 = None;
    }

    #[cfg(unix)]
    fn signal(&self, signal: Signal) {
        use rustix::process::{Pid, Signal as Unix, kill_process_group};
        let group = self.0.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let signal = match signal {
            Signal::Terminate => Unix::TERM,
            Signal::Kill => Unix::KILL,
        };
        // An error means that the group has no processes left.
        let _ = group.map(|group| kill_process_group(group, signal));
    }

    #[cfg(not(unix))]
    fn signal(&self, _: Signal) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::Kill);
    }
}

/// The last lines of a child's standard error.
#[derive(Clone, Debug, Default)]
struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// Reads standard error to its end, because a full pipe would block the child.
    async fn collect(self, stderr: ChildStderr) {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        while let Ok(read) = (&mut reader).take(STDERR_LINE as u64).read_until(b'\n', &mut line).await {
            if read == 0 {
                break;
            }
            self.push(&line);
            line.clear();
        }
    }

    fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        tracing::debug!(%line, "server's standard error");
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == STDERR_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
