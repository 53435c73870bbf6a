//! The public conformance suite against servers, directly and through a gate: each scenario that
//! passes directly passes through the gate.
//!
//! The tests need foreign programs, see `foreign`.

use crate::foreign::{newer_node, packages, root, there};
use crate::gate::{client, names, served, until};
use crate::implementations::Process;
use crate::servers::{Listening, everything, listening};
use attache_host::Server;
use attache_host::bridge::Bridge;
use attache_host::client::{List, ServerCommand, Version};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The revisions for which the suite has scenarios.
const REVISIONS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// Runs the suite of a revision against a server. Returns the scenarios and whether each passes
/// without a warning.
async fn suite(url: &str, revision: &str) -> BTreeMap<String, bool> {
    let mut run = newer_node("conformance");
    run.args(["server", "--url", url, "--suite", "all", "--spec-version", revision]);
    let ran = tokio::task::spawn_blocking(move || run.output()).await.expect("no panic").expect("it is installed");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let (_, summary) = said.split_once("=== SUMMARY ===").unwrap_or_else(|| panic!("no summary: {said}"));
    let scenarios = summary.lines().filter_map(|line| {
        let (mark, rest) = line.split_at_checked(line.chars().next()?.len_utf8())?;
        let name = rest.split(':').next()?.trim().to_owned();
        let passes = !rest.contains("warning") || rest.contains(" 0 warning");
        matches!(mark, "✓" | "✗" | "⚠").then(|| (name, mark == "✓" && passes))
    });
    let scenarios: BTreeMap<_, _> = scenarios.collect();
    assert!(!scenarios.is_empty(), "{summary}");
    scenarios
}

/// Scenarios that some servers pass without having what the scenario uses: they answer the call of an
/// unknown tool with a result, and accept a subscription to an unknown resource. The gate refuses
/// both, as MCP server/tools and server/resources say.
const OF_NOTHING: [&str; 4] =
    ["resources-subscribe", "resources-unsubscribe", "tools-call-error", "tools-call-simple-text"];

/// Scenarios about what only revision 2026-07-28 has, so that a gate cannot get it from a server of an
/// older one: names of questions, an error for a missing capability, and mirrored arguments.
const OF_THE_NEWEST: [&str; 3] =
    ["input-required-result-basic-elicitation", "server-stateless", "http-custom-header-server-validation"];

/// Checks that each scenario that passes directly passes through a gate. `except` are scenarios that
/// the server passes by accident.
async fn same_through_a_gate(
    name: &str,
    (direct, bridge): (&str, Bridge),
    revisions: &[&str],
    except: &[&str],
    least: usize,
) {
    let url = served(Server::new("gate", "1").backend("", bridge)).await;
    let ready = client(&url, Version::V2025_11_25).await;
    until(async || !names(&ready, List::Tools, "name").await.is_empty()).await;
    let mut passed = 0;
    for revision in revisions {
        let (direct, through) = (suite(direct, revision).await, suite(&url, revision).await);
        let is_lost = |name: &&String| through.get(*name) != Some(&true) && !except.contains(&name.as_str());
        let passing = direct.iter().filter(|(_, passes)| **passes).map(|(name, _)| name);
        let lost: Vec<_> = passing.filter(is_lost).collect();
        assert!(lost.is_empty(), "{name}, {revision}: {lost:?}");
        passed += direct.values().filter(|passes| **passes).count();
    }
    assert!(passed >= least, "{name}: {passed}");
}

/// The example of this repository that has every fixture of the suite.
fn fixtures() -> Option<(Process, String)> {
    let tests = std::env::current_exe().expect("a running program");
    let example =
        tests.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("examples/conformance_server");
    if packages().is_none()
        || !there(&example, "run cargo build -p attache-host --examples, or test the whole workspace")
    {
        return None;
    }
    let server = Process::start(Command::new(example).args(["--listen", "127.0.0.1:0"]));
    let greeting = String::from_utf8(server.receive()).expect("UTF-8");
    let url = greeting.split(' ').find(|word| word.starts_with("http://")).expect("the greeting names the URL");
    let url = url.to_owned();
    Some((server, url))
}

#[tokio::test]
async fn suite_with_all_fixtures_passes_through_a_gate_whatever_revision_the_gate_speaks_with_the_server() {
    let Some((_server, url)) = fixtures() else { return };
    for up in [Version::V2025_06_18, Version::V2025_11_25, Version::V2026_07_28] {
        let bridge = Bridge::http("fixtures", &url).version(up);
        let except = if up.is_modern() { &[][..] } else { &OF_THE_NEWEST };
        same_through_a_gate(up.as_str(), (&url, bridge), &REVISIONS, except, 100).await;
    }
}

async fn waited(server: Listening) -> Listening {
    let address = server.url.trim_start_matches("http://").split('/').next().expect("an address").to_owned();
    until(async || tokio::net::TcpStream::connect(&address).await.is_ok()).await;
    server
}

#[tokio::test]
async fn suite_passes_through_a_gate_as_directly_with_servers_of_the_official_packages() {
    let Some(packages) = packages() else { return };
    let Some(arguments) = everything("streamableHttp") else { return };
    let script = |name: &str| root().join("tests/foreign").join(name);
    let mut example = Command::new("node");
    example.args(arguments);
    let mut python = Command::new(packages.join("venv/bin/python"));
    python.arg(script("server.py")).arg("streamable-http");
    let mut typescript = Command::new("node");
    typescript.arg(script("server.mjs")).arg("http");
    for (name, command, revisions) in [
        ("example server", example, &["2025-06-18", "2025-11-25"][..]),
        ("python", python, &["2025-11-25", "2026-07-28"]),
        ("typescript", typescript, &["2025-11-25", "2026-07-28"]),
    ] {
        let server = waited(listening(command, "/mcp")).await;
        let bridge = Bridge::http(name, &server.url);
        same_through_a_gate(name, (&server.url, bridge), revisions, &OF_NOTHING, 10).await;
    }
    // The same example over standard streams.
    let Some(arguments) = everything("stdio") else { return };
    let mut example = Command::new("node");
    example.args(everything("streamableHttp").expect("installed above"));
    let server = waited(listening(example, "/mcp")).await;
    let bridge = Bridge::command("example", ServerCommand::new("node", arguments));
    same_through_a_gate("example over stdio", (&server.url, bridge), &["2025-11-25"], &OF_NOTHING, 10).await;
}
