//! Function apps behind access control: scopes and roles for each function, and the session in the context.

use crate::access;
use crate::functions::{Directory, Running, post_for_head};
use crate::http_sse::{Events, request, send_to};
use serde_json::{Value, json};
use std::fs;

const APP: &str = r#"
import json
import azure.functions as func
app = func.FunctionApp()

@app.mcp_tool()
def look() -> str:
    return "looked"

@app.mcp_tool()
def change() -> str:
    return "changed"

@app.mcp_tool()
def wipe() -> str:
    return "wiped"

@app.mcp_tool()
def session(ctx: func.MCPToolContext) -> str:
    return json.dumps(ctx)
"#;

const HOST: (&str, &str) = ("host.json", r#"{"version": "2.0"}"#);

#[test]
fn functions_need_the_scopes_and_roles_of_the_configuration() {
    let Some(app) = Directory::with("scopes", &[HOST, ("function_app.py", APP)]) else { return };
    let directory = access::Directory::new("functions");
    let issued = access::issuer(&directory);
    let file = directory.path("attache.toml");
    let rules = "scopes = { \"change\" = [\"notes.write\"] }\nroles = { \"wipe\" = [\"operator\"] }\n";
    fs::write(&file, rules).expect("written");
    let mut flags = vec!["--config".to_owned(), file];
    flags.extend(access::takes_tokens(&directory));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Running::with(&app, &flags);
    for (claims, may) in [
        (json!({}), &["look"][..]),
        (json!({"scp": "notes.write"}), &["look", "change"]),
        (json!({"scp": "notes.read", "roles": ["operator"]}), &["look", "wipe"]),
    ] {
        let token = ("authorization", format!("Bearer {}", issued(claims.clone())));
        for tool in ["look", "change", "wipe"] {
            let params = json!({"name": tool, "arguments": {}});
            let answer = server.ask_with("tools/call", params, core::slice::from_ref(&token));
            let has_run = answer["result"]["content"].is_array() && answer["result"]["isError"] != true;
            assert_eq!(has_run, may.contains(&tool), "{claims} {tool}: {answer}");
        }
    }
}

/// Sends a message of revision 2025-06-18, and returns the session and the result.
fn legacy(server: &Running, session: Option<&str>, method: &str, params: Value) -> (Option<String>, Value) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let json = |name| (name, "application/json, text/event-stream".to_owned());
    let mut fields = vec![json("accept"), ("content-type", "application/json".to_owned())];
    fields.extend(session.map(|session| ("mcp-session-id", session.to_owned())));
    let (_, head, answer) = post_for_head(&server.url, &fields, body.as_bytes());
    let answer = String::from_utf8(answer).expect("UTF-8");
    let answer = answer.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&answer);
    let answer: Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {head}{answer}"));
    let field = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    (field.map(str::to_owned), answer["result"].clone())
}

#[test]
fn context_names_the_session_of_a_client_that_has_one() {
    let Some(app) = Directory::with("session", &[HOST, ("function_app.py", APP)]) else { return };
    let server = Running::with(&app, &["--http-sse=true"]);
    let context = |session: Option<&str>| -> Value {
        let (_, result) = legacy(&server, session, "tools/call", json!({"name": "session", "arguments": {}}));
        serde_json::from_str(result["content"][0]["text"].as_str().expect("a text")).expect("JSON")
    };
    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    let begin = || legacy(&server, None, "initialize", hello.clone()).0.expect("a session");
    let sessions = [begin(), begin()];
    let [first, second] = sessions.each_ref().map(|session| context(Some(session)));
    let id = first["sessionid"].as_str().expect("a session");
    assert_eq!(id.len(), 32, "{id}");
    assert_eq!(context(sessions.first().map(String::as_str))["sessionid"], id, "it is the same in each call");
    assert_ne!(second["sessionid"], id, "each session has its own");
    assert_eq!(first["transport"]["sessionId"], json!(sessions[0]));
    let address = server.url.split('/').nth(2).expect("an authority");
    let (mut events, path) = Events::at(address, "/runtime/webhooks/mcp", "").expect("it is open");
    let send = |message: &str| assert_eq!(send_to(address, "POST", &path, "", message), 202);
    send(&request(1, "initialize", hello));
    assert_eq!(events.message()["id"], 1);
    send(&request(2, "tools/call", json!({"name": "session", "arguments": {}})));
    let answer = events.message();
    let old: Value =
        serde_json::from_str(answer["result"]["content"][0]["text"].as_str().expect("a text")).expect("JSON");
    assert_eq!((&old["transport"]["name"], old["sessionid"].is_string()), (&json!("http-sse"), true), "{old}");
    let modern: Value = serde_json::from_str(&server.text("session", json!({}))).expect("JSON");
    assert_eq!(modern["sessionid"], Value::Null, "revision 2026-07-28 has no sessions: {modern}");
}
