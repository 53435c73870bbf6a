//! `attache gate`: serves another MCP server with the access control of this program.

mod mcp_servers;

use super::config::{Backend, Children, Config, Place, PolicyRules, Program, ServerConfig};
use super::fault::{Fault, Faults, Origin};
use super::pin::pin_all;
use super::problem::Problem;
use super::serve::Serve;
use attache_host::Server;
use attache_host::client::Version;
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Serve another MCP server, at a URL or started as a command, to clients of every revision
///
/// Every setting of `attache serve` holds for the gate, such as keys, tokens and TLS. To put several servers behind one path, write
/// [[server.backend]] tables in attache.toml and run `attache serve`.
#[derive(Args, Debug)]
#[command(
    override_usage = "attache gate [OPTIONS] URL\n       attache gate [OPTIONS] -- COMMAND [ARGS]...\n       attache gate [OPTIONS] --mcp-servers FILE",
    after_help = AFTER
)]
pub(super) struct Gate {
    /// URL of the server, such as http://127.0.0.1:3000/mcp, or a serial port with a board, such as
    /// serial:/dev/ttyACM0 or serial:/dev/ttyUSB0?baud=9600
    #[arg(value_name = "URL", required_unless_present_any = ["command", "mcp_servers"], conflicts_with_all = ["command", "mcp_servers"])]
    url: Option<String>,

    /// File with the servers of a client (mcpServers); each of several gets its name as prefix
    #[arg(long, value_name = "FILE", help_heading = "Behind the gate", conflicts_with = "command")]
    mcp_servers: Option<PathBuf>,

    /// Put this before the names of tools and prompts
    #[arg(long, value_name = "TEXT", help_heading = "Behind the gate", conflicts_with = "mcp_servers")]
    prefix: Option<String>,

    /// The server at URL speaks the HTTP transport of revision 2024-11-05, with a separate event stream
    #[arg(long, help_heading = "Behind the gate", requires = "url")]
    sse: bool,

    /// File with the access token that the gate sends to the server at URL
    #[arg(long, value_name = "FILE", help_heading = "Behind the gate", requires = "url")]
    backend_token_file: Option<PathBuf>,

    /// Let that token travel unencrypted to another machine
    #[arg(long, help_heading = "Behind the gate", requires = "url")]
    plain_http: bool,

    /// Speak only this revision of MCP with the server; otherwise the newest that both sides speak
    #[arg(long, value_name = "DATE", help_heading = "Behind the gate", value_parser = super::config::revision)]
    revision: Option<Version>,

    /// Set a variable of the command, or pass on one of the gate; repeatable
    #[arg(long = "env", value_name = "NAME[=VALUE]", help_heading = "Behind the gate", requires = "command")]
    environment: Vec<String>,

    /// Accept what the server offers now, write its pins to attache.pins or --pins-file, and exit; see docs/gate.md
    #[arg(long, help_heading = "Behind the gate", conflicts_with = "stdio")]
    pin: bool,

    /// Start one child for all calls (process), for each session of a client (session), or for each caller (caller)
    #[arg(long, value_name = "WHAT", help_heading = "Behind the gate", requires = "command")]
    per: Option<String>,

    /// Stop the command when no call has used it for this long, such as 10min; the next call starts it again
    #[arg(long, value_name = "TIME", help_heading = "Behind the gate", requires = "command")]
    idle: Option<String>,

    /// Kill the command when its processes use more memory than this, such as 512MiB
    #[arg(long, value_name = "SIZE", help_heading = "Behind the gate", requires = "command")]
    memory: Option<String>,

    /// Slow the command down when its processes use more cores than this, such as 0.5
    #[arg(long, value_name = "CORES", help_heading = "Behind the gate", requires = "command")]
    cpu: Option<String>,

    /// Kill the command when it has more processes than this
    #[arg(long, value_name = "NUMBER", help_heading = "Behind the gate", requires = "command")]
    processes: Option<String>,

    /// Offer only the tools, prompts and resources with these names or URIs; * matches any text; repeatable
    #[arg(long, value_name = "PATTERN", help_heading = "Policy")]
    allow: Vec<String>,

    /// Hide the tools, prompts and resources with these names or URIs; takes precedence over --allow
    #[arg(long, value_name = "PATTERN", help_heading = "Policy")]
    deny: Vec<String>,

    /// Offer only tools that the server annotates with readOnlyHint
    #[arg(long, help_heading = "Policy")]
    read_only: bool,

    #[command(flatten)]
    serve: Serve,

    /// Command of a server that speaks over standard input and output
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const AFTER: &str = "\
Examples:
  attache gate -- npx -y @modelcontextprotocol/server-filesystem /srv/data
  attache gate --auth-keys-file keys --listen 0.0.0.0:8443 http://127.0.0.1:3000/mcp
  attache gate --stdio https://mcp.example.com/mcp
  attache gate serial:/dev/ttyACM0";

impl Gate {
    pub(super) fn run(self) -> Result<(), Problem> {
        if self.pin {
            return pin_all(&self.amended(self.serve.settings.layers()?.config_to_pin(true)?)?);
        }
        let config = self.serve.settings.config()?;
        let gate = Arc::new(self);
        let amending = Arc::clone(&gate);
        let make = |config: &ServerConfig| Server::new(config.name(), env!("CARGO_PKG_VERSION"));
        gate.serve.run_with(config, &make, move |config| amending.amended(config))
    }

    /// Adds the backends of the command line to a configuration.
    fn amended(&self, mut config: Config) -> Result<Config, Fault> {
        let backends = self.backends()?;
        let mut faults = Faults::default();
        backends.iter().for_each(|backend| faults.or_default(backend.check()));
        let backends = backends.into_iter().map(|backend| Backend { rules: self.rules(), ..backend }).collect();
        config.add_backends(backends).unwrap_or_else(|fault| faults.add(fault));
        // Pins in attache.pins are often those of the configuration file, which has other backends.
        let is_pinned =
            |server: &ServerConfig| server.backends.iter().any(|backend| config.pins.has(server.path(), &backend.name));
        if !self.pin && !config.pins.is_named && !config.servers.iter().any(is_pinned) {
            config.pins = config.pins.without_force();
        }
        faults.end().map(|()| config)
    }

    fn backends(&self) -> Result<Vec<Backend>, Fault> {
        if let Some(file) = &self.mcp_servers {
            return mcp_servers::read(file);
        }
        let (name, place) = match (&self.url, self.command.first()) {
            (Some(url), _) => (host_of(url), Place::Url { url: url.clone(), old_transport: self.sse }),
            (None, program) => (program.map(name_of).unwrap_or_default(), self.place_of_command()?),
        };
        let children = self.children(&place)?;
        let backend = Backend::new(&name, place, Origin::Flag("gate".to_owned()));
        Ok(vec![Backend {
            prefix: self.prefix.clone().unwrap_or_default(),
            token_file: self.backend_token_file.clone(),
            plain_http: self.plain_http,
            version: self.revision,
            children,
            ..backend
        }])
    }

    /// The settings of the command as a child process.
    fn children(&self, place: &Place) -> Result<Children, Fault> {
        let fault = |flag: &str, what: String| Fault::at(Origin::Flag(flag.to_owned()), what);
        let Self { per, idle, memory, cpu, processes, .. } = self;
        let flags = [("per", per), ("idle", idle), ("memory", memory), ("cpu", cpu), ("processes", processes)];
        let mut children = Children::default();
        for (flag, value) in flags {
            if let Some(value) = value {
                children.flag(flag, value).map_err(|what| fault(flag, what))?;
            }
        }
        children.check(place).map_err(|what| fault("gate", what))?;
        Ok(children)
    }

    fn rules(&self) -> PolicyRules {
        PolicyRules::of_flags(&self.allow, &self.deny, self.read_only)
    }

    fn place_of_command(&self) -> Result<Place, Fault> {
        let variable = |text: &String| match text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.into())),
            None => match std::env::var_os(text) {
                Some(value) => Ok((text.clone(), value)),
                None => {
                    Err(Fault::at(Origin::Flag("env".to_owned()), format!("{text} is not set: write {text}=VALUE")))
                }
            },
        };
        let environment = self.environment.iter().map(variable).collect::<Result<_, _>>()?;
        Ok(Place::Command(Program { words: self.command.clone(), environment, directory: None }))
    }
}

/// Returns the common name of a command: its file name without extension.
fn name_of(program: &OsString) -> String {
    let file = Path::new(program).file_stem().map(|name| name.to_string_lossy().into_owned());
    file.unwrap_or_else(|| program.to_string_lossy().into_owned())
}

fn host_of(url: &str) -> String {
    if let Some(path) = url.strip_prefix("serial:") {
        let path = path.split('?').next().unwrap_or(path);
        return name_of(&OsString::from(path));
    }
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| url.to_owned())
}
