//! Progress and cancellation of functions in Node.js and in custom handlers.

use crate::functions::{Directory, Running, post};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

const NODE: &str = r#"
const { app } = require('@azure/functions');
app.mcpTool('steps', { toolName: 'steps', description: 'Reports progress', toolProperties: {}, handler: (input, context) => {
  context.progress?.(1, 2, 'half');
  context.progress?.(2);
  return 'done';
} });
app.mcpTool('patient', { toolName: 'patient', description: 'Waits', toolProperties: {}, handler: (input, context) => {
  context.log('patience begins');
  return new Promise((resolve) => context.signal.addEventListener('abort', () => {
    context.log('patience was cancelled');
    resolve('cancelled');
  }));
} });
"#;

/// The header fields and the body of a call of a tool, which asks for progress.
pub(crate) fn call(tool: &str) -> (Vec<(&'static str, String)>, String) {
    let field = |name, value: &str| (name, value.to_owned());
    let fields = vec![
        field("content-type", "application/json"),
        field("accept", "application/json, text/event-stream"),
        field("mcp-protocol-version", "2026-07-28"),
        field("mcp-method", "tools/call"),
        field("mcp-name", tool),
    ];
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": "p"});
    let params = json!({"name": tool, "arguments": {}, "_meta": meta});
    (fields, json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string())
}

/// Begins a call, and returns its connection.
pub(crate) fn begin(server: &Running, tool: &str) -> TcpStream {
    let (fields, body) = call(tool);
    let (address, path) = server.url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(stream, "POST /{path} HTTP/1.1\r\nhost: localhost\r\n{fields}content-length: {length}\r\n\r\n{body}")
        .expect("it is taken");
    stream
}

/// Begins a call, and closes the connection when the log has a text.
fn cancel_call(server: &Running, tool: &str, begun: &str) {
    let stream = begin(server, tool);
    server.logs(begun);
    drop(stream);
}

#[test]
fn node_function_reports_progress_and_sees_that_its_client_has_cancelled() {
    let files = [("host.json", "{}"), ("package.json", r#"{"main": "index.js"}"#), ("index.js", NODE)];
    let Some(app) = Directory::with("node-events", &files) else { return };
    let server = Running::start(&app);
    let (fields, body) = call("steps");
    let (_, answer) = post(&server.url, &fields, body.as_bytes());
    let answer = String::from_utf8(answer).expect("UTF-8");
    let events: Vec<Value> =
        answer.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let progress: Vec<_> = events.iter().filter(|event| event["method"] == "notifications/progress").collect();
    assert_eq!(progress.len(), 2, "{answer}");
    assert_eq!(progress[0]["params"], json!({"progressToken": "p", "progress": 1, "total": 2, "message": "half"}));
    assert_eq!(progress[1]["params"], json!({"progressToken": "p", "progress": 2}));
    assert_eq!(events.last().expect("events")["result"]["content"][0]["text"], "done");
    cancel_call(&server, "patient", "patience begins");
    server.logs("patience was cancelled");
}

const HANDLER: &str = r#"#!/usr/bin/env python3
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        print("the call begins", flush=True)
        # It ends when the host closes the connection.
        self.rfile.read(1)
        print("the call was cancelled", flush=True)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
"#;

#[test]
fn custom_handler_loses_the_connection_of_a_call_that_its_client_cancels() {
    let function =
        r#"{"bindings": [{"type": "mcpToolTrigger", "direction": "in", "name": "context", "toolName": "wait"}]}"#;
    let host = r#"{"customHandler": {"description": {"defaultExecutablePath": "handler"}}}"#;
    let files = [("host.json", host), ("handler", HANDLER), ("Wait/function.json", function)];
    let Some(app) = Directory::with("handler-cancel", &files) else { return };
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(app.0.join("handler"), executable).expect("set");
    let server = Running::start(&app);
    cancel_call(&server, "wait", "the call begins");
    server.logs("the call was cancelled");
}
