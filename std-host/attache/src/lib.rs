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
mod describe;
mod dev_issuer;
mod doctor;
mod fault;
mod functions;
mod gate;
mod health;
mod init;
mod keys;
mod last_reload;
mod listen;
mod log;
mod observability;
mod package;
mod pin;
mod print;
mod problem;
mod provision;
mod proxy;
mod reach;
mod reference;
mod reload;
mod secret_filter;
mod serve;
mod settings;
mod sign_in;
mod sign_in_pages;
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
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use client_config::{Client, Credential, Wanted};
use config::Layers;
pub use config::ServerConfig;
pub use demo::demo;
use fault::Fault;
use print::{complain, print};
use problem::Problem;
use settings::Settings;
use std::path::{Path, PathBuf};
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
    Describe(describe::Describe),
    /// Print the configuration in force, and where each value comes from
    Config(Show),
    Gate(Box<gate::Gate>),
    Pin(pin::Pin),
    #[command(name = children::COMMAND, hide = true)]
    Watchdog(children::Watchdog),
    Functions(functions::Functions),
    Package(package::Package),
    Key(keys::Key),
    Provision(provision::Provision),
    DevIssuer(dev_issuer::DevIssuer),
    Token(token::Token),
    Doctor(doctor::Doctor),
    Health(health::Health),
    List(client::List),
    Call(client::Call),
    Read(client::Read),
    SignOut(client::SignOut),
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

    /// Client id for clients that do not register themselves [default: auth.client_id]
    #[arg(long, value_name = "ID", conflicts_with = "stdio")]
    client_id: Option<String>,

    /// Credential of an agent, with --for foundry [default: the one that fits the configuration]
    #[arg(long, value_name = "KIND", value_enum)]
    credential: Option<Credential>,

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
    let ran = match parsed().command {
        Command::Serve(serve) => serve.run(&server),
        Command::Init(init) => init.run(&server),
        Command::Check(check) => check.run(&server),
        Command::Config(show) => show.run(),
        Command::McpJson(wanted) => wanted.run(),
        Command::Describe(describe) => describe.run(),
        Command::Gate(gate) => gate.run(),
        Command::Pin(pin) => pin.run(),
        Command::Watchdog(_) => children::Watchdog::run(),
        Command::Functions(functions) => functions.run(),
        Command::Package(package) => package.run(),
        Command::Key(key) => key.run(),
        Command::Provision(provision) => provision.run(),
        Command::DevIssuer(issuer) => issuer.run(),
        Command::Token(token) => token.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Health(health) => health.run(),
        Command::List(list) => return list.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
        Command::Call(call) => return call.run(),
        Command::Read(read) => return read.run(),
        Command::SignOut(sign_out) => return sign_out.run(),
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

/// Parses the command line. The program of another author has the name of its file.
fn parsed() -> Cli {
    const OWN: &str = "attache";
    let mut command = Cli::command();
    let file = std::env::args_os().next().map(PathBuf::from);
    let name = file.as_deref().and_then(Path::file_stem).map(|name| name.to_string_lossy().into_owned());
    if let Some(name) = name.filter(|name| name != OWN) {
        command = command.name(name).version(concat!("(attache ", env!("CARGO_PKG_VERSION"), ")"));
    }
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

impl McpJson {
    fn run(&self) -> Result<(), Problem> {
        let config = self.settings.config()?;
        let fault = |what: &str| Err(Problem::Config(Fault::of(what.to_owned())));
        if self.credential.is_some() && self.client != Client::Foundry {
            return fault(
                "--credential is for --for foundry: other clients take the credentials that the server asks for",
            );
        }
        if self.stdio && self.client == Client::Foundry {
            return fault("--for foundry and --stdio exclude each other: an agent there cannot start programs");
        }
        let json = if self.stdio {
            let file = Layers::named(self.settings.config.as_deref());
            client_config::over_stdio(self.client, &config, file.as_deref())
        } else {
            let address = config.listen.address();
            if client_config::names_this_machine(&config, address) {
                complain("note: the URL is for clients on this machine; set allow_host to the name that others use");
            }
            let (client, client_id, credential) = (self.client, self.client_id.as_deref(), self.credential);
            client_config::over_http(Wanted { client, client_id, credential }, &config, address)
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
