//! `attache describe`: documents for catalogues of MCP servers.

use crate::running::attache;
use serde_json::{Value, json};

/// Runs the command with these flags and files in a directory of its own. Returns the exit code, the document, and
/// the complaints.
fn describe(name: &str, files: &[(&str, &str)], flags: &[&str]) -> (Option<i32>, Value, String) {
    let directory = std::env::temp_dir().join(format!("attache-describe-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    for (file, text) in files {
        std::fs::write(directory.join(file), text).expect("written");
    }
    let run = attache(&[&["describe"], flags].concat()).current_dir(&directory).output().expect("it runs");
    let _ = std::fs::remove_dir_all(&directory);
    let document = serde_json::from_slice(&run.stdout).unwrap_or(Value::Null);
    (run.status.code(), document, String::from_utf8_lossy(&run.stderr).into_owned())
}

const HOST: (&str, &str) = (
    "host.json",
    r#"{"extensions": {"mcp": {"serverName": "weather-desk", "serverVersion": "2.1.0", "instructions": "Tells the weather. Ask for a city first."}}}"#,
);

#[test]
fn document_of_api_center_has_the_public_url_of_the_app() {
    let (code, document, said) = describe("center", &[HOST], &["--api-center", "--allow-host", "mcp.example", "."]);
    let expected = json!({
        "openapi": "3.0.0",
        "info": {"title": "weather-desk", "description": "Tells the weather", "version": "2.1.0"},
        "servers": [{"url": "https://mcp.example/runtime/webhooks/mcp"}],
    });
    assert_eq!((code, document), (Some(0), expected), "{said}");
    let handler = r#"{"configurationProfile": "mcp-custom-handler", "customHandler": {"description": {"defaultExecutablePath": "h"}}}"#;
    let files = [("host.json", handler), ("h", "")];
    let (_, document, said) = describe("handler", &files, &["--api-center", "--allow-host", "mcp.example", "."]);
    assert_eq!(document["servers"][0]["url"], "https://mcp.example/mcp", "{said}");
    let (_, document, said) = describe("local", &[HOST], &["--api-center", "."]);
    assert_eq!(document["servers"][0]["url"], "http://127.0.0.1:7071/runtime/webhooks/mcp");
    assert!(said.contains("allow_host"), "{said}");
}

#[test]
fn document_of_the_registry_names_transports_and_the_key() {
    let file = "allow_host = [\"mcp.example\"]\nhttp_sse = true\n[auth]\nkeys_file = \"keys\"\n";
    let files = [("attache.toml", file), ("keys", "")];
    let flags =
        ["--registry", "com.example/weather", "--description", "Weather for agents", "--server-version", "3.0.1"];
    let (code, document, said) = describe("registry", &files, &flags);
    assert_eq!(code, Some(0), "{said}");
    let headers = json!([{"name": "x-functions-key", "description": "API key of the server", "isRequired": true, "isSecret": true}]);
    let expected = json!({
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "com.example/weather",
        "title": "attache",
        "description": "Weather for agents",
        "version": "3.0.1",
        "remotes": [
            {"type": "streamable-http", "url": "https://mcp.example/mcp", "headers": headers},
            {"type": "sse", "url": "https://mcp.example/mcp/sse", "headers": headers},
        ],
    });
    assert_eq!(document, expected);
}

#[test]
fn what_a_catalogue_would_refuse_is_refused_with_the_flag() {
    let long = "x".repeat(101);
    for (flags, word) in [
        (&["--registry", "weather"][..], "--registry"),
        (&["--registry", "com.example/a/b"], "--registry"),
        (&["--registry", "example/a"], "--registry"),
        (&["--registry", "com.example/a", "--description", &long], "101 characters"),
        (&[], "--api-center"),
        (&["--api-center", "--registry", "com.example/a"], "cannot be used with"),
    ] {
        let (code, _, said) = describe("refused", &[], flags);
        assert!(code == Some(2) && said.contains(word), "{flags:?}: {said}");
    }
}
