//! The notes server, called in memory, over standard input and output, and its own routes.

use attache_host::auth::Caller;
use attache_host::prelude::*;
use attache_host::testing::{Answer, Client};
use notes::store::Store;
use notes::{Notes, routes, server};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

fn notes() -> Arc<Notes> {
    Arc::new(Notes(Store::open(":memory:").expect("a database")))
}

async fn text(client: &mut Client, tool: &str, arguments: Value) -> String {
    let result = client.call(tool, arguments).await.expect("a result");
    result["content"][0]["text"].as_str().expect("a text").to_owned()
}

async fn found(client: &mut Client, arguments: Value) -> Vec<i64> {
    let result = client.call("search", arguments).await.expect("a result");
    let notes = result["structuredContent"].as_array().expect("an array");
    notes.iter().map(|note| note["id"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn notes_are_added_found_imported_and_read() {
    let mut client = Client::of(server(&notes()));
    let tea = json!({"text": "Buy tea", "tags": ["home", "shop"], "source": {"title": "A list"}, "priority": "high"});
    let added = client.call("add", tea).await.expect("a result");
    assert_eq!(
        added["structuredContent"],
        json!({"id": 1, "text": "Buy tea", "tags": ["home", "shop"], "source": {"title": "A list", "url": null}, "priority": "high"})
    );
    let more = json!({"notes": [{"text": "Buy milk", "tags": ["shop"]}, {"text": "Sleep"}]});
    client.told();
    assert_eq!(text(&mut client, "import", more).await, "2 notes were added.");
    let told = client.told();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1]["params"]["message"], "Sleep");
    for (search, ids) in [
        (json!({}), vec![1, 2, 3]),
        (json!({"text": "Buy"}), vec![1, 2]),
        (json!({"tag": "home"}), vec![1]),
        (json!({"text": "milk", "tag": "home"}), vec![]),
    ] {
        assert_eq!(found(&mut client, search.clone()).await, ids, "{search}");
    }
    for (uri, len) in [("notes://all", 3), ("notes://tag/shop", 2), ("notes://tag/none", 0)] {
        let read = client.request("resources/read", json!({"uri": uri})).await.expect("contents");
        let notes: Vec<Value> =
            serde_json::from_str(read["contents"][0]["text"].as_str().expect("a text")).expect("JSON");
        assert_eq!(notes.len(), len, "{uri}");
    }
    let help = client.request("resources/read", json!({"uri": "notes://help"})).await.expect("contents");
    assert!(help["contents"][0]["text"].as_str().expect("a text").starts_with("# Notes"));
    let prompt = json!({"name": "summarize", "arguments": {"tag": "shop"}});
    let prompt = client.request("prompts/get", prompt).await.expect("a prompt");
    assert!(prompt["messages"][0]["content"]["text"].as_str().expect("a text").ends_with("Buy tea\nBuy milk"));
    for reference in [
        json!({"type": "ref/prompt", "name": "summarize"}),
        json!({"type": "ref/resource", "uri": "notes://tag/{tag}"}),
    ] {
        let params = json!({"ref": reference, "argument": {"name": "tag", "value": "s"}});
        let completed = client.request("completion/complete", params).await.expect("completions");
        assert_eq!(completed["completion"]["values"], json!(["shop"]));
    }
    let chart = client.call("chart", json!({})).await.expect("a result");
    assert_eq!(
        (&chart["content"][0]["type"], &chart["content"][0]["mimeType"]),
        (&json!("image"), &json!("image/svg+xml"))
    );
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused_with_the_place() {
    let mut client = Client::of(server(&notes()));
    for (arguments, place) in [
        (json!({}), "text"),
        (json!({"text": "a", "priority": "urgent"}), "priority"),
        (json!({"text": "a", "source": {"titel": "b"}}), "source"),
        (json!({"text": "a", "tags": "b"}), "tags"),
    ] {
        let said = text(&mut client, "add", arguments.clone()).await;
        assert!(said.contains(place), "{arguments}: {said}");
    }
    assert_eq!(found(&mut client, json!({})).await, [0_i64; 0]);
}

#[tokio::test]
async fn note_is_deleted_only_if_the_user_agrees() {
    let notes = notes();
    for (answer, says, left) in [
        (Answer::decline(), "The user did not agree.", 1),
        (Answer::accept(json!({"sure": false})), "The user did not agree.", 1),
        (Answer::accept(json!({"sure": true})), "The note is deleted.", 0),
        (Answer::accept(json!({"sure": true})), "There is no note of this number.", 0),
    ] {
        for revision in [Version::V2026_07_28, Version::V2025_11_25] {
            let (of_note, answer) = (Arc::clone(&notes), answer.clone());
            if left == 0 && says.contains("deleted") || left == 1 {
                let all = of_note.0.find("", None).expect("notes");
                if all.is_empty() {
                    let draft = json!({"text": "Old"});
                    Client::of(server(&notes)).call("add", draft).await.expect("a result");
                }
            }
            let id = of_note.0.find("", None).expect("notes").first().map_or(999, |note| note.id);
            let mut client = Client::of(server(&notes)).revision(revision).answers(move |question| {
                assert_eq!(question.message(), "Delete the note \"Old\"?");
                answer.clone()
            });
            assert_eq!(text(&mut client, "delete", json!({"id": id})).await, says);
            assert_eq!(notes.0.find("", None).expect("notes").len(), left);
        }
    }
}

#[tokio::test]
async fn tools_that_change_notes_need_the_scope() {
    let client = Client::of(server(&notes()));
    let reader = Caller::new("ada").with_scope("notes.read");
    for (caller, tool, may) in [
        (reader.clone(), "search", true),
        (reader.clone(), "add", false),
        (reader.clone(), "delete", false),
        (reader.with_scope("notes.write"), "add", true),
    ] {
        let arguments = if tool == "add" { json!({"text": "a"}) } else { json!({}) };
        let outcome = client.clone().caller(caller.clone()).call(tool, arguments).await;
        assert_eq!(outcome.is_ok(), may, "{caller:?} {tool} {outcome:?}");
    }
}

#[tokio::test]
async fn own_route_counts_the_notes() {
    use tower::ServiceExt;
    let notes = notes();
    Client::of(server(&notes)).call("add", json!({"text": "a"})).await.expect("a result");
    let request = axum::http::Request::get("/count").body(axum::body::Body::empty()).expect("a request");
    let response = routes(&notes).oneshot(request).await.expect("a response");
    let body = axum::body::to_bytes(response.into_body(), 100).await.expect("a body");
    assert_eq!(body, "1 notes");
}

#[test]
fn program_serves_over_standard_input_and_output() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_notes"))
        .args(["--stdio", ":memory:"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "add", "arguments": {"text": "a"}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    let mut input = program.stdin.take().expect("an input");
    writeln!(input, "{call}").expect("it reads");
    let mut line = String::new();
    BufReader::new(program.stdout.take().expect("an output")).read_line(&mut line).expect("a line");
    let answer: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(answer["result"]["structuredContent"]["id"], 1, "{answer}");
    drop(input);
    assert!(program.wait().expect("it ends").success());
}

/// The example must stay as short as it claims to be.
#[test]
fn server_has_at_most_150_lines_without_its_store() {
    let lines =
        |source: &str| source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    let all = lines(include_str!("../src/main.rs")) + lines(include_str!("../src/lib.rs"));
    assert!(all <= 150, "{all}");
    assert!(lines(include_str!("../run/src/main.rs")) <= 20);
}
