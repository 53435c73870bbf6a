//! The run of an executable for a call.

use super::description::Tool;
use super::limits::{LAST_OUTPUT, OUTPUT, VARIABLE};
use crate::backend::{Answer, Call};
use crate::children::{Caps, Signal, Supervision, Tail, spawn, with_minimal_environment};
use core::time::Duration;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The settings that the runs of all tools of a directory share.
pub(super) struct Surroundings {
    pub(super) directory: PathBuf,
    pub(super) caps: Caps,
    pub(super) supervision: Option<Supervision>,
}

/// The run of a tool. Dropping it kills the processes.
pub(super) struct Execution<'a> {
    pub(super) tool: &'a Tool,
    pub(super) call: &'a Call,
    pub(super) surroundings: &'a Surroundings,
}

/// The standard output of a tool, if it was not too much.
type Output = Result<Vec<u8>, TooLarge>;

#[derive(Debug)]
struct TooLarge;

impl Execution<'_> {
    pub(super) async fn run(&self) -> Answer {
        match self.finished().await {
            Ok((status, output, stderr)) if status.success() => self.result(output).unwrap_or_else(|reason| {
                tracing::warn!(tool = self.call.name(), reason, ?stderr, "the output of a tool cannot be used");
                Answer::Failed(reason)
            }),
            // The signal is the consequence of the output that was not read.
            Ok((_, Err(TooLarge), _)) => Answer::Failed(too_large()),
            Ok((status, output, stderr)) => {
                let output = output.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default();
                let parts = [output, stderr.join("\n"), format!("({status})")];
                Answer::Failed(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n"))
            }
            Err(reason) => Answer::Failed(reason),
        }
    }

    async fn finished(&self) -> Result<(ExitStatus, Output, Vec<String>), String> {
        let variables = self.variables()?;
        let Surroundings { directory, caps, supervision } = self.surroundings;
        let mut command = Command::new(&self.tool.executable);
        command.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        with_minimal_environment(&mut command);
        command.envs(variables);
        let (mut child, group) = spawn(&mut command, supervision.as_ref()).map_err(|refused| {
            tracing::warn!(tool = self.call.name(), %refused, "a tool could not be started");
            "The tool could not be started: try again later, and tell the operator".to_owned()
        })?;
        let (tail, output) = streams(&mut child, self.call.arguments());
        let limit = self.tool.description.time_limit;
        let status = tokio::select! {
            status = child.wait() => status.map_err(|error| error.to_string())?,
            reason = caps.exceeded(&group) => {
                tracing::warn!(tool = self.call.name(), reason, "a tool was killed");
                return Err(format!("The tool was {reason}"));
            }
            () = sleep(limit) => {
                group.signal(Signal::Kill);
                tracing::warn!(tool = self.call.name(), ?limit, "a tool was killed because its time was over");
                return Err(format!("The tool did not end within {}", seconds(limit)));
            }
        };
        let output = timeout(LAST_OUTPUT, output).await;
        // Kills what the tool has left in the background.
        group.end();
        let Ok(Ok(output)) = output else {
            return Err("The tool has left a process that keeps its output open".to_owned());
        };
        Ok((status, output, tail.last()))
    }

    /// Checks the arguments, and returns the environment variables of those that are scalar.
    fn variables(&self) -> Result<Vec<(String, String)>, String> {
        let description = &self.tool.description;
        description.arguments.check(self.call.arguments().as_bytes())?;
        // Numbers keep their spelling.
        let members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(self.call.arguments()).map_err(|error| error.to_string())?;
        let mut variables = Vec::new();
        for (name, value) in members {
            let Some(variable) = description.variables.get(&name) else { continue };
            let text = match value.get().as_bytes().first() {
                Some(b'{' | b'[' | b'n') | None => continue,
                Some(b'"') => serde_json::from_str(value.get()).map_err(|error| error.to_string())?,
                Some(_) => value.get().to_owned(),
            };
            if text.contains('\0') {
                return Err(format!("The argument {name} must not contain the character U+0000"));
            }
            if text.len() > VARIABLE {
                return Err(format!("The argument {name} must not be longer than {VARIABLE} bytes"));
            }
            variables.push((variable.clone(), text));
        }
        Ok(variables)
    }

    /// The result of a tool that has ended well.
    fn result(&self, output: Output) -> Result<Answer, String> {
        let output = output.map_err(|TooLarge| too_large())?;
        let text = String::from_utf8(output).map_err(|_| "The output of the tool is not UTF-8".to_owned())?;
        let mut result = format!(r#"{{"content":[{}]"#, json!({"type": "text", "text": text.trim_end_matches('\n')}));
        if let Some(schema) = &self.tool.description.result {
            let value: Value =
                serde_json::from_str(&text).map_err(|_| "The output of the tool is not JSON".to_owned())?;
            schema.check_value(&value, text.len()).map_err(|unfit| {
                let place = if unfit.path.is_empty() { String::new() } else { format!(" at '{}'", unfit.path) };
                format!("The output of the tool does not fit its schema{place}: {}", unfit.reason)
            })?;
            result.push_str(&format!(r#","structuredContent":{}"#, text.trim()));
        }
        result.push('}');
        RawValue::from_string(result).map(Answer::Result).map_err(|error| error.to_string())
    }
}

fn too_large() -> String {
    format!("The output of the tool is larger than {OUTPUT} bytes")
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// Writes the arguments to standard input, and reads standard output and standard error.
fn streams(child: &mut Child, arguments: &str) -> (Tail, JoinHandle<Output>) {
    if let Some(mut input) = child.stdin.take() {
        let arguments = arguments.to_owned();
        // A tool may end without reading its arguments.
        tokio::spawn(async move { input.write_all(arguments.as_bytes()).await });
    }
    let tail = Tail::default();
    let stderr = child.stderr.take().map(|stderr| tokio::spawn(tail.clone().collect(stderr)));
    let stdout = child.stdout.take();
    let output = tokio::spawn(async move {
        let output = match stdout {
            Some(stdout) => bounded(stdout).await,
            None => Ok(Vec::new()),
        };
        if let Some(stderr) = stderr {
            let _ = stderr.await;
        }
        output
    });
    (tail, output)
}

/// Reads to the end. A tool that writes too much gets the signal SIGPIPE.
async fn bounded(stream: impl AsyncRead + Unpin) -> Output {
    let mut output = Vec::new();
    let read = stream.take(OUTPUT as u64 + 1).read_to_end(&mut output).await;
    match read {
        Ok(read) if read <= OUTPUT => Ok(output),
        _ => Err(TooLarge),
    }
}
