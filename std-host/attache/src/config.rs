//! The configuration: one table of settings, four sources of values, one typed result for the
//! program.

mod backend;
mod checks;
mod flags;
mod given;
mod layers;
mod names;
mod paths;
mod pins;
mod policy;
mod protection;
mod providers;
mod proxy;
mod schema;
mod secret;
mod settings;
mod sign_in;
mod sign_in_pages;
mod value;

pub(super) use backend::{Backend, Children, Made, Place, Program, revision};
#[cfg(not(feature = "traces"))]
pub(super) use checks::NO_TRACES;
pub(super) use flags::Flags;
pub(super) use layers::{Effective, Layers};
pub(super) use paths::METADATA;
pub(super) use pins::{BackendId, Definitions, PinsFile, word};
pub(super) use policy::PolicyRules;
pub(super) use protection::Protection;
pub(super) use providers::ProviderConfig;
pub(super) use proxy::{ProxyConfig, RouteAccess, RouteRule, Upgrades};
pub(super) use schema::schema;
pub(super) use secret::Secret;
pub(super) use settings::basic as basic_settings;
use settings::{Kind, SETTINGS, Setting};
pub(super) use sign_in::SignIn;
pub(super) use sign_in_pages::SignInPages;
pub(super) use value::{Listen, Rates, life};

/// Whether a setting of a table has this name, such as `auth.issuer`.
pub(super) fn is_setting(name: &str) -> bool {
    name.contains('.') && SETTINGS.iter().any(|setting| setting.key == name)
}

use super::fault::{Fault, Faults, Origin, Written};
use super::print::complain;
use super::text;
use attache_host::Limits;
use attache_host::children::Supervision;
use attache_host::observe::AuditLog;
use attache_host::policy::Policy;
use attache_host::serve::{Proxies, TlsFiles};
use core::net::SocketAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The typed configuration of the program.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) listen: Listen,
    /// The file permissions of a Unix socket.
    pub(super) socket_mode: u32,
    pub(super) limits: Limits,
    pub(super) rates: Rates,
    pub(super) identity_rates: Rates,
    pub(super) servers: Vec<ServerConfig>,
    pub(super) tls: Option<TlsFiles>,
    /// The keys that seal sessions and questions. `None` if they are generated at the start.
    pub(super) seal: Option<Secret<Vec<[u8; 32]>>>,
    pub(super) log_level: String,
    pub(super) log_json: bool,
    pub(super) log_exchanges: bool,
    pub(super) audit: Option<AuditLog>,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) status: Option<SocketAddr>,
    /// Whether the status page shows the JSON of exchanges.
    pub(super) status_messages: bool,
    pub(super) traces: Option<String>,
    pub(super) proxies: Proxies,
    /// The key file that is administered over HTTP.
    pub(super) administered: Option<PathBuf>,
    /// The program's own authorization server.
    pub(super) sign_in: Option<SignIn>,
    /// The sign-in pages for people with a browser.
    pub(super) sign_in_pages: Option<SignInPages>,
    /// The accepted definitions of backends.
    pub(super) pins: PinsFile,
    /// The settings that are not at their default, for the position of faults that are found later.
    pub(super) written: Vec<Written>,
    /// The values of all settings, to find those that a reload cannot change.
    pub(super) settings: Vec<Effective>,
    pub(super) listen_origin: Origin,
    pub(super) children: ChildLimits,
    /// Whether a changed file is read again without a signal.
    pub(super) watch: bool,
    /// The configuration file, which may not exist yet.
    pub(super) file: PathBuf,
}

/// The limits of all child processes together.
#[derive(Debug)]
pub(super) struct ChildLimits {
    pub(super) most: usize,
    /// The directory of the state file. `None` for the directory of the service or of the user.
    pub(super) state_directory: Option<PathBuf>,
    /// The one supervision of the program, once a child needs it.
    pub(super) supervision: Arc<OnceLock<Supervision>>,
}

/// The configuration of one server: its `[[server]]` table, or the top-level settings if no such
/// table exists.
#[derive(Debug)]
pub struct ServerConfig {
    pub(super) path: String,
    /// Whether the transport of revision 2024-11-05 is offered, too.
    pub(super) http_sse: bool,
    pub(super) name: String,
    pub(super) instructions: Option<String>,
    pub(super) tools: Vec<String>,
    pub(super) hosts: Vec<String>,
    pub(super) origins: Vec<String>,
    pub(super) protection: Protection,
    pub(super) backends: Vec<Backend>,
    /// The settings of a proxy. `None` for an MCP server.
    pub(super) proxy: Option<ProxyConfig>,
    /// The policy for everything that the server offers.
    rules: PolicyRules,
    path_origin: Origin,
    resource_origin: Origin,
}

impl Config {
    /// Returns the policy of a backend, with its pins.
    pub(super) fn policy_of(&self, server: &ServerConfig, backend: &Backend) -> Policy {
        let policy = backend.rules.policy();
        match self.pins.of(&server.path, &backend.name) {
            Some(pins) => policy.pins(pins),
            None => policy,
        }
    }

    /// Adds backends of the command line to the one server of the configuration.
    ///
    /// # Errors
    /// If the configuration has several servers.
    pub(super) fn add_backends(&mut self, backends: Vec<Backend>) -> Result<(), Fault> {
        let [server] = self.servers.as_mut_slice() else {
            return Err(Fault::of(SEVERAL.to_owned()));
        };
        server.backends.extend(backends);
        Ok(())
    }
}

const SEVERAL: &str = "the command line can add a backend to one path: with several [[server]] in the file, write \
                       [[server.backend]] there and run attache serve";

impl ServerConfig {
    /// Returns the policy for everything that the server offers.
    pub(super) fn policy(&self) -> Policy {
        self.rules.policy()
    }

    /// Whether the server has rules of a policy.
    pub(super) const fn has_policy(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Returns the name that the server reports to clients (`name`).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks the policies of the server and of its backends.
    pub(super) fn check_policies(&self) -> Result<(), Fault> {
        let mut faults = Faults::default();
        self.rules.check(&self.path, "", &self.protection, &mut faults);
        for backend in &self.backends {
            let of = format!("backend {:?}", backend.name);
            backend.rules.check(&of, &backend.prefix, &self.protection, &mut faults);
        }
        faults.end()
    }

    pub(super) const fn path_origin(&self) -> &Origin {
        &self.path_origin
    }

    /// The path of the URL that clients are told: the first MCP path of a proxy, or the path of the endpoint.
    pub(super) fn resource_path(&self) -> String {
        let mcp = self.proxy.as_ref().and_then(|proxy| proxy.mcp_paths.first());
        mcp.map_or_else(|| self.path.clone(), |pattern| pattern.literal_start())
    }

    /// Returns the path of the endpoint (`path`), with its leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The demo tools.
const TOOLS: [&str; 2] = ["echo", "add"];

/// The largest number of header fields that the HTTP library can hold.
const MOST_FIELDS: usize = 10_000;

/// The file that is read if it is in the working directory and no other file is named.
const FILE: &str = "attache.toml";

impl Layers {
    /// Reads all sources of values: `flags`, the environment, and `file` or [`FILE`].
    ///
    /// # Errors
    /// Every value that does not have the form of its setting.
    pub(super) fn read(flags: &Flags, file: Option<&Path>) -> Result<Self, Fault> {
        let mut faults = Faults::default();
        let layers = Self::collect(flags, file, &mut faults);
        faults.end().map(|()| layers.unwrap_or_default())
    }

    /// Reads all sources of values, and adds their faults. Returns `None` if there is a file that
    /// cannot be read as a whole.
    pub(super) fn collect(flags: &Flags, file: Option<&Path>, faults: &mut Faults) -> Option<Self> {
        let mut layers = Self::default();
        for (setting, texts) in &flags.0 {
            faults.or_default(layers.flag(setting, texts.clone()));
        }
        faults.or_default(layers.variables(|name| std::env::var(name).ok()));
        let named = Self::named(file);
        let file = named.as_deref();
        let path = file.unwrap_or_else(|| Path::new(FILE));
        match text::read(path) {
            Ok(text) => layers.file(path, &text, faults).then_some(layers),
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => Some(layers),
            Err(error) => {
                faults.add(Fault::of(format!("{}: cannot be read: {error}", path.display())));
                None
            }
        }
    }

    /// The file that a flag or `ATTACHE_CONFIG` names. An empty variable counts as unset.
    pub(super) fn named(flag: Option<&Path>) -> Option<PathBuf> {
        let variable = || std::env::var_os("ATTACHE_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from);
        flag.map(Path::to_owned).or_else(variable)
    }

    /// Returns a warning for each environment variable that looks like a setting but is not one.
    pub(super) fn unknown_variables() -> Vec<String> {
        layers::unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
    }

    /// Prints all settings in the form of the file, each with the source of its value.
    pub(super) fn print(&self) -> String {
        let line = |setting: &Setting, server: Option<usize>| {
            let given = self.get(setting, server);
            if setting.kind == Kind::Secret {
                let hidden = || format!("# {} (hidden) from {}\n", setting.key, given.origin);
                return (!given.texts.is_empty()).then(hidden);
            }
            let mut quoted = given.texts.iter().map(|text| serde_json::Value::from(text.as_str()).to_string());
            let value = match setting.kind {
                Kind::List(_) => format!("[{}]", quoted.collect::<Vec<_>>().join(", ")),
                _ => quoted.next()?,
            };
            Some(format!("{} = {value}  # {}\n", setting.key, given.origin))
        };
        let mut printed: String = SETTINGS.iter().filter_map(|setting| line(setting, None)).collect();
        for server in 0..self.servers() {
            printed.push_str("\n[[server]]\n");
            let own = SETTINGS.iter().filter(|setting| setting.of == settings::Of::Server);
            printed.extend(own.filter_map(|setting| line(setting, Some(server))));
        }
        printed
    }

    /// Returns the typed value of all settings.
    ///
    /// # Errors
    /// All settings that contradict each other or name files that cannot be used.
    pub(super) fn config(&self) -> Result<Config, Fault> {
        let mut faults = Faults::default();
        let config = self.typed(&mut faults);
        faults.end().map_err(|fault| fault.placed(&config.written)).map(|()| config)
    }

    /// Returns the configuration for `attache pin`, which also replaces a file that is missing or
    /// that cannot be read. `keeps` is set if pins of the file have to be kept.
    pub(super) fn config_to_pin(&self, keeps: bool) -> Result<Config, Fault> {
        let mut faults = Faults::default();
        let pins = match self.pins() {
            Err(fault) if !keeps => {
                complain(&format!("warning: {fault}"));
                self.no_pins()
            }
            pins => faults.or_default(pins),
        };
        let config = self.typed_with(pins, &mut faults);
        faults.end().map_err(|fault| fault.placed(&config.written)).map(|()| config)
    }

    /// Returns the typed value of all settings, and adds their faults.
    pub(super) fn typed(&self, faults: &mut Faults) -> Config {
        let pins = faults.or_default(self.pins());
        faults.or_default(pins.check(self));
        self.typed_with(pins, faults)
    }

    fn typed_with(&self, pins: PinsFile, faults: &mut Faults) -> Config {
        let config = Config {
            written: self.written(),
            settings: self.effective(),
            watch: self.text("watch") == "true",
            file: self.path.clone().unwrap_or_else(|| FILE.into()),
            status_messages: self.text("status.messages") == "true",
            listen_origin: self.given("listen", None).origin,
            listen: value::listen(&self.text("listen"))
                .unwrap_or(Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)))),
            socket_mode: value::mode(&self.text("socket_mode")).unwrap_or(0o600),
            rates: value::rate(&self.text("limits.rate")).unwrap_or(Rates::Auto),
            identity_rates: value::rate(&self.text("limits.identity_rate")).unwrap_or(Rates::Auto),
            limits: self.limits(faults),
            servers: self.endpoints(faults),
            tls: faults.or_default(self.tls()),
            seal: faults.or_default(self.seal()),
            log_level: self.text("log.level"),
            log_json: self.text("log.format") == "json",
            metrics: self.address("metrics.listen"),
            status: faults.or_default(self.status()),
            traces: faults.or_default(self.traces()),
            proxies: faults.or_default(self.proxies()),
            administered: faults.or_default(self.administered()),
            sign_in: faults.or_default(self.sign_in()),
            sign_in_pages: faults.or_default(self.sign_in_pages()),
            log_exchanges: self.text("log.exchanges") == "true",
            audit: match self.text("log.audit").as_str() {
                "on" => Some(AuditLog::default()),
                "arguments" => Some(AuditLog::default().with_arguments()),
                _ => None,
            },
            pins,
            children: ChildLimits {
                most: self.count("children.most"),
                state_directory: Some(self.text("children.state_dir"))
                    .filter(|text| !text.is_empty())
                    .map(PathBuf::from),
                supervision: Arc::default(),
            },
        };
        faults.or_default(config.check_paths());
        config
    }

    /// The settings that are not at their default, with the servers' own.
    fn written(&self) -> Vec<Written> {
        let servers = || core::iter::once(None).chain((0..self.servers()).map(Some));
        let all = SETTINGS.iter().flat_map(|setting| servers().map(move |server| (setting, self.get(setting, server))));
        let written = all.filter(|(_, given)| given.origin != Origin::Default);
        written
            .map(|(setting, given::Given { texts, origin })| {
                let file = texts.into_iter().next().filter(|_| setting.kind == Kind::File);
                Written { key: setting.key, file, origin }
            })
            .collect()
    }

    fn limits(&self, faults: &mut Faults) -> Limits {
        let limits = Limits::default()
            .body(self.size("limits.body"))
            .body_time(self.time("limits.body_time"))
            .head(self.size("limits.head"))
            .fields(self.count("limits.fields"))
            .head_time(self.time("limits.head_time"))
            .idle_time(self.time("limits.idle_time"))
            .stall_time(self.time("limits.stall_time"))
            .stream_time(self.time("limits.stream_time"))
            .connections(self.count("limits.connections"))
            .multiplexed(self.count("limits.multiplexed"))
            .calls(self.count("limits.calls"))
            .calls_waiting(self.count("limits.calls_waiting"))
            .call_wait(self.time("limits.call_wait"))
            .call_time(self.time("limits.call_time"))
            .streams(self.count("limits.streams"))
            .stop_grace(self.time("limits.stop_grace"))
            .memory(self.size("limits.memory"))
            .memory_per_caller(self.size("limits.memory_per_caller"))
            .share(self.count("limits.share"));
        if limits.head < attache_host::limits::HEAD_LEAST {
            faults.add(self.fault("limits.head", "must be 8KiB at least"));
        }
        for (key, memory) in [("limits.memory", limits.memory), ("limits.memory_per_caller", limits.memory_per_caller)]
        {
            if memory < limits.body {
                faults.add(self.fault(key, "must have room for one body: limits.body at least"));
            }
        }
        if !(1..=100).contains(&limits.share) {
            faults.add(self.fault("limits.share", "must be a number from 1 to 100, in percent"));
        }
        if limits.fields > MOST_FIELDS {
            faults.add(self.fault("limits.fields", &format!("must be {MOST_FIELDS} at most")));
        }
        limits
    }

    /// The servers without faults in their settings.
    fn endpoints(&self, faults: &mut Faults) -> Vec<ServerConfig> {
        let numbers: Vec<Option<usize>> = match self.servers() {
            0 => vec![None],
            servers => (0..servers).map(Some).collect(),
        };
        let mut endpoints = Vec::new();
        for number in numbers {
            let texts = |key: &str| self.given(key, number).texts;
            let text = |key: &str| texts(key).into_iter().next();
            let is_demo = text("demo").as_deref() == Some("true");
            let is_named = self.given("tools", number).origin != Origin::Default;
            let tools = if is_demo || is_named { texts("tools") } else { Vec::new() };
            for unknown in tools.iter().filter(|tool| !TOOLS.contains(&tool.as_str())) {
                let what = format!("there is no tool {unknown:?}: choose from {}", TOOLS.join(", "));
                faults.add(Fault::at(self.given("tools", number).origin, what));
            }
            let backends = number.map(|number| self.backends(number)).unwrap_or_default();
            let proxy = faults.or_default(self.proxy(number, &backends));
            match self.protection(number) {
                Err(fault) => faults.add(fault),
                Ok(protection) => endpoints.push(ServerConfig {
                    proxy,
                    path: text("path").unwrap_or_default(),
                    http_sse: text("http_sse").as_deref() == Some("true"),
                    name: text("name").unwrap_or_default(),
                    instructions: text("instructions"),
                    tools,
                    hosts: texts("allow_host"),
                    origins: texts("allow_origin"),
                    protection,
                    backends,
                    rules: self.rules(number),
                    path_origin: self.given("path", number).origin,
                    resource_origin: self.given("auth.resource", number).origin,
                }),
            }
        }
        endpoints
    }

    fn given(&self, key: &str, server: Option<usize>) -> given::Given {
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        self.get(setting.expect("a key of the table"), server)
    }

    fn fault(&self, key: &str, what: &str) -> Fault {
        Fault::at(self.given(key, None).origin, format!("{key} {what}"))
    }

    fn text(&self, key: &str) -> String {
        self.given(key, None).texts.into_iter().next().unwrap_or_default()
    }

    // The values below were checked when they were read.
    fn address(&self, key: &str) -> Option<SocketAddr> {
        self.text(key).parse().ok()
    }

    fn size(&self, key: &str) -> usize {
        value::size(&self.text(key)).unwrap_or(usize::MAX)
    }

    fn count(&self, key: &str) -> usize {
        self.text(key).parse().unwrap_or(usize::MAX)
    }

    fn time(&self, key: &str) -> Duration {
        value::time(&self.text(key)).unwrap_or(Duration::MAX)
    }

    /// The key file of the server at `path`, for commands that change it.
    pub(super) fn keys_file(&self, path: Option<&str>) -> Option<PathBuf> {
        let of = |server| self.given("auth.keys_file", server).texts.into_iter().next();
        let has_path = |server: &usize| {
            path.is_none_or(|path| self.given("path", Some(*server)).texts.iter().any(|own| own == path))
        };
        let file = (0..self.servers()).filter(has_path).find_map(|server| of(Some(server)));
        file.or_else(|| of(None)).map(PathBuf::from)
    }
}
