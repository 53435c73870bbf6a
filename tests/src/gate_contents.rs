//! Contents, entries and errors that only some revisions have, on their way through a gate.

use crate::gate::{REVISIONS, client, client_with, names, raw, read, served, soon, text, until};
use crate::gate_failures::{rpc, times};
use crate::hostile::{AGREED, Asked, Peer, Reply, http, result};
use ::core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use attache_host::Server;
use attache_host::bridge::Bridge;
use attache_host::client::{Client, Error, Event, List, RawJson, Request, Version};
use serde_json::{Value, json};
use std::sync::Arc;

const OLD: Version = Version::V2025_11_25;
const NEW: Version = Version::V2026_07_28;

const DISCOVERED: &str =
    r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"prompts":{},"resources":{}}}"#;

/// An upstream of revision 2026-07-28 that offers this tool `t`, and answers calls and prompts so.
async fn modern(tool: &'static str, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Peer {
    Peer::start(move |asked| match asked.method() {
        "server/discover" => result(asked, DISCOVERED),
        "tools/list" => result(asked, &format!(r#"{{"resultType":"complete","tools":[{tool}]}}"#)),
        "prompts/list" => result(asked, r#"{"resultType":"complete","prompts":[{"name":"p"}]}"#),
        "resources/list" => result(asked, r#"{"resultType":"complete","resources":[{"uri":"a:b","name":"b"}]}"#),
        "resources/templates/list" => result(asked, r#"{"resultType":"complete","resourceTemplates":[]}"#),
        "tools/call" | "prompts/get" | "resources/read" | "completion/complete" => answer(asked),
        _ => http("404 Not Found", "", ""),
    })
    .await
}

/// A session upstream of revision 2025-11-25 with a tool `t`.
async fn legacy(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Peer {
    Peer::start(move |asked| match (asked.verb.as_str(), asked.method()) {
        ("get", _) => http("405 Method Not Allowed", "", ""),
        (_, "server/discover") => http("400 Bad Request", "", ""),
        (_, "initialize") => result(asked, AGREED),
        (_, "tools/list") => result(asked, r#"{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}"#),
        (_, "tools/call") => answer(asked),
        _ => http("202 Accepted", "", ""),
    })
    .await
}

async fn gated(url: &str, version: Version) -> Client {
    let gate = Server::new("gate", "1").backend("", Bridge::http("there", url).times(times()));
    let client = client(&served(gate).await, version).await;
    until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
    client
}

const TOOL: &str = r#"{"name":"t","inputSchema":{"type":"object"}}"#;

#[tokio::test]
async fn blocks_of_content_that_a_revision_does_not_have_are_told_in_words() {
    const AUDIO: &str = r#"{"type":"audio","data":"AAAA","mimeType":"audio/wav"}"#;
    const LINK: &str = r#"{"type":"resource_link","uri":"file:///a","name":"a","size":1E2}"#;
    const TEXT: &str = r#"{"type":"text","text":"x","z":1E2}"#;
    const ODD: &str = r#"{"type":"hologram","mimeType":"model/odd"}"#;
    let peer = modern(TOOL, |asked| match asked.method() {
        "prompts/get" => {
            let messages = [AUDIO, LINK, TEXT].map(|block| format!(r#"{{"role":"user","content":{block}}}"#));
            result(asked, &format!(r#"{{"resultType":"complete","messages":[{}]}}"#, messages.join(",")))
        }
        _ => result(asked, &format!(r#"{{"resultType":"complete","content":[{AUDIO},{LINK},{TEXT},{ODD}]}}"#)),
    })
    .await;
    for version in REVISIONS {
        let name = version.as_str();
        let client = gated(&peer.url, version).await;
        let called = soon(client.call("t", RawJson::empty_object())).await.expect("a result");
        let blocks: Vec<_> = called.member("content").expect("content").elements().collect();
        let prompt = soon(client.prompt("p", RawJson::empty_object())).await.expect("a prompt");
        let messages = prompt.member("messages").expect("messages");
        let said: Vec<_> = messages.elements().filter_map(|message| message.member("content")).collect();
        assert_eq!((blocks.len(), said.len()), (4, 3), "{name}: {called} {prompt}");
        for blocks in [&blocks, &said] {
            if version >= Version::V2025_03_26 {
                assert_eq!(blocks[0].as_str(), AUDIO, "{name}");
            } else {
                let note = read(&blocks[0]);
                assert_eq!(note["type"], "text", "{name}");
                let note = note["text"].as_str().expect("a text").to_owned();
                assert!(note.contains("audio") && note.contains("audio/wav"), "{name}: {note}");
            }
            if version >= Version::V2025_06_18 {
                assert_eq!(blocks[1].as_str(), LINK, "{name}");
            } else {
                assert_eq!(read(&blocks[1]), json!({"type": "text", "text": "a: file:///a"}), "{name}");
            }
            assert_eq!(blocks[2].as_str(), TEXT, "{name}");
        }
        let odd = read(&blocks[3]);
        assert_eq!(odd["type"], "text", "{name}: no revision has such a block");
    }
}

#[tokio::test]
async fn icons_reach_the_revisions_that_have_them_if_their_address_is_safe() {
    let tool = r#"{"name":"t","inputSchema":{"type":"object"},"icons":[
        {"src":"https://a.example/i.png","sizes":["1E2"]},{"src":"data:image/png;base64,AAAA"},
        {"src":"http://a.example/i.png"},{"src":"javascript:alert(1)"},{"src":"file:///etc/passwd"},{}]}"#;
    let peer = modern(tool, |asked| result(asked, r#"{"resultType":"complete","content":[]}"#)).await;
    for version in REVISIONS {
        let client = gated(&peer.url, version).await;
        let tools = client.list(List::Tools).await.expect("a list");
        let icons = tools[0].member("icons").map(|icons| read(&icons));
        let safe = json!([{"src": "https://a.example/i.png", "sizes": ["1E2"]}, {"src": "data:image/png;base64,AAAA"}]);
        let expected = (version >= OLD).then_some(safe);
        assert_eq!(icons, expected, "{}", version.as_str());
    }
    let unsafe_only = r#"{"name":"t","inputSchema":{"type":"object"},"icons":[{"src":"http://a.example/i.png"}]}"#;
    let peer = modern(unsafe_only, |asked| result(asked, r#"{"resultType":"complete","content":[]}"#)).await;
    let tools = gated(&peer.url, NEW).await.list(List::Tools).await.expect("a list");
    assert!(tools[0].member("icons").is_none(), "{}", tools[0]);
}

/// An upstream that demands a visit to a page until it was called so many times.
async fn demands_a_page(times: usize) -> (Peer, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let peer = legacy(move |asked| {
        if count.fetch_add(1, SeqCst) >= times {
            return result(asked, r#"{"content":[{"type":"text","text":"done"}]}"#);
        }
        let pages = r#"[{"mode":"url","elicitationId":"e1","url":"https://a.example/in","message":"Sign in"}]"#;
        let error = format!(r#"{{"code":-32042,"message":"visit a page","data":{{"elicitations":{pages}}}}}"#);
        http(
            "200 OK",
            "content-type: application/json\r\n",
            &format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, asked.body["id"]),
        )
    })
    .await;
    (peer, calls)
}

/// Runs the call, and answers each question with this action.
async fn visited(client: &Client, action: &str) -> (Vec<Value>, Result<RawJson, Error>) {
    let mut call = client.start(Request::call("t", RawJson::empty_object()).questions());
    let mut asked = Vec::new();
    loop {
        match soon(call.next()).await {
            Event::Question(question) => {
                asked.push(read(&question.params));
                question.answer(raw(&format!(r#"{{"action":"{action}"}}"#)));
            }
            Event::Done(result) => return (asked, result),
            _ => {}
        }
    }
}

#[tokio::test]
async fn page_that_a_legacy_upstream_demands_by_an_error_is_a_question_to_a_modern_client_and_the_call_is_made_again() {
    let (peer, calls) = demands_a_page(1).await;
    let client = gated(&peer.url, NEW).await;
    let (asked, done) = visited(&client, "accept").await;
    let question = json!({"mode": "url", "url": "https://a.example/in", "message": "there asks: Sign in"});
    assert_eq!(asked, [question]);
    assert_eq!((text(&done.expect("a result")).as_str(), calls.load(SeqCst)), ("done", 2));

    let (peer, calls) = demands_a_page(1).await;
    let (asked, done) = visited(&gated(&peer.url, NEW).await, "decline").await;
    let failed = read(&done.expect("a failure in words"));
    assert_eq!((asked.len(), &failed["isError"], calls.load(SeqCst)), (1, &json!(true), 1), "{failed}");

    let (peer, calls) = demands_a_page(usize::MAX).await;
    let (asked, done) = visited(&gated(&peer.url, NEW).await, "accept").await;
    let failed = read(&done.expect("a failure in words"));
    assert_eq!((asked.len(), &failed["isError"], calls.load(SeqCst)), (3, &json!(true), 4), "{failed}");
}

#[tokio::test]
async fn page_that_a_legacy_upstream_demands_is_an_error_of_its_revision_to_clients_that_cannot_be_asked() {
    let (peer, calls) = demands_a_page(usize::MAX).await;
    for (version, capabilities, code) in [
        // The client of this revision knows the error.
        (OLD, json!({"elicitation": {"url": {}}}), -32042),
        // The client learns which capability it lacks.
        (NEW, json!({"elicitation": {"form": {}}}), -32021),
        (NEW, json!({}), -32021),
        (Version::V2025_06_18, json!({"elicitation": {}}), -32603),
    ] {
        let gate = Server::new("gate", "1").backend("", Bridge::http("there", &peer.url).times(times()));
        let client = client_with(&served(gate).await, version, &capabilities).await;
        until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
        let before = calls.load(SeqCst);
        let (asked, done) = visited(&client, "accept").await;
        let (got, message, data) = rpc(done.expect_err("an error"));
        assert_eq!((got, calls.load(SeqCst) - before), (code, 1), "{} {capabilities}: {message}", version.as_str());
        assert!(asked.is_empty());
        match code {
            -32042 => assert_eq!(data["elicitations"][0]["url"], "https://a.example/in", "{data}"),
            -32021 => assert_eq!(data["requiredCapabilities"], json!({"elicitation": {"url": {}}}), "{data}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn refusal_of_the_gate_by_its_upstream_is_no_refusal_of_the_client() {
    for (status, head, kind) in [
        (
            "401 Unauthorized",
            "www-authenticate: Bearer realm=\"inside\", resource_metadata=\"https://in.example\"\r\n",
            "unauthorized",
        ),
        ("403 Forbidden", "www-authenticate: Bearer error=\"insufficient_scope\", scope=\"inside\"\r\n", "forbidden"),
        ("404 Not Found", "", "status"),
    ] {
        for version in [NEW, OLD] {
            let peer = modern(TOOL, move |_| http(status, head, "inside")).await;
            let client = gated(&peer.url, version).await;
            for error in [
                soon(client.call("t", RawJson::empty_object())).await.expect_err("an error"),
                soon(client.prompt("p", RawJson::empty_object())).await.expect_err("an error"),
                soon(client.read("a:b")).await.expect_err("an error"),
            ] {
                // An HTTP status of the gate would be another kind of error.
                let (code, message, data) = rpc(error);
                assert_eq!((code, &data["kind"]), (-32603, &json!(kind)), "{status} {}: {message}", version.as_str());
                let told = format!("{message} {data}");
                assert!(!told.contains("inside") && !told.contains("in.example"), "{status}: {told}");
            }
            // The session of the client goes on.
            assert_eq!(names(&client, List::Tools, "name").await, ["t"], "{status}");
        }
    }
}

/// An upstream of revision 2025-11-25 whose tool runs only as a task, which is done when it was looked
/// at so many times.
async fn with_tasks(looks: usize, capabilities: &'static str) -> Peer {
    let looked = AtomicUsize::new(0);
    let task =
        |status: &str| format!(r#""taskId":"t-1","status":"{status}","createdAt":"x","ttl":1,"pollInterval":100"#);
    Peer::start(move |asked| match (asked.verb.as_str(), asked.method()) {
        ("get", _) => http("405 Method Not Allowed", "", ""),
        (_, "server/discover") => http("400 Bad Request", "", ""),
        (_, "initialize") => result(
            asked,
            &AGREED.replace(
                r#""capabilities":{"tools":{}}"#,
                &format!(r#""capabilities":{{"tools":{{}}{capabilities}}}"#),
            ),
        ),
        (_, "tools/list") => result(
            asked,
            r#"{"tools":[{"name":"t","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}},
                {"name":"plain","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}]}"#,
        ),
        (_, "tools/call") if asked.body["params"]["name"] == "plain" => {
            assert!(asked.body["params"]["task"].is_null());
            result(asked, r#"{"content":[{"type":"text","text":"plain"}]}"#)
        }
        (_, "tools/call") => {
            assert!(asked.body["params"]["task"]["ttl"].is_u64(), "{}", asked.body);
            result(asked, &format!(r#"{{"task":{{{}}}}}"#, task("working")))
        }
        (_, "tasks/get") => {
            assert_eq!(asked.body["params"]["taskId"], "t-1");
            let status = if looked.fetch_add(1, SeqCst) + 1 >= looks { "completed" } else { "working" };
            result(asked, &format!("{{{}}}", task(status)))
        }
        (_, "tasks/result") => {
            let related = r#""_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t-1"}}"#;
            result(asked, &format!(r#"{{"content":[{{"type":"text","text":"done"}}],{related}}}"#))
        }
        (_, "tasks/cancel") => result(asked, &format!("{{{}}}", task("cancelled"))),
        _ => http("202 Accepted", "", ""),
    })
    .await
}

const TASKS: &str = r#","tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}"#;

#[tokio::test]
async fn tool_that_runs_only_as_a_task_is_a_plain_call_for_clients_of_every_revision() {
    for version in REVISIONS {
        let peer = with_tasks(3, TASKS).await;
        let client = gated(&peer.url, version).await;
        let tools = client.list(List::Tools).await.expect("a list");
        assert!(tools.iter().all(|tool| tool.member("execution").is_none()), "{tools:?}");
        let done = soon(client.call("t", RawJson::empty_object())).await.expect("a result");
        assert_eq!(text(&done), "done", "{}", version.as_str());
        assert!(!done.as_str().contains("t-1"), "the task stays with the gate: {done}");
        assert_eq!(text(&soon(client.call("plain", RawJson::empty_object())).await.expect("a result")), "plain");
        let methods = peer.methods();
        let count = |wanted: &str| methods.iter().filter(|method| *method == wanted).count();
        assert_eq!((count("tasks/get"), count("tasks/result"), count("tasks/cancel")), (3, 1, 0), "{methods:?}");
    }
}

#[tokio::test]
async fn task_is_cancelled_when_its_client_gives_up_the_call() {
    let peer = with_tasks(usize::MAX, TASKS).await;
    let client = gated(&peer.url, NEW).await;
    let mut call = client.start(Request::call("t", RawJson::empty_object()));
    let count = |wanted: &str| peer.methods().iter().filter(|method| *method == wanted).count();
    until(async || {
        assert!(tokio::time::timeout(::core::time::Duration::from_millis(20), call.next()).await.is_err());
        count("tasks/get") > 1
    })
    .await;
    drop(call);
    until(async || count("tasks/cancel") == 1).await;
}

#[tokio::test]
async fn tool_that_needs_a_task_is_left_out_if_its_upstream_has_no_tasks() {
    let peer = with_tasks(1, "").await;
    assert_eq!(names(&gated(&peer.url, NEW).await, List::Tools, "name").await, ["plain"]);
}
