//! The program `attache` as a library: command line, configuration, TLS, access control and logs
//! around an author's tools.
//!
//! ```no_run
//! use attache::ServerConfig;
//! use attache_host::{Ctx, NoArgs, Server, ServerBuilder};
//! use std::process::ExitCode;
//!
//! fn server(config: &ServerConfig) -> ServerBuilder {
//!     Server::new(config.name(), "1.0").tool("greet", "Say hello", |_: NoArgs, _: Ctx| async { "hello" })
//! }
//!
//! fn main() -> ExitCode {
//!     attache::run(server)
//! }
//! ```

mod assemble;
mod auth;
mod backends;
mod check;
mod children;
mod client;
mod client_config;
mod config;
mod demo;
mod dev_issuer;
mod fault;
mod functions;
mod gate;
mod health;
mod init;
mod keys;
mod listen;
mod log;
mod observability;
mod pin;
mod print;
mod problem;
mod provision;
mod proxy;
mod reach;
mod reference;
mod reload;
mod serve;
mod settings;
mod sign_in;
mod status;
mod survey;
#[cfg_attr(unix, path = "system/unix.rs")]
#[cfg_attr(not(unix), path = "system/other.rs")]
mod system;
mod text;
mod token;
#[cfg_attr(not(feature = "traces"), path = "no_traces.rs")]
mod traces;

use attache_host::ServerBuilder;
use clap::{Args, Parser, Subcommand};
use client_config::Client;
use config::Layers;
pub use config::ServerConfig;
pub use demo::demo;
use print::{complain, print};
use problem::Problem;
use settings::Settings;
use std::process::ExitCode;

/// An MCP server for any machine
#[derive(Debug, Parser)]
#[command(
    name = "attache",
    version,
    after_help = "Try it: attache serve --demo, then point an MCP client at http://127.0.0.1:8080/mcp\n\
                  Set it up: attache init, attache check, attache serve",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve over HTTP, or over standard input and output
    ///
    /// Each setting is a flag, an environment variable, and a key of attache.toml. A flag overrides
    /// a variable, a variable overrides the file. `attache config` prints the values in force and
    /// where each comes from. -h shows the basics.
    Serve(serve::Serve),
    Init(init::Init),
    /// Check the configuration and the files that it names, and tell every mistake
    ///
    /// Does all that `serve` does before it listens. Starts no other program and connects to nothing.
    /// The exit code is 2 if there is a mistake.
    Check(check::Check),
    /// Print the mcp.json that a client needs for this configuration
    McpJson(McpJson),
    /// Print the configuration in force, and where each value comes from
    Config(Show),
    Gate(Box<gate::Gate>),
    Pin(pin::Pin),
    #[command(name = children::COMMAND, hide = true)]
    Watchdog(children::Watchdog),
    Functions(functions::Functions),
    Key(keys::Key),
    Provision(provision::Provision),
    DevIssuer(dev_issuer::DevIssuer),
    Token(token::Token),
    Health(health::Health),
    List(client::List),
    Call(client::Call),
    Read(client::Read),
    Completions(reference::Completions),
    Man(reference::Man),
}

#[derive(Args, Debug)]
struct Show {
    /// Print the JSON Schema of the file instead
    #[arg(long)]
    schema: bool,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
struct McpJson {
    /// The client that reads the file
    #[arg(long = "for", value_name = "CLIENT", value_enum, default_value_t)]
    client: Client,

    /// Have the client start the program and talk over standard input and output
    #[arg(long)]
    stdio: bool,

    #[command(flatten)]
    settings: Settings,
}

/// The snippets of the page are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/service.md")]
struct ServicePage;

/// Reads the command line, runs its command, and returns the exit code: 0 for success, 2 for wrong
/// flags or configuration, 1 for other failures.
///
/// `server` creates the server of each endpoint: its version and tools, and its name, which should be
/// [`ServerConfig::name`], or the setting `name` has no effect. From the configuration, the program
/// adds its path, `Host` and `Origin` rules, credentials, limits and instructions.
///
/// `serve` and `check` call `server` once for each endpoint; other commands do not call it. Open what
/// the endpoints share, such as a database, before `run` or in a `LazyLock`. If that fails, print the
/// reason and return an exit code other than 0 instead of calling `run`.
pub fn run(server: impl Fn(&ServerConfig) -> ServerBuilder) -> ExitCode {
    let ran = match Cli::parse().command {
        Command::Serve(serve) => serve.run(&server),
        Command::Init(init) => init.run(&server),
        Command::Check(check) => check.run(&server),
        Command::Config(show) => show.run(),
        Command::McpJson(wanted) => wanted.run(),
        Command::Gate(gate) => gate.run(),
        Command::Pin(pin) => pin.run(),
        Command::Watchdog(_) => children::Watchdog::run(),
        Command::Functions(functions) => functions.run(),
        Command::Key(key) => key.run(),
        Command::Provision(provision) => provision.run(),
        Command::DevIssuer(issuer) => issuer.run(),
        Command::Token(token) => token.run(),
        Command::Health(health) => health.run(),
        Command::List(list) => return list.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
        Command::Call(call) => return call.run(),
        Command::Read(read) => return read.run(),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problem::Unread) => Problem::Unread.code(),
        Err(problem) => {
            complain(&problem.to_string());
            problem.code()
        }
    }
}

impl McpJson {
    fn run(&self) -> Result<(), Problem> {
        let config = self.settings.config()?;
        let json = if self.stdio {
            let file = Layers::named(self.settings.config.as_deref());
            client_config::over_stdio(self.client, &config, file.as_deref())
        } else {
            let address = config.listen.address();
            if client_config::names_this_machine(&config, address) {
                complain("note: the URL is for clients on this machine; set allow_host to the name that others use");
            }
            client_config::over_http(self.client, &config, address)
        };
        print(&format!("{json:#}\n"))
    }
}

impl Show {
    fn run(&self) -> Result<(), Problem> {
        if self.schema {
            return print(&format!("{:#}\n", config::schema()));
        }
        let layers = self.settings.layers()?;
        layers.config()?;
        print(&layers.print())
    }
}
