//! The command line: what it is called with, what it prints, and how it ends.

mod heads;
mod listen;
mod pace;
mod socket;
#[cfg_attr(unix, path = "cli/unix.rs")]
#[cfg_attr(not(unix), path = "cli/elsewhere.rs")]
mod system;

use attache_host::{Ctx, Limits, Server, ToolError, stdio};
use clap::{Args, Parser, Subcommand};
use core::fmt;
use core::net::SocketAddr;
use schemars::JsonSchema;
use serde::Deserialize;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// An MCP server for any machine.
#[derive(Debug, Parser)]
#[command(version, after_help = "Try it: attache serve, then point an MCP client at http://127.0.0.1:8080/mcp")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the demo tools `echo` and `add` over HTTP or standard input and output.
    Serve(Serve),
}

#[derive(Args, Debug)]
struct Serve {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Path of the endpoint.
    #[arg(long, default_value = "/mcp", value_parser = absolute_path)]
    path: String,

    /// Serve one client on standard input and output instead of HTTP.
    #[arg(long, conflicts_with_all = ["listen", "path", "allow_host", "allow_origin"])]
    stdio: bool,

    /// A name by which clients call this server, without port; may be given more than once.
    ///
    /// On a loopback address, localhost and the loopback addresses are served without being named.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// An origin of web pages that may call, such as `https://app.example`; may be given more than once.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
}

/// Reads the command line, runs, and says how it went.
pub(crate) fn run() -> ExitCode {
    let Command::Serve(serve) = Cli::parse().command;
    // Standard output belongs to the protocol.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match serve.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("attache: {problem}");
            ExitCode::FAILURE
        }
    }
}

impl Serve {
    fn run(self) -> Result<(), Problem> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Problem::Runtime)?;
        let served = runtime.block_on(async {
            if self.stdio {
                stdio::serve(demo().build(), tokio::io::stdin(), tokio::io::stdout()).await.map_err(Problem::Stdio)
            } else {
                self.http().await
            }
        });
        // A read of standard input cannot be called off, and must not hold up the end.
        runtime.shutdown_background();
        served
    }

    async fn http(self) -> Result<(), Problem> {
        let listener = TcpListener::bind(self.listen).await.map_err(|error| Problem::Listen(self.listen, error))?;
        let address = listener.local_addr().map_err(|error| Problem::Listen(self.listen, error))?;
        let limits = Limits::default();
        let server = self.server(address).limits(limits.clone());
        let changes = server.changes();
        let router = server.routes().fallback(listen::not_found);
        // Before the greeting: whoever reads it may send one.
        let mut signals = system::Signals::take().map_err(Problem::Signals)?;
        let url = format!("http://{address}{}", self.path);
        println!("Serving MCP on {url} (stop with Ctrl-C)\n\nFor a client's mcp.json:\n{}", mcp_json(&url));
        listen::serve(listener, router, &limits, &mut signals, || changes.end_subscriptions()).await;
        Ok(())
    }

    fn server(&self, address: SocketAddr) -> Server {
        let server = demo().path(&self.path).origins(self.allow_origin.clone());
        if address.ip().is_loopback() {
            let own = attache_core::http::LOOPBACK.iter().map(ToString::to_string);
            return server.hosts(own.chain(self.allow_host.clone()));
        }
        eprintln!("attache: warning: anybody who reaches {address} may call the tools");
        if self.allow_host.is_empty() {
            eprintln!("attache: warning: any Host is served; name yours with --allow-host");
        }
        server.hosts(self.allow_host.clone())
    }
}

fn absolute_path(path: &str) -> Result<String, String> {
    match path.starts_with('/') && !path.contains(['{', '}', '*', '?', '#']) {
        true => Ok(path.to_owned()),
        false => Err("a path begins with / and has none of { } * ? #".to_owned()),
    }
}

fn mcp_json(url: &str) -> String {
    let config = serde_json::json!({ "servers": { "attache": { "type": "http", "url": url } } });
    format!("{config:#}")
}

/// The tools that `serve` offers.
fn demo() -> Server {
    Server::new("attache", env!("CARGO_PKG_VERSION"))
        .tool("echo", "Repeat a text exactly", |echo: Echo, _: Ctx| async move { echo.text })
        .tool("add", "Add two integers", |add: Add, _: Ctx| async move {
            let sum = add.a.checked_add(add.b).ok_or(ToolError::user("the sum of a and b is beyond 64 bits"))?;
            Ok::<_, ToolError>(sum.to_string())
        })
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// what to repeat
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    /// the first number
    a: i64,
    /// the second number
    b: i64,
}

/// Why the program ends with a failure, and what to do about it.
#[derive(Debug)]
enum Problem {
    Runtime(std::io::Error),
    Listen(SocketAddr, std::io::Error),
    Signals(std::io::Error),
    Stdio(std::io::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "cannot start the runtime: {error}"),
            Self::Listen(address, error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                write!(f, "{address} is in use: stop the other program, or choose another port with --listen")
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Signals(error) => write!(f, "cannot wait for a signal to stop: {error}"),
            Self::Stdio(error) => write!(f, "standard input or output: {error}"),
        }
    }
}
