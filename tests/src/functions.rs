//! Function apps against foreign clients: the public conformance suite and the official clients of older revisions.

use crate::foreign::{attache, newer_node, packages, root, there};
use crate::implementations::Process;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A running function app of `tests/foreign/functions`, and its URL. The process comes first, so that it ends before
/// its files are removed.
struct App {
    _process: Process,
    url: String,
    _directory: Directory,
}

/// A copy of an app, with the libraries of its language.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("readable").path();
        let to = to.join(entry.file_name().expect("a name"));
        match entry.is_dir() {
            true => copy(&entry, &to),
            false => assert!(std::fs::copy(&entry, &to).is_ok(), "{} is copied", entry.display()),
        }
    }
}

/// Starts an app. `None` if the program, the libraries or the foreign clients are missing.
fn start(language: &str, test: &str) -> Option<App> {
    let libraries = packages()?.join("functions");
    if !there(&libraries, "run tests/foreign/setup") || !there(&attache(), "run cargo build -p attache") {
        return None;
    }
    let directory = std::env::temp_dir().join(format!("attache-suite-{test}-{language}-{}", std::process::id()));
    let directory = Directory(directory);
    copy(&root().join("tests/foreign/functions").join(language), &directory.0);
    symlink(libraries.join("venv"), directory.0.join(".venv")).expect("linked");
    symlink(libraries.join("node_modules"), directory.0.join("node_modules")).expect("linked");
    let mut command = Command::new(attache());
    command.args(["functions", "--listen", "127.0.0.1:0", "--http-sse=true"]).arg(&directory.0).stderr(Stdio::null());
    let process = Process::start(&mut command);
    let url = loop {
        let line = String::from_utf8(process.receive()).expect("UTF-8");
        if let Some(url) = line.strip_prefix("Serving MCP on ").and_then(|rest| rest.split(' ').next()) {
            break url.to_owned();
        }
    };
    Some(App { _process: process, url, _directory: directory })
}

/// Scenarios that need what no function can do: ask its client, complete arguments, answer a prompt with anything but a
/// text. Input schemas of the app's own cannot be written in Node.js.
const NOT_OFFERED: [(&str, &[&str]); 2] = [
    (
        "2026-07-28",
        &[
            "server-stateless",
            "completion-complete",
            "prompts-get-embedded-resource",
            "prompts-get-with-image",
            "input-required-result-basic-elicitation",
            "input-required-result-basic-sampling",
            "input-required-result-basic-list-roots",
            "input-required-result-request-state",
            "input-required-result-multiple-input-requests",
            "input-required-result-multi-round",
            "input-required-result-non-tool-request",
            "input-required-result-result-type",
            "input-required-result-tampered-state",
            "input-required-result-capability-check",
        ],
    ),
    (
        "2025-11-25",
        &[
            "completion-complete",
            "tools-call-sampling",
            "tools-call-elicitation",
            "elicitation-sep1034-defaults",
            "elicitation-sep1330-enums",
            "prompts-get-embedded-resource",
            "prompts-get-with-image",
        ],
    ),
];

const NOT_IN_NODE: [&str; 2] = ["json-schema-2020-12", "http-custom-header-server-validation"];

#[test]
fn public_suite_finds_no_fault_in_what_a_function_app_can_offer() {
    for language in ["python", "node"] {
        let Some(app) = start(language, "suite") else { return };
        for (revision, not_offered) in NOT_OFFERED {
            let suite = ["--suite", "all", "--spec-version", revision];
            let run =
                newer_node("conformance").args(["server", "--url", &app.url]).args(suite).output().expect("it runs");
            let said = String::from_utf8_lossy(&run.stdout);
            let (_, summary) = said.split_once("=== SUMMARY ===").expect("a summary");
            let of = |mark: &str| -> Vec<String> {
                let lines = summary.lines().filter_map(|line| line.strip_prefix(mark)?.split(':').next());
                lines.map(|name| name.trim().to_owned()).collect()
            };
            let mut failed = of("✗");
            failed.retain(|name| language != "node" || !NOT_IN_NODE.contains(&name.as_str()));
            assert_eq!(failed, not_offered, "{language} {revision}: {said}");
            assert!(of("✓").len() >= 20, "{language} {revision}: {summary}");
        }
    }
}

#[test]
fn official_clients_of_all_older_revisions_use_apps_in_both_languages() {
    for language in ["python", "node"] {
        let Some(app) = start(language, "older") else { return };
        let packages = packages().expect("checked by start");
        let sse = format!("{}/sse", app.url);
        // The first package knows only the transport of revision 2024-11-05.
        let over_sse = ["1.6.0", "1.9.4", "1.30.0"].map(|of| (of, &sse));
        for (of, url) in ["1.9.4", "1.22.0", "1.30.0"].map(|of| (of, &app.url)).into_iter().chain(over_sse) {
            let mut run = Command::new(packages.join("older").join(of).join("bin/python"));
            run.arg(root().join("tests/foreign/functions/client.py")).arg(url);
            let ran = run.stdin(Stdio::null()).output().expect("tests/foreign/setup has installed it");
            assert!(ran.status.success(), "{language} {run:?}: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }
}
