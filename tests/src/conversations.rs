//! The engine answers the same everywhere: on its own, on the host over a socket, and on the host
//! over pipes.

use crate::bad_input::{self, Answer, Case, modern};
use crate::demo;
use crate::implementations::{Http, Response, core, headers};
use serde_json::{Value, json};

/// Checks an answer against a case. Ids are compared as written, because a JSON reader could round
/// them.
pub(crate) fn check(case: &Case, answer: &[u8]) {
    let name = case.name;
    let text = ::core::str::from_utf8(answer).unwrap_or_else(|_| panic!("{name}: not UTF-8"));
    if let Answer::Silence = case.answer {
        assert_eq!(text, "", "{name}");
        return;
    }
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error} in {text}"));
    let written = |id: &str| text.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#));
    match case.answer {
        Answer::Error(code, id) => {
            assert_eq!(value["error"]["code"], code, "{name}: {text}");
            assert!(value["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{name}: {text}");
            assert!(value.get("result").is_none(), "{name}: {text}");
            match id {
                Some(id) => assert!(written(id), "{name}: {text}"),
                None => assert_eq!(value.get("id"), None, "{name}: {text}"),
            }
        }
        Answer::Result(id) => {
            assert!(value.get("result").is_some_and(Value::is_object), "{name}: {text}");
            assert!(written(id), "{name}: {text}");
        }
        Answer::Silence => {}
    }
}

#[test]
fn bad_line_is_answered_with_the_right_code_in_pieces_of_any_size() {
    for case in bad_input::all().iter().filter(|case| !case.body.contains(&b'\n')) {
        let line = [case.body.as_slice(), b"\n"].concat();
        let whole = core::Line::new().ask(&line, line.len());
        check(case, &whole.concat());
        assert_eq!(core::Line::new().ask(&line, 1), whole, "{}: byte by byte", case.name);
    }
}

#[test]
fn bad_body_over_http_is_answered_with_the_right_status_and_the_same_bytes_by_engine_and_host() {
    let host = Http::start(demo::host());
    for case in bad_input::all() {
        let headers = headers(case.method, case.tool);
        let engine = core::post(&headers, &case.body);
        assert_eq!(engine.status, case.status, "{}: {}", case.name, String::from_utf8_lossy(&engine.body));
        check(&case, &engine.body);
        let hosted = host.post(&headers, &case.body);
        assert_eq!(hosted.status, case.status, "{}", case.name);
        if let Answer::Error(..) = case.answer {
            assert_eq!(hosted.body, engine.body, "{}: two homes, two answers", case.name);
        } else {
            check(&case, &hosted.body);
        }
    }
}

#[test]
fn bad_arguments_reach_no_tool_and_tell_the_model_which_one_to_mend() {
    let host = Http::start(demo::host());
    for (tool, arguments, words) in [
        ("add", r#"{"a":1,"b":"2"}"#, "'b'"),
        ("add", r#"{"a":1}"#, "b"),
        ("add", "{}", "a"),
        ("add", r#"{"a":1,"b":1.5}"#, "'b'"),
        ("add", r#"{"a":1,"b":1e30}"#, "'b'"),
        ("add", r#"{"a":1,"b":9223372036854775808}"#, "'b'"),
        ("add", r#"{"a":1,"b":true}"#, "'b'"),
        ("add", r#"{"a":1,"b":null}"#, "'b'"),
        ("add", r#"{"a":1,"b":[2]}"#, "'b'"),
        ("add", r#"{"a":1,"b":2,"c":3}"#, "'c'"),
        ("add", r#"{"a":1,"b":2,"b":2}"#, "'b'"),
        ("add", r#"{"a":1,"B":2}"#, "'B'"),
        ("add", r#"{"a":9223372036854775807,"b":1}"#, "beyond 64 bits"),
        ("echo", r#"{"text":7}"#, "'text'"),
    ] {
        for answer in call(&host, tool, arguments) {
            let result = &answer["result"];
            assert_eq!(result["isError"], true, "{arguments}: {answer}");
            let text = result["content"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(words), "{arguments}: {text:?} does not name {words}");
        }
    }
}

#[test]
fn good_arguments_in_any_spelling_reach_the_tool_unchanged() {
    let host = Http::start(demo::host());
    for (tool, arguments, text) in [
        ("add", r#"{"a":1,"b":2}"#, "3"),
        ("add", r#"{"b":2,"a":1.0}"#, "3"),
        ("add", r#"{"a":-0,"b":2e3}"#, "2000"),
        ("add", r#"{"\u0061":9223372036854775807,"b":0}"#, "9223372036854775807"),
        ("add", r#"{"a":-9223372036854775808,"b":0}"#, "-9223372036854775808"),
        ("echo", r#"{"text":""}"#, ""),
        (
            "echo",
            r#"{"text":"nul \u0000 quote \" slash \/ \\ \ud83d\ude00 é"}"#,
            "nul \0 quote \" slash / \\ \u{1f600} é",
        ),
        ("echo", r#"{"text":"two\nlines"}"#, "two\nlines"),
    ] {
        for answer in call(&host, tool, arguments) {
            assert_eq!(answer["result"]["content"], json!([{"type": "text", "text": text}]), "{arguments}: {answer}");
            assert_eq!(answer["result"].get("isError"), None);
            assert_eq!(answer["result"]["resultType"], "complete");
        }
    }
}

/// Makes a call, and returns the answers of the engine and of the host.
fn call(host: &Http, tool: &'static str, arguments: &str) -> [Value; 2] {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},«M»}}}}"#
    );
    let (body, headers) = (modern(&body), headers("tools/call", Some(tool)));
    [core::post(&headers, &body), host.post(&headers, &body)].map(|response| {
        assert_eq!(response.status, 200, "{arguments}");
        serde_json::from_slice(&response.body).expect("JSON")
    })
}

#[test]
fn header_that_does_not_fit_the_body_is_refused_by_name() {
    let host = Http::start(demo::host());
    let body = modern(
        r#"{"jsonrpc":"2.0","id":"h","method":"tools/call","params":{"name":"echo","arguments":{"text":"x"},«M»}}"#,
    );
    let fits = headers("tools/call", Some("echo"));
    let without = |name: &str| fits.iter().copied().filter(|(known, _)| *known != name).collect::<Vec<_>>();
    let instead = |name: &'static str, value: &'static str| [without(name), vec![(name, value)]].concat();
    let twice = |name: &'static str, value: &'static str| [fits.clone(), vec![(name, value)]].concat();
    for (headers, status, code, words) in [
        (fits.clone(), 200, None, ""),
        (instead("Mcp-Name", "  echo  "), 400, Some(-32020), "Mcp-Name is there more than once"),
        (instead("mcp-name", "=?base64?ZWNobw==?="), 200, None, ""),
        (without("mcp-protocol-version"), 400, Some(-32020), "MCP-Protocol-Version is missing"),
        (instead("mcp-protocol-version", "2025-11-25"), 400, Some(-32020), "MCP-Protocol-Version differs"),
        (
            twice("mcp-protocol-version", "2026-07-28"),
            400,
            Some(-32020),
            "MCP-Protocol-Version is there more than once",
        ),
        (without("mcp-method"), 400, Some(-32020), "Mcp-Method is missing"),
        (instead("mcp-method", "tools/list"), 400, Some(-32020), "Mcp-Method differs"),
        (instead("mcp-method", "Tools/Call"), 400, Some(-32020), "Mcp-Method differs"),
        (without("mcp-name"), 400, Some(-32020), "Mcp-Name is missing"),
        (instead("mcp-name", "add"), 400, Some(-32020), "Mcp-Name differs"),
        (instead("mcp-name", "=?base64?ZWNobw?="), 400, Some(-32020), "Mcp-Name is malformed"),
        (instead("host", "evil.example"), 403, Some(-32600), "Host"),
        (twice("origin", "https://evil.example"), 403, Some(-32600), "Origin"),
        (twice("origin", "http://localhost:1234"), 200, None, ""),
        (without("content-type"), 415, Some(-32600), "Content-Type"),
        (instead("content-type", "text/plain"), 415, Some(-32600), "Content-Type"),
        (instead("content-type", "application/json; charset=utf-8"), 200, None, ""),
    ] {
        for response in [core::post(&headers, &body), host.post(&headers, &body)] {
            let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
            assert_eq!(response.status, status, "{headers:?}: {answer}");
            assert_eq!(answer["error"]["code"].as_i64(), code, "{headers:?}: {answer}");
            assert!(
                answer["error"]["message"].as_str().unwrap_or_default().starts_with(words),
                "{headers:?}: {answer}"
            );
            // MCP basic/index: every refusal echoes the id if it could read it; the gate refuses
            // before it reads the body.
            let id = if status == 400 || status == 200 { json!("h") } else { Value::Null };
            assert_eq!(answer["id"], id, "{headers:?}: {answer}");
        }
    }
}

#[test]
fn version_that_is_not_served_is_refused_with_those_that_are() {
    for claimed in ["2099-01-01", "2025-11-25", "", "v\\u0031"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{claimed}","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        );
        let answers = core::Line::new().ask(format!("{body}\n").as_bytes(), 7);
        let answer: Value = serde_json::from_slice(&answers.concat()).expect("JSON");
        assert_eq!(answer["error"]["code"], -32022, "{answer}");
        let requested: String = serde_json::from_str(&format!("\"{claimed}\"")).expect("a string");
        assert_eq!(answer["error"]["data"], json!({"supported": ["2026-07-28"], "requested": requested}));
    }
}

/// The handshake of a legacy client that asks for `version`.
fn initialize(version: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
    )
}

#[test]
fn handshake_asking_for_any_version_agrees_on_one_that_is_served() {
    for asked in ["2025-11-25", "2026-07-28", "1.0", ""] {
        let answers = core::Line::new().ask(format!("{}\n", initialize(asked)).as_bytes(), 64);
        let answer: Value = serde_json::from_slice(&answers.concat()).expect("JSON");
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{asked}");
        assert_eq!(answer["result"]["serverInfo"], json!({"name": "demo", "version": "1.0"}));
        assert_eq!(answer["result"]["capabilities"], json!({"tools": {}}));
    }
}

#[test]
fn line_of_both_eras_serves_each_request_by_its_own() {
    let stream = [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#.to_owned(),
        initialize("2025-11-25"),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}"#
            .to_owned(),
        String::from_utf8(modern(
            r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2},«M»}}"#,
        ))
        .expect("UTF-8"),
        initialize("2025-11-25"),
        r#"{"jsonrpc":"2.0","id":5,"method":"server/discover"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":6,"method":"no/such"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":8,"method":"ping"}"#.to_owned(),
    ]
    .join("\n")
        + "\n";
    let answers: Vec<Value> = core::Line::new()
        .ask(stream.as_bytes(), 5)
        .iter()
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    let outcome: Vec<_> =
        answers.iter().map(|answer| (answer["id"].clone(), answer["error"]["code"].as_i64())).collect();
    assert_eq!(
        outcome,
        [
            (json!(1), None),
            (json!(2), Some(-32602)), // no handshake and no claim before
            (json!(0), None),
            (json!(3), None),
            (json!(4), None),
            (json!(0), Some(-32600)), // a second handshake
            (json!(5), Some(-32602)),
            (json!(6), Some(-32601)),
            (json!(8), None),
        ]
    );
    assert_eq!(answers[3]["result"].get("resultType"), None, "unknown to the legacy era");
    assert_eq!(answers[4]["result"]["resultType"], "complete");
}

#[test]
fn legacy_request_over_http_is_served_by_its_header() {
    let host = Http::start(demo::host());
    let legacy = [("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")];
    let bare = &legacy[..2];
    let future = [("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2099-01-01")];
    for (headers, body, status, code) in [
        (bare, initialize("2025-11-25"), 200, None),
        (&legacy[..], initialize("2025-11-25"), 200, None),
        (&legacy[..], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(), 202, None),
        (&legacy[..], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned(), 200, None),
        (&legacy[..], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(), 200, None),
        // A 404 would tell the client that its session has ended.
        (&legacy[..], r#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#.to_owned(), 200, Some(-32601)),
        (&legacy[..], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), 202, None),
        (bare, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), 400, Some(-32600)),
        // A request without a header and a session can only be of 2025-03-26.
        (bare, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(), 200, None),
        (bare, r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#.to_owned(), 400, Some(-32602)),
        (&future[..], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(), 400, Some(-32020)),
        (
            &legacy[..],
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#.to_owned(),
            200,
            Some(-32602),
        ),
    ] {
        for Response { status: came, body: answer } in
            [core::post(headers, body.as_bytes()), host.post(headers, body.as_bytes())]
        {
            assert_eq!(came, status, "{body}: {}", String::from_utf8_lossy(&answer));
            let answer: Value =
                if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).expect("JSON") };
            assert_eq!(answer["error"]["code"].as_i64(), code, "{body}: {answer}");
        }
    }
}

#[test]
fn other_http_methods_are_refused_with_those_that_are_served() {
    let host = Http::start(demo::host());
    for verb in ["GET", "DELETE", "PUT"] {
        let response = host.send(verb, &headers("tools/list", None), b"");
        assert_eq!(response.status, 405, "{verb}");
    }
}

#[test]
fn long_string_within_the_limit_comes_back_and_beyond_it_is_refused_by_name() {
    let host = Http::start(demo::host());
    let headers = headers("tools/call", Some("echo"));
    let body = |len| {
        modern(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{}"}},«M»}}}}"#,
            "x".repeat(len)
        ))
    };
    let response = host.post(&headers, &body(64 * 1024));
    let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(answer["result"]["content"][0]["text"].as_str().map(str::len), Some(64 * 1024));

    let response = host.post(&headers, &body(10 * 1000 * 1000));
    assert_eq!(response.status, 413);
    let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(answer["error"]["data"]["limit"], 4 * 1024 * 1024);
}

#[test]
fn line_longer_than_the_buffer_is_answered_and_the_next_one_is_read_whole() {
    let stream = [vec![b'x'; 100_000], b"\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n".to_vec()].concat();
    for size in [1, 1000, stream.len()] {
        let answers = core::Line::new().ask(&stream, size);
        let answers: Vec<Value> = answers.iter().map(|answer| serde_json::from_slice(answer).expect("JSON")).collect();
        assert_eq!(answers[0]["error"]["code"], -32600);
        assert_eq!(answers[0]["error"]["data"]["limit"], 64 * 1024);
        assert_eq!(answers[1], json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
        assert_eq!(answers.len(), 2);
    }
}

#[test]
fn nesting_of_a_hundred_thousand_is_refused_in_both_homes() {
    let host = Http::start(demo::host());
    for body in [vec![b'['; 100_000], [vec![b'['; 100_000], vec![b']'; 100_000]].concat(), br#"{"a":"#.repeat(100_000)]
    {
        for response in
            [core::post(&headers("tools/list", None), &body), host.post(&headers("tools/list", None), &body)]
        {
            assert_eq!(response.status, 400);
            let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
            assert_eq!(answer["error"]["code"], -32700);
        }
    }
}
