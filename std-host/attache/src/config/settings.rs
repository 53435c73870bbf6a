//! The table of all settings. Flags, environment variables, the file, its schema and its
//! documentation are derived from it.

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The key in the file, with dots between tables.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// The default in its written form. Empty if there is none.
    pub(crate) default: &'static str,
    /// One sentence, without a full stop.
    pub(crate) help: &'static str,
    /// Whether a `[[server]]` may have its own value.
    pub(crate) of: Of,
    /// A short alias of the flag.
    pub(crate) alias: Option<&'static str>,
    /// Whether `-h` shows the setting. `--help` shows all.
    pub(crate) is_basic: bool,
}

/// The scope of a setting: the program or a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Program,
    /// Each `[[server]]` may have its own value. A value outside of these tables applies to the
    /// servers without one.
    Server,
}

/// The type of a value, which determines its written form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `127.0.0.1:8080`, or `unix:/run/attache.sock`.
    Listen,
    /// `127.0.0.1:9090`
    Address,
    /// `/mcp`
    Path,
    /// Bytes: `4MiB`, `64KiB`, `100`.
    Size,
    /// A number.
    Count,
    /// A duration that is not zero: `500ms`, `30s`, `5min`.
    Time,
    /// Like [`Time`](Self::Time), but may be `0s`.
    Span,
    /// The path of a file.
    File,
    /// Permissions in octal digits: `660`.
    Mode,
    /// A value that no other user may see. It is read from the environment only, because command
    /// lines are visible to every user and configuration files are often shared. A setting of kind
    /// [`File`](Self::File) next to it names a file for the secret.
    Secret,
    /// One line of text.
    Text,
    /// Several texts: an array in the file, or texts with commas between them; a flag may also be
    /// repeated.
    List(Item),
    /// `50/200`: requests per second, and the burst. Also `off` or `auto`.
    Rate,
    /// `true` or `false`.
    Switch,
    /// One of these texts.
    Choice(&'static [&'static str]),
}

/// The type of the entries of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Text,
    /// The name of a host, without port.
    Host,
    /// The origin of web pages: scheme, host, and port if it is not the default of the scheme.
    Origin,
    /// The id of a tenant.
    Tenant,
    /// A scope. Spaces and commas separate scopes.
    Scope,
}

impl Setting {
    /// `limits.head_time` becomes `limits-head-time`.
    pub(crate) fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// `limits.head_time` becomes `ATTACHE_LIMITS_HEAD_TIME`.
    pub(crate) fn variable(&self) -> String {
        format!("ATTACHE_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// The heading of the setting's group in `--help`.
    pub(crate) fn heading(&self) -> &'static str {
        match self.key.split_once('.').map(|(table, _)| table) {
            None => "Server",
            Some("auth") => "Who may call",
            Some("proxy") => "Behind a proxy",
            Some("upstream") => "Proxy mode",
            Some("limits") => "Limits",
            Some("tls") => "TLS",
            Some("seal" | "store") => "Sessions",
            Some("pins") => "Policy",
            Some("children") => "Child processes",
            Some(_) => "Log, metrics, traces",
        }
    }

    /// The help of `-h`: the first sentence.
    pub(crate) fn short_help(&self) -> &'static str {
        self.help.split_once(". ").map_or(self.help, |(first, _)| first)
    }

    /// The default as a value of the file. Without a default, an example.
    pub(crate) fn example(&self) -> String {
        let text = match self.key {
            _ if !self.default.is_empty() => self.default,
            "allow_host" => "api.example",
            "auth.issuer" => "https://id.example",
            "auth.resource" => "https://api.example/mcp",
            "auth.keys_file" => "/var/lib/attache/keys",
            "tls.certificate" => "/etc/attache/certificate.pem",
            "tls.key" => "/etc/attache/key.pem",
            _ => "",
        };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self.kind {
            Kind::Switch => text.to_owned(),
            Kind::List(_) => format!("[{}]", text.split(',').map(quoted).collect::<Vec<_>>().join(", ")),
            _ => quoted(text),
        }
    }

    const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    const fn basic(self) -> Self {
        Self { is_basic: true, ..self }
    }
}

const fn program(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { key, kind, default, help, of: Of::Program, alias: None, is_basic: false }
}

const fn server(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { of: Of::Server, ..program(key, kind, default, help) }
}

/// The table. A test compares the defaults of limits with those of the library.
pub(crate) const SETTINGS: &[Setting] = &[
    program(
        "listen",
        Kind::Listen,
        "127.0.0.1:8080",
        "Address and port to listen on, or unix:PATH; port 0 takes a free one. A socket passed by systemd takes precedence",
    )
    .basic(),
    program(
        "socket_mode",
        Kind::Mode,
        "660",
        "Permissions of the file of a Unix socket, in octal digits: users with write permission can connect",
    ),
    program(
        "watch",
        Kind::Switch,
        "false",
        "Reload backends, policies and pins when the configuration file or the file of pins changes, as SIGHUP does; attache functions \
         also loads the app again when its files change",
    ),
    server("path", Kind::Path, "/mcp", "Path of the endpoint").basic(),
    server(
        "http_sse",
        Kind::Switch,
        "false",
        "Also offer the transport of revision 2024-11-05 (HTTP with SSE) to older clients: events at PATH/sse, messages to PATH/message. \
         A stream and its messages have to reach the same process",
    ),
    server("name", Kind::Text, "attache", "Name by which the server introduces itself"),
    server("instructions", Kind::Text, "", "Text for the model that says how to use the server"),
    server(
        "mode",
        Kind::Choice(&["mcp", "proxy"]),
        "mcp",
        "mcp: an MCP server with the tools of its backends. proxy: the HTTP application of its one backend, as it is, with all paths below path",
    ),
    server("demo", Kind::Switch, "false", "Offer the demo tools echo and add").basic(),
    server("tools", Kind::List(Item::Text), "echo,add", "Demo tools to offer; naming them here is as good as demo = true"),
    server(
        "allow_host",
        Kind::List(Item::Host),
        "",
        "Host names by which clients call the server, without port. On a loopback address, localhost, 127.0.0.1 and [::1] are \
         always allowed; elsewhere every Host is allowed while this is unset",
    )
    .basic(),
    server(
        "allow_origin",
        Kind::List(Item::Origin),
        "",
        "Origins of web pages that may call, such as https://app.example; scheme, host and port have to match. Pages of the server itself \
         need not be listed",
    ),
    server(
        "auth.require",
        Kind::Choice(&["auto", "anonymous", "both", "either", "optional"]),
        "auto",
        "Credentials that callers need. auto: whatever is configured (keys, issuer or both); with neither, everyone on a loopback \
         address, and the program refuses to start elsewhere. both: key and token. either: key or token. optional: token only for \
         tools with a scope or role. anonymous: none",
    ),
    server(
        "auth.unauthenticated",
        Kind::Choice(&["401", "403", "404", "sign-in"]),
        "401",
        "Answer to callers without valid credentials. 401 lets clients find the issuer and sign in; 403 says nothing; with 404 the \
         endpoint and its metadata look as if they did not exist; sign-in sends people with a browser to the sign-in page, and \
         programs get 401",
    ),
    server(
        "auth.platform_principal",
        Kind::Switch,
        "false",
        "Believe the header X-MS-CLIENT-PRINCIPAL of a platform that signs callers in. Works only on a loopback address or a Unix \
         socket, and with WEBSITE_AUTH_ENABLED",
    ),
    server(
        "auth.keys_file",
        Kind::File,
        "",
        "File with the API keys that may call, private to its owner; attache key add makes it",
    )
    .basic(),
    server(
        "auth.key_level",
        Kind::Choice(&["function", "system", "admin"]),
        "function",
        "API keys that open the server. function: host keys and keys of this server. system: the system key named by auth.key_name. \
         admin: the master key. The master key opens every server",
    ),
    server("auth.key_name", Kind::Text, "mcp_extension", "Name of the system key when auth.key_level is system"),
    program(
        "auth.key_administration",
        Kind::Switch,
        "false",
        "Let holders of the master key add, renew and remove API keys over HTTP, at /admin/host/keys and below /admin",
    ),
    server(
        "auth.key_in_query",
        Kind::Switch,
        "false",
        "Accept an API key as ?code= in the URL as well. Logs and histories keep URLs, and with them the key",
    ),
    server(
        "auth.platform_file",
        Kind::File,
        "",
        "Authorization policy in the form of a function platform (authsettingsV2 or its auth.json), instead of the token settings here",
    )
    .alias("auth"),
    server(
        "auth.issuer",
        Kind::List(Item::Text),
        "",
        "OAuth issuer URL (iss of its tokens). Signing keys are found by its metadata. With several issuers, all share the rules below",
    )
    .basic(),
    server(
        "auth.issuers",
        Kind::List(Item::Text),
        "",
        "Other values of iss for the same issuer; {tenantid} stands for the tenant",
    ),
    server("auth.jwks_file", Kind::File, "", "File with the signing keys of the issuer (JWKS); nothing is fetched then"),
    server(
        "auth.resource",
        Kind::Text,
        "",
        "Public URL of the endpoint, exactly as clients write it. Unset: the address listened on, and the path",
    )
    .basic(),
    server("auth.audiences", Kind::List(Item::Text), "", "Accepted values of aud, in addition to auth.resource"),
    server(
        "auth.applications",
        Kind::List(Item::Text),
        "",
        "Client ids allowed to call. *: all. Unset: only a client whose id is also an audience",
    ),
    server(
        "auth.tenants",
        Kind::List(Item::Tenant),
        "",
        "Tenants (tid) whose users may call; *: all. Unset: all, but an issuer of many tenants (common, organizations, {tenantid}) \
         needs a value",
    ),
    server(
        "auth.identities",
        Kind::List(Item::Text),
        "",
        "Users (oid or sub) who may call. Without auth.identities and auth.groups, all may",
    ),
    server("auth.groups", Kind::List(Item::Text), "", "Groups whose members may call, in addition to auth.identities"),
    server(
        "auth.leeway",
        Kind::Span,
        "60s",
        "Tolerated difference between the clocks of the issuer and of this server, at most 10min",
    ),
    server("auth.longest_token", Kind::Size, "16KiB", "Longest accepted access token; limits.head has to leave room for it"),
    server(
        "auth.oldest_token",
        Kind::Time,
        "",
        "Longest accepted time since a token was issued (iat), such as 1h, whatever its exp says. Tokens without iat are refused then",
    ),
    program(
        "auth.server.issuer",
        Kind::Text,
        "",
        "Public URL, such as https://gw.example, at which this program is itself an authorization server for its servers: clients \
         register there on their own, and people sign in at auth.server.upstream. It becomes auth.issuer",
    ),
    program(
        "auth.server.upstream",
        Kind::Text,
        "",
        "Issuer at which people sign in. Unset: that of Google or GitHub, if auth.server.upstream_kind names one of them",
    ),
    program(
        "auth.server.upstream_kind",
        Kind::Choice(&["oidc", "entra", "google", "github"]),
        "oidc",
        "Kind of that issuer: OpenID Connect, or one with habits of its own. GitHub has no ID tokens, and is asked by its API",
    ),
    program(
        "auth.server.upstream_api",
        Kind::Text,
        "",
        "URL of the API of a GitHub installation. Unset: https://api.github.com",
    ),
    program(
        "auth.server.client_id",
        Kind::Text,
        "",
        "Client id of this program at auth.server.upstream; its redirect URI there is auth.server.issuer followed by /oauth/callback",
    ),
    program("auth.server.client_secret_file", Kind::File, "", "File with the secret of that client, private to its owner"),
    program(
        "auth.server.signing_key_file",
        Kind::File,
        "",
        "PEM file with the key that signs access tokens, private to its owner (openssl genpkey -algorithm EC -pkeyopt \
         ec_paramgen_curve:P-256). Further keys in it are published, too: newer ones before they sign, older ones until their tokens end",
    ),
    program(
        "auth.server.upstream_scopes",
        Kind::List(Item::Scope),
        "openid,profile,email",
        "Scopes to request at auth.server.upstream. Unset for GitHub: read:user",
    ),
    program(
        "auth.server.claims",
        Kind::List(Item::Text),
        "",
        "Claims of the person's ID token to copy into access tokens, such as groups, roles, tid and oid",
    ),
    program(
        "auth.server.redirect_hosts",
        Kind::List(Item::Host),
        "",
        "Hosts of the https redirect URIs that clients may register, such as claude.ai; without this, any host, with a warning on the page",
    ),
    program(
        "auth.server.tenants",
        Kind::List(Item::Text),
        "",
        "Tenants (tid) whose people may sign in; *: all. An issuer of many tenants (common, organizations) needs a value",
    ),
    program(
        "auth.server.recheck",
        Kind::Span,
        "24h",
        "Time after which the issuer is asked again at a refresh whether it still knows the person, if it has given a refresh token \
         (scope offline_access). 0s: never",
    ),
    program(
        "auth.server.clients_file",
        Kind::File,
        "",
        "JSON file with clients that cannot register themselves: an array of client metadata (RFC 7591) with client_id, client_name, \
         redirect_uris and client_secret, private to its owner",
    ),
    program(
        "auth.session.url",
        Kind::Text,
        "",
        "Public origin of the sign-in pages, such as https://gw.example. Unset: that of auth.resource, or the address listened on",
    ),
    program(
        "auth.session.life",
        Kind::Time,
        "8h",
        "Lifetime of the session of a person with a browser that is not used. A session that is used is renewed in its second half",
    ),
    program("auth.session.longest", Kind::Time, "72h", "Longest lifetime of such a session, from the sign-in on"),
    program(
        "auth.session.scopes",
        Kind::List(Item::Scope),
        "",
        "Scopes that every such session has. Without this, tools that require a scope refuse people with a browser",
    ),
    program(
        "auth.session.redirects",
        Kind::List(Item::Text),
        "",
        "URLs of other origins to which post_login_redirect_uri and post_logout_redirect_uri may lead",
    ),
    program(
        "auth.session.provider",
        Kind::Text,
        "",
        "Name of the [[auth.provider]] to which people are sent. Unset: the only one, or a page to choose",
    ),
    program(
        "auth.session.expose_tokens",
        Kind::Switch,
        "false",
        "Show the tokens of the provider at /.auth/me, to scripts of pages of this server alone; needs store.file",
    ),
    program(
        "auth.session.keep_fragments",
        Kind::Switch,
        "false",
        "Keep the fragment (#…) of the URL that a person has opened, by means of a script on the sign-in page",
    ),
    server("auth.scopes", Kind::List(Item::Scope), "", "Scopes that clients are told to request"),
    server(
        "auth.client_id",
        Kind::Text,
        "",
        "Client id that is registered for MCP clients at the issuer, for clients that do not register themselves; attache mcp-json \
         prints it",
    ),
    server(
        "proxy.host_header",
        Kind::Text,
        "",
        "Header in which a trusted proxy passes the public host, such as X-Forwarded-Host. Unused when auth.resource is set",
    ),
    server(
        "proxy.proto_header",
        Kind::Text,
        "",
        "Header in which a trusted proxy passes the public scheme, such as X-Forwarded-Proto; needs proxy.host_header",
    ),
    program(
        "proxy.trusted",
        Kind::List(Item::Text),
        "",
        "Proxies whose X-Forwarded-For names the caller: addresses, networks such as 10.0.0.0/8, or unix for connections by the \
         Unix socket",
    ),
    server(
        "upstream.mcp_paths",
        Kind::List(Item::Text),
        "",
        "With mode = \"proxy\": paths at which the application serves MCP, such as /mcp. The first one is the URL that clients are told",
    ),
    server(
        "upstream.timeout",
        Kind::Time,
        "240s",
        "With mode = \"proxy\": end an exchange with the application after this time without a byte of the request or of the answer",
    ),
    server(
        "upstream.upgrades",
        Kind::Choice(&["auto", "on", "off"]),
        "auto",
        "With mode = \"proxy\": let clients change the protocol (WebSocket). auto: except on MCP paths. on: on all paths",
    ),
    server(
        "upstream.pass_authorization",
        Kind::Switch,
        "false",
        "With mode = \"proxy\": pass the field Authorization on although this server accepts tokens itself. The application can then use \
         the tokens of its callers elsewhere",
    ),
    server(
        "upstream.pass_host",
        Kind::Switch,
        "false",
        "With mode = \"proxy\": pass the field Host of the client on. Otherwise the application gets its own address in Host, and that of \
         the client in X-Forwarded-Host",
    ),
    program("limits.body", Kind::Size, "4MiB", "Largest request body"),
    program("limits.body_time", Kind::Time, "30s", "Time in which a request body must arrive"),
    program("limits.head", Kind::Size, "64KiB", "Largest request head, at least 8KiB"),
    program("limits.fields", Kind::Count, "100", "Most header fields of a request"),
    program("limits.head_time", Kind::Time, "10s", "Time in which a request head must arrive"),
    program("limits.idle_time", Kind::Time, "60s", "Close a connection that is idle between requests for this long"),
    program("limits.stall_time", Kind::Time, "30s", "Close a connection whose client reads nothing for this long"),
    program(
        "limits.stream_time",
        Kind::Time,
        "3600s",
        "Time after which the stream of a call asks a client of revision 2025-11-25 to reconnect",
    ),
    program("limits.connections", Kind::Count, "2048", "Most connections at once; others wait in the queue of the system"),
    program("limits.multiplexed", Kind::Count, "100", "Most requests at once on one HTTP/2 connection"),
    program("limits.calls", Kind::Count, "512", "Most calls at once, for each server"),
    program("limits.calls_waiting", Kind::Count, "512", "Most calls that wait for a place; others get 503"),
    program("limits.call_wait", Kind::Time, "5s", "Longest wait of a call for a place; then it gets 503"),
    program("limits.call_time", Kind::Time, "600s", "Longest run of a call; then it ends with an error"),
    program("limits.streams", Kind::Count, "8192", "Most subscriptions at once, for each server"),
    program(
        "limits.rate",
        Kind::Rate,
        "auto",
        "Rate limit of one address: requests per second / burst, such as 50/200, or off. auto: off on a loopback address, 50/200 \
         elsewhere",
    ),
    program(
        "limits.identity_rate",
        Kind::Rate,
        "auto",
        "Rate limit of one key, or of the holder of a token, from all addresses. auto: as limits.rate",
    ),
    program(
        "limits.memory",
        Kind::Size,
        "128MiB",
        "Memory that all callers together may make the program hold, beyond its idle size; further requests get 503",
    ),
    program(
        "limits.memory_per_caller",
        Kind::Size,
        "32MiB",
        "Memory that one caller may make the program hold. A caller is an identity if one is known, else an address",
    ),
    program(
        "limits.share",
        Kind::Count,
        "50",
        "Largest part of each shared table (connections, calls, streams, sessions) that one caller may hold, in percent; the last \
         eighth of each is for callers that hold nothing",
    ),
    program("limits.stop_grace", Kind::Time, "10s", "Time that open requests have to end when the program is stopped"),
    program("tls.certificate", Kind::File, "", "PEM file with the certificate chain; serves HTTPS instead of HTTP").basic(),
    program("tls.key", Kind::File, "", "PEM file with the private key, private to its owner").basic(),
    program(
        "tls.client_ca",
        Kind::File,
        "",
        "PEM file with certificate authorities; clients then need a certificate of one of them",
    ),
    program("tls.min_version", Kind::Choice(&["1.2", "1.3"]), "1.2", "Oldest version of TLS to accept"),
    program(
        "seal.key_file",
        Kind::File,
        "",
        "File with the key that signs sessions, private to its owner: 64 hexadecimal digits (openssl rand -hex 32). An optional \
         second line is an older key, still accepted. Share the file so that sessions survive restarts and work on every replica",
    ),
    program("seal.keys", Kind::Secret, "", "The same keys themselves, with a comma between them"),
    program(
        "store.file",
        Kind::File,
        "",
        "Database file with what people have allowed at auth.server.issuer, and with the tokens of providers; it is made if it is missing, private to its owner and \
         encrypted with the seal key",
    ),
    program(
        "pins.file",
        Kind::File,
        "",
        "File with the accepted definitions of backends, written by attache pin. Unset: attache.pins beside the configuration file, if it \
         exists",
    ),
    program(
        "pins.new",
        Kind::Choice(&["hold", "pass"]),
        "hold",
        "Entries of backends that have no pin, while there are pins. hold: hidden until they are pinned. pass: offered",
    ),
    program(
        "children.most",
        Kind::Count,
        "256",
        "Most child processes at once, of all backends: servers on standard input and output, and running tools of directories",
    ),
    program(
        "children.state_dir",
        Kind::File,
        "",
        "Directory of the file that lists running child processes, so that the next start ends those that a killed program has left. \
         Unset: RUNTIME_DIRECTORY, or attache in XDG_RUNTIME_DIR, or attache-UID in the directory for temporary files",
    ),
    program("log.format", Kind::Choice(&["text", "json"]), "text", "Format of the log, which goes to standard error"),
    program("log.level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), "info", "Least severe level to log")
        .basic(),
    program("log.exchanges", Kind::Switch, "false", "Log a line for each message that is answered, with its caller").basic(),
    program(
        "log.audit",
        Kind::Choice(&["off", "on", "arguments"]),
        "off",
        "Log a line for each use of a tool, prompt or resource and each refusal: caller, application, name, decision, duration. arguments: \
         with the arguments, which may contain secrets",
    ),
    program("metrics.listen", Kind::Address, "", "Address where Prometheus reads /metrics, such as 127.0.0.1:9090"),
    program(
        "status.listen",
        Kind::Address,
        "",
        "Loopback address of a status page for a browser on this machine, such as 127.0.0.1:8081",
    )
    .alias("status"),
    program(
        "status.messages",
        Kind::Switch,
        "false",
        "Show the JSON of the last exchanges on the status page. What looks like a secret is hidden",
    ),
    program(
        "traces.endpoint",
        Kind::Text,
        "",
        "URL of an OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318/v1/traces",
    ),
];

/// The settings that may be flags and may be in files: all but secrets.
pub(crate) fn shown() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.kind != Kind::Secret)
}

/// The settings that `-h` shows, and that `attache init` writes.
pub(crate) fn basic() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.is_basic)
}

/// Returns the known name that is most similar to a mistyped one, if any is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let (score, known) = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (score > ALIKE).then_some(known)
}

/// From this similarity on, one name is probably a misspelling of the other.
const ALIKE: f64 = 0.75;
