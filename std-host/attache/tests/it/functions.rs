//! `attache functions`: function apps of real libraries, run by the workers of this program.
//!
//! The apps need `tests/foreign/setup`. Without it the tests name what is missing and pass; with
//! `FOREIGN_CLIENTS=required`, as in CI, they fail instead.

use crate::running::attache;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The libraries of function apps, if they are installed.
fn libraries() -> Option<PathBuf> {
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/foreign/functions").canonicalize();
    if libraries.is_err() {
        let required = std::env::var_os("FOREIGN_CLIENTS").is_some_and(|wish| wish == "required");
        assert!(!required, "the libraries of function apps are missing: run tests/foreign/setup");
        let _ = writeln!(std::io::stderr(), "skipped: run tests/foreign/setup");
    }
    libraries.ok()
}

/// A function app in a directory of its own, removed with the value.
struct Directory(PathBuf);

impl Directory {
    /// Writes the files of an app, and links the libraries of its language.
    fn with(name: &str, files: &[(&str, &str)]) -> Option<Self> {
        let libraries = libraries()?;
        let path = std::env::temp_dir().join(format!("attache-functions-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        for (file, text) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().expect("it has a directory")).expect("a directory");
            fs::write(file, text).expect("written");
        }
        symlink(libraries.join("venv"), path.join(".venv")).expect("linked");
        symlink(libraries.join("node_modules"), path.join("node_modules")).expect("linked");
        Some(Self(path))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running app, stopped with the value.
struct Running {
    child: Child,
    url: String,
    /// What the program has printed up to the line with the URL.
    printed: String,
}

impl Running {
    fn start(app: &Directory) -> Self {
        Self::with(app, &[])
    }

    fn with(app: &Directory, flags: &[&str]) -> Self {
        let mut command = attache(&[&["functions", "--listen", "127.0.0.1:0"], flags, &[app.path()]].concat());
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let (mut printed, mut url) = (String::new(), None);
        while url.is_none() {
            let mut line = String::new();
            assert!(output.read_line(&mut line).expect("readable") > 0, "the program has ended: {printed}");
            url = line.strip_prefix("Serving MCP on ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
            printed.push_str(&line);
        }
        // The rest of the greeting must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Self { child, url: url.expect("found"), printed }
    }

    /// Sends a request of revision 2026-07-28, and returns the response.
    fn ask(&self, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "3"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut fields = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
            ("mcp-protocol-version", "2026-07-28".to_owned()),
            ("mcp-method", method.to_owned()),
        ];
        fields.extend(name.map(|name| ("mcp-name", name)));
        let (status, answer) = post(&self.url, &fields, body.as_bytes());
        let answer = String::from_utf8(answer).expect("UTF-8");
        let json = answer.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&answer);
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{status}: {error}: {answer}"))
    }

    fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        assert!(answer["result"].is_object(), "{tool}: {answer}");
        answer["result"].clone()
    }

    fn text(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{tool}: {result}")).to_owned()
    }

    fn entry(&self, list: &str, key: &str, name: &str) -> Value {
        let listed = self.ask(&format!("{list}/list"), json!({}));
        let entries = listed["result"][list].as_array().unwrap_or_else(|| panic!("{listed}")).clone();
        entries.into_iter().find(|entry| entry[key] == name).unwrap_or_else(|| panic!("{name}: {listed}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// Sends a POST on a connection of its own.
fn post(url: &str, fields: &[(&str, String)], body: &[u8]) -> (u16, Vec<u8>) {
    use std::io::Read;
    let (address, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let mut head = format!("POST /{path} HTTP/1.0\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body)).expect("it is taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let status = String::from_utf8_lossy(answer.get(9..12).expect("a status")).parse().expect("a number");
    (status, answer.split_off(end + 4))
}

/// The sample of the protocol's description, in Python.
const PYTHON: &[(&str, &str)] = &[
    ("host.json", r#"{"version": "2.0", "extensions": {"mcp": {"serverName": "desk", "serverVersion": "2.1.0"}}}"#),
    (
        "function_app.py",
        r#"
import dataclasses, json, logging
import azure.functions as func
from azure.functions.decorators.mcp import PromptArgument
app = func.FunctionApp()

@app.generic_trigger(arg_name="context", type="mcpToolTrigger", toolName="shout", description="Upper-cases text.",
    toolProperties=json.dumps([{"propertyName": "text", "propertyType": "string", "description": "what to shout"}]))
def shout(context) -> str:
    return json.loads(context)["arguments"]["text"].upper()

@app.mcp_tool()
@app.mcp_tool_property(arg_name="a", description="left operand")
def add(a: int, b: int = 1, ctx: func.MCPToolContext = None) -> int:
    """Adds two integers."""
    return a + b

@func.mcp_content
@dataclasses.dataclass
class Sum:
    total: int

@app.mcp_tool(metadata='{"ui":{"resourceUri":"ui://demo"}}')
def add_rich(a: int, b: int) -> Sum:
    """Adds and answers structured."""
    return Sum(a + b)

@app.mcp_tool()
def client(ctx: func.MCPToolContext) -> str:
    """Names the client."""
    return ctx["clientinfo"]["name"]

@app.mcp_tool()
def boom() -> str:
    """Fails."""
    raise ValueError("kaput")

@app.mcp_resource_trigger(arg_name="context", uri="file://logo.png", resource_name="logo", mime_type="image/png")
def logo(context) -> bytes:
    return b"\x01\x02\x03"

@app.mcp_resource_trigger(arg_name="context", uri="log://{day}", resource_name="log", mime_type="text/plain")
def log(context) -> str:
    return "log of " + json.loads(context)["uri"]

@app.mcp_prompt_trigger(arg_name="context", prompt_name="review", prompt_arguments=[PromptArgument("code", "the code", True)])
def review(context: func.PromptInvocationContext) -> str:
    return "Review: " + context.arguments["code"]
"#,
    ),
];

#[test]
fn python_app_runs_as_it_is() {
    let Some(app) = Directory::with("python", PYTHON) else { return };
    let server = Running::start(&app);
    assert!(server.url.ends_with("/runtime/webhooks/mcp"), "{}", server.url);
    assert!(server.printed.contains("tool     add\n"), "{}", server.printed);
    assert_eq!(
        server.ask("server/discover", json!({}))["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "desk"
    );
    let add = server.entry("tools", "name", "add");
    assert_eq!(add["description"], "Adds two integers.");
    assert_eq!(
        add["inputSchema"],
        json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "integer", "description": "left operand"}, "b": {"type": "integer", "description": ""}}})
    );
    assert_eq!(server.entry("tools", "name", "add_rich")["_meta"], json!({"ui": {"resourceUri": "ui://demo"}}));
    assert_eq!(server.text("shout", json!({"text": "hey"})), "HEY");
    assert_eq!(server.text("add", json!({"a": 2})), "3");
    assert_eq!(server.text("client", json!({})), "test");
    assert_eq!(server.call("add_rich", json!({"a": 2, "b": 3}))["structuredContent"], json!({"total": 5}));
    let failed = server.call("boom", json!({}));
    assert_eq!(failed["isError"], true);
    let text = failed["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("'boom'") && !text.contains("kaput"), "{text}");
    let logo = server.ask("resources/read", json!({"uri": "file://logo.png"}));
    assert_eq!(
        logo["result"]["contents"],
        json!([{"uri": "file://logo.png", "mimeType": "image/png", "blob": "AQID"}])
    );
    let log = server.ask("resources/read", json!({"uri": "log://monday"}));
    assert_eq!(log["result"]["contents"][0]["text"], "log of log://monday");
    let prompt = server.ask("prompts/get", json!({"name": "review", "arguments": {"code": "x=1"}}));
    assert_eq!(
        prompt["result"]["messages"],
        json!([{"role": "user", "content": {"type": "text", "text": "Review: x=1"}}])
    );
}

/// The sample of the protocol's description, in JavaScript.
const NODE: &[(&str, &str)] = &[
    ("host.json", r#"{"version": "2.0"}"#),
    ("package.json", r#"{"name": "app", "main": "dist/{index.js,functions/*.js}"}"#),
    (
        "dist/functions/tools.js",
        r#"
const { app, arg, McpImageContent, McpTextContent, McpToolResponse, promptArg } = require('@azure/functions');
app.mcpTool('forecastFn', { toolName: 'forecast', description: 'Forecast for one city.',
  toolProperties: { city: arg.string().describe('City name'), days: arg.integer().optional() },
  handler: (c, ctx) => { ctx.log('asked'); return `Sun in ${c.arguments.city} for ${c.arguments.days ?? 1}`; } });
app.mcpTool('richFn', { toolName: 'rich', description: 'Two blocks.', toolProperties: [],
  handler: () => new McpToolResponse({ content: [new McpTextContent('hello'), new McpImageContent({ data: Buffer.from('png'), mimeType: 'image/png' })], structuredContent: { ok: true } }) });
app.mcpTool('boomFn', { toolName: 'boom', description: 'Throws.', toolProperties: [], handler: () => { throw new Error('kaput'); } });
app.mcpResource('logoFn', { uri: 'file://logo.png', resourceName: 'logo', mimeType: 'image/png', handler: () => Buffer.from([1, 2, 3]) });
app.mcpPrompt('reviewFn', { promptName: 'review', promptArguments: { code: promptArg.describe('the code').isRequired() }, handler: (c) => `Review: ${c.arguments.code}` });
"#,
    ),
];

#[test]
fn node_app_runs_as_it_is() {
    let Some(app) = Directory::with("node", NODE) else { return };
    let server = Running::start(&app);
    let forecast = server.entry("tools", "name", "forecast");
    assert_eq!(
        forecast["inputSchema"],
        json!({"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "City name"}, "days": {"type": "integer", "description": ""}}})
    );
    assert_eq!(server.text("forecast", json!({"city": "Oulu", "days": 3})), "Sun in Oulu for 3");
    let rich = server.call("rich", json!({}));
    assert_eq!(rich["content"][0], json!({"type": "text", "text": "hello"}));
    assert_eq!(rich["content"][1], json!({"type": "image", "data": "cG5n", "mimeType": "image/png"}));
    assert_eq!(rich["structuredContent"], json!({"ok": true}));
    let failed = server.call("boom", json!({}));
    assert_eq!(failed["isError"], true);
    assert!(!failed.to_string().contains("kaput"), "{failed}");
    let logo = server.ask("resources/read", json!({"uri": "file://logo.png"}));
    assert_eq!(
        logo["result"]["contents"],
        json!([{"uri": "file://logo.png", "mimeType": "image/png", "blob": "AQID"}])
    );
    let prompt = server.ask("prompts/get", json!({"name": "review", "arguments": {"code": "x=1"}}));
    assert_eq!(prompt["result"]["messages"][0]["content"]["text"], "Review: x=1");
}
