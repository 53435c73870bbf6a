//! Options of the client commands for the server: URL or command, credentials, revision.

use super::failure::{Failure, report};
use super::sign_in::SignInFlags;
use attache_host::client::{Client, ClientBuilder, ClientLimits, Credential, Error, ServerCommand, Version};
use clap::Args;
use core::time::Duration;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args, Debug)]
pub(super) struct Reach {
    /// Print JSON as the server wrote it.
    #[arg(long)]
    pub(super) json: bool,

    /// The API key of the server, sent as x-functions-key. Other users of the machine can see
    /// command lines: prefer the variable.
    #[arg(long, value_name = "KEY", env = "ATTACHE_CLIENT_KEY", hide_env_values = true, conflicts_with = "token_file")]
    key: Option<String>,

    /// The file that holds the access token, sent as a bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    #[command(flatten)]
    sign_in: SignInFlags,

    /// A further header field of each request, such as "X-Tenant: a". Repeatable.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// Speak this revision of MCP only, such as 2025-06-18; otherwise the newest that both sides
    /// speak.
    #[arg(long, value_name = "DATE", value_parser = revision)]
    revision: Option<Version>,

    /// Seconds without an answer or progress after which a request is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    /// Let the key or token travel unencrypted to another machine, such as a board in your own
    /// network.
    #[arg(long)]
    plain_http: bool,

    /// A variable of the environment for a server that is started as a command. Repeatable.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
}

fn revision(date: &str) -> Result<Version, String> {
    Version::parse(date.as_bytes())
        .ok_or_else(|| "the revisions are 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28".to_owned())
}

impl Reach {
    /// Connects, does the work, and closes the connection in order.
    pub(super) fn run(
        &self,
        url: Option<&str>,
        command: &[OsString],
        work: impl AsyncFnOnce(&Client) -> Result<(), Failure>,
    ) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return report(Failure::Client(Error::Unreachable(error.to_string()))),
        };
        let done = runtime.block_on(async {
            let client = tokio::select! {
                client = self.connect(url, command) => client?,
                _ = tokio::signal::ctrl_c() => return Err(Failure::Interrupted),
            };
            let done = tokio::select! {
                done = work(&client) => done,
                _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
            };
            client.close().await;
            done
        });
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => report(failure),
        }
    }

    async fn connect(&self, url: Option<&str>, command: &[OsString]) -> Result<Client, Failure> {
        let builder = self.builder()?;
        match (url, command) {
            (Some(url), _) if self.has_credential() => over(builder, url).await,
            (Some(url), _) => match self.sign_in.source(url)? {
                Some(source) => over(builder.credential(source), url).await,
                None => over(builder, url).await,
            },
            (None, [program, arguments @ ..]) => {
                let mut command = ServerCommand::new(program, arguments);
                for variable in &self.environment {
                    let (name, value) = variable
                        .split_once('=')
                        .ok_or_else(|| Failure::Usage(format!("--env {variable}: write NAME=VALUE")))?;
                    command = command.env(name, value);
                }
                Ok(builder.command(command).await?)
            }
            (None, []) => Err(Failure::Usage("name the server: a URL, or a command behind --".to_owned())),
        }
    }

    /// Whether the command line has a key or a token.
    fn has_credential(&self) -> bool {
        let is_authorization = |header: &String| field(header).is_some_and(|(name, _)| name == AUTHORIZATION);
        self.key.is_some() || self.token_file.is_some() || self.headers.iter().any(is_authorization)
    }

    fn builder(&self) -> Result<ClientBuilder, Failure> {
        let limits = ClientLimits::default().request_time(Duration::from_secs(self.timeout));
        let mut builder = Client::builder("attache", env!("CARGO_PKG_VERSION")).limits(limits);
        if let Some(key) = &self.key {
            builder = builder.credential(Credential::Key(HeaderName::from_static("x-functions-key"), key.clone()));
        }
        if let Some(file) = &self.token_file {
            builder = builder.credential(Credential::BearerFile(file.clone()));
        }
        for header in &self.headers {
            let (name, value) = field(header).ok_or_else(|| {
                Failure::Usage(format!("--header {header:?} is not a header field: write \"Name: value\""))
            })?;
            builder = builder.header(name, value);
        }
        if let Some(revision) = self.revision {
            builder = builder.version(revision);
        }
        Ok(if self.plain_http { builder.allow_plain_http() } else { builder })
    }
}

/// Connects to the server at a URL, or behind a serial port.
async fn over(builder: ClientBuilder, url: &str) -> Result<Client, Failure> {
    #[cfg(unix)]
    if let Some(port) = attache_host::client::SerialPort::parse(url) {
        let port = port.map_err(|error| Failure::Usage(error.to_string()))?;
        return Ok(builder.serial(&port).await?);
    }
    Ok(builder.http(url).await?)
}

fn field(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}
