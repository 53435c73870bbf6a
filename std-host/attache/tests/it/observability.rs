//! Observability for operators: log, metrics, traces, status page and health.

use crate::running::{Running, attache};
use core::time::Duration;
use prometheus_parse::{Scrape, Value as Sample};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ChildStderr;

/// The log of a running server.
struct Log(BufReader<ChildStderr>);

impl Log {
    /// Starts a server with these flags, and returns it with its log.
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

    /// Reads lines up to the first that `wanted` accepts, and returns it as JSON.
    fn find(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
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

/// Sends a request and returns the whole answer.
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

/// Calls a tool as a modern client, with a secret in every part that the caller chooses.
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

/// Returns the value of the first series that has all these labels.
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
    assert_eq!((&refused["method"], &line["revision"]), (&json!("tools/call"), &json!("2026-07-28")));
    assert_eq!((&line["end"], &line["code"], &line["name"]), (&json!("refused"), &json!("-32602"), &Value::Null));
    for event in [done, refused, line] {
        let text = event.to_string();
        assert!(!text.contains("s3cret") && !text.contains("n0ne"), "{text}");
    }
}

#[test]
fn audit_has_a_line_for_each_decision_with_the_arguments_only_if_told_to() {
    let file = std::env::temp_dir().join(format!("attache-audit-{}.toml", std::process::id()));
    std::fs::write(&file, "deny = [\"add\"]\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    for (audit, arguments) in [("on", false), ("arguments", true)] {
        let (server, mut log) = Log::with(&["--config", file, "--log-audit", audit, "--log-format", "json"]);
        log.message("serving");
        let address = server.address().to_owned();
        for (tool, expected) in [
            ("echo", json!({"name": "echo", "decision": "allowed", "outcome": "done"})),
            ("add", json!({"name": "add", "decision": "denied", "reason": "policy", "outcome": "refused"})),
            ("n0ne", json!({"decision": "denied", "reason": "unknown_tool", "outcome": "refused"})),
        ] {
            call(&address, tool);
            let line = log.message("audit");
            for (member, value) in expected.as_object().expect("an object") {
                assert_eq!(&line[member], value, "{line}");
            }
            assert_eq!(line["method"], "tools/call", "{line}");
            assert!(line["microseconds"].is_u64() && line["peer"] == "127.0.0.1", "{line}");
            assert_eq!(line["arguments"].as_str().is_some_and(|text| text.contains("s3cret")), arguments, "{line}");
            assert!(!line.to_string().contains("n0ne"), "{line}");
        }
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
fn log_says_who_called_and_who_was_refused_and_why_in_one_line_each() {
    let keys = std::env::temp_dir().join(format!("attache-callers-{}", std::process::id()));
    let keys = keys.to_str().expect("UTF-8");
    let made = attache(&["key", "add", "ada", "--keys-file", keys]).output().expect("it runs");
    let key = String::from_utf8(made.stdout).expect("UTF-8").trim().to_owned();
    let flags = ["--log-exchanges", "true", "--log-format", "json", "--auth-keys-file", keys];
    let (server, mut log) = Log::with(&flags);
    log.message("serving");
    let ping = |key: &str| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2025-11-25\r\nx-functions-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(server.address(), &head)
    };
    assert!(ping(&key).starts_with("HTTP/1.1 200"));
    let done = log.find(|_| true);
    assert_eq!((&done["message"], &done["caller"]), (&json!("exchange"), &json!("key ada")), "{done}");
    assert!(ping("wrong").starts_with("HTTP/1.1 401"));
    let refused = log.find(|_| true);
    for (member, value) in [
        ("message", "refused"),
        ("peer", "127.0.0.1"),
        ("reason", "key"),
        ("why", "the key is not known"),
        ("level", "WARN"),
    ] {
        assert_eq!(refused[member], value, "{refused}");
    }
    assert_eq!(log.find(|_| true)["message"], "exchange");
    let _ = std::fs::remove_file(keys);
}

#[test]
fn stranger_writes_short_printable_lines_and_repetitions_are_counted() {
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--auth-issuer", "http://127.0.0.1:1", "--auth-resource", "http://localhost/mcp"]);
    command.stderr(std::process::Stdio::piped());
    let mut server = Running::logging(command);
    let mut log = Log::of(&mut server).0;
    let base64url = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
    };
    // Each part of a token is the stranger's: issuers with ends of lines, escapes of terminals, and without an end.
    let evil = format!("https://evil.example/\n\u{1b}[2J{}", "x".repeat(5000));
    let claims = json!({"iss": evil, "aud": "a", "exp": 4_000_000_000_u64, "iat": 1, "sub": "s"}).to_string();
    let token = format!("{}.{}.{}", base64url(r#"{"alg":"RS256","kid":"k","typ":"at+jwt"}"#), base64url(&claims), "AA");
    for _ in 0..50 {
        let answer = exchange(
            server.address(),
            &format!(
                "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 authorization: Bearer {token}\r\ncontent-length: 2\r\n\r\n{{}}"
            ),
        );
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).expect("it can be read"), 0, "the log has ended");
        lines.push(line.trim_end().to_owned());
        if line.contains("refused again") {
            break;
        }
    }
    let refused: Vec<_> = lines.iter().filter(|line| line.contains("refused")).collect();
    assert_eq!(refused.len(), 2, "{lines:#?}");
    assert!(refused[0].contains("evil.example") && refused[1].contains("again=49"), "{refused:#?}");
    for line in refused {
        assert!(line.len() <= 512 && line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line}");
    }
}

#[test]
fn stranger_who_guesses_the_master_key_writes_one_line() {
    let file = std::env::temp_dir().join(format!("attache-guessed-{}", std::process::id()));
    let file = file.to_str().expect("UTF-8");
    let _ = std::fs::remove_file(file);
    let made = attache(&["key", "add", "_master", "--level", "master", "--keys-file", file]).output().expect("it runs");
    assert!(made.status.success(), "{made:?}");
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--auth-key-administration", "true"]);
    command.args(["--auth-keys-file", file]).stderr(std::process::Stdio::piped());
    let mut server = Running::logging(command);
    let mut log = Log::of(&mut server).0;
    for _ in 0..50 {
        let answer = exchange(
            server.address(),
            "GET /admin/host/keys HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-functions-key: guess\r\n\r\n",
        );
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let mut refused = Vec::new();
    while refused.last().is_none_or(|line: &String| !line.contains("refused again")) {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).expect("it can be read"), 0, "the log has ended");
        if line.contains("refused") {
            refused.push(line);
        }
    }
    assert_eq!(refused.len(), 2, "{refused:#?}");
    assert!(refused[0].contains("peer=127.0.0.1") && refused[0].contains("reason=\"key\""), "{refused:#?}");
    assert!(refused[1].contains("again=49"), "{refused:#?}");
    let _ = std::fs::remove_file(file);
}

#[test]
fn metrics_are_read_by_a_parser_of_prometheus_and_an_unknown_tool_is_no_label() {
    let metrics = free();
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

/// Returns a free loopback address.
fn free() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    free.expect("a free port").to_string()
}

#[test]
fn server_on_standard_input_and_output_has_figures_too() {
    let metrics = free();
    let mut child = attache(&["serve", "--stdio", "--metrics-listen", &metrics])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("piped above");
    input.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").expect("taken");
    let mut answer = String::new();
    BufReader::new(child.stdout.take().expect("piped above")).read_line(&mut answer).expect("an answer");
    let text = get(&metrics, "/metrics");
    let wanted = r#"attache_exchanges_total{server="attache",transport="line",method="ping",name="",end="done"} 1"#;
    assert!(text.lines().any(|line| line == wanted), "{text}");
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

/// Receives spans over OTLP as a collector does, and returns the requests' spans once there are
/// `wanted` of them.
#[cfg(feature = "traces")]
fn collect(listener: &std::net::TcpListener, wanted: usize) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;
    let mut spans = Vec::new();
    while spans.len() < wanted {
        let (stream, _) = listener.accept().expect("the program");
        let mut stream = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line).expect("a head") > 2 {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("a body");
        let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("protobuf");
        for resource in request.resource_spans {
            let of = resource.resource.expect("a resource").attributes;
            assert!(of.iter().any(|attribute| attribute.key == "service.name"), "{of:?}");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.get_mut().write_all(answer).expect("taken");
    }
    spans
}

/// Returns the value of a span's attribute.
#[cfg(feature = "traces")]
fn attribute(span: &opentelemetry_proto::tonic::trace::v1::Span, key: &str) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        StringValue(text) => Some(text.clone()),
        other => panic!("{key} is no text: {other:?}"),
    }
}

#[cfg(feature = "traces")]
#[test]
fn spans_reach_a_collector_under_the_span_of_the_client_and_hold_nothing_of_its_own() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().expect("an address"));
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--traces-endpoint", &endpoint]);
    command.env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let server = Running::of(command);
    let address = server.address();
    let traced = |tool: &str, arguments: Value| {
        let body = json!({"jsonrpc": "2.0", "id": "s3cret", "method": "tools/call", "params": {"name": tool, "arguments": arguments,
            "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
                "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "rojo=1"}}})
        .to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        exchange(address, &(head + &body))
    };
    assert!(traced("echo", json!({"text": "s3cret"})).contains("s3cret"));
    traced("add", json!({"a": i64::MAX, "b": 1}));
    call(address, "n0ne");
    let spans = collect(&collector, 3);
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    let [done, failed, refused] = [named("tools/call echo"), named("tools/call add"), named("tools/call")];
    for (key, value) in [
        ("mcp.method.name", "tools/call"),
        ("mcp.protocol.version", "2026-07-28"),
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "echo"),
        ("network.transport", "tcp"),
        ("network.protocol.name", "http"),
        ("client.address", "127.0.0.1"),
    ] {
        assert_eq!(attribute(done, key).as_deref(), Some(value), "{key}: {done:?}");
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&done.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&done.parent_span_id), "00f067aa0ba902b7");
    assert_eq!((done.trace_state.as_str(), done.kind), ("rojo=1", 2), "a server");
    assert!(done.end_time_unix_nano >= done.start_time_unix_nano && attribute(done, "error.type").is_none());
    assert_eq!(attribute(failed, "error.type").as_deref(), Some("tool_error"));
    assert_eq!(failed.status.as_ref().map(|status| status.code), Some(2), "an error");
    // A client's mistake is not a failure of the server.
    assert_eq!(attribute(refused, "rpc.response.status_code").as_deref(), Some("-32602"));
    assert!(refused.parent_span_id.is_empty() && refused.status.as_ref().is_none_or(|status| status.code == 0));
    let all = format!("{spans:?}");
    assert!(!all.contains("s3cret") && !all.contains("n0ne"), "{all}");
}

#[cfg(feature = "traces")]
#[test]
fn collector_gets_the_spans_of_a_gate_and_of_its_backend_as_one_trace() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().expect("an address"));
    let program = |arguments: &[&str]| {
        let mut command = attache(&[arguments, &["--listen", "127.0.0.1:0", "--traces-endpoint", &endpoint]].concat());
        command.env("OTEL_BSP_SCHEDULE_DELAY", "100");
        command
    };
    let behind = Running::of(program(&["serve"]));
    let url = format!("http://{}/mcp", behind.address());
    let gate = Running::of({
        let mut command = program(&["gate"]);
        command.arg(&url);
        command
    });
    for traceparent in [None, Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")] {
        let mut meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
        if let Some(traceparent) = traceparent {
            meta["traceparent"] = traceparent.into();
        }
        let params = json!({"name": "echo", "arguments": {"text": "x"}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: echo\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        assert!(exchange(gate.address(), &(head + &body)).starts_with("HTTP/1.1 200"));
        let mut spans = Vec::new();
        while spans.len() < 2 {
            let all = collect(&collector, 1);
            spans.extend(all.into_iter().filter(|span| span.name == "tools/call echo"));
        }
        let of_gate = |span: &&_| attribute(span, "mcp.backend.name").is_some();
        let outer = spans.iter().find(of_gate).unwrap_or_else(|| panic!("{spans:?}"));
        let inner = spans.iter().find(|span| !of_gate(span)).unwrap_or_else(|| panic!("{spans:?}"));
        assert_eq!((&inner.parent_span_id, &inner.trace_id), (&outer.span_id, &outer.trace_id), "{spans:?}");
        assert_eq!(outer.parent_span_id.is_empty(), traceparent.is_none(), "{outer:?}");
        let trace: String = outer.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(traceparent.is_none_or(|parent| parent.contains(&trace)), "{trace}");
    }
}

#[cfg(feature = "traces")]
#[test]
fn collector_that_is_down_delays_neither_the_start_nor_a_call_and_is_logged() {
    let endpoint = format!("http://{}/v1/traces", free());
    let mut command =
        attache(&["serve", "--listen", "127.0.0.1:0", "--traces-endpoint", &endpoint, "--log-format", "json"]);
    command.env("OTEL_BSP_SCHEDULE_DELAY", "100").stderr(std::process::Stdio::piped());
    let mut server = Running::logging(command);
    let mut log = Log::of(&mut server);
    assert!(call(server.address(), "echo").starts_with("HTTP/1.1 200"));
    let told = log.find(|event| event["level"] == "ERROR");
    assert!(told.to_string().contains("xport"), "{told}");
}

#[test]
fn status_page_serves_its_own_origin_on_this_machine_only() {
    let status = free();
    let server = Running::with(&["--status", &status]);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let attempt = |host: &str, origin: &str| {
        let head = format!(
            "POST /try/0 HTTP/1.1\r\nhost: {host}\r\n{origin}connection: close\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2025-11-25\r\ncookie: s3cret=1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(&status, &head)
    };
    let own = format!("origin: http://{status}\r\n");
    assert!(attempt(&status, &own).contains(r#""result":{}"#), "{}", attempt(&status, &own));
    assert!(attempt("localhost", "").contains(r#""result":{}"#));
    for (host, origin) in [
        ("evil.example", ""),
        (&*status, "origin: https://evil.example\r\n"),
        (&*status, "origin: http://localhost:1\r\n"),
        (&*status, "origin: null\r\n"),
        ("", ""),
    ] {
        assert!(attempt(host, origin).starts_with("HTTP/1.1 403 "), "{host} {origin}");
    }
    let page = get(&status, "/");
    assert!(page.contains("content-security-policy: default-src 'none'") && page.contains("<title>Attach"), "{page}");
    drop(server);
    let refused = attache(&["serve", "--status", "0.0.0.0:8081"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("status.listen must be a loopback address"), "{said}");
}

#[test]
fn status_page_shows_refusals_of_the_gate_and_bypasses_no_protection() {
    let status = free();
    let keys = std::env::temp_dir().join(format!("attache-status-{}", std::process::id()));
    let made = attache(&["key", "add", "me", "--keys-file", keys.to_str().expect("UTF-8")]).output().expect("it runs");
    let key = String::from_utf8(made.stdout).expect("UTF-8").split_whitespace().last().expect("a key").to_owned();
    let _server = Running::with(&["--status", &status, "--auth-keys-file", keys.to_str().expect("UTF-8")]);
    let attempt = |key: &str| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let head = format!(
            "POST /try/0 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2025-11-25\r\nx-functions-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(&status, &head)
    };
    assert!(attempt("wrong").starts_with("HTTP/1.1 401 "));
    assert!(attempt(&key).starts_with("HTTP/1.1 200 "));
    let mut stream = TcpStream::connect(&status).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    write!(stream, "GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("taken");
    let events: Vec<Value> = BufReader::new(stream)
        .lines()
        .filter_map(|line| line.expect("it can be read").strip_prefix("data: ").map(str::to_owned))
        .map(|record| serde_json::from_str(&record).expect("JSON"))
        .take(2)
        .collect();
    assert_eq!((&events[0]["end"], &events[0]["status"]), (&json!("refused"), &json!(401)));
    assert_eq!((&events[1]["end"], &events[1]["method"]), (&json!("done"), &json!("ping")));
    assert!(!json!(events).to_string().contains(&key));
    let answer = get(&status, "/state");
    let state: Value = serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).expect("JSON");
    let totals = &state["totals"];
    assert_eq!((&totals["done"], &totals["refused"], &totals["failed"]), (&json!(1), &json!(1), &json!(0)), "{state}");
    let slots = state["history"].as_array().expect("a list");
    let sum = |member: usize| slots.iter().filter_map(|slot| slot[member].as_u64()).sum::<u64>();
    assert_eq!((sum(1), sum(2), sum(3)), (1, 0, 1), "{state}");
    let _ = std::fs::remove_file(keys);
}

/// Makes a directory with one tool, whose schema has a keyword that only feature `schema` checks.
#[cfg(all(unix, not(feature = "schema")))]
fn even_numbers() -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let directory = std::env::temp_dir().join(format!("attache-even-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let description =
        "description = \"Halve a number\"\n[arguments.properties.number]\ntype = \"integer\"\nmultipleOf = 2\n";
    for (name, text, mode) in [("halve.toml", description, 0o600), ("halve.sh", "#!/bin/sh\necho half\n", 0o700)] {
        std::fs::write(directory.join(name), text).expect("written");
        std::fs::set_permissions(directory.join(name), PermissionsExt::from_mode(mode)).expect("permissions");
    }
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).expect("permissions");
    directory
}

#[test]
#[cfg(all(unix, not(feature = "schema")))]
fn keyword_of_a_schema_that_is_not_checked_is_named_once_in_the_log() {
    let directory = even_numbers();
    let (server, mut log) = Log::with(&["--log-format", "json", "--tools-dir", &directory.display().to_string()]);
    let mut named = Vec::new();
    log.find(|event| {
        if event["fields"]["message"].as_str().is_some_and(|message| message.contains("not checked")) {
            named.push((event["fields"]["tool"].clone(), event["fields"]["keywords"].clone()));
        }
        event["fields"]["message"] == "serving"
    });
    // A build of the whole workspace has the feature, because other packages of it have.
    let url = format!("http://{}/mcp", server.address());
    let odd = attache(&["call", &url, "halve", r#"{"number": 3}"#]).output().expect("it runs");
    match odd.status.success() {
        true => assert_eq!(named, [(json!("halve"), json!("multipleOf"))]),
        false => assert_eq!(named, []),
    }
    drop(server);
    let _ = std::fs::remove_dir_all(directory);
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
