//! Upstreams of a gate that break the protocol: each costs the call that meets it an error, and
//! nothing else. The other backend of the gate goes on.

use crate::gate::{client, names, read, served, soon, text, until};
use crate::gate_failures::{rpc, script, times};
use crate::hostile::{Asked, Peer, Reply, events, http, json_body, result};
use ::core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use ::core::time::Duration;
use attache_host::bridge::Bridge;
use attache_host::client::{Client, Error, List, RawJson, Version};
use attache_host::{Ctx, Limits, NoArgs, Server, ServerBuilder};
use serde_json::{Value, json};

/// A gate with a good backend, and a client of it.
async fn beside_a_good_one(bad: Bridge, version: Version) -> Client {
    let good = Server::new("good", "1").tool("t", "d", |_: NoArgs, _: Ctx| async { "x" });
    let good = Bridge::http("good", served(good).await);
    // A call without an answer that can be recognised ends by the limit of the gate.
    let limits = Limits::default().call_time(Duration::from_secs(3));
    let gate = gate().limits(limits).backend("bad_", bad.times(times())).backend("good_", good.times(times()));
    let client = client(&served(gate).await, version).await;
    until(async || names(&client, List::Tools, "name").await.contains(&"good_t".to_owned())).await;
    client
}

fn gate() -> ServerBuilder {
    Server::new("gate", "1")
}

async fn call(client: &Client, tool: &str, lie: &str) -> Result<RawJson, Error> {
    let arguments = if lie.is_empty() { json!({}) } else { json!({"lie": lie}) };
    let arguments = RawJson::of(&arguments).expect("JSON");
    soon(client.call(tool, arguments)).await
}

/// Calls the lying tool, and checks what comes of it and that the next calls are served.
async fn lied(client: &Client, lie: &str, expected: &str, name: &str) {
    let done = call(client, "bad_t", lie).await;
    match (expected, done) {
        ("ok", Ok(_)) => {}
        (kind, Err(error)) => {
            let (code, message, data) = rpc(error);
            // The limit of the gate has no kind.
            let got = data["kind"].as_str().unwrap_or("limit");
            assert_eq!((code, got), (-32603, kind), "{name}: {lie}: {message}");
        }
        (_, Ok(result)) => panic!("{name}: {lie}: {result}"),
    }
    assert_eq!(text(&call(client, "good_t", "").await.expect("a result")), "x", "{name}: after {lie}");
    let next = call(client, "bad_t", "none").await;
    assert!(next.is_ok(), "{name}: after {lie}: {next:?}");
}

const LISTED: &str = r#"{"resultType":"complete","tools":[{"name":"t","inputSchema":{"type":"object"}}]}"#;
const DISCOVERED: &str = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#;
const ENDED: &str = r#"{"resultType":"complete","content":[]}"#;

fn lie(asked: &Asked) -> Reply {
    let id = &asked.body["id"];
    let good = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{ENDED}}}"#);
    let endless = |head: &str, again: &str| {
        Reply::Endless(format!("HTTP/1.1 200 OK\r\ncontent-type: {head}\r\n\r\n").into(), again.repeat(4096).into())
    };
    match asked.body["params"]["arguments"]["lie"].as_str().unwrap_or_default() {
        "none" => result(asked, ENDED),
        "garbage" => json_body("{garbage"),
        "binary" => http("200 OK", "content-type: application/json\r\n", "\0\u{1}\u{feff}"),
        "html" => http("200 OK", "content-type: text/html\r\n", "<html>"),
        "no object" => result(asked, "[1]"),
        "wrong id" => json_body(r#"{"jsonrpc":"2.0","id":"nobody","result":{}}"#),
        "stray answers" => {
            let stray = format!("data: {{\"jsonrpc\":\"2.0\",\"id\":4711,\"result\":{ENDED}}}\n\n");
            Reply::Bytes(events(&format!("{}data: {good}\n\n", stray.repeat(100))))
        }
        "endless line" => endless("text/event-stream", "x"),
        "endless event" => endless("text/event-stream", &format!("data: {}\n", "x".repeat(1000))),
        "200 MB" => endless("application/json", " "),
        "200 MB refusal" => Reply::Endless(b"HTTP/1.1 500 No\r\n\r\n".to_vec(), vec![b'x'; 4096]),
        "flood" => {
            let told = format!(
                "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\"progress\":1}}}}\n\n\
                 data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}}\n\n"
            );
            Reply::Bytes(events(&format!("{}data: {good}\n\n", told.repeat(10_000))))
        }
        "breaks off" => Reply::Bytes(events("data: {\"jsonrpc\":\"2.0\"")),
        "asks nonsense" => {
            result(asked, r#"{"resultType":"input_required","inputRequests":{"k":{"method":"shutdown"}}}"#)
        }
        "asks for ever" => result(asked, r#"{"resultType":"input_required","requestState":"s"}"#),
        "unknown kind" => result(asked, r#"{"resultType":"surprise"}"#),
        "elsewhere" => http("307 Temporary Redirect", "location: http://192.0.2.1/mcp\r\n", ""),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn liar_over_http_costs_the_call_an_error_and_nobody_else_anything() {
    let peer = Peer::start(|asked| match asked.method() {
        "server/discover" => result(asked, DISCOVERED),
        "tools/list" => result(asked, LISTED),
        "tools/call" => lie(asked),
        _ => http("404 Not Found", "", ""),
    })
    .await;
    for version in [Version::V2026_07_28, Version::V2025_11_25] {
        let client = beside_a_good_one(Bridge::http("bad", &peer.url), version).await;
        until(async || names(&client, List::Tools, "name").await.contains(&"bad_t".to_owned())).await;
        for (lie, expected) in [
            ("garbage", "invalid"),
            ("binary", "invalid"),
            ("html", "status"),
            ("no object", "invalid"),
            ("wrong id", "invalid"),
            ("stray answers", "ok"),
            ("endless line", "too_large"),
            ("endless event", "too_large"),
            ("200 MB", "too_large"),
            ("200 MB refusal", "status"),
            ("flood", "ok"),
            ("breaks off", "lost"),
            ("asks nonsense", "invalid"),
            ("asks for ever", "rounds"),
            ("unknown kind", "invalid"),
            ("elsewhere", "unreachable"),
        ] {
            lied(&client, lie, expected, version.as_str()).await;
        }
    }
}

#[tokio::test]
async fn liar_on_a_pipe_costs_the_call_an_error_and_nobody_else_anything() {
    let good = r#"echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","content":[]}}'"#;
    let lies = r#"case "$line" in
        *'"garbage"'*) echo 'Traceback: {garbage' ;;
        *'"binary"'*) printf '\000\001\377\n'; GOOD ;;
        *'"wrong id"'*) echo '{"jsonrpc":"2.0","id":"nobody","result":{}}' ;;
        *'"stray answers"'*) for n in 4711 4712 4713; do echo '{"jsonrpc":"2.0","id":'$n',"result":{}}'; done; GOOD ;;
        *'"flood"'*)
            n=0
            while [ $n -lt 20000 ]; do
                echo '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}'
                n=$((n + 1))
            done
            GOOD ;;
        *'"endless line"'*) head -c 20000000 /dev/zero | tr '\000' x; echo ;;
        *'"200 MB"'*) printf '{"jsonrpc":"2.0","id":%s,"result":"' $id; head -c 200000000 /dev/zero | tr '\000' x; echo '"}' ;;
        *'"array"'*) echo '[]'; GOOD ;;
        *) GOOD ;;
        esac"#
        .replace("GOOD", good);
    let client = beside_a_good_one(Bridge::command("bad", script(&lies)), Version::V2026_07_28).await;
    until(async || names(&client, List::Tools, "name").await.contains(&"bad_t".to_owned())).await;
    for (lie, expected) in [
        ("garbage", "limit"),
        ("binary", "ok"),
        ("wrong id", "limit"),
        ("stray answers", "ok"),
        ("flood", "ok"),
        ("endless line", "too_large"),
        ("200 MB", "too_large"),
        ("array", "ok"),
    ] {
        lied(&client, lie, expected, "stdio").await;
    }
}

#[tokio::test]
async fn list_that_never_ends_leaves_out_that_list_alone() {
    let pages = AtomicUsize::new(0);
    let peer = Peer::start(move |asked| match asked.method() {
        "server/discover" => {
            result(asked, r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"prompts":{}}}"#)
        }
        "tools/list" => {
            let page = pages.fetch_add(1, SeqCst);
            let tool = format!(r#"{{"name":"t{page}","inputSchema":{{"type":"object"}}}}"#);
            result(asked, &format!(r#"{{"resultType":"complete","tools":[{tool}],"nextCursor":"{page}"}}"#))
        }
        "prompts/list" => result(asked, r#"{"resultType":"complete","prompts":[{"name":"p"}]}"#),
        _ => http("404 Not Found", "", ""),
    })
    .await;
    let client = beside_a_good_one(Bridge::http("bad", &peer.url), Version::V2026_07_28).await;
    until(async || names(&client, List::Prompts, "name").await == ["bad_p"]).await;
    assert_eq!(names(&client, List::Tools, "name").await, ["good_t"]);
    assert_eq!(text(&call(&client, "good_t", "").await.expect("a result")), "x");
}

#[tokio::test]
async fn bad_entries_of_a_list_are_left_out_and_schemas_with_cycles_are_passed_on() {
    const CYCLE: &str = r##"{"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},"$defs":{"n":{"$ref":"#/$defs/m"},"m":{"$ref":"#/$defs/n"}}}"##;
    let deep = format!(r#"{{"type":"object","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let tools = [
        format!(r#"{{"name":"cycle","inputSchema":{CYCLE}}}"#),
        r#"{"name":"remote","inputSchema":{"type":"object","$ref":"http://192.0.2.1/never-fetched"}}"#.to_owned(),
        r#"{"name":"same","inputSchema":{"type":"object"},"description":"first"}"#.to_owned(),
        r#"{"name":"same","inputSchema":{"type":"object"},"description":"second"}"#.to_owned(),
        r#"{"inputSchema":{"type":"object"}}"#.to_owned(),
        r#"{"name":"no schema"}"#.to_owned(),
        r#"{"name":"schema of a string","inputSchema":{"type":"string"}}"#.to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        r#"{"name":7,"inputSchema":{"type":"object"}}"#.to_owned(),
    ];
    let listed = format!(r#"{{"resultType":"complete","tools":[{}]}}"#, tools.join(","));
    let all_bad = format!(r#"{{"resultType":"complete","tools":[{{"name":"deep","inputSchema":{deep}}}]}}"#);
    for (listed, expected) in [(listed, &["bad_cycle", "bad_remote", "bad_same"][..]), (all_bad, &[])] {
        let peer = Peer::start(move |asked| match asked.method() {
            "server/discover" => result(asked, DISCOVERED),
            "tools/list" => result(asked, &listed),
            "tools/call" => result(asked, ENDED),
            _ => http("404 Not Found", "", ""),
        })
        .await;
        let client = beside_a_good_one(Bridge::http("bad", &peer.url), Version::V2026_07_28).await;
        let own = async || -> Vec<String> {
            let names = names(&client, List::Tools, "name").await;
            names.into_iter().filter(|name| name.starts_with("bad_")).collect()
        };
        until(async || own().await == expected).await;
        if expected.is_empty() {
            continue;
        }
        let tools = client.list(List::Tools).await.expect("a list");
        let schema =
            tools.iter().find(|tool| tool.as_str().contains("bad_cycle")).and_then(|tool| tool.member("inputSchema"));
        assert_eq!(schema.expect("a schema").as_str(), CYCLE);
        let same = tools.iter().find(|tool| tool.as_str().contains("bad_same")).expect("a tool");
        assert_eq!(read(same)["description"], "first", "the first of two entries with one name counts");
        for tool in expected {
            assert!(call(&client, tool, "").await.is_ok(), "{tool}");
        }
    }
}

#[tokio::test]
async fn names_that_clash_belong_to_the_first_backend_which_gets_the_calls() {
    let upstream = async |answer: &'static str| {
        let server = Server::new("there", "1").tool("t", "d", move |_: NoArgs, _: Ctx| async move { answer });
        Bridge::http(answer, served(server).await)
    };
    let (first, second) = (upstream("first").await, upstream("second").await);
    let gate = gate().backend("", first).backend("", second).tool("own", "d", |_: NoArgs, _: Ctx| async { "own" });
    let client = client(&served(gate).await, Version::V2026_07_28).await;
    let answer = async || -> Value {
        match client.call("t", RawJson::empty_object()).await {
            Ok(result) => read(&result)["content"][0]["text"].take(),
            Err(_) => Value::Null,
        }
    };
    until(async || answer().await == "first").await;
    assert_eq!(names(&client, List::Tools, "name").await, ["own", "t"]);
}
