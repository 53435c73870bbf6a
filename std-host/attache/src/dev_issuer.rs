//! `attache dev-issuer`: an authorization server for developers, on this machine alone.

use super::config::life;
use super::fault::Fault;
use super::print::say;
use super::problem::Problem;
use super::{listen, system};
use attache_host::authorization_server::{AuthorizationServer, Person};
use attache_host::serve::{not_found, serve};
use clap::Args;
use core::net::SocketAddr;
use core::time::Duration;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Run an authorization server for development, on this machine alone, with made-up people
///
/// MCP clients sign in at it without any account or registration. Keys and sign-ins are in memory: they end with the program.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub(super) struct DevIssuer {
    /// Loopback address and port to listen on; the issuer is http://ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    listen: SocketAddr,

    /// URL of an MCP server that tokens are for; repeatable [default: every URL on this machine]
    #[arg(long = "resource", value_name = "URL")]
    resources: Vec<String>,

    /// Scopes to grant, with commas between them [default: those that the client requests]
    #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
    scopes: Vec<String>,

    /// A made-up person, with roles for the claim `roles`; repeatable
    #[arg(long = "person", value_name = "NAME[=ROLE,...]", default_values = ["ada=admin", "bob"])]
    people: Vec<String>,

    /// Lifetime of access tokens, from 1min to 24h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = life)]
    token_life: Duration,

    /// Least severe level to log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

const AFTER: &str = "\
Try it, in two terminals:
    attache dev-issuer
    attache serve --demo --auth-issuer http://127.0.0.1:8089 --auth-applications '*'
Then point an MCP client at http://127.0.0.1:8080/mcp; it opens the sign-in page in the browser.";

impl DevIssuer {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let fault = |what: String| Problem::Config(Fault::of(what));
        // Everyone who reaches the server can sign in as each of the people.
        if !self.listen.ip().is_loopback() {
            return Err(fault(format!(
                "--listen {} is not a loopback address: dev-issuer signs in everyone who reaches it, so it listens on 127.0.0.1 or [::1] \
                 alone",
                self.listen
            )));
        }
        let filter: Targets = self.log_level.parse().map_err(|error| fault(format!("--log-level: {error}")))?;
        let log = fmt::layer().with_writer(std::io::stderr).with_filter(filter);
        tracing_subscriber::registry().with(log).init();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Problem::Runtime)?;
        runtime.block_on(self.serve())
    }

    async fn serve(&self) -> Result<(), Problem> {
        let listener = listen::at(self.listen).await?;
        let address = listener.address().unwrap_or(self.listen);
        let issuer = format!("http://{address}");
        let server = self.server(&issuer)?;
        let mut signals = system::Signals::take().map_err(Problem::Signals)?;
        say(&format!("Issuing tokens as {issuer} (stop with Ctrl-C)"));
        say("For development only: everyone on this machine can sign in as each of the people.");
        say(&format!("\nFor a server: attache serve --auth-issuer {issuer} --auth-applications '*'"));
        serve(listener, server.routes().fallback(not_found)).stop(async move { signals.next().await }).await;
        Ok(())
    }

    fn server(&self, issuer: &str) -> Result<AuthorizationServer, Problem> {
        let fault = |what: String| Problem::Config(Fault::of(what));
        let people = self.people.iter().map(|text| person(issuer, text));
        let server = AuthorizationServer::for_development(issuer, people)
            .map_err(|error| fault(error.to_string()))?
            .scopes(&self.scopes)
            .access_life(self.token_life)
            .map_err(|error| fault(format!("--token-life: {error}")))?;
        for url in &self.resources {
            if attache_core::http::Resource::new(url).is_none() {
                return Err(fault(format!("--resource {url:?} must be a URL such as http://127.0.0.1:8080/mcp")));
            }
        }
        Ok(if self.resources.is_empty() { server } else { server.resources(&self.resources) })
    }
}

/// Reads `ada=admin,operator`.
fn person(issuer: &str, text: &str) -> Person {
    let (name, roles) = text.split_once('=').unwrap_or((text, ""));
    Person::new(issuer, name).name(name).roles(roles.split(',').filter(|role| !role.is_empty()))
}
