//! Documents for operators against the program: they name what exists, and all of it.

use crate::running::Running;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the words between these two in a text, each time they occur.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The reasons in the code: the names of refusals and of errors, and those that the host adds.
fn reasons() -> BTreeSet<String> {
    let gate = text("core/src/http/gate.rs");
    let names = between(&gate, "pub const fn name(self)", "\n    }\n")[0];
    let mut reasons: BTreeSet<String> = between(names, "=> \"", "\"").into_iter().map(str::to_owned).collect();
    let errors = text("core/src/rpc/error.rs");
    let table = between(&errors, "\nerrors! {", "\n}\n")[0];
    for rule in between(table, "=> ", "[") {
        reasons.extend(between(rule, "\"", "\"").into_iter().filter(|word| is_word(word)).map(str::to_owned));
    }
    for file in ["http/service.rs", "door/layer.rs"] {
        let source = text(&format!("std-host/src/{file}"));
        for call in ["turned_away(\"", "watch.refused(\""] {
            reasons.extend(between(&source, call, "\"").into_iter().map(str::to_owned));
        }
    }
    reasons
}

#[test]
fn every_reason_of_a_refusal_is_explained_with_a_remedy_and_no_other() {
    let document = text("docs/operations.md");
    let rows: Vec<&str> =
        between(&document, "| `reason` | Meaning | What to do |\n|---|---|---|\n", "\n\n")[0].lines().collect();
    let mut explained = BTreeSet::new();
    for row in rows {
        let [_, reasons, meaning, remedy, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        assert!(!meaning.trim().is_empty() && !remedy.trim().is_empty(), "{row}");
        for reason in between(reasons, "`", "`").into_iter().filter(|reason| is_word(reason)) {
            assert!(explained.insert(reason.to_owned()), "{reason} is there twice");
        }
    }
    let reasons = reasons();
    assert!(reasons.len() > 50, "{reasons:?}");
    assert_eq!(explained, reasons);
}

/// Sends messages of all kinds, and returns the metrics.
fn metrics() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let free = free.to_string();
    // A backend that is called, and one that is down, for the metrics of backends.
    let program = env!("CARGO_BIN_EXE_attache");
    let file = std::env::temp_dir().join(format!("attache-documents-{}-{free}.toml", std::process::id()));
    let text = format!(
        "[[server]]\n[[server.backend]]\nname = \"up\"\ncommand = [{program:?}, \"serve\", \"--demo\", \"--stdio\"]\n\
         [[server.backend]]\nname = \"down\"\nurl = \"http://127.0.0.1:1/mcp\"\n"
    );
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &free, "--config"]).arg(&file);
    let server = Running::of(command);
    let _ = std::fs::remove_file(file);
    let call = Command::new(program).args(["call", &format!("http://{}/mcp", server.address()), "echo", "{}"]).output();
    assert!(call.is_ok());
    let send = |address: &str, request: &str| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    assert_eq!(server.list("/mcp"), "HTTP/1.1 200 OK");
    send(
        server.address(),
        "POST /mcp HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    );
    send(&free, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
}

/// Checks that the metrics and labels of an expression exist.
fn exists(expression: &str, metrics: &str) {
    let mut names = expression.match_indices("attache_").map(|(at, _)| {
        let rest = &expression[at..];
        &rest[..rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len())]
    });
    let sample =
        |name: &str| metrics.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']));
    assert!(names.all(|name| sample(name).is_some()), "{expression}\n{metrics}");
    for labels in between(expression, "{", "}").into_iter().filter(|labels| labels.contains('=')) {
        for label in labels.split(',').filter_map(|label| label.split(['=', '!']).next()) {
            let of_prometheus = ["instance", "job"].contains(&label);
            assert!(of_prometheus || metrics.contains(&format!("{label}=\"")), "{label} in {expression}");
        }
    }
}

#[test]
fn alert_rules_are_yaml_and_every_metric_and_reason_in_them_exists() {
    let rules = yaml_rust2::YamlLoader::load_from_str(&text("packaging/prometheus-rules.yml")).expect("YAML");
    let (metrics, reasons) = (metrics(), reasons());
    let rules = rules[0]["groups"][0]["rules"].as_vec().expect("a list");
    assert!(rules.len() > 5, "{rules:?}");
    for rule in rules {
        let expression = rule["expr"].as_str().expect("an expression");
        exists(expression, &metrics);
        for part in [&rule["alert"], &rule["for"], &rule["labels"]["severity"]] {
            assert!(part.as_str().is_some_and(|text| !text.is_empty()), "{rule:?}");
        }
        for part in ["summary", "remedy"] {
            let text = rule["annotations"][part].as_str().unwrap_or_else(|| panic!("{part} of {rule:?}"));
            assert_eq!(text.matches("{{").count(), text.matches("}}").count(), "{text}");
        }
        let named = between(expression, "reason=", "}").into_iter().flat_map(|list| between(list, "\"", "\""));
        for reason in named.flat_map(|list| list.split('|')).filter(|reason| is_word(reason)) {
            assert!(reasons.contains(reason), "{reason} in {expression}");
        }
    }
}

#[test]
fn dashboard_is_json_and_every_metric_in_it_exists() {
    let dashboard: serde_json::Value = serde_json::from_str(&text("packaging/grafana-dashboard.json")).expect("JSON");
    let metrics = metrics();
    let panels = dashboard["panels"].as_array().expect("a list");
    let expressions = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions: Vec<&str> = expressions.map(|target| target["expr"].as_str().expect("an expression")).collect();
    assert!(expressions.len() >= panels.len() && panels.len() > 8, "{expressions:?}");
    expressions.iter().for_each(|expression| exists(&expression.replace("$__rate_interval", "5m"), &metrics));
    for variable in dashboard["templating"]["list"].as_array().expect("a list") {
        exists(variable["query"].as_str().expect("a query"), &metrics);
    }
    // Every metric that the program has is on the dashboard.
    for family in between(&metrics, "# TYPE ", " ") {
        assert!(expressions.iter().any(|expression| expression.contains(family)), "{family} is not on the dashboard");
    }
}

/// Splits a command of a shell into words. Single quotes keep a word together.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in command.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().expect("a word").push(letter),
        }
    }
    words
}

#[test]
fn first_commands_of_the_readme_serve_and_call_a_tool() {
    let readme = text("README.md");
    let [serve, call] = between(&readme, "$ cargo run -p attache -- ", "\n")[..] else {
        panic!("two commands: {readme}")
    };
    // The address of the README may be in use where the tests run.
    let mut server = Command::new(env!("CARGO_BIN_EXE_attache"));
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    server.current_dir(root).args(words(serve)).env("ATTACHE_LISTEN", "127.0.0.1:0");
    // Some checkouts are group-writable (umask 002), and the program refuses such tools.
    #[cfg(unix)]
    assert!(
        Command::new("chmod")
            .args(["-R", "go-w", "std-host/attache/examples/tools"])
            .current_dir(root)
            .status()
            .is_ok()
    );
    let server = Running::of(server);
    let mut client = Command::new(env!("CARGO_BIN_EXE_attache"));
    let called = client.args(words(&call.replace("127.0.0.1:8080", server.address()))).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&called.stdout), "3\n", "{}", String::from_utf8_lossy(&called.stderr));
}

/// The text of all Rust files in a directory, also in directories below.
fn sources(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            match path.extension().is_some_and(|extension| extension == "rs") {
                true => std::fs::read_to_string(&path).expect("readable"),
                false if path.is_dir() => sources(&path),
                false => String::new(),
            }
        })
        .collect()
}

#[test]
fn tests_that_the_rules_of_the_client_name_exist() {
    let document = text("docs/client.md");
    let rules = between(&document, "| Id | Rule | Shown by |\n|---|---|---|\n", "\n\n")[0];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directories =
        ["core/src/client", "std-host/src/client", "std-host/tests", "std-host/attache/tests", "tests/src"];
    let sources: String = directories.iter().map(|directory| sources(&root.join(directory))).collect();
    for row in rules.lines() {
        assert!(row.contains("::") || row.contains("`tests/gate`") || row.contains("Not offered"), "no test: {row}");
        for name in row.split('`').filter_map(|word| word.split_once("::")).map(|(_, name)| name) {
            assert!(sources.contains(&format!("fn {name}(")), "no such test: {name}");
        }
    }
    assert!(rules.lines().count() > 60, "{rules}");
}
