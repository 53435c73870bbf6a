//! What an operator sees of the program: log, metrics, health.

mod running;

use core::time::Duration;
use prometheus_parse::{Scrape, Value as Sample};
use running::{Running, attache};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ChildStderr;

/// The log of a running server.
struct Log(BufReader<ChildStderr>);

impl Log {
    /// A server with these flags, and its log.
    fn with(flags: &[&str]) -> (Running, Self) {
        let mut command = attache(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat());
        command.stderr(std::process::Stdio::piped());
        let mut server = Running::logging(command);
        let log = Self::of(&mut server);
        (server, log)
    }

    fn of(server: &mut Running) -> Self {
        Self(BufReader::new(server.child.stderr.take().expect("piped")))
    }

    /// The next line that `wanted` wants, as JSON.
    fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).expect("it can be read"), 0, "the log has ended");
            let event = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if wanted(&event) {
                let mut fields = event["fields"].clone();
                fields["level"] = event["level"].clone();
                return fields;
            }
        }
    }

    fn message(&mut self, message: &str) -> Value {
        self.find(|event| event["fields"]["message"] == message)
    }
}

/// Sends a request and gives the whole answer.
fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn get(address: &str, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
}

/// A modern call of a tool, with a secret in everything that is the caller's own.
fn call(address: &str, tool: &str) -> String {
    let body = json!({"jsonrpc": "2.0", "id": "s3cret", "method": "tools/call", "params": {"name": tool, "arguments": {"text": "s3cret"},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}})
    .to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         authorization: Bearer s3cret\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    exchange(address, &(head + &body))
}

/// The value of the series whose labels have all these.
fn sample<'a>(scrape: &'a Scrape, metric: &str, labels: &[(&str, &str)]) -> Option<&'a Sample> {
    let fits = |sample: &&prometheus_parse::Sample| {
        sample.metric == metric && labels.iter().all(|(name, value)| sample.labels.get(name) == Some(value))
    };
    scrape.samples.iter().find(fits).map(|sample| &sample.value)
}

#[test]
fn exchanges_are_logged_with_declared_names_and_nothing_that_is_the_callers() {
    let (server, mut log) = Log::with(&["--log-exchanges", "true", "--log-format", "json"]);
    log.message("serving");
    let address = server.address().to_owned();
    assert!(call(&address, "echo").contains("s3cret"));
    let done = log.message("exchange");
    let expected = json!({"method": "tools/call", "name": "echo", "end": "done", "status": 200, "transport": "http", "revision": "2026-07-28", "server": "attache"});
    for (member, value) in expected.as_object().expect("an object") {
        assert_eq!(&done[member], value, "{done}");
    }
    assert!(done["received"].as_u64() > Some(200) && done["sent"].as_u64() > Some(50), "{done}");
    let failed = call(&address, "n0ne");
    assert!(failed.contains("-32602"), "{failed}");
    let [refused, line] = [log.message("refused"), log.message("exchange")];
    assert_eq!((&refused["level"], &refused["reason"]), (&json!("WARN"), &json!("unknown_tool")));
    assert_eq!((&line["end"], &line["code"], &line["name"]), (&json!("refused"), &json!("-32602"), &Value::Null));
    for event in [done, refused, line] {
        let text = event.to_string();
        assert!(!text.contains("s3cret") && !text.contains("n0ne"), "{text}");
    }
}

#[test]
fn refusals_are_logged_without_being_asked_for_and_successes_are_not() {
    let (server, mut log) = Log::with(&["--log-format", "json"]);
    log.message("serving");
    let address = server.address().to_owned();
    call(&address, "echo");
    exchange(&address, "POST /mcp HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let next = log.find(|_| true);
    assert_eq!((&next["message"], &next["reason"], &next["status"]), (&json!("refused"), &json!("host"), &json!(403)));
}

#[test]
fn metrics_are_read_by_a_parser_of_prometheus_and_an_unknown_tool_is_no_label() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let metrics = free.to_string();
    let server = Running::with(&["--metrics-listen", &metrics]);
    let address = server.address().to_owned();
    for tool in ["echo", "echo", "n0ne", "add"] {
        call(&address, tool);
    }
    let answer = get(&metrics, "/metrics");
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(!text.contains("n0ne") && !text.contains("s3cret"), "{text}");
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("the text format");
    let called = |labels: &[(&str, &str)]| sample(&scrape, "attache_exchanges_total", labels);
    assert_eq!(called(&[("name", "echo"), ("end", "done"), ("method", "tools/call")]), Some(&Sample::Counter(2.0)));
    assert_eq!(called(&[("name", ""), ("end", "refused")]), Some(&Sample::Counter(1.0)));
    assert_eq!(called(&[("name", "add"), ("end", "failed")]), Some(&Sample::Counter(1.0)));
    let refusals = sample(&scrape, "attache_refusals_total", &[("reason", "unknown_tool")]);
    assert_eq!(refusals, Some(&Sample::Counter(1.0)));
    let seconds = sample(&scrape, "attache_exchange_seconds", &[("name", "echo")]);
    assert!(
        matches!(seconds, Some(Sample::Histogram(buckets)) if buckets.last().is_some_and(|all| all.count == 2.0)),
        "{text}"
    );
}

#[test]
fn line_is_logged_as_a_line() {
    let mut child = attache(&["serve", "--stdio", "--log-exchanges", "true", "--log-format", "json"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("piped above");
    input.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\nrubbish\n").expect("taken");
    drop(input);
    let run = child.wait_with_output().expect("it ends");
    let log = String::from_utf8_lossy(&run.stderr);
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let exchanges: Vec<_> = events.iter().filter(|event| event["fields"]["message"] == "exchange").collect();
    let facts = |event: &Value| {
        let fields = &event["fields"];
        json!([fields["transport"], fields["method"], fields["end"], fields["reason"], fields["status"]])
    };
    assert_eq!(
        exchanges.iter().map(|event| facts(event)).collect::<Vec<_>>(),
        [json!(["line", "ping", "done", null, null]), json!(["line", "none", "refused", "not_json", null]),]
    );
}
