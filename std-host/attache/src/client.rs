//! The client commands: `attache list`, `attache call` and `attache read`.

mod failure;
mod print;
mod reach;
mod sign_in;

use attache_host::Level;
use attache_host::client::{Call as Running, Client, Error, Event, List as Of, RawJson, Request};
use clap::Args;
use failure::{Failure, report};
pub(super) use print::clean;
use print::{print_list, print_log, print_progress, print_resource, print_result};
use reach::Reach;
pub(super) use sign_in::SignOut;
use std::ffi::OsString;
use std::io::Read as _;
use std::process::ExitCode;

/// List the tools, prompts and resources of a server.
#[derive(Args, Debug)]
#[command(
    override_usage = "attache list [OPTIONS] URL\n       attache list [OPTIONS] -- COMMAND [ARGS]...",
    after_help = AFTER
)]
pub(super) struct List {
    /// The URL of the server, such as http://127.0.0.1:8080/mcp, or the serial port of a board, such
    /// as serial:/dev/ttyACM0.
    #[arg(value_name = "URL", required_unless_present = "command", conflicts_with = "command")]
    url: Option<String>,

    #[command(flatten)]
    reach: Reach,

    /// The command of a server that speaks over standard input and output.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Call a tool of a server.
#[derive(Args, Debug)]
#[command(
    override_usage = "attache call [OPTIONS] URL TOOL [ARGUMENTS]\n       attache call [OPTIONS] TOOL [ARGUMENTS] -- COMMAND [ARGS]...",
    after_help = AFTER
)]
pub(super) struct Call {
    /// The URL of the server, the name of the tool, and its arguments as a JSON object ("-" reads
    /// them from standard input).
    #[arg(value_name = "WORDS", required = true, num_args = 1..=3)]
    words: Vec<String>,

    /// Show log messages of the server from this level on: debug, info, notice, warning, error,
    /// critical, alert, emergency.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    log_level: Option<Level>,

    #[command(flatten)]
    reach: Reach,

    /// The command of a server that speaks over standard input and output.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Read a resource of a server.
#[derive(Args, Debug)]
#[command(
    override_usage = "attache read [OPTIONS] URL URI\n       attache read [OPTIONS] URI -- COMMAND [ARGS]...",
    after_help = AFTER
)]
pub(super) struct Read {
    /// The URL of the server and the URI of the resource.
    #[arg(value_name = "WORDS", required = true, num_args = 1..=2)]
    words: Vec<String>,

    #[command(flatten)]
    reach: Reach,

    /// The command of a server that speaks over standard input and output.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const AFTER: &str = "\
Exit status:
  0  done
  1  the server cannot be reached, refuses, or answers with an error
  2  the command line is wrong
  3  the tool itself says that it has failed

Examples:
  attache list http://127.0.0.1:8080/mcp
  attache call http://127.0.0.1:8080/mcp echo '{\"text\":\"hello\"}'
  attache call echo '{\"message\":\"hello\"}' -- npx -y @modelcontextprotocol/server-everything
  attache read --token-file token.txt https://mcp.example.com/mcp file:///readme
  attache list --sign-in https://mcp.example.com/mcp";

impl List {
    pub(super) fn run(self) -> ExitCode {
        let json = self.reach.json;
        self.reach.run(self.url.as_deref(), &self.command, async |client| {
            let mut lists = Vec::new();
            for (name, of, capability) in [
                ("tools", Of::Tools, "tools"),
                ("prompts", Of::Prompts, "prompts"),
                ("resources", Of::Resources, "resources"),
                ("resourceTemplates", Of::ResourceTemplates, "resources"),
            ] {
                // Requests only lists for which the server has declared the capability.
                if client.server().has(&[capability]) {
                    lists.push((name, client.list(of).await?));
                }
            }
            print_list(client.server(), client.version(), &lists, json);
            Ok(())
        })
    }
}

impl Call {
    pub(super) fn run(self) -> ExitCode {
        let (url, rest) = split(&self.words, &self.command);
        let (tool, arguments) = match rest {
            [tool] => (tool, RawJson::empty_object()),
            [tool, arguments] => match object(arguments) {
                Ok(arguments) => (tool, arguments),
                Err(why) => return report(Failure::Usage(why)),
            },
            _ => return report(Failure::Usage("name the server and the tool: attache call URL TOOL".to_owned())),
        };
        let (json, log_level) = (self.reach.json, self.log_level);
        self.reach.run(url, &self.command, async |client| {
            let mut request = Request::call(tool, arguments.clone()).progress();
            if let Some(level) = log_level {
                request = request.level(level);
                client.set_level(level).await?;
            }
            // The list of tools says which arguments the client must mirror in headers.
            if url.is_some() && client.version().as_str() >= "2026-07-28" {
                client.list(Of::Tools).await?;
            }
            let result = followed(client.start(request)).await?;
            match print_result(&result, json) {
                true => Ok(()),
                false => Err(Failure::Tool),
            }
        })
    }
}

impl Read {
    pub(super) fn run(self) -> ExitCode {
        let (url, rest) = split(&self.words, &self.command);
        let [uri] = rest else {
            return report(Failure::Usage("name the server and the resource: attache read URL URI".to_owned()));
        };
        let json = self.reach.json;
        self.reach.run(url, &self.command, async |client: &Client| {
            print_resource(&client.read(uri).await?, json);
            Ok(())
        })
    }
}

/// Splits the words into the URL, unless the server is a command, and the rest.
fn split<'w>(words: &'w [String], command: &[OsString]) -> (Option<&'w str>, &'w [String]) {
    match words {
        [url, rest @ ..] if command.is_empty() => (Some(url), rest),
        words => (None, words),
    }
}

/// Parses the arguments of a tool: a JSON object, or "-" to read it from standard input.
fn object(text: &str) -> Result<RawJson, String> {
    let text = match text {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
            text
        }
        text => text.to_owned(),
    };
    let json = RawJson::parse(text)
        .map_err(|error| format!("the arguments are {error}; write them as '{{\"name\":\"value\"}}'"))?;
    match json.as_str().starts_with('{') {
        true => Ok(json),
        false => Err("the arguments must be a JSON object, such as '{\"name\":\"value\"}'".to_owned()),
    }
}

fn level(name: &str) -> Result<Level, String> {
    let quoted = RawJson::text(name);
    let named = attache_core::json::Value::parse(quoted.as_bytes()).ok().and_then(|value| Level::named(value.text()?));
    named.ok_or_else(|| "not a level".to_owned())
}

/// Prints the progress and log messages of a running call, and returns its result.
async fn followed(mut call: Running) -> Result<RawJson, Error> {
    loop {
        match call.next().await {
            Event::Progress(params) => print_progress(&params),
            Event::Log(params) => print_log(&params),
            Event::Done(result) => return result,
            _ => {}
        }
    }
}
