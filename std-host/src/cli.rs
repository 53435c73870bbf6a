//! The command line: what it is called with, what it prints, and how it ends.

mod administration;
mod auth;
mod client;
mod config;
mod heads;
mod health;
mod key_file;
mod keys;
mod listen;
mod listener;
mod log;
mod metrics;
mod pace;
mod preface;
mod provision;
mod proxies;
mod seeing;
mod socket;
mod status;
#[cfg_attr(unix, path = "cli/unix.rs")]
#[cfg_attr(not(unix), path = "cli/elsewhere.rs")]
mod system;
#[cfg_attr(not(feature = "tls"), path = "cli/plain.rs")]
mod tls;
mod token;
mod traces;

use attache_host::{Changes, Ctx, Rate, Server, ToolError, stdio};
use auth::Rings;
use clap::{Args, Parser, Subcommand};
use config::{Config, Endpoint, Fault, Flags, Layers, Rates, Required, Secret, Tls};
use core::fmt;
use core::net::SocketAddr;
use health::Ready;
use hmac::{Hmac, Mac};
use listen::Serving;
use listener::Listener;
use schemars::JsonSchema;
use seeing::Seeing;
use serde::Deserialize;
use sha2::Sha256;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tls::Certificate;

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
    ///
    /// Each setting may be given as a flag, as a variable of the environment, or as a key of attache.toml, and counts in this
    /// order. `attache config` prints what counts and where it comes from.
    Serve(Serve),
    /// Print what a client's mcp.json has to say of the servers that `serve` would run with this configuration.
    McpJson(Settings),
    /// Print the configuration that `serve` would run with, and where each value comes from.
    Config(Show),
    Key(keys::Key),
    Provision(provision::Provision),
    Token(token::Token),
    /// Ask a running server whether it is ready; fails if it is not.
    Health(Health),
    List(client::List),
    Call(client::Call),
    Read(client::Read),
}

#[derive(Args, Debug)]
struct Serve {
    /// Serve one client on standard input and output instead of HTTP.
    #[arg(long, conflicts_with_all = ["listen", "path", "allow_host", "allow_origin"])]
    stdio: bool,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
struct Settings {
    /// The file of the configuration; attache.toml in the working directory is read without being named.
    #[arg(long, value_name = "FILE", env = "ATTACHE_CONFIG")]
    config: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,
}

#[derive(Args, Debug)]
struct Show {
    /// Print the JSON Schema of the file instead.
    #[arg(long)]
    schema: bool,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
struct Health {
    /// The server, such as http://127.0.0.1:8080.
    url: String,
}

/// Reads the command line, runs, and says how it went.
pub(crate) fn run() -> ExitCode {
    let ran = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Config(show) => show.run(),
        Command::McpJson(settings) => settings.print_mcp_json(),
        Command::Key(key) => key.run().map_err(Problem::Config),
        Command::Provision(provision) => provision.run(),
        Command::Token(token) => token.run(),
        Command::Health(health) => health.run(),
        Command::List(list) => return list.run(),
        Command::Call(call) => return call.run(),
        Command::Read(read) => return read.run(),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("attache: {problem}");
            problem.code()
        }
    }
}

impl Settings {
    fn layers(&self) -> Result<Layers, Problem> {
        Layers::read(&self.flags, self.config.as_deref()).map_err(Problem::Config)
    }

    fn print_mcp_json(&self) -> Result<(), Problem> {
        let config = self.layers()?.config().map_err(Problem::Config)?;
        let address = config.listen.address();
        for Endpoint { path, protection, .. } in &config.servers {
            let own = || url(address, path, config.tls.as_ref());
            let url = protection.resource.clone().unwrap_or_else(own);
            println!("{}", mcp_json(&url, protection.keys_file.is_some()));
        }
        Ok(())
    }
}

impl Show {
    fn run(&self) -> Result<(), Problem> {
        if self.schema {
            println!("{:#}", config::schema());
            return Ok(());
        }
        let layers = self.settings.layers()?;
        layers.config().map_err(Problem::Config)?;
        print!("{}", layers.print());
        Ok(())
    }
}

impl Health {
    fn run(&self) -> Result<(), Problem> {
        let said = health::ask(&self.url).map_err(Problem::Health)?;
        println!("{said}");
        Ok(())
    }
}

impl Serve {
    fn run(self) -> Result<(), Problem> {
        let config = self.settings.layers()?.config().map_err(Problem::Config)?;
        let log = log::start(&config);
        let seeing = Seeing::new(&config, &log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Problem::Runtime)?;
        let served = runtime.block_on(async {
            match (self.stdio, config.servers.first()) {
                (true, Some(first)) => {
                    let server = sealed(demo(first), first, config.seal.as_ref());
                    let limits = Arc::new(config.limits.clone());
                    let server = seeing.watch(server).limits(config.limits.clone()).build();
                    seeing.figures(&limits).await?;
                    stdio::serve(server, tokio::io::stdin(), tokio::io::stdout()).await.map_err(Problem::Stdio)
                }
                _ => http(&config, &seeing).await,
            }
        });
        // A read of standard input cannot be called off, and must not hold up the end.
        runtime.shutdown_background();
        served
    }
}

async fn http(config: &Config, seeing: &Seeing) -> Result<(), Problem> {
    let listener = Listener::bind(&config.listen).await?;
    let is_local = listener.is_local();
    let limits = match config.rates {
        Rates::Auto if is_local => config.limits.clone(),
        Rates::Auto => config.limits.clone().rate(Some(Rate::default())),
        Rates::Off => config.limits.clone(),
        Rates::Of(rate) => config.limits.clone().rate(Some(rate)),
    };
    let ready = Ready::default();
    let mut router = ready.routes();
    let mut changes = Vec::new();
    let mut rooted = false;
    let mut rings = Rings::default();
    for endpoint in &config.servers {
        let server = protected(server(endpoint, &listener), endpoint, &listener, config.tls.as_ref(), &mut rings)?;
        let server = sealed(server, endpoint, config.seal.as_ref());
        let server = seeing.watch(server).limits(limits.clone());
        if let Some(metadata) = server.root_metadata().filter(|_| !core::mem::replace(&mut rooted, true)) {
            router = router.merge(metadata);
        }
        changes.push(server.changes());
        router = router.merge(server.routes());
    }
    if let Some(file) = &config.administered {
        router = router.merge(administration::routes(rings.of(file).map_err(Problem::Config)?));
    }
    // Before the greeting: whoever reads it may send one.
    let mut signals = system::Signals::take().map_err(Problem::Signals)?;
    let tls = config.tls.as_ref().map(Certificate::read).transpose().map_err(Problem::Config)?;
    let mut reload = system::Reload::take().map_err(Problem::Signals)?;
    match tls.clone() {
        Some(certificate) => tokio::spawn(certificate.follow(reload)),
        // Untaken, the signal would end the program.
        None => tokio::spawn(async move {
            loop {
                reload.next().await;
                tracing::info!("there is no certificate to be read again; files of keys are looked at all the time");
            }
        }),
    };
    let stop = || {
        ready.stop();
        changes.iter().for_each(Changes::end_subscriptions);
    };
    let (limits, router, metrics) = (Arc::new(limits), router.fallback(listen::not_found), Arc::clone(&seeing.metrics));
    seeing.figures(&limits).await?;
    let status = seeing.status(&limits, config, &router).await?;
    tracing::info!(%listener, servers = config.servers.len(), "serving");
    greet(&listener, &config.servers, config.tls.as_ref());
    if let Some(address) = status {
        say(&format!("Status page on http://{address}/"));
    }
    let serving = Arc::new(Serving { router, limits, tls, metrics, proxies: Arc::new(config.proxies.clone()) });
    listen::serve(listener, serving, &mut signals, stop).await;
    Ok(())
}

/// The server, with what its callers have to show.
fn protected(
    server: Server,
    endpoint: &Endpoint,
    listener: &Listener,
    tls: Option<&Tls>,
    rings: &mut Rings,
) -> Result<Server, Problem> {
    let Endpoint { path, protection, .. } = endpoint;
    let by_certificate = tls.is_some_and(|tls| tls.client_ca.is_some());
    let open = protection.required == Required::Nothing || by_certificate || listener.is_local();
    if !protection.asks() && !open {
        return Err(Problem::Config(Fault::of(format!(
            "others reach {listener}, and nothing is asked of them: set auth.keys_file or auth.issuer, or let anybody call \
             with --auth-require anonymous"
        ))));
    }
    let signs_in = std::env::var(SIGNS_IN).is_ok_and(|word| word.eq_ignore_ascii_case("true"));
    if protection.vouched && !(signs_in && listener.is_local()) {
        return Err(Problem::Config(Fault::of(format!(
            "auth.platform_principal is believed only with {SIGNS_IN}=True, as a platform sets it, and on a loopback address or a Unix \
             socket: whoever else reaches the server could write who he is"
        ))));
    }
    if protection.require_https && tls.is_none() && !listener.is_local() {
        return Err(Problem::Config(Fault::of(format!(
            "others reach {listener}, and tokens would travel in the clear: set tls.certificate and tls.key, listen on a loopback address \
             behind what serves TLS, or say httpSettings.requireHttps false in auth.platform_file"
        ))));
    }
    if protection.policies.iter().any(|policy| matches!(policy.applications.as_slice(), [any] if any == "*")) {
        eprintln!("attache: warning: any application that has a token for this server may call {path}");
    }
    let url = url(listener.address(), path, tls);
    match auth::of(endpoint, &url, rings).map_err(Problem::Config)? {
        Some(auth) => Ok(server.auth(auth)),
        None => Ok(server),
    }
}

/// What a platform sets where it signs callers in.
const SIGNS_IN: &str = "WEBSITE_AUTH_ENABLED";

/// The URL of an endpoint, as long as nothing says otherwise.
fn url(address: Option<SocketAddr>, path: &str, tls: Option<&Tls>) -> String {
    let scheme = if tls.is_some() { "https" } else { "http" };
    match address {
        Some(address) => format!("{scheme}://{address}{path}"),
        None => format!("{scheme}://localhost{path}"),
    }
}

/// The server, which seals with the keys of the program. Each path has its own, made of them: what one server has sealed means
/// nothing to another.
fn sealed(server: Server, endpoint: &Endpoint, keys: Option<&Secret<Vec<[u8; 32]>>>) -> Server {
    let own = |key: &[u8; 32]| {
        let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(&endpoint.path));
        // Keys of any length do.
        mac.map_or(*key, |mac| mac.finalize().into_bytes().into())
    };
    match keys {
        Some(Secret(keys)) => server.seal_keys(keys.iter().map(own)),
        None => server,
    }
}

fn greet(listener: &Listener, servers: &[Endpoint], tls: Option<&Tls>) {
    for Endpoint { path, protection, .. } in servers {
        let url = url(listener.address(), path, tls);
        let policy = auth::Words(protection, &url);
        match listener.address() {
            Some(_) => {
                let json = mcp_json(&url, protection.keys_file.is_some());
                say(&format!("Serving MCP on {url} (stop with Ctrl-C)\n{policy}\n\nFor a client's mcp.json:\n{json}"));
            }
            None => say(&format!("Serving MCP on {path} of {listener} (stop with Ctrl-C)\n{policy}")),
        }
    }
}

/// Writes to standard output. Whoever has started the program may have closed it, which is no reason to end.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn server(endpoint: &Endpoint, listener: &Listener) -> Server {
    let server = demo(endpoint).path(&endpoint.path).origins(endpoint.origins.clone());
    let named = endpoint.hosts.clone();
    if listener.is_local() {
        let own = attache_core::http::LOOPBACK.iter().map(ToString::to_string);
        return server.hosts(own.chain(named));
    }
    if named.is_empty() {
        eprintln!("attache: warning: any Host is served; name yours with --allow-host");
    }
    server.hosts(named)
}

/// How a client is told of the server; a key is asked of the person who uses it.
fn mcp_json(url: &str, keyed: bool) -> String {
    let mut config = serde_json::json!({ "servers": { "attache": { "type": "http", "url": url } } });
    if keyed {
        config["servers"]["attache"]["headers"] = serde_json::json!({ "x-functions-key": "${input:key}" });
        config["inputs"] = serde_json::json!([
            { "type": "promptString", "id": "key", "description": "Key of the server", "password": true },
        ]);
    }
    format!("{config:#}")
}

/// A server with those of the demo tools that its configuration names.
fn demo(endpoint: &Endpoint) -> Server {
    let server = Server::new(&endpoint.name, env!("CARGO_PKG_VERSION"));
    let server = match &endpoint.instructions {
        Some(text) => server.instructions(text),
        None => server,
    };
    endpoint.tools.iter().fold(server, |server, tool| match tool.as_str() {
        "echo" => server.tool("echo", "Repeat a text exactly", |echo: Echo, _: Ctx| async move { echo.text }),
        "add" => server.tool("add", "Add two integers", |add: Add, _: Ctx| async move {
            let sum = add.a.checked_add(add.b).ok_or(ToolError::user("the sum of a and b is beyond 64 bits"))?;
            Ok::<_, ToolError>(sum.to_string())
        }),
        // The configuration was checked for it.
        _ => server,
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
    Config(Fault),
    Runtime(io::Error),
    Listen(config::Listen, io::Error),
    Signals(io::Error),
    Stdio(io::Error),
    Health(String),
    KeptOut,
}

impl Problem {
    /// As clap has it for wrong flags: 2 for what was written wrong.
    fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(fault) => write!(f, "{fault}"),
            Self::Runtime(error) => write!(f, "cannot start the runtime: {error}"),
            Self::Listen(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{address} is in use: stop the other program, or choose another with --listen")
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Signals(error) => write!(f, "cannot wait for a signal to stop: {error}"),
            Self::Stdio(error) => write!(f, "standard input or output: {error}"),
            Self::Health(why) => f.write_str(why),
            Self::KeptOut => f.write_str("the token does not let its holder in"),
        }
    }
}
