//! Servers that break the protocol: each costs the call that meets it, and nothing else.

use crate::hostile::{AGREED, Asked, DISCOVERED, Peer, Reply, events, http, json_body, result};
use attache_host::client::{Client, ClientBuilder, ClientLimits, Credential, Error, Event, List, RawJson, Request};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::timeout;

/// Far less than what endless answers send.
const LIMIT: usize = 256 * 1024;

fn builder() -> ClientBuilder {
    let limits =
        ClientLimits::default().message(LIMIT).request_time(Duration::from_secs(2)).probe_time(Duration::from_secs(2));
    Client::builder("test", "1").limits(limits.handshake_time(Duration::from_secs(2)))
}

fn tool(asked: &Asked) -> &str {
    asked.body["params"]["name"].as_str().unwrap_or_default()
}

const ENDED: &str = r#"{"content":[]}"#;

/// Returns the answer of a modern peer to a call of this tool.
fn lie(asked: &Asked) -> Reply {
    let id = &asked.body["id"];
    let good = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{ENDED}}}"#);
    let endless = |head: &str, again: &str| {
        Reply::Endless(format!("HTTP/1.1 200 OK\r\ncontent-type: {head}\r\n\r\n").into(), again.repeat(1000).into())
    };
    match tool(asked) {
        "good" => result(asked, ENDED),
        "garbage" => json_body("{garbage"),
        "empty" => json_body(""),
        "array" => json_body(&format!("[{good}]")),
        "no message" => json_body("{}"),
        "wrong id" => json_body(r#"{"jsonrpc":"2.0","id":999,"result":{}}"#),
        "id null" => json_body(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"oh"}}"#),
        "id text" => json_body(&good.replace(&format!("\"id\":{id}"), &format!("\"id\":\"{id}\""))),
        "deep" => json_body(&good.replace("[]", &format!("{}{}", "[".repeat(100), "]".repeat(100)))),
        "html" => http("200 OK", "content-type: text/html\r\n", "<html>"),
        "no type" => http("200 OK", "", &good),
        "text type" => http("200 OK", "content-type: text/plain\r\n", &format!("data: {good}\n\n")),
        "charset" => http("200 OK", "content-type: Application/JSON; charset=utf-8\r\n", &good),
        "accepted" => http("202 Accepted", "", ""),
        "failed" => http("500 Internal Server Error", "content-type: text/plain\r\n", "out of order"),
        "failed in words" => {
            let body = good.replace(&format!("\"result\":{ENDED}"), r#""error":{"code":-32602,"message":"bad"}"#);
            http("400 Bad Request", "content-type: application/json\r\n", &body)
        }
        "unauthorized" => http("401 Unauthorized", "www-authenticate: Bearer scope=\"a\"\r\n", ""),
        "forbidden" => http("403 Forbidden", "", ""),
        "large" => endless("application/json", " "),
        "large refusal" => Reply::Endless(b"HTTP/1.1 500 No\r\n\r\n".to_vec(), vec![b'x'; 4096]),
        "large line" => endless("text/event-stream", "x"),
        "large event" => endless("text/event-stream", "data: x\n"),
        "short" => Reply::Bytes(
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{good}").into(),
        ),
        "silent" => Reply::Hang(events("")),
        "stream ends" => Reply::Bytes(events(": nothing\n\n")),
        "stream with an id ends" => Reply::Bytes(events("id: 1\ndata:\n\n")),
        "strays first" => Reply::Bytes(events(&format!(
            "\u{feff}: hello\r\n\r\ndata:\n\ndata: {{\"beat\":1}}\n\nevent: ping\ndata: {{}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{{}}}}\r\rdata: {{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":\"?\"}}}}\n\ndata: {good}"
        ))),
        "comments" => Reply::Bytes(events(&format!(": {}\n\ndata: {good}\n\n", "x".repeat(4 * LIMIT)))),
        "flood" => {
            let told = format!(
                "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\"progress\":1}}}}\n\n"
            );
            Reply::Bytes(events(&format!("{}data: {good}\n\n", told.repeat(20_000))))
        }
        "unknown kind" => result(asked, r#"{"resultType":"task"}"#),
        "no object" => result(asked, "7"),
        "state alone" => result(asked, r#"{"resultType":"input_required","requestState":"s"}"#),
        "asks" => result(
            asked,
            r#"{"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"?"}}}}"#,
        ),
        "asks nonsense" => {
            result(asked, r#"{"resultType":"input_required","inputRequests":{"k":{"method":"shutdown/now"}}}"#)
        }
        "elsewhere" => http("307 Temporary Redirect", "location: http://127.0.0.1:1/mcp\r\n", ""),
        "as get" => http("302 Found", "location: /mcp\r\n", ""),
        "nowhere" => http("307 Temporary Redirect", "", ""),
        "round" => http("307 Temporary Redirect", "location: /mcp\r\n", ""),
        other => panic!("{other}"),
    }
}

fn modern(asked: &Asked) -> Reply {
    match asked.method() {
        "server/discover" => result(asked, DISCOVERED),
        "tools/call" => lie(asked),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn liar_over_http_costs_one_call_and_the_next_is_answered() {
    type Judge = fn(&Result<RawJson, Error>) -> bool;
    let ok: Judge = Result::is_ok;
    let invalid: Judge = |done| matches!(done, Err(Error::Invalid(_)));
    let too_large: Judge = |done| matches!(done, Err(Error::TooLarge(LIMIT)));
    let status: Judge = |done| matches!(done, Err(Error::Status { .. }));
    let lost: Judge = |done| matches!(done, Err(Error::Lost(_)));
    let redirect: Judge = |done| matches!(done, Err(Error::Redirect(_)));
    let unanswered: Judge = |done| matches!(done, Err(Error::Unanswered(_)));
    let peer = Peer::start(modern).await;
    let client = builder().http(&peer.url).await.expect("connected");
    for (name, judge) in [
        ("garbage", invalid),
        ("empty", status),
        ("array", invalid),
        ("no message", invalid),
        ("wrong id", invalid),
        ("id null", |done| matches!(done, Err(Error::Rpc(error)) if error.code == -32603)),
        ("id text", ok),
        ("deep", invalid),
        ("html", status),
        ("no type", ok),
        ("text type", ok),
        ("charset", ok),
        ("accepted", status),
        ("failed", |done| matches!(done, Err(Error::Status { status: 500, body, .. }) if body == "out of order")),
        ("failed in words", |done| matches!(done, Err(Error::Rpc(error)) if error.code == -32602)),
        (
            "unauthorized",
            |done| matches!(done, Err(Error::Unauthorized(Some(challenge))) if challenge == "Bearer scope=\"a\""),
        ),
        ("forbidden", |done| matches!(done, Err(Error::Forbidden(None)))),
        ("large", too_large),
        ("large refusal", status),
        ("large line", too_large),
        ("large event", too_large),
        ("short", lost),
        ("silent", |done| matches!(done, Err(Error::Timeout(_)))),
        ("stream ends", lost),
        ("stream with an id ends", lost),
        ("strays first", ok),
        ("comments", ok),
        ("flood", ok),
        ("unknown kind", invalid),
        ("no object", invalid),
        ("state alone", |done| matches!(done, Err(Error::TooManyRounds(10)))),
        ("asks", unanswered),
        ("asks nonsense", invalid),
        ("elsewhere", redirect),
        ("as get", redirect),
        ("nowhere", redirect),
        ("round", redirect),
    ] {
        let done = timeout(Duration::from_secs(20), client.call(name, RawJson::empty_object())).await.expect("in time");
        assert!(judge(&done), "{name}: {done:?}");
        client.call("good", RawJson::empty_object()).await.unwrap_or_else(|error| panic!("after {name}: {error}"));
    }
}

#[tokio::test]
async fn list_that_never_ends_or_repeats_itself_is_an_error() {
    let pages = AtomicUsize::new(0);
    let peer = Peer::start(move |asked| {
        let cursor = asked.body["params"]["cursor"].as_str();
        let page = |next: &str| {
            result(
                asked,
                &format!(r#"{{"tools":[],"prompts":[],"resources":[{{"uri":"a"}},{{}},null],"nextCursor":{next}}}"#),
            )
        };
        match (asked.method(), cursor) {
            ("server/discover", _) => result(asked, DISCOVERED),
            ("tools/list", _) => page(&format!("\"{}\"", pages.fetch_add(1, Ordering::SeqCst))),
            ("prompts/list", _) => page("\"same\""),
            // An empty cursor is one, and null is the end.
            ("resources/list", None) => page("\"\""),
            ("resources/list", Some("")) => page("null"),
            other => panic!("{other:?}"),
        }
    })
    .await;
    let client = builder().http(&peer.url).await.expect("connected");
    for list in [List::Tools, List::Prompts] {
        let error = client.list(list).await.expect_err("it has no end");
        assert!(matches!(error, Error::EndlessList(_)), "{error}");
    }
    // Entries without a name are left out, the others stay.
    assert_eq!(client.list(List::Resources).await.expect("a list").len(), 2);
}

#[tokio::test]
async fn input_is_not_asked_for_by_a_list() {
    let peer = Peer::start(|asked| match asked.method() {
        "server/discover" => result(asked, DISCOVERED),
        _ => result(asked, r#"{"resultType":"input_required","requestState":"s"}"#),
    })
    .await;
    let client = builder().http(&peer.url).await.expect("connected");
    let error = client.list(List::Tools).await.expect_err("a violation");
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[tokio::test]
async fn tool_that_cannot_be_called_over_http_is_left_out_of_the_list() {
    let peer = Peer::start(|asked| match asked.method() {
        "server/discover" => result(asked, DISCOVERED),
        _ => result(
            asked,
            r#"{"tools":[{"name":"bad","inputSchema":{"type":"object","properties":{"a":{"type":"number","x-mcp-header":"A"}}}},
                {"name":"good","inputSchema":{"type":"object","$ref":"http://127.0.0.1:1/never-fetched"}}]}"#,
        ),
    })
    .await;
    let client = builder().http(&peer.url).await.expect("connected");
    let tools = client.list(List::Tools).await.expect("a list");
    assert_eq!(tools.len(), 1);
    assert!(tools[0].as_str().contains("never-fetched"));
}

#[tokio::test]
async fn credential_goes_to_its_own_origin_and_not_in_the_clear_to_other_machines() {
    let other = Peer::start(|_| http("200 OK", "", "")).await;
    let place = other.url.clone();
    let peer = Peer::start(move |asked| match asked.path.as_str() {
        "/mcp" => http("308 Permanent Redirect", "location: /mcp/\r\n", ""),
        "/mcp/" if asked.method() == "server/discover" => result(asked, DISCOVERED),
        _ => http("307 Temporary Redirect", &format!("location: {place}\r\n"), ""),
    })
    .await;
    let client =
        builder().credential(Credential::Bearer("secret".to_owned())).http(&peer.url).await.expect("connected");
    let error = client.call("t", RawJson::empty_object()).await.expect_err("another origin");
    assert!(matches!(error, Error::Redirect(_)), "{error}");
    assert!(other.asked.lock().expect("no panic").is_empty());
    let asked = peer.asked.lock().expect("no panic").clone();
    assert!(asked.iter().all(|asked| asked.header("authorization") == Some("bearer secret")));
    // The place of the first redirect is kept.
    assert_eq!(asked.iter().map(|asked| asked.path.as_str()).collect::<Vec<_>>(), ["/mcp", "/mcp/", "/mcp/"]);

    let error = builder().credential(Credential::Bearer("secret".to_owned())).http("http://192.0.2.1/mcp").await;
    assert!(matches!(error, Err(Error::PlainHttp)));
}

/// A peer over a pair of streams: for each line it writes what `answer` says.
pub(crate) fn lines(
    answer: impl Fn(&str, &serde_json::Value) -> Vec<u8> + Send + 'static,
) -> (DuplexStream, DuplexStream) {
    let (own_input, mut output) = duplex(64 * 1024);
    let (input, own_output) = duplex(64 * 1024);
    tokio::spawn(async move {
        let mut lines = BufReader::new(input).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let bytes = answer(&line, &request);
            if output.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    (own_input, own_output)
}

#[tokio::test]
async fn liar_on_a_pipe_costs_one_call_and_the_next_is_answered() {
    let (input, output) = lines(|_, request| {
        let (id, method) = (&request["id"], request["method"].as_str().unwrap_or_default());
        let answer = |result: &str| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n");
        let good = answer(ENDED);
        if method == "server/discover" {
            return format!("Welcome!\n\n\u{feff}{}", answer(DISCOVERED)).into();
        }
        match request["params"]["name"].as_str().unwrap_or_default() {
            "good" => good.into(),
            "noise" => {
                let noise =
                    "log: {x}\nnull\n7\n[]\n\"text\"\n\r\n\u{feff}\r\n{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n";
                [noise.as_bytes(), b"\xff\xfe\n", good.replace('\n', "\r\n").as_bytes()].concat()
            }
            "cut" => good.into_bytes(),
            "large" => answer(&format!("\"{}\"", "x".repeat(2 * LIMIT))).into(),
            "large, id last" => {
                format!("{{\"jsonrpc\":\"2.0\",\"result\":\"{}\",\"id\":{id}}}\n", "x".repeat(2 * LIMIT)).into()
            }
            "flood" => {
                let told = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n";
                format!("{}{good}", told.repeat(20_000)).into()
            }
            "asks" => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"elicitation/create\"}}\n{good}").into(),
            "id null" => b"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,\"message\":\"oh\"}}\n".to_vec(),
            "other" => b"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n".to_vec(),
            "" => Vec::new(),
            other => panic!("{other}"),
        }
    });
    let client = builder().streams(input, output).await.expect("connected");
    for (name, expected) in [
        ("noise", "ok"),
        ("cut", "ok"),
        ("large", "too large"),
        ("large, id last", "too large"),
        ("flood", "ok"),
        ("asks", "ok"),
        ("id null", "rpc"),
        ("other", "timeout"),
    ] {
        let request = Request::call(name, RawJson::empty_object()).timeout(Duration::from_secs(1));
        let done = client.request(request).await;
        let came = match &done {
            Ok(_) => "ok",
            Err(Error::TooLarge(LIMIT)) => "too large",
            Err(Error::Rpc(_)) => "rpc",
            Err(Error::Timeout(_)) => "timeout",
            Err(_) => "other",
        };
        assert_eq!(came, expected, "{name}: {done:?}");
        client.call("good", RawJson::empty_object()).await.unwrap_or_else(|error| panic!("after {name}: {error}"));
    }
}

#[tokio::test]
async fn legacy_server_that_floods_with_pings_and_questions_is_answered_within_bounds() {
    let (input, output) = lines(|line, request| {
        let (id, method) = (&request["id"], request["method"].as_str().unwrap_or_default());
        match method {
            "server/discover" => {
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32601,\"message\":\"m\"}}}}\n").into()
            }
            "initialize" => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{AGREED}}}\n").into(),
            "tools/call" => {
                let pings: String = (0..500)
                    .map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":\"p{id}\",\"method\":\"ping\"}}\n"))
                    .collect();
                let unknown = "{\"jsonrpc\":\"2.0\",\"id\":\"u\",\"method\":\"roots/list\"}\n";
                format!("{unknown}{pings}{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{ENDED}}}\n").into()
            }
            // The client has declared nothing, so it refuses.
            "" if line.contains("\"u\"") => {
                assert_eq!(request["error"]["code"], -32601);
                Vec::new()
            }
            _ => Vec::new(),
        }
    });
    let client = builder().streams(input, output).await.expect("connected");
    for _ in 0..3 {
        client.call("t", RawJson::empty_object()).await.expect("a result");
    }
}

/// A legacy server on a pipe, which does what `calls` says with a call of this tool and this id, or with a response.
fn legacy_lines(
    version: &'static str,
    calls: impl Fn(&str, &serde_json::Value) -> String + Send + 'static,
) -> (DuplexStream, DuplexStream) {
    lines(move |_, request| {
        let id = &request["id"];
        match request["method"].as_str() {
            Some("server/discover") => {
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32601,\"message\":\"m\"}}}}\n").into()
            }
            Some("initialize") => {
                let agreed = AGREED.replace("2025-11-25", version);
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{agreed}}}\n").into()
            }
            Some("tools/call") => calls(request["params"]["name"].as_str().unwrap_or_default(), id).into(),
            Some(_) => Vec::new(),
            None => calls("", request).into(),
        }
    })
}

#[tokio::test]
async fn batch_is_taken_apart_in_the_one_revision_that_has_it() {
    for (version, is_taken) in [("2025-03-26", true), ("2025-06-18", false)] {
        let (input, output) = legacy_lines(version, |_, id| {
            let told = format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\"progress\":1}}}}"
            );
            format!("[{told},{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{ENDED}}},7,[]]\n")
        });
        let client = builder().streams(input, output).await.expect("connected");
        let request = Request::call("t", RawJson::empty_object()).timeout(Duration::from_millis(500));
        assert_eq!(client.request(request).await.is_ok(), is_taken, "{version}");
    }
}

const ASKS: &str = r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"?"}}"#;

fn asking() -> ClientBuilder {
    builder().capabilities(RawJson::parse(r#"{"elicitation":{}}"#).expect("JSON"))
}

#[tokio::test]
async fn question_on_a_shared_pipe_is_not_shown_to_a_guess() {
    let (input, output) = legacy_lines("2025-11-25", |tool, message| match tool {
        "first" => String::new(),
        "second" => format!("{ASKS}\n"),
        // The refusal ends both calls; their ids are known.
        _ => {
            assert_eq!((&message["id"], &message["error"]["code"]), (&"q1".into(), &(-32603).into()));
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{ENDED}}}\n{{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{ENDED}}}\n"
            )
        }
    });
    let client = asking().streams(input, output).await.expect("connected");
    let mut first = client.start(Request::call("first", RawJson::empty_object()).questions());
    let mut second = client.start(Request::call("second", RawJson::empty_object()).questions());
    for call in [&mut first, &mut second] {
        let event = timeout(Duration::from_secs(5), call.next()).await.expect("in time");
        assert!(matches!(event, Event::Done(Ok(_))), "{event:?}");
    }
}

#[tokio::test]
async fn question_that_the_server_withdraws_is_void() {
    let (input, output) = legacy_lines("2025-11-25", |_, id| {
        let withdrawn = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q1"}}"#;
        format!("{ASKS}\n{withdrawn}\n{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{ENDED}}}\n")
    });
    let client = asking().streams(input, output).await.expect("connected");
    let mut call = client.start(Request::call("t", RawJson::empty_object()).questions());
    let Event::Question(mut question) = call.next().await else { panic!("a question") };
    timeout(Duration::from_secs(5), question.withdrawn()).await.expect("it is withdrawn");
    assert!(matches!(call.next().await, Event::Done(Ok(_))));
}

#[tokio::test]
async fn progress_keeps_a_call_alive_up_to_its_total_time() {
    let (own_input, mut output) = duplex(64 * 1024);
    let (input, own_output) = duplex(64 * 1024);
    tokio::spawn(async move {
        let mut lines = BufReader::new(input).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let id = &request["id"];
            let discovered = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{DISCOVERED}}}\n");
            if request["method"] == "server/discover" {
                output.write_all(discovered.as_bytes()).await.expect("taken");
                continue;
            }
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let told = format!(
                    "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\"progress\":1}}}}\n"
                );
                output.write_all(told.as_bytes()).await.expect("taken");
            }
        }
    });
    let client = builder().streams(own_input, own_output).await.expect("connected");
    let started = std::time::Instant::now();
    let request = Request::call("t", RawJson::empty_object()).progress().timeout(Duration::from_millis(300));
    let error = client.request(request.total_timeout(Duration::from_millis(900))).await.expect_err("too late");
    assert!(matches!(error, Error::Timeout(time) if time == Duration::from_millis(900)), "{error}");
    assert!(started.elapsed() >= Duration::from_millis(900));
}

/// A legacy peer over HTTP whose GET stream and notifications are answered so.
async fn legacy(get: fn() -> Reply, notified: fn() -> Reply) -> Peer {
    Peer::start(move |asked| match (asked.verb.as_str(), asked.method()) {
        ("get", _) => get(),
        ("delete", _) => http("405 Method Not Allowed", "", ""),
        (_, "server/discover") => http("400 Bad Request", "", ""),
        (_, "initialize") => result(asked, AGREED),
        (_, "notifications/initialized") => notified(),
        _ => result(asked, ENDED),
    })
    .await
}

#[tokio::test]
async fn odd_answers_to_notifications_and_to_the_stream_of_a_session_do_no_harm() {
    type Odd = fn() -> Reply;
    let gets: [Odd; 6] = [
        || http("405 Method Not Allowed", "", ""),
        || http("404 Not Found", "", "no"),
        || http("406 Not Acceptable", "", ""),
        || http("200 OK", "content-type: text/html\r\n", "<html>"),
        || json_body("{}"),
        || Reply::Bytes(events("")),
    ];
    let accepted: Odd = || http("202 Accepted", "", "");
    for get in gets {
        let peer = legacy(get, accepted).await;
        let client = builder().http(&peer.url).await.expect("connected");
        client.call("t", RawJson::empty_object()).await.expect("a result");
    }
    let notified: [Odd; 5] = [
        || http("200 OK", "", ""),
        || json_body("null"),
        || json_body("{}"),
        || Reply::Bytes(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec()),
        || http("202 Accepted", "content-type: text/plain\r\n", "Accepted"),
    ];
    for notified in notified {
        let peer = legacy(gets[0], notified).await;
        let client = builder().http(&peer.url).await.expect("connected");
        client.call("t", RawJson::empty_object()).await.expect("a result");
    }
}

#[tokio::test]
async fn stream_that_is_closed_at_once_is_not_opened_again_at_once() {
    let peer = legacy(|| Reply::Bytes(events("")), || http("202 Accepted", "", "")).await;
    let client = builder().http(&peer.url).await.expect("connected");
    tokio::time::sleep(Duration::from_millis(700)).await;
    client.call("t", RawJson::empty_object()).await.expect("a result");
    let gets = peer.methods().iter().filter(|method| *method == "get").count();
    assert_eq!(gets, 1);
}

#[tokio::test]
async fn lost_session_is_opened_again_once_and_the_request_repeated() {
    for (status, body) in [("404 Not Found", "<html>"), ("400 Bad Request", "No valid session ID provided")] {
        let handshakes = AtomicUsize::new(0);
        let peer = Peer::start(move |asked| match (asked.verb.as_str(), asked.method()) {
            ("get", _) => http("405 Method Not Allowed", "", ""),
            ("delete", _) => http("204 No Content", "", ""),
            (_, "server/discover") => http("400 Bad Request", "", ""),
            (_, "initialize") => {
                assert_eq!((asked.header("mcp-session-id"), asked.header("mcp-protocol-version")), (None, None));
                let number = handshakes.fetch_add(1, Ordering::SeqCst);
                let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{AGREED}}}"#, asked.body["id"]);
                http("200 OK", &format!("content-type: application/json\r\nmcp-session-id: s{number}\r\n"), &body)
            }
            (_, "notifications/initialized") => http("202 Accepted", "", ""),
            _ if asked.header("mcp-session-id") == Some("s0") => http(status, "", body),
            _ => {
                assert_eq!(asked.header("mcp-protocol-version"), Some("2025-11-25"));
                result(asked, ENDED)
            }
        })
        .await;
        let client = builder().http(&peer.url).await.expect("connected");
        // Several callers find the session lost, and one opens the next.
        let calls = (0..5).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call("t", RawJson::empty_object()).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.expect("no panic").expect("a result");
        }
        let methods = peer.methods();
        assert_eq!(methods.iter().filter(|method| *method == "initialize").count(), 2, "{methods:?}");
        client.close().await;
        assert_eq!(peer.methods().last().map(String::as_str), Some("delete"));
    }
}

#[tokio::test]
async fn broken_stream_is_resumed_behind_its_last_event_when_the_server_says() {
    let peer = Peer::start(|asked| match (asked.verb.as_str(), asked.method()) {
        ("get", _) => match asked.header("last-event-id") {
            Some("e2") => {
                // An old answer, and the one that is waited for.
                let answer = |id| format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{ENDED}}}\n\n");
                Reply::Bytes(events(&format!("{}{}", answer(1), answer(3))))
            }
            Some(other) => panic!("{other}"),
            None => http("405 Method Not Allowed", "", ""),
        },
        (_, "server/discover") => http("400 Bad Request", "", ""),
        (_, "initialize") => result(asked, AGREED),
        (_, "notifications/initialized") => http("202 Accepted", "", ""),
        _ => Reply::Bytes(events("id: e1\nretry: 300\ndata:\n\nid: e2\ndata:\n\n")),
    })
    .await;
    let client = builder().http(&peer.url).await.expect("connected");
    let started = std::time::Instant::now();
    client.call("t", RawJson::empty_object()).await.expect("a result");
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_millis(800), "{waited:?}");
}

#[tokio::test]
async fn old_transport_posts_only_to_its_own_origin() {
    for (endpoint, is_own) in
        [("/messages?id=1", true), ("http://127.0.0.1:1/messages", false), ("//evil.example/x", false)]
    {
        let peer = Peer::start(move |asked| match asked.verb.as_str() {
            "get" => Reply::Hang(events(&format!("event: endpoint\ndata: {endpoint}\n\n"))),
            // Some servers answer in the body of the POST.
            _ if asked.path == "/messages?id=1" => match asked.method() {
                "initialize" => result(asked, &AGREED.replace("2025-11-25", "2024-11-05")),
                "notifications/initialized" => http("202 Accepted", "", "Accepted"),
                _ => result(asked, ENDED),
            },
            _ => http("405 Method Not Allowed", "", ""),
        })
        .await;
        match builder().http(&peer.url).await {
            Ok(client) => {
                assert!(is_own, "{endpoint}");
                assert_eq!(client.version().as_str(), "2024-11-05");
                client.call("t", RawJson::empty_object()).await.expect("a result");
            }
            Err(error) => assert!(!is_own, "{endpoint}: {error}"),
        }
    }
}

#[tokio::test]
async fn servers_that_are_none_are_told_in_words() {
    for (reply, word) in [
        (|| http("200 OK", "content-type: text/html\r\n", "<html>"), "is this"),
        (|| http("500 Internal Server Error", "", "out of order"), "out of order"),
        (|| http("404 Not Found", "", ""), "HTTP status 404"),
        (|| http("401 Unauthorized", "www-authenticate: Bearer\r\n", ""), "credential"),
        (|| Reply::Hang(Vec::new()), "in time"),
    ] as [(fn() -> Reply, &str); 5]
    {
        let peer = Peer::start(move |_| reply()).await;
        let error = builder().http(&peer.url).await.expect_err("no server").to_string();
        assert!(error.contains(word), "{error}");
    }
    let error = builder().http("http://127.0.0.1:1/mcp").await.expect_err("no server").to_string();
    assert!(error.contains("cannot be reached"), "{error}");
    let error = builder().http("ftp://127.0.0.1/").await.expect_err("no URL").to_string();
    assert!(error.contains("http://"), "{error}");
}
