//! Every setting, once: flags, variables, keys of the file, its schema and its documentation come from this table.

/// One setting.
#[derive(Debug)]
pub(in crate::cli) struct Setting {
    /// The key in the file, with dots between tables.
    pub(in crate::cli) key: &'static str,
    pub(in crate::cli) kind: Kind,
    /// As it would be written; empty if there is none.
    pub(in crate::cli) default: &'static str,
    /// One sentence.
    pub(in crate::cli) help: &'static str,
    /// Whether a `[[server]]` may have its own.
    pub(in crate::cli) of: Of,
    /// A short name of its flag.
    pub(in crate::cli) alias: Option<&'static str>,
}

/// What a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Of {
    Program,
    /// Each `[[server]]` may have its own; what stands outside of them holds for those that have none.
    Server,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
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
    /// `500ms`, `30s`, `5min`.
    Time,
    /// The same, and `0s`.
    Span,
    /// The path of a file.
    File,
    /// What nobody else may see. It comes from the environment alone: command lines are seen by every user, and files of
    /// configuration by whoever keeps them. A setting of kind [`File`](Self::File) beside it names a file of its own.
    Secret,
    /// One line of text.
    Text,
    /// Several texts; an array in the file, commas in a variable, a repeated flag.
    List,
    /// `50/200`: requests that come back in a second, and those that a caller may save up; `off`; or `auto`.
    Rate,
    /// `true` or `false`.
    Switch,
    /// One of these.
    Choice(&'static [&'static str]),
}

impl Setting {
    /// `limits.head_time` becomes `limits-head-time`.
    pub(in crate::cli) fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// `limits.head_time` becomes `ATTACHE_LIMITS_HEAD_TIME`.
    pub(in crate::cli) fn variable(&self) -> String {
        format!("ATTACHE_{}", self.key.replace('.', "_").to_uppercase())
    }
}

const fn program(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { key, kind, default, help, of: Of::Program, alias: None }
}

const fn server(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { key, kind, default, help, of: Of::Server, alias: None }
}

/// The table. A test holds the defaults of limits against those of the library.
pub(in crate::cli) const SETTINGS: &[Setting] = &[
    program(
        "listen",
        Kind::Listen,
        "127.0.0.1:8080",
        "Where to listen: address and port, or unix:PATH; port 0 takes a free one; a service manager that hands a socket over goes first",
    ),
    server("path", Kind::Path, "/mcp", "Path of the endpoint"),
    server("name", Kind::Text, "attache", "Name by which the server introduces itself"),
    server("instructions", Kind::Text, "", "Words for the model on how to use the server"),
    server("tools", Kind::List, "echo,add", "The demo tools to offer"),
    server(
        "allow_host",
        Kind::List,
        "",
        "Names by which clients call the server, without port; on a loopback address its own names are served besides",
    ),
    server("allow_origin", Kind::List, "", "Origins of web pages that may call, such as https://app.example; scheme, host and port have to agree; pages of the server itself need not be named"),
    server(
        "auth.require",
        Kind::Choice(&["auto", "anonymous", "both", "either", "optional"]),
        "auto",
        "What callers show: auto is all that is configured here, a key, a token or both, and where nothing is, nothing on a loopback address and no start elsewhere; optional is a token where a tool asks for a scope or a role, and nothing for the rest; anonymous lets anybody call",
    ),
    server(
        "auth.unauthenticated",
        Kind::Choice(&["401", "403", "404"]),
        "401",
        "Status for callers without valid credentials: 401 includes the challenge by which clients find the issuer; 403 says nothing; with 404 the endpoint and its metadata look as if they did not exist",
    ),
    server(
        "auth.platform_principal",
        Kind::Switch,
        "false",
        "Whether callers are who X-MS-CLIENT-PRINCIPAL says: only behind a platform that has signed them in, on a loopback address or a Unix socket, and with WEBSITE_AUTH_ENABLED",
    ),
    server(
        "auth.keys_file",
        Kind::File,
        "",
        "File with the keys that let callers in, readable by nobody else: attache key add",
    ),
    server(
        "auth.key_level",
        Kind::Choice(&["function", "system", "admin"]),
        "function",
        "Which keys open the server: function is host keys and those of this server alone, system the system key of auth.key_name, admin the master key, which opens all",
    ),
    server("auth.key_name", Kind::Text, "mcp_extension", "Name of the system key, where auth.key_level is system"),
    program(
        "auth.key_administration",
        Kind::Switch,
        "false",
        "Whether who holds the master key adds, renews and removes keys over HTTP, at /admin/host/keys and beside",
    ),
    server(
        "auth.key_in_query",
        Kind::Switch,
        "false",
        "Whether a key may come as ?code= in the address, too, where logs and histories keep it",
    ),
    server(
        "auth.platform_file",
        Kind::File,
        "",
        "Policy in the form of a function platform (authsettingsV2, or its auth.json), instead of the settings of tokens here",
    )
    .alias("auth"),
    server(
        "auth.issuer",
        Kind::List,
        "",
        "Issuers of access tokens, https URLs: each the iss of its tokens, by whose metadata its keys are found; of the tokens of all of them the same is asked",
    ),
    server(
        "auth.issuers",
        Kind::List,
        "",
        "Other values of iss that mean the same issuer; {tenantid} stands for the tenant of the token",
    ),
    server("auth.jwks_file", Kind::File, "", "File with the keys of the issuer (JWKS); then nothing is fetched"),
    server(
        "auth.resource",
        Kind::Text,
        "",
        "Public URL of the endpoint, as clients write it; by default the address listened on and the path",
    ),
    server("auth.audiences", Kind::List, "", "What aud may be, besides auth.resource"),
    server(
        "auth.applications",
        Kind::List,
        "",
        "Ids of the client applications that may call; * alone is any; without any, only one whose id is an audience",
    ),
    server("auth.tenants", Kind::List, "", "Tenants whose callers may call (tid); * alone is any; needed where auth.issuer is common, organizations or has {tenantid}"),
    server(
        "auth.identities",
        Kind::List,
        "",
        "Callers who may call (oid, or sub); without identities and groups all may",
    ),
    server("auth.groups", Kind::List, "", "Groups whose members may call, besides auth.identities"),
    server(
        "auth.leeway",
        Kind::Span,
        "60s",
        "Difference between the clocks of the issuer and of this server that is tolerated in the times of a token; 10min at most",
    ),
    server(
        "auth.longest_token",
        Kind::Size,
        "16KiB",
        "Longest access token that is accepted; longer ones are refused unread, and limits.head has to leave room for it",
    ),
    server(
        "auth.oldest_token",
        Kind::Time,
        "",
        "Longest time since a token was issued (iat) for which it is accepted, whatever its exp says, such as 1h; no limit by default; with it, tokens without iat are refused",
    ),
    server("auth.scopes", Kind::List, "", "Scopes that clients are told to ask for"),
    server(
        "proxy.host_header",
        Kind::Text,
        "",
        "Field in which a trusted proxy says by which host it was called, such as X-Forwarded-Host, unless auth.resource says where clients find the endpoint; not read by default",
    ),
    server(
        "proxy.proto_header",
        Kind::Text,
        "",
        "Field in which it says by which scheme, such as X-Forwarded-Proto; goes with proxy.host_header",
    ),
    program(
        "proxy.trusted",
        Kind::List,
        "",
        "Proxies whose X-Forwarded-For says who the caller is: addresses, networks such as 10.0.0.0/8, and unix for whoever comes by the Unix socket",
    ),
    program("limits.body", Kind::Size, "4MiB", "Largest body of a request"),
    program("limits.body_time", Kind::Time, "30s", "How long a body may take to come in whole"),
    program("limits.head", Kind::Size, "64KiB", "Largest head of a request, 8KiB at least"),
    program("limits.fields", Kind::Count, "100", "Most header fields of a request"),
    program("limits.head_time", Kind::Time, "10s", "How long a head may take to come in whole"),
    program("limits.idle_time", Kind::Time, "60s", "How long a connection may lie idle between requests"),
    program("limits.stall_time", Kind::Time, "30s", "How long a peer may take no byte of an answer before it is cut"),
    program(
        "limits.stream_time",
        Kind::Time,
        "3600s",
        "How long the stream of a call stays open before a client of revision 2025-11-25 is asked to come back for the rest",
    ),
    program("limits.connections", Kind::Count, "2048", "Connections at once; further ones wait"),
    program("limits.multiplexed", Kind::Count, "100", "Requests at once on one HTTP/2 connection"),
    program("limits.calls", Kind::Count, "512", "Calls that run at once, for each server"),
    program("limits.calls_waiting", Kind::Count, "512", "Calls that wait for those to end; further ones get 503"),
    program("limits.call_wait", Kind::Time, "5s", "How long a call waits before it gets 503"),
    program("limits.call_time", Kind::Time, "600s", "How long a call may take before it is ended"),
    program("limits.streams", Kind::Count, "8192", "Subscriptions at once, for each server"),
    program(
        "limits.rate",
        Kind::Rate,
        "auto",
        "Requests from one address, SECOND/BURST, or off; auto is off on a loopback address and 50/200 elsewhere",
    ),
    program(
        "limits.identity_rate",
        Kind::Rate,
        "auto",
        "Requests of one key or of the holder of one token, from whatever addresses, SECOND/BURST, or off; auto is as limits.rate",
    ),
    program(
        "limits.memory",
        Kind::Size,
        "128MiB",
        "Memory that all callers together may make the program hold, beyond what it takes while it is idle; further requests get 503",
    ),
    program(
        "limits.memory_per_caller",
        Kind::Size,
        "32MiB",
        "Memory that one caller may make the program hold: a caller is an identity where one is known, else an address",
    ),
    program(
        "limits.share",
        Kind::Count,
        "50",
        "Largest part of each shared table that one caller may hold, in percent: of connections, calls, streams and sessions; the last eighth of each is for callers that hold nothing",
    ),
    program("limits.stop_grace", Kind::Time, "10s", "How long requests may take that are open at the stop"),
    program(
        "tls.certificate",
        Kind::File,
        "",
        "PEM file with the certificate chain; with it HTTPS is served, and nothing else",
    ),
    program("tls.key", Kind::File, "", "PEM file with the private key, readable by nobody else"),
    program(
        "tls.client_ca",
        Kind::File,
        "",
        "PEM file with the authorities whose client certificates are asked for and required",
    ),
    program(
        "seal.key_file",
        Kind::File,
        "",
        "File with the key that seals sessions and questions, readable by nobody else: 64 hexadecimal digits (openssl rand -hex 32); a second one only opens. With it they outlive a restart, and every replica serves them",
    ),
    program("seal.keys", Kind::Secret, "", "The same keys themselves, with a comma between them"),
    program("log.format", Kind::Choice(&["text", "json"]), "text", "How the log is written, on standard error"),
    program("log.level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), "info", "What the log is told"),
    program("log.exchanges", Kind::Switch, "false", "Whether each message that is answered has a line in the log"),
    program("metrics.listen", Kind::Address, "", "Where Prometheus reads /metrics; nowhere by default"),
    program(
        "status.listen",
        Kind::Address,
        "",
        "Where a browser on this machine sees what happens and tries tools, such as 127.0.0.1:8081; nowhere by default",
    )
    .alias("status"),
    program(
        "traces.endpoint",
        Kind::Text,
        "",
        "URL of an OpenTelemetry collector that takes spans over OTLP and HTTP, such as http://127.0.0.1:4318/v1/traces",
    ),
];

/// The settings that anybody may see: those that are flags, and stand in files.
pub(in crate::cli) fn shown() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.kind != Kind::Secret)
}

/// The names between which a mistyped one is looked for.
pub(in crate::cli) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let (score, known) = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (score > ALIKE).then_some(known)
}

/// From here on two names are alike enough for one to be a slip of the other.
const ALIKE: f64 = 0.75;
