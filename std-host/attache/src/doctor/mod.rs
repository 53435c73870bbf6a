//! `attache doctor`: walks the way that a client walks to a server, and names what is wrong on it.

mod browser;
mod challenge;
mod configuration;
mod entra;
mod finding;
mod http;
mod issuer;
mod message;
mod metadata;
mod protocol;
mod report;
mod steps;
mod token;
mod walk;
mod www_authenticate;

use super::config::{Flags, Layers};
use super::fault::Fault;
use super::print::print;
use super::problem::Problem;
use super::text;
use attache_core::http::LOOPBACK;
use clap::Args;
use configuration::Configured;
use message::Credential;
use report::Report;
use std::path::PathBuf;
use url::Url;
use walk::Walk;

/// Examine a server as a client sees it, and name what is wrong and what to do
///
/// Walks the way that a client walks: connection, challenge, metadata, authorization server, token,
/// protocol, browser. Changes nothing, and connects only to the server and to what its own documents
/// name. The exit code is 1 if clients cannot use the server.
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// The server, such as https://mcp.example/mcp [default: the first server of the configuration]
    url: Option<String>,

    /// The configuration of the server, to compare with what it publishes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// File with an access token for the server: its claims are checked, and it is tried
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// The API key of the server, sent as x-functions-key. Other users of the machine can see
    /// command lines: prefer the variable.
    #[arg(long, value_name = "KEY", env = "ATTACHE_CLIENT_KEY", hide_env_values = true, conflicts_with = "token_file")]
    key: Option<String>,

    /// File with certificates of further authorities to trust, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let fault = |what: String| Problem::Config(Fault::of(what));
        let read = self.configuration();
        let written = match (&self.url, &read) {
            (Some(url), _) => url.clone(),
            (None, Some(Ok(configured))) => configured.url.clone(),
            (None, Some(Err(why))) => {
                return Err(fault(format!("{why}\nCorrect the configuration, or name the server by its URL")));
            }
            (None, None) => return Err(fault("name the server: attache doctor https://mcp.example/mcp".to_owned())),
        };
        let url = server(&written).ok_or_else(|| {
            fault(
                "the URL of a server begins with https:// or http:// and has neither a user nor a fragment".to_owned(),
            )
        })?;
        let token = self.token_file.as_deref().map(text::read).transpose();
        let token = token.map_err(|error| fault(format!("--token-file cannot be read: {error}")))?;
        let credential = Credential { key: self.key.clone(), token: token.map(|token| token.trim().to_owned()) };
        let secrets = credential.key.iter().chain(&credential.token).cloned().collect();
        let mut http = http::Http::new(self.ca.as_deref(), is_local(&url)).map_err(fault)?;
        let mut report = Report::new(&written, secrets);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        let walk = Walk { http: &mut http, report: &mut report, url, written, credential };
        runtime.block_on(walk.run(read.as_ref()));
        let shown = match self.json {
            true => format!("{:#}\n", report.json(http.contacted())),
            false => format!("{}\n", report.words(http.contacted())),
        };
        print(&shown)?;
        if report.is_healthy() { Ok(()) } else { Err(Problem::Unusable) }
    }

    /// Reads the configuration if it was named, or if no URL was given.
    fn configuration(&self) -> Option<Result<Configured, String>> {
        if self.config.is_none() && self.url.is_some() {
            return None;
        }
        let read = Layers::read(&Flags::default(), self.config.as_deref()).and_then(|layers| layers.config());
        let read = read.map_err(|fault| fault.to_string());
        Some(read.and_then(|config| Configured::of(&config, self.url.as_deref())))
    }
}

/// Parses the URL of a server.
fn server(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain).then_some(url)
}

/// Whether a URL names this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => LOOPBACK.contains(&name),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
