//! The operator's view of the configuration: precedence, origin of each value, and faults that stop
//! the start.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A temporary directory with this text as its `attache.toml`.
struct Directory(PathBuf);

impl Directory {
    fn with(name: &str, file: &str) -> Self {
        let path = std::env::temp_dir().join(format!("attache-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        std::fs::write(path.join("attache.toml"), file).expect("a file");
        Self(path)
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attache"));
        if matches!(arguments.first(), Some(&("serve" | "check"))) {
            command.env("ATTACHE_DEMO", "true");
        }
        command.current_dir(&self.0).args(arguments).envs(variables.iter().copied());
        command.output().expect("the program runs")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn flag_counts_before_variable_before_file_before_default_and_each_is_printed_with_its_origin() {
    let directory =
        Directory::with("order", "path = \"/file\"\n[limits]\nbody = \"1MiB\"\ncalls = 7\nidle_time = \"1min\"\n");
    let variables = [("ATTACHE_LIMITS_BODY", "2MiB"), ("ATTACHE_LIMITS_CALLS", "8")];
    let run = directory.run(&["config", "--limits-calls", "9"], &variables);
    let printed = String::from_utf8_lossy(&run.stdout);
    for line in [
        "path = \"/file\"  # attache.toml:1",
        "limits.idle_time = \"1min\"  # attache.toml:5",
        "limits.body = \"2MiB\"  # ATTACHE_LIMITS_BODY",
        "limits.calls = \"9\"  # --limits-calls",
        "limits.head_time = \"10s\"  # default",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}

#[test]
fn printed_configuration_is_a_file_that_says_the_same() {
    let first = Directory::with(
        "print",
        "allow_host = [\"a\", \"b\"]\n[[server]]\npath = \"/a\"\n[[server]]\npath = \"/b\"\ntools = [\"add\"]\n",
    );
    let printed = first.run(&["config"], &[]).stdout;
    let second = Directory::with("again", &String::from_utf8_lossy(&printed));
    let again = second.run(&["config"], &[]);
    let values = |printed: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(printed).lines().filter_map(|line| Some(line.split("  #").next()?.to_owned())).collect()
    };
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(values(&printed), values(&again.stdout));
}

#[test]
fn mistake_stops_the_start_with_its_place_and_the_remedy() {
    for (file, arguments, variables, words) in [
        ("\n\nlisen = \"127.0.0.1:1\"", &[][..], &[][..], &["attache.toml:3", "lisen", "did you mean listen?"][..]),
        ("[limits]\nbdy = 1", &[], &[], &["attache.toml:2", "limits.bdy", "limits.body"]),
        ("[limit]\nbody = 1", &[], &[], &["attache.toml:1", "did you mean limits?"]),
        ("[limits]\nbody = \"4MB\"", &[], &[], &["attache.toml:2", "limits.body", "4MiB"]),
        ("[limits]\nhead = 100", &[], &[], &["attache.toml:2", "8KiB"]),
        ("path = [\"/a\", \"/b\"]", &[], &[], &["attache.toml:1", "path"]),
        ("path = ", &[], &[], &["attache.toml:1"]),
        ("[[server]]\nlisten = \"127.0.0.1:1\"", &[], &[], &["attache.toml:2", "listen"]),
        ("[[server]]\n[[server]]\npath = \"/mcp\"", &[], &[], &["attache.toml:3", "two servers", "/mcp"]),
        ("tools = [\"ecco\"]", &[], &[], &["attache.toml:1", "ecco", "echo, add"]),
        ("tls.certificate = \"a.pem\"", &[], &[], &["attache.toml:1", "tls.key"]),
        ("[auth]\nscopes = [\"a\"]", &[], &[], &["attache.toml:2", "auth.scopes", "auth.issuer"]),
        ("[auth]\nissuer = \"http://localhost.example\"", &[], &[], &["attache.toml:2", "auth.issuer", "https"]),
        ("[auth]\nplatform_file = \"attache.toml\"", &[], &[], &["attache.toml", "is no JSON"]),
        ("[auth]\nplatform_file = \"a\"\nscopes = [\"b\"]", &[], &[], &["attache.toml:3", "auth.platform_file"]),
        ("", &["--auth", "none.json"], &[], &["none.json", "cannot be read"]),
        ("[auth]\nissuer = \"http://id.example\"", &[], &[], &["attache.toml:2", "auth.issuer", "https"]),
        ("[auth]\nissuer = \"https://2852039166\"", &[], &[], &["attache.toml:2", "auth.issuer", "https"]),
        (
            "[auth]\nissuer = \"https://login.example/common/v2.0\"",
            &[],
            &[],
            &["attache.toml:2", "auth.issuer", "auth.tenants"],
        ),
        (
            "[auth]\nissuer = \"https://login.example/{tenantid}/v2.0\"",
            &[],
            &[],
            &["attache.toml:2", "auth.issuer", "auth.tenants"],
        ),
        ("[auth]\nleeway = \"11min\"", &[], &[], &["attache.toml:2", "auth.leeway", "10min"]),
        ("[auth]\nleeway = \"-1s\"", &[], &[], &["attache.toml:2", "auth.leeway", "0s"]),
        ("[auth]\nlongest_token = 10", &[], &[], &["attache.toml:2", "auth.longest_token", "256"]),
        ("[auth]\noldest_token = \"0s\"", &[], &[], &["attache.toml:2", "auth.oldest_token", "a time"]),
        ("[limits]\nidentity_rate = \"1\"", &[], &[], &["attache.toml:2", "limits.identity_rate", "50/200"]),
        (
            "[auth]\nissuer = \"https://i\"\nresource = \"mcp\"",
            &[],
            &[],
            &["attache.toml:3", "auth.resource", "https://api"],
        ),
        ("[auth]\nrequire = \"either\"\nissuer = \"https://i\"", &[], &[], &["attache.toml:2", "auth.keys_file"]),
        ("[auth]\nrequire = \"anonymous\"\nissuer = \"https://i\"", &[], &[], &["attache.toml:2", "anonymous"]),
        ("[auth]\nrequire = \"nobody\"", &[], &[], &["attache.toml:2", "anonymous"]),
        ("[[server]]\n[server.auth]\nissuers = [\"a\"]", &[], &[], &["attache.toml:3", "auth.issuers"]),
        ("[seal]\nkeys = \"00\"", &[], &[], &["attache.toml:2", "seal.keys is a secret", "ATTACHE_SEAL_KEYS"]),
        ("", &["--limits-calls", "0"], &[], &["--limits-calls", "above 0"]),
        ("", &[], &[("ATTACHE_LIMITS_HEAD_TIME", "5")], &["ATTACHE_LIMITS_HEAD_TIME", "30s"]),
        ("", &["--config", "none.toml"], &[], &["none.toml"]),
        ("[server]\npath = \"/a\"", &[], &[], &["attache.toml:1", "write [[server]]"]),
        ("auth = \"keys\"", &[], &[], &["attache.toml:1", "auth is a table", "[auth]", "require"]),
        ("[seal]\nkey = \"00\"", &[], &[], &["attache.toml:2", "seal.key_file"]),
        ("[[server]]\nlisten = \"127.0.0.1:1\"", &[], &[], &["attache.toml:2", "above the first [[server]]"]),
        ("[limits]\nfields = 99999999999", &[], &[], &["attache.toml:2", "limits.fields", "at most"]),
        ("[limits]\nmemory = \"1MiB\"", &[], &[], &["attache.toml:2", "limits.memory", "limits.body"]),
        ("[limits]\nmemory_per_caller = \"1KiB\"", &[], &[], &["attache.toml:2", "memory_per_caller", "limits.body"]),
        ("path = \"/a/../b\"", &[], &[], &["attache.toml:1", "/mcp"]),
        ("[auth]\nkey_name = \"two words\"", &[], &[], &["attache.toml:2", "one word"]),
        ("[tls]\nmin_version = \"1.3\"", &[], &[], &["attache.toml:2", "tls.certificate"]),
        ("[tls]\nmin_version = \"1.1\"", &[], &[], &["attache.toml:2", "one of 1.2, 1.3"]),
        ("socket_mode = \"rw\"", &[], &[], &["attache.toml:1", "660"]),
        // Values that would never match what clients send.
        ("allow_host = [\"https://api.example/\"]", &[], &[], &["attache.toml:1", "write api.example"]),
        ("allow_host = [\"*.example\"]", &[], &[], &["attache.toml:1", "no wildcards"]),
        ("", &["--allow-host", "api.example/mcp"], &[], &["--allow-host", "host name"]),
        ("", &["--allow-host", ""], &[], &["--allow-host", "must not be empty"]),
        ("allow_host = [\".example\"]", &[], &[], &["attache.toml:1", "subdomains"]),
        ("allow_origin = [\"https://*.example\"]", &[], &[], &["attache.toml:1", "no wildcards"]),
        ("allow_origin = [\"app.example\"]", &[], &[], &["attache.toml:1", "write https://app.example"]),
        ("", &[], &[("ATTACHE_ALLOW_ORIGIN", "https://app.example/page")], &["write https://app.example"]),
        ("path = \"/a b\"", &[], &[], &["attache.toml:1", "percent-encoded"]),
        ("[proxy]\ntrusted = [\"proxy.example\"]", &[], &[], &["attache.toml:2", "10.0.0.0/8"]),
    ] {
        let directory = Directory::with("mistake", file);
        for command in ["config", "serve"] {
            let run = directory.run(&[&[command], arguments].concat(), variables);
            let said = String::from_utf8_lossy(&run.stderr);
            assert_eq!(run.status.code(), Some(2), "{file} {arguments:?}: {said}");
            assert!(words.iter().all(|word| said.contains(word)), "{file} {arguments:?}: {said}");
        }
    }
}

/// The files that the configurations below name.
fn with_files(directory: &Directory) {
    let digest = "0f".repeat(32);
    for (name, text, mode) in [
        ("open-keys", format!("ci {digest}\n"), 0o644),
        ("bad-keys", "ci\n".to_owned(), 0o600),
        ("text", "hello\n".to_owned(), 0o600),
        ("open-key.pem", "hello\n".to_owned(), 0o644),
    ] {
        let path = directory.0.join(name);
        std::fs::write(&path, text).expect("written");
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("permissions");
        #[cfg(not(unix))]
        let _ = mode;
    }
}

#[test]
#[cfg(unix)]
fn fault_of_a_file_or_a_backend_is_told_with_the_line_of_its_setting_and_the_remedy() {
    let backend = |lines: &str| format!("[[server]]\n[[server.backend]]\nname = \"a\"\n{lines}");
    let issuer = |line: &str| format!("[auth]\nissuer = \"https://id.example\"\n{line}");
    for (file, words) in [
        ("[auth]\nkeys_file = \"none\"".to_owned(), &["toml:2: auth.keys_file none", "attache key add NAME"][..]),
        ("[auth]\nkeys_file = \"open-keys\"".to_owned(), &["toml:2: ", "chmod 600 open-keys"]),
        ("[auth]\nkeys_file = \"bad-keys\"".to_owned(), &["toml:2: bad-keys:1: ", "attache key add NAME"]),
        (issuer("jwks_file = \"none\""), &["toml:3: auth.jwks_file none", "correct the path"]),
        (issuer("jwks_file = \"text\""), &["toml:3: auth.jwks_file text", "RFC 7517"]),
        (
            "[tls]\ncertificate = \"none.pem\"\nkey = \"gone.pem\"".to_owned(),
            &["toml:2: TLS: none.pem", "toml:3: the private key gone.pem", "correct the path"],
        ),
        (
            "[tls]\ncertificate = \"text\"\nkey = \"open-key.pem\"".to_owned(),
            &["toml:2: TLS: text", "no PEM certificate", "toml:3: ", "chmod 600 open-key.pem"],
        ),
        (
            "[tls]\ncertificate = \"none.pem\"\nkey = \"text\"\nclient_ca = \"bad-keys\"".to_owned(),
            &["toml:2: ", "toml:3: TLS: text", "no PEM private key", "toml:4: TLS: bad-keys"],
        ),
        ("[seal]\nkey_file = \"none\"".to_owned(), &["toml:2: seal.key_file none", "openssl rand -hex 32"]),
        ("[seal]\nkey_file = \"text\"".to_owned(), &["toml:2: ", "64 hexadecimal digits", "openssl rand -hex 32"]),
        (
            "\nlisten = \"0.0.0.0:0\"".to_owned(),
            &["toml:2: 0.0.0.0:", "is reachable", "set auth.keys_file or auth.issuer"],
        ),
        (
            "listen = \"0.0.0.0:0\"\n[auth]\nplatform_principal = true".to_owned(),
            &["toml:3: auth.platform_principal", "WEBSITE_AUTH_ENABLED"],
        ),
        (backend("command = [\"no-such-program\"]"), &["toml:2: backend \"a\"", "install it, or write its path"]),
        (backend("url = \"ftp://a\""), &["toml:2: backend \"a\"", "http://127.0.0.1:3000/mcp"]),
        (backend(""), &["toml:2: ", "one of command, url, tools_dir"]),
        (backend("command = [\"sh\"]\nenv = [\"NOT_SET\"]"), &["toml:5: env names NOT_SET", "NOT_SET = \"value\""]),
        (backend("command = [\"sh\"]\ncwd = \"/none\""), &["toml:2: ", "cwd /none", "create it"]),
        (backend("url = \"http://b\"\ntoken_file = \"none\""), &["toml:2: ", "token_file none cannot be read"]),
        (backend("command = [\"sh\"]\nprefix = \"a b\""), &["toml:5: prefix \"a b\"", "letters, digits"]),
        (backend("comand = [\"sh\"]"), &["toml:4: ", "comand", "choose from name, command"]),
        (
            backend("command = [\"sh\"]\n[[server.backend]]\nname = \"a\"\ncommand = [\"sh\"]"),
            &["toml:5: ", "two backends \"a\"", "a name of its own"],
        ),
        ("[[server]]\n[[server.backend]]\ncommand = [\"sh\"]".to_owned(), &["toml:2: ", "name = \"files\""]),
        ("[[server]]\n[server.backend]\nname = \"a\"".to_owned(), &["toml:2: ", "[[server.backend]]"]),
        ("[[servers]]\npath = \"/a\"".to_owned(), &["toml:1: ", "did you mean [[server]]?"]),
        ("path = \"/a\"\npath = \"/b\"".to_owned(), &["toml:2: path is there twice", "remove one"]),
        ("\nname = \"a\n".to_owned(), &["toml:2: this is not TOML", "expected `\"`"]),
        ("[status]\nlisten = \"0.0.0.0:8081\"".to_owned(), &["toml:2: status.listen", "loopback", "ssh -L"]),
        ("[metrics]\nlisten = \"9090\"".to_owned(), &["toml:2: metrics.listen", "127.0.0.1:9090"]),
        ("[auth]\nkey_administration = true".to_owned(), &["toml:2: auth.key_administration", "auth.keys_file"]),
        ("[traces]\nendpoint = \"collector\"".to_owned(), &["toml:2: traces.endpoint", TRACES_REMEDY]),
        ("listen = \"localhost:8080\"".to_owned(), &["toml:1: listen", "127.0.0.1:8080"]),
    ] {
        let directory = Directory::with("files", &file);
        with_files(&directory);
        for command in ["check", "serve"] {
            let run = directory.run(&[command], &[]);
            let said = String::from_utf8_lossy(&run.stderr);
            assert_eq!(run.status.code(), Some(2), "{file}\n{said}");
            assert!(words.iter().all(|word| said.contains(word)), "{command}: {words:?}\n{file}\n{said}");
        }
    }
}

const TRACES_REMEDY: &str =
    if cfg!(feature = "traces") { "http://127.0.0.1:4318/v1/traces" } else { "--features traces" };

#[test]
#[cfg(unix)]
fn faults_of_values_and_of_files_are_told_together_and_their_consequences_are_not() {
    let file = "listen = \"0.0.0.0:0\"\n[auth]\nkeys_file = 7\n[tls]\ncertificate = \"none.pem\"\nkey = \"open-key.pem\"\n\
                [limits]\nbody = \"4MB\"\n[seal]\nkey_file = \"text\"\n";
    let directory = Directory::with("together", file);
    with_files(&directory);
    for command in ["check", "serve"] {
        let said = directory.run(&[command], &[]).stderr;
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().filter_map(|line| line.split("toml:").nth(1)?.split(':').next()).collect();
        // No line says that authentication is missing: the setting of line 3 was meant to be it.
        assert_eq!(lines, ["3", "5", "6", "8", "10"], "{said}");
    }
}

#[test]
fn written_configuration_passes_the_check_and_an_existing_file_is_never_changed() {
    let directory = Directory::with("init", "");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attache"));
        command.current_dir(&directory.0).args(arguments).output().expect("the program runs")
    };
    let refused = run(&["init"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("attache.toml exists already") && said.contains("attache init FILE"), "{said}");
    assert_eq!(std::fs::read_to_string(directory.0.join("attache.toml")).expect("it is there"), "");
    std::fs::remove_file(directory.0.join("attache.toml")).expect("removed");
    for (arguments, flags) in [(&["init"][..], &[][..]), (&["init", "other.toml"], &["--config", "other.toml"])] {
        let wrote = run(arguments);
        let said = String::from_utf8_lossy(&wrote.stdout);
        assert!(
            wrote.status.success()
                && said.contains(&["attache check", flags.first().unwrap_or(&"")].join(" ").trim_end().to_owned()),
            "{said}"
        );
        let checked = run(&[&["check"], flags].concat());
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success() && said.contains("/mcp on 127.0.0.1:8080"), "{said}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_place() {
    let file = "lisen = 1\nallow_host = [\"*\"]\n[limits]\nbody = \"4MB\"\nhed = 1\n[[server]]\npath = \"a\"\n";
    let directory = Directory::with("all", file);
    let run = directory.run(&["check", "--limits-calls", "0"], &[("ATTACHE_LIMITS_RATE", "many")]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{said}");
    for place in ["toml:1:", "toml:2:", "toml:4:", "toml:5:", "toml:7:", "--limits-calls:", "ATTACHE_LIMITS_RATE:"] {
        assert_eq!(said.lines().filter(|line| line.contains(place)).count(), 1, "{place}\n{said}");
    }
    assert!(said.lines().all(|line| line.starts_with("attache: ")), "{said}");
    let contradictions = "[tls]\nkey = \"a\"\n[auth]\nscopes = [\"a\"]\ngroups = [\"b\"]\nkey_in_query = true\n";
    let run = Directory::with("contradictions", contradictions).run(&["check"], &[]);
    let said = String::from_utf8_lossy(&run.stderr);
    for place in ["toml:2: tls.key", "toml:4: auth.scopes", "toml:5: auth.groups", "toml:6: auth.key_in_query"] {
        assert!(said.contains(place), "{place}\n{said}");
    }
}

#[test]
fn list_means_the_same_as_flag_variable_and_file() {
    let value = "Api.Example:8443, b.example,b.example";
    let expected = r#"allow_host = ["api.example", "b.example"]"#;
    for (file, arguments, variables) in [
        (format!("allow_host = \"{value}\""), &[][..], &[][..]),
        ("allow_host = [\"Api.Example:8443\", \"b.example,b.example\"]".to_owned(), &[], &[]),
        (String::new(), &["--allow-host", value], &[]),
        (String::new(), &["--allow-host", "api.example.", "--allow-host", "b.example"], &[]),
        (String::new(), &[], &[("ATTACHE_ALLOW_HOST", value)]),
        (format!("allow_host = [\"{value}\"]"), &[], &[("ATTACHE_CONFIG", "")]),
        // An empty variable is as good as none.
        (format!("allow_host = [\"{value}\"]"), &[], &[("ATTACHE_ALLOW_HOST", "")]),
        (format!("\u{feff}allow_host = [\"{value}\"]\r\n"), &[], &[]),
    ] {
        let run = Directory::with("list", &file).run(&[&["config"], arguments].concat(), variables);
        let printed = String::from_utf8_lossy(&run.stdout);
        assert!(
            printed.lines().any(|line| line.starts_with(expected)),
            "{file} {arguments:?} {variables:?}\n{printed}"
        );
    }
    let run = Directory::with("tools", "").run(&["config", "--tools", "echo,add,echo"], &[]);
    assert!(String::from_utf8_lossy(&run.stdout).contains(r#"tools = ["echo", "add"]  # --tools"#));
}

#[test]
fn variable_that_looks_like_a_setting_is_warned_of() {
    let run = Directory::with("variable", "").run(&["config"], &[("ATTACHE_LISTN", "127.0.0.1:1")]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("did you mean ATTACHE_LISTEN?"), "{said}");
}

/// Each path, and whether it is one of the program's own where tokens are taken and keys administered.
const PATHS: [(&str, bool); 15] = [
    ("/", false),
    ("/mcp", false),
    ("/mcp/", false),
    ("/a:b", false),
    ("/:id", false),
    ("/*", false),
    ("/admin", false),
    ("/.well-known/other", false),
    ("/healthz", true),
    ("/healthz/", true),
    ("/readyz", true),
    ("/.well-known/oauth-protected-resource", true),
    ("/admin/host/keys", true),
    ("/admin/functions/f/keys", true),
    ("/admin/functions/f/keys/name", true),
];

#[test]
fn every_pair_of_configured_and_built_in_paths_starts_or_is_refused_with_file_and_line() {
    let directory = Directory::with("paths", "");
    std::fs::write(directory.0.join("jwks"), JWKS).expect("written");
    let key = directory.run(&["key", "add", "a", "--keys-file", "keys"], &[]);
    assert!(key.status.success());
    let common = "[auth]\nissuer = \"https://id.example\"\njwks_file = \"jwks\"\nkeys_file = \"keys\"\nkey_administration = true\n";
    let metadata = |path: &str| format!("/.well-known/oauth-protected-resource{}", path.trim_end_matches('/'));
    let same = |one: &str, other: &str| one.trim_end_matches('/') == other.trim_end_matches('/');
    for (number, (one, one_is_own)) in PATHS.iter().enumerate() {
        for (other, other_is_own) in PATHS.iter().skip(number).chain([&(metadata(one).as_str(), true)]) {
            let is_alone = one == other;
            let second = if is_alone { String::new() } else { format!("[[server]]\npath = {other:?}\n") };
            let file = format!("{common}[[server]]\npath = {one:?}\n{second}");
            std::fs::write(directory.0.join("attache.toml"), &file).expect("written");
            let run = directory.run(&["check"], &[]);
            let said = String::from_utf8_lossy(&run.stderr);
            let good = !one_is_own && (is_alone || (!other_is_own && !same(one, other)));
            assert_eq!(run.status.code(), Some(if good { 0 } else { 2 }), "{one} {other}: {said}");
            assert!(
                good || said.contains("attache.toml:7: ") || said.contains("attache.toml:9: "),
                "{one} {other}: {said}"
            );
        }
    }
}

#[test]
fn public_urls_that_share_a_path_start_only_where_their_metadata_is_the_same() {
    let server = |path: &str, resource: &str, more: &str| {
        format!(
            "[[server]]\npath = {path:?}\n[server.auth]\nissuer = \"https://id.example\"\njwks_file = \"jwks\"\nresource = {resource:?}\n{more}"
        )
    };
    for (first, second, code) in [
        (server("/a", "https://api.example", ""), server("/b", "https://api.example", ""), 0),
        (server("/a", "https://api.example/x", ""), server("/b", "https://api.example/x", ""), 0),
        (server("/a", "https://api.example/{x}", ""), server("/b", "https://api.example/:x", ""), 0),
        (server("/", "https://api.example/", ""), server("/b", "https://api.example/b", ""), 0),
        (server("/a", "https://api.example", ""), server("/b", "https://api.example", "scopes = [\"s\"]"), 2),
        (server("/a", "https://one.example/x", ""), server("/b", "https://two.example/x", ""), 2),
    ] {
        let directory = Directory::with("metadata", &(first + &second));
        std::fs::write(directory.0.join("jwks"), JWKS).expect("written");
        let run = directory.run(&["check"], &[]);
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{said}");
        assert!(code == 0 || (said.contains("attache.toml:12: ") && said.contains("auth.resource")), "{said}");
    }
}

/// The key of RFC 7515, appendix A.3.
const JWKS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

#[test]
fn schema_that_is_shipped_is_that_of_the_program_and_has_every_setting() {
    let shipped =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/attache.schema.json")).expect("it is there");
    let run = Directory::with("schema", "").run(&["config", "--schema"], &[]);
    let same = String::from_utf8_lossy(&run.stdout) == shipped;
    assert!(same, "write it again: attache config --schema > std-host/attache/attache.schema.json");
    let schema: Value = serde_json::from_str(&shipped).expect("JSON");
    assert_eq!(schema["properties"]["limits"]["properties"]["body"]["default"], "4MiB");
}

#[test]
fn defaults_of_limits_are_those_of_the_library() {
    use attache_host::Limits;
    let Limits { body, body_time, head, fields, head_time, idle_time, stall_time, .. } = Limits::default();
    let Limits {
        connections,
        multiplexed,
        stream_time,
        calls,
        calls_waiting,
        call_wait,
        call_time,
        streams,
        stop_grace,
        ..
    } = Limits::default();
    let run = Directory::with("defaults", "").run(&["config"], &[]);
    let printed = String::from_utf8_lossy(&run.stdout);
    let seconds = |time: core::time::Duration| format!("{}s", time.as_secs());
    for (key, value) in [
        ("body", format!("{}MiB", body >> 20)),
        ("body_time", seconds(body_time)),
        ("head", format!("{}KiB", head >> 10)),
        ("fields", fields.to_string()),
        ("head_time", seconds(head_time)),
        ("idle_time", seconds(idle_time)),
        ("stall_time", seconds(stall_time)),
        ("stream_time", seconds(stream_time)),
        ("connections", connections.to_string()),
        ("multiplexed", multiplexed.to_string()),
        ("calls", calls.to_string()),
        ("calls_waiting", calls_waiting.to_string()),
        ("call_wait", seconds(call_wait)),
        ("call_time", seconds(call_time)),
        ("streams", streams.to_string()),
        ("stop_grace", seconds(stop_grace)),
    ] {
        let line = format!("limits.{key} = {value:?}  # default");
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}

#[test]
fn files_that_an_editor_of_windows_has_saved_are_read_as_others_are() {
    let directory = Directory::with("windows", "\u{feff}path = \"/file\"\r\n[limits]\r\ncalls = 7\r\n");
    let printed = directory.run(&["config"], &[]).stdout;
    let printed = String::from_utf8_lossy(&printed);
    for line in ["path = \"/file\"  # attache.toml:1", "limits.calls = \"7\"  # attache.toml:3"] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    // The first name of a file of keys, and a key to seal with.
    let digest = "0f".repeat(32);
    for (setting, file, text) in [
        ("--auth-keys-file", "keys", format!("\u{feff}ci {digest}\r\nother {digest}\r\n")),
        ("--seal-key-file", "seal.key", format!("\u{feff}{digest}\r\n")),
    ] {
        let path = directory.0.join(file);
        std::fs::write(&path, text).expect("written");
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permissions");
        let path = path.display().to_string();
        let listed = match setting {
            "--auth-keys-file" => directory.run(&["key", "list", "--keys-file", &path], &[]),
            _ => directory.run(&["config", setting, &path], &[]),
        };
        let said = String::from_utf8_lossy(&listed.stdout).into_owned() + &String::from_utf8_lossy(&listed.stderr);
        assert!(listed.status.success(), "{setting}: {said}");
        assert!(!said.contains('\u{feff}'), "{setting}: {said}");
    }
}
