//! `attache functions`: function apps of real libraries, run by the workers of this program.
//!
//! The apps need `tests/foreign/setup`. Without it the tests name what is missing and pass; with
//! `FOREIGN_CLIENTS=required`, as in CI, they fail instead.

use crate::running::attache;
use core::time::Duration;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The libraries of function apps, if they are installed.
pub(crate) fn libraries() -> Option<PathBuf> {
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/foreign/functions").canonicalize();
    if libraries.is_err() {
        let required = std::env::var_os("FOREIGN_CLIENTS").is_some_and(|wish| wish == "required");
        assert!(!required, "the libraries of function apps are missing: run tests/foreign/setup");
        let _ = writeln!(std::io::stderr(), "skipped: run tests/foreign/setup");
    }
    libraries.ok()
}

/// A function app in a directory of its own, removed with the value.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    /// Writes the files of an app, and links the libraries of its language.
    pub(crate) fn with(name: &str, files: &[(&str, &str)]) -> Option<Self> {
        let libraries = libraries()?;
        let path = std::env::temp_dir().join(format!("attache-functions-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        for (file, text) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().expect("it has a directory")).expect("a directory");
            fs::write(file, text).expect("written");
        }
        symlink(libraries.join("venv"), path.join(".venv")).expect("linked");
        symlink(libraries.join("node_modules"), path.join("node_modules")).expect("linked");
        Some(Self(path))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running app, stopped with the value.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) url: String,
    /// The output of the program up to the line with the URL.
    pub(crate) printed: String,
    log: Arc<Mutex<String>>,
}

impl Running {
    pub(crate) fn start(app: &Directory) -> Self {
        Self::with(app, &[])
    }

    pub(crate) fn with(app: &Directory, flags: &[&str]) -> Self {
        Self::by(app, flags, &[])
    }

    pub(crate) fn by(app: &Directory, flags: &[&str], variables: &[(&str, String)]) -> Self {
        let mut command = attache(&[&["functions", "--listen", "127.0.0.1:0"], flags, &[app.path()]].concat());
        Self::of(command.envs(variables.iter().map(|(name, value)| (name, value))))
    }

    /// Runs a command that serves an app.
    pub(crate) fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let (log, mut errors) = (Arc::<Mutex<String>>::default(), BufReader::new(child.stderr.take().expect("piped")));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut line = String::new();
            while errors.read_line(&mut line).is_ok_and(|read| read > 0) {
                kept.lock().expect("not poisoned").push_str(&core::mem::take(&mut line));
            }
        });
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let (mut printed, mut url) = (String::new(), None);
        while url.is_none() {
            let mut line = String::new();
            if output.read_line(&mut line).expect("readable") == 0 {
                let _ = child.wait();
                std::thread::sleep(Duration::from_millis(200));
                panic!("the program has ended: {printed}{}", log.lock().expect("not poisoned"));
            }
            url = line.strip_prefix("Serving MCP on ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
            printed.push_str(&line);
        }
        // The rest of the greeting must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Self { child, url: url.expect("found"), printed, log }
    }

    /// The URL of another path of the server.
    pub(crate) fn at(&self, path: &str) -> String {
        self.url.replace("/runtime/webhooks/mcp", path)
    }

    /// Waits until the log has a text.
    pub(crate) fn logs(&self, text: &str) {
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while !self.log.lock().expect("not poisoned").contains(text) {
            let log = || self.log.lock().expect("not poisoned").clone();
            assert!(std::time::Instant::now() < until, "the log does not have {text:?}: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a request of revision 2026-07-28, and returns the response.
    pub(crate) fn ask(&self, method: &str, params: Value) -> Value {
        self.ask_with(method, params, &[])
    }

    /// Sends a request of revision 2026-07-28 with further header fields, and returns the response.
    pub(crate) fn ask_with(&self, method: &str, mut params: Value, further: &[(&'static str, String)]) -> Value {
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
        fields.extend(further.iter().cloned());
        let (status, answer) = post(&self.url, &fields, body.as_bytes());
        let answer = String::from_utf8(answer).expect("UTF-8");
        let json = answer.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&answer);
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{status}: {error}: {answer}"))
    }

    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        assert!(answer["result"].is_object(), "{tool}: {answer}");
        answer["result"].clone()
    }

    pub(crate) fn text(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{tool}: {result}")).to_owned()
    }

    pub(crate) fn entry(&self, list: &str, key: &str, name: &str) -> Value {
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
pub(crate) fn post(url: &str, fields: &[(&str, String)], body: &[u8]) -> (u16, Vec<u8>) {
    let (status, _, body) = post_for_head(url, fields, body);
    (status, body)
}

/// Sends a POST on a connection of its own, and returns the head of the response as well.
pub(crate) fn post_for_head(url: &str, fields: &[(&str, String)], body: &[u8]) -> (u16, String, Vec<u8>) {
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
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).expect("UTF-8");
    (head.get(9..12).expect("a status").parse().expect("a number"), head, body)
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

/// Larger and unfriendly functions.
const ROUGH: &str = r#"
import asyncio, json, logging, os, time
import azure.functions as func
app = func.FunctionApp()

@app.mcp_tool()
def die(code: int) -> str:
    os._exit(code)

@app.mcp_tool()
def size(text: str) -> int:
    return len(text)

@app.mcp_tool()
def big(bytes: int) -> str:
    return "x" * bytes

@app.mcp_resource_trigger(arg_name="context", uri="file://big", resource_name="big", mime_type="a/b")
def blob(context) -> bytes:
    return b"\x00" * 3_000_000

@app.mcp_tool()
def slow(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"

@app.mcp_tool()
async def hang() -> str:
    time.sleep(1000)

@app.mcp_tool()
async def patient() -> str:
    logging.info("patience begins")
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        logging.info("patience was cancelled")
        raise

@app.mcp_tool()
def flood(lines: int) -> str:
    for line in range(lines):
        logging.info("line %d", line)
    return "done"

@app.mcp_tool()
def steps() -> str:
    for step in (1, 2):
        logging.info("step %d", step, extra={"progress": step, "total": 2})
    return "done"

@app.mcp_tool()
def headers(ctx: func.MCPToolContext) -> str:
    return json.dumps(ctx["transport"])

@app.mcp_tool()
def environment() -> str:
    return json.dumps(dict(os.environ))

@app.mcp_tool()
@app.mcp_tool_property(arg_name="level", description="how loud")
def typed(level: int, words: list[str] = None) -> str:
    return f"{level} {words}"

@app.mcp_tool()
def nothing() -> str:
    return None
"#;

fn rough(name: &str) -> Option<Directory> {
    let host = r#"{"version": "2.0", "functionTimeout": "00:00:02"}"#;
    let settings = r#"{"IsEncrypted": false, "Values": {"OWN_SETTING": "own", "FUNCTIONS_WORKER_RUNTIME": "python"}}"#;
    let files = [("host.json", host), ("local.settings.json", settings), ("function_app.py", ROUGH)];
    Directory::with(name, &files)
}

#[test]
fn arguments_are_checked_before_a_function_runs() {
    let Some(app) = rough("arguments") else { return };
    let server = Running::start(&app);
    let missing = server.ask("tools/call", json!({"name": "typed", "arguments": {"level": null}}));
    assert_eq!(missing["error"]["code"], -32602, "{missing}");
    assert!(missing["error"]["message"].as_str().is_some_and(|text| text.contains("level")), "{missing}");
    for arguments in [json!({"level": "high"}), json!({"level": 1.5}), json!({"level": 1, "words": "one"})] {
        let answer = server.call("typed", arguments);
        assert_eq!(answer["isError"], true, "{answer}");
        assert!(answer["content"][0]["text"].as_str().is_some_and(|text| text.contains("does not fit")), "{answer}");
    }
    assert_eq!(server.text("typed", json!({"level": 1, "words": ["a", "b"]})), "1 ['a', 'b']");
    let answer = server.ask("tools/call", json!({"name": "no_such_tool", "arguments": {}}));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[test]
fn large_values_pass_both_ways() {
    let Some(app) = rough("large") else { return };
    let server = Running::start(&app);
    assert_eq!(server.text("size", json!({"text": "y".repeat(3_000_000)})), "3000000");
    assert_eq!(server.text("big", json!({"bytes": 3_000_000})).len(), 3_000_000);
    let answer = server.ask("resources/read", json!({"uri": "file://big"}));
    assert_eq!(answer["result"]["contents"][0]["blob"].as_str().map(str::len), Some(4_000_000));
}

#[test]
fn two_hundred_calls_run_at_once_in_one_worker() {
    let Some(app) = rough("many") else { return };
    let server = Running::start(&app);
    server.text("slow", json!({"seconds": 0}));
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..200).map(|_| scope.spawn(|| server.text("slow", json!({"seconds": 1})))).collect();
        for call in calls {
            assert_eq!(call.join().expect("an answer"), "slept");
        }
    });
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn worker_that_ends_costs_its_own_calls_and_is_back_in_two_seconds() {
    let Some(app) = rough("killed") else { return };
    let server = Running::start(&app);
    for code in [1, 0, 200] {
        let answer = server.call("die", json!({ "code": code }));
        assert_eq!(answer["isError"], true, "{answer}");
        let text = answer["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains("has ended"), "{text}");
        let begun = std::time::Instant::now();
        assert_eq!(server.text("size", json!({"text": "abc"})), "3");
        assert!(begun.elapsed().as_secs_f64() < 2.0, "{code}: {:?}", begun.elapsed());
    }
}

#[test]
fn worker_that_hangs_is_killed_after_the_timeout_of_its_call() {
    let Some(app) = rough("hung") else { return };
    let server = Running::start(&app);
    let answer = server.call("hang", json!({}));
    let text = answer["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("hang") && text.contains("functionTimeout"), "{text}");
    // The worker is asked whether it is alive, killed, and started again.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.text("size", json!({"text": "abc"})), "3");
    // A plain function that is slow does not make its worker hang.
    assert_eq!(server.call("slow", json!({"seconds": 3}))["isError"], true);
    assert_eq!(server.text("size", json!({"text": "abc"})), "3");
}

#[test]
fn worker_that_floods_the_log_answers_other_calls() {
    let Some(app) = rough("flood") else { return };
    let server = Running::start(&app);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| server.call("flood", json!({"lines": 20_000})));
        assert_eq!(server.text("size", json!({"text": "abc"})), "3");
        flood.join().expect("an answer");
    });
}

#[test]
fn function_sees_the_request_but_no_credentials_and_not_the_variables_of_the_host() {
    let Some(app) = rough("context") else { return };
    let server = Running::with(&app, &["--env", "GIVEN=given"]);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "headers", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}});
    let field = |name, value: &str| (name, value.to_owned());
    let fields = [
        field("content-type", "application/json"),
        field("accept", "application/json, text/event-stream"),
        field("mcp-protocol-version", "2026-07-28"),
        field("mcp-method", "tools/call"),
        field("mcp-name", "headers"),
        field("x-trace-me", "yes"),
        field("authorization", "Bearer secret"),
        field("x-functions-key", "secret"),
        field("cookie", "a=secret"),
    ];
    let (_, answer) = post(&server.url, &fields, body.to_string().as_bytes());
    let answer = String::from_utf8(answer).expect("UTF-8");
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let transport: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(transport["name"], "http-streamable");
    assert_eq!(transport["properties"]["headers"]["X-Trace-Me"], "yes");
    assert!(!text.contains("secret"), "{text}");
    let environment: Value = serde_json::from_str(&server.text("environment", json!({}))).expect("JSON");
    assert_eq!((&environment["OWN_SETTING"], &environment["GIVEN"]), (&json!("own"), &json!("given")));
    assert_eq!(environment["FUNCTIONS_WORKER_RUNTIME"], "python");
    let of_host: Vec<_> =
        environment.as_object().expect("an object").keys().filter(|name| name.starts_with("CARGO")).collect();
    assert!(of_host.is_empty(), "{of_host:?}");
    assert_eq!(server.call("nothing", json!({}))["content"][0]["text"], "");
}

#[test]
fn log_and_progress_of_a_function_reach_the_client_that_asks_for_them() {
    let Some(app) = rough("events") else { return };
    let server = Running::start(&app);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "steps", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/logLevel": "info", "progressToken": "p"}}});
    let field = |name, value: &str| (name, value.to_owned());
    let fields = [
        field("content-type", "application/json"),
        field("accept", "application/json, text/event-stream"),
        field("mcp-protocol-version", "2026-07-28"),
        field("mcp-method", "tools/call"),
        field("mcp-name", "steps"),
    ];
    let (_, answer) = post(&server.url, &fields, body.to_string().as_bytes());
    let answer = String::from_utf8(answer).expect("UTF-8");
    let events: Vec<Value> =
        answer.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let of = |method: &str| events.iter().filter(|event| event["method"] == method).collect::<Vec<_>>();
    let logs = of("notifications/message");
    assert_eq!(logs.len(), 2, "{answer}");
    assert_eq!(logs[0]["params"]["data"], "step 1");
    let progress = of("notifications/progress");
    assert_eq!(progress.len(), 2, "{answer}");
    assert_eq!(progress[1]["params"]["progress"], 2.0);
    assert_eq!(events.last().expect("events")["result"]["content"][0]["text"], "done");
}

/// Runs the program to its end, and returns its exit code and standard error.
pub(crate) fn refused(app: &Directory, flags: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = attache(&[&["functions"], flags, &[app.path()]].concat());
    let run = command.envs(variables.iter().copied()).output().expect("it runs");
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

#[test]
fn app_that_does_not_load_shows_its_traceback_and_one_line_of_advice() {
    let host = ("host.json", r#"{"version": "2.0"}"#);
    for (name, files, words) in [
        (
            "syntax",
            vec![host, ("function_app.py", "def broken(:\n")],
            ["function_app.py\", line 1", "SyntaxError", "Correct the error"],
        ),
        (
            "module",
            vec![host, ("function_app.py", "import no_such_module\n")],
            ["import no_such_module", "ModuleNotFoundError", "pip install"],
        ),
        ("empty", vec![host, ("function_app.py", "x = 1\n")], ["FunctionApp", "function_app.py", "Correct the error"]),
        (
            "throws",
            vec![host, ("package.json", r#"{"main": "index.js"}"#), ("index.js", "throw new Error('kaput');\n")],
            ["kaput", "index.js", "Correct the error"],
        ),
        (
            "uncompiled",
            vec![host, ("package.json", r#"{"main": "dist/*.js"}"#), ("src/index.ts", "")],
            ["dist/*.js", "package.json", "npm run build"],
        ),
    ] {
        let Some(app) = Directory::with(name, &files) else { return };
        let (code, said) = refused(&app, &[], &[]);
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
        let last = said.trim_end().lines().last().unwrap_or_default();
        assert!(last.starts_with("attache: "), "{name}: {said}");
        assert!(!said.contains("worker.py"), "{name}: frames of the worker are left out: {said}");
    }
}

#[test]
fn file_that_cannot_be_used_is_named_with_its_key() {
    let app = ("function_app.py", "");
    for (name, files, words) in [
        ("no-app", vec![("host.json", "{}")], &["function_app.py", "package.json"][..]),
        ("host", vec![app, ("host.json", "{\"version\": ")], &["host.json", "line 1"]),
        (
            "level",
            vec![
                app,
                ("host.json", r#"{"extensions": {"mcp": {"system": {"webhookAuthorizationLevel": "function"}}}}"#),
            ],
            &["webhookAuthorizationLevel", "Anonymous"],
        ),
        (
            "encrypted",
            vec![app, ("local.settings.json", r#"{"IsEncrypted": true, "Values": {}}"#)],
            &["local.settings.json", "IsEncrypted", "decrypt"],
        ),
        (
            "runtime",
            vec![app, ("local.settings.json", r#"{"Values": {"FUNCTIONS_WORKER_RUNTIME": "java"}}"#)],
            &["java", "--worker", "core-tools"],
        ),
    ] {
        let Some(app) = Directory::with(name, &files) else { return };
        let (code, said) = refused(&app, &[], &[]);
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
    }
}

#[test]
fn other_machines_need_the_system_key_unless_the_app_is_anonymous() {
    let Some(app) = Directory::with("keys", &[("host.json", "{}"), ("function_app.py", "")]) else { return };
    let (code, said) = refused(&app, &["--listen", "0.0.0.0:0"], &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(["mcp_extension", "attache key add", "Anonymous"].iter().all(|word| said.contains(word)), "{said}");
}

type Variables = Vec<(&'static str, String)>;

/// An app for the worker double, and the flags and variables that start it.
fn double(name: &str, behaviour: &'static str) -> Option<(Directory, Vec<String>, Variables)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = root.join("tests/foreign/worker_double.py").canonicalize().expect("it is there");
    let config = json!({"description": {"language": "python", "extensions": [".py"], "defaultWorkerPath": file}});
    let files = [("host.json", "{}"), ("function_app.py", ""), ("worker/worker.config.json", &config.to_string())];
    let app = Directory::with(name, &files)?;
    let flags =
        ["--worker", &format!("{}/worker", app.path()), "--processes", "1", "--env", "DOUBLE", "--env", "WORKERS"];
    let flags = flags.iter().map(ToString::to_string).collect();
    let workers = root.join("std-host/src/functions/workers").canonicalize().expect("it is there");
    let variables = vec![("DOUBLE", behaviour.to_owned()), ("WORKERS", workers.to_str().expect("UTF-8").to_owned())];
    Some((app, flags, variables))
}

#[test]
fn worker_that_breaks_the_protocol_is_refused_with_what_it_has_done() {
    for (behaviour, words) in [
        ("exits", &["no licence", "exit status: 3"][..]),
        ("stranger", &["has ended", "before it was ready"]),
        ("garbage", &["has ended"]),
        ("duplicate", &["One", "Two", "toolName"]),
        ("schema", &["Echo", "propertyType", "blob"]),
        ("nothing", &["no function with an MCP trigger"]),
    ] {
        let Some((app, flags, variables)) = double(behaviour, behaviour) else { return };
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (code, said) = refused(&app, &flags, &variables);
        assert_eq!(code, Some(2), "{behaviour}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{behaviour}: {said}");
    }
}

/// Starts an app with the worker double.
fn with_double(name: &str, behaviour: &'static str) -> Option<(Directory, Running)> {
    let (app, flags, variables) = double(name, behaviour)?;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Running::by(&app, &flags, &variables);
    Some((app, server))
}

#[test]
fn second_stream_with_the_id_of_a_worker_ends_both() {
    let Some((_app, server)) = with_double("rival", "rival") else { return };
    server.logs("two processes have shown the id of one worker");
    server.logs("another process has shown the id of the worker");
}

#[test]
fn function_with_an_unsupported_binding_is_named_and_the_others_run() {
    let Some((_app, server)) = with_double("mixed", "mixed") else { return };
    server.logs("function Queue: the trigger queueTrigger is not supported");
    server.logs("function Store: the binding o of type blob is not supported");
    assert!(server.text("echo", json!({})).contains("echo"));
}

#[test]
fn call_that_its_client_cancels_is_cancelled_in_the_function() {
    let Some(app) = rough("cancel") else { return };
    let server = Running::start(&app);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "patient", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}});
    let (address, path) = server.url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let body = body.to_string();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: patient\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it is taken");
    server.logs("patience begins");
    drop(stream);
    server.logs("patience was cancelled");
}

#[test]
fn check_loads_an_app_and_names_what_has_no_effect() {
    let host = r#"{"version": "2.0", "aggregator": {}, "extensions": {"mcp": {"colour": 1}}}"#;
    let Some(app) = Directory::with("check", &[("host.json", host), PYTHON[1]]) else { return };
    let run = attache(&["check", app.path()]).output().expect("it runs");
    let (said, warned) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said} {warned}");
    assert!(said.contains("tool     add_rich") && said.contains("is valid"), "{said}");
    assert!(["aggregator", "extensions.mcp.colour"].iter().all(|key| warned.contains(key)), "{warned}");
    fs::write(app.0.join("function_app.py"), "import no_such_module").expect("written");
    let run = attache(&["check", app.path()]).output().expect("it runs");
    assert_eq!(run.status.code(), Some(2));
}

/// A custom handler that answers as the platform wants it.
const HANDLER: &str = r#"#!/usr/bin/env python3
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(404, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        context = json.loads(json.loads(request["Data"].get("context", '"{}"')))
        if self.path == "/Shout":
            self.answer(200, {"Logs": ["shouting"], "ReturnValue": context["arguments"]["text"].upper() + os.environ["MARK"]})
        elif self.path == "/Logo":
            self.answer(200, {"Outputs": {}, "ReturnValue": "logo at " + context["uri"]})
        elif self.path == "/Web":
            request = request["Data"]["req"]
            self.answer(200, {"Outputs": {"res": {"statusCode": 202, "headers": {"x-own": "1"}, "body": request["Params"]["name"]}}})
        elif self.path == "/Die":
            os._exit(1)
        else:
            self.answer(500, {"error": "kaput"})

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
"#;

#[test]
fn custom_handler_runs_functions_of_function_json() {
    let binding = |value: Value| json!({ "bindings": [value] }).to_string();
    let tool = |name: &str, properties: &str| {
        binding(
            json!({"type": "mcpToolTrigger", "direction": "in", "name": "context", "toolName": name, "toolProperties": properties}),
        )
    };
    let text = r#"[{"propertyName":"text","propertyType":"string","description":"what to shout","isRequired":true}]"#;
    let logo = binding(
        json!({"type": "mcpResourceTrigger", "direction": "in", "name": "context", "uri": "file://logo", "resourceName": "logo"}),
    );
    let (shout, die, fail) = (tool("shout", text), tool("die", "[]"), tool("fail", "[]"));
    let files = [
        (
            "host.json",
            r#"{"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "handler", "arguments": ["%MARK%"]}}}"#,
        ),
        ("local.settings.json", r#"{"Values": {"MARK": "!", "FUNCTIONS_WORKER_RUNTIME": "custom"}}"#),
        ("handler", HANDLER),
        ("Shout/function.json", shout.as_str()),
        ("Die/function.json", die.as_str()),
        ("Fail/function.json", fail.as_str()),
        ("Logo/function.json", logo.as_str()),
        (
            "Web/function.json",
            r#"{"bindings": [{"type": "httpTrigger", "direction": "in", "name": "req", "route": "web/{name}", "authLevel": "anonymous"},
                {"type": "http", "direction": "out", "name": "res"}]}"#,
        ),
    ];
    let Some(app) = Directory::with("custom", &files) else { return };
    let executable: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(app.0.join("handler"), executable).expect("set");
    let server = Running::start(&app);
    assert_eq!(server.text("shout", json!({"text": "hey"})), "HEY!");
    server.logs("shouting");
    let read = server.ask("resources/read", json!({"uri": "file://logo"}));
    assert_eq!(read["result"]["contents"][0]["text"], "logo at file://logo");
    let failed = server.call("fail", json!({}));
    assert!(failed["isError"] == true && !failed.to_string().contains("kaput"), "{failed}");
    assert!(server.printed.contains("http     /api/web/{name}"), "{}", server.printed);
    assert_eq!(post(&server.at("/api/web/Ada"), &[], b""), (202, b"Ada".to_vec()));
    assert_eq!(server.call("die", json!({}))["isError"], true);
    let begun = std::time::Instant::now();
    assert_eq!(server.text("shout", json!({"text": "hey"})), "HEY!");
    assert!(begun.elapsed().as_secs_f64() < 2.0, "{:?}", begun.elapsed());
    fs::write(app.0.join("handler"), "#!/bin/sh\necho no port; exit 7\n").expect("written");
    let (code, said) = refused(&app, &[], &[]);
    assert!(code == Some(2) && said.contains("no port") && said.contains("exit status: 7"), "{said}");
}

#[test]
fn worker_of_another_language_is_served_by_the_metadata_of_its_trigger() {
    let Some((_app, server)) = with_double("dotnet", "plain") else { return };
    let context: Value = serde_json::from_str(&server.text("echo", json!({"a": 1}))).expect("JSON");
    assert_eq!((&context["name"], &context["arguments"]), (&json!("echo"), &json!({"a": 1})));
}

#[test]
fn changed_app_is_loaded_again_without_losing_a_call() {
    let Some(app) = rough("watch") else { return };
    let server = Running::with(&app, &["--watch"]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| server.text("slow", json!({"seconds": 1.5})));
        std::thread::sleep(Duration::from_millis(300));
        let changed = ROUGH.replace("def nothing()", "def something_new()");
        fs::write(app.0.join("function_app.py"), changed).expect("written");
        let until = std::time::Instant::now() + Duration::from_secs(10);
        let has_new = || server.ask("tools/list", json!({})).to_string().contains("something_new");
        while !has_new() {
            assert!(std::time::Instant::now() < until, "the app was not loaded again");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(slow.join().expect("an answer"), "slept");
    });
    // An app that does not load leaves the old one running.
    fs::write(app.0.join("function_app.py"), "def broken(:").expect("written");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(server.text("size", json!({"text": "abc"})), "3");
}

#[test]
fn new_app_runs_in_both_languages() {
    for language in ["--python", "--typescript"] {
        let Some(app) = Directory::with("new", &[]) else { return };
        let made = app.0.join("made");
        let path = made.to_str().expect("UTF-8");
        let run = attache(&["functions", "new", language, path]).output().expect("it runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(said.contains("attache functions .") && said.contains("attache call"), "{said}");
        let again = attache(&["functions", "new", language, path]).output().expect("it runs");
        assert_eq!(again.status.code(), Some(2), "a directory that is not empty stays as it is");
        let libraries = libraries().expect("checked above");
        symlink(libraries.join("venv"), made.join(".venv")).expect("linked");
        symlink(libraries.join("node_modules"), made.join("node_modules")).expect("linked");
        if language == "--typescript" {
            let compiled = Command::new("node")
                .arg("node_modules/typescript/bin/tsc")
                .current_dir(&made)
                .output()
                .expect("it runs");
            assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
        }
        let server = Running::by(&Directory(made), &[], &[]);
        assert_eq!(server.text("hello", json!({"name": "Ada"})), "Hello, Ada!");
        let read = server.ask("resources/read", json!({"uri": "hello://languages"}));
        assert_eq!(read["result"]["contents"][0]["text"], "English");
        let prompt = server.ask("prompts/get", json!({"name": "greet", "arguments": {"name": "Ada"}}));
        assert!(
            prompt["result"]["messages"][0]["content"]["text"].as_str().is_some_and(|text| text.contains("Ada")),
            "{prompt}"
        );
    }
}

const HTTP_PYTHON: &str = r#"
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

@app.route(route="greet/{name}", auth_level=func.AuthLevel.ANONYMOUS)
def greet(req: func.HttpRequest) -> func.HttpResponse:
    text = f"{req.method} {req.route_params['name']} {req.params.get('q')} {req.get_body().decode()} {req.headers.get('x-in')}"
    return func.HttpResponse(text, status_code=201, headers={"X-Own": "1"})

@app.route(route="secret")
def secret(req: func.HttpRequest) -> str:
    return "secret"

@app.route(route="boom", auth_level=func.AuthLevel.ANONYMOUS)
def boom(req: func.HttpRequest) -> str:
    raise ValueError("kaput")

@app.mcp_tool()
def hello() -> str:
    return "hello"
"#;

const HTTP_NODE: &str = r#"
const { app } = require('@azure/functions');
app.http('greet', { route: 'greet/{name}', authLevel: 'anonymous', handler: async (request) => ({
  status: 201, headers: { 'x-own': '1' },
  body: `${request.method} ${request.params.name} ${request.query.get('q')} ${await request.text()} ${request.headers.get('x-in')}`,
}) });
app.http('secret', { authLevel: 'function', handler: async () => ({ body: 'secret' }) });
app.http('boom', { authLevel: 'anonymous', handler: async () => { throw new Error('kaput'); } });
app.mcpTool('hello', { toolName: 'hello', description: 'Hello', toolProperties: {}, handler: () => 'hello' });
"#;

#[test]
fn functions_with_http_triggers_answer_at_their_routes_with_their_levels() {
    let python: &[_] = &[("host.json", "{}"), ("function_app.py", HTTP_PYTHON)];
    let node: &[_] = &[("host.json", "{}"), ("package.json", r#"{"main": "index.js"}"#), ("index.js", HTTP_NODE)];
    for (language, files) in [("http-python", python), ("http-node", node)] {
        let Some(app) = Directory::with(language, files) else { return };
        let server = Running::start(&app);
        let fields = [("x-in", "in".to_owned()), ("content-type", "text/plain".to_owned())];
        let (status, body) = post(&server.at("/api/greet/Ada%20L?q=1"), &fields, b"body");
        assert_eq!((status, String::from_utf8_lossy(&body).as_ref()), (201, "POST Ada L 1 body in"), "{language}");
        assert_eq!(
            post(&server.at("/api/secret"), &[], b""),
            (200, b"secret".to_vec()),
            "a loopback address asks for no key"
        );
        let (status, body) = post(&server.at("/api/boom"), &[], b"");
        assert_eq!((status, body.len()), (500, 0), "{language}: the reason stays in the log");
        server.logs("kaput");
        assert_eq!(post(&server.at("/api/none"), &[], b"").0, 404);
        assert_eq!(server.text("hello", json!({})), "hello");
        drop(server);
        let keys = app.0.with_extension("keys");
        let _ = fs::remove_file(&keys);
        let keys = keys.to_str().expect("UTF-8");
        let made = attache(&["key", "add", "default", "--keys-file", keys]).output().expect("it runs");
        let key = String::from_utf8(made.stdout).expect("UTF-8").trim().to_owned();
        let server = Running::with(&app, &["--auth-keys-file", keys]);
        assert_eq!(post(&server.at("/api/secret"), &[], b"").0, 401, "{language}");
        let with_key = [("x-functions-key", key)];
        assert_eq!(post(&server.at("/api/secret"), &with_key, b""), (200, b"secret".to_vec()), "{language}");
        assert_eq!(
            post(&server.at("/api/greet/Ada"), &[], b"").0,
            201,
            "{language}: an anonymous function needs no key"
        );
        let [key] = with_key;
        let json = |name| (name, "application/json, text/event-stream".to_owned());
        let fields = [key, json("accept"), ("content-type", "application/json".to_owned())];
        assert_eq!(post(&server.url, &fields, b"{}").0, 403, "{language}: a host key is not the system key");
        let _ = fs::remove_file(keys);
    }
}

#[test]
fn levels_of_host_json_decide_which_lines_are_logged() {
    let host = r#"{"version": "2.0", "logging": {"logLevel": {"default": "Warning", "Function.loud": "Information"}}}"#;
    let code = r#"
import logging
import azure.functions as func
app = func.FunctionApp()

@app.mcp_tool()
def speak() -> str:
    logging.getLogger("quiet").info("a quiet line")
    logging.getLogger("loud").info("a loud line")
    return "spoken"
"#;
    let Some(app) = Directory::with("levels", &[("host.json", host), ("function_app.py", code)]) else { return };
    let server = Running::start(&app);
    server.text("speak", json!({}));
    server.logs("a loud line");
    assert!(!server.log.lock().expect("not poisoned").contains("a quiet line"));
}
