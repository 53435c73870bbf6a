//! The exact differences between revisions: the version that a handshake agrees on, and the members
//! that clients of each revision see, over HTTP and over lines.

use crate::implementations::Http;
use attache_host::{Content, Ctx, Json, NoArgs, Server, ServerBuilder, Tool, ToolOutput};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[derive(JsonSchema, Serialize)]
struct Sum {
    sum: i64,
}

fn server() -> ServerBuilder {
    Server::new("revisions", "1")
        .logging()
        .subscriptions()
        .completion(|_, _| async { vec![] })
        .with_tool(
            Tool::new("sum", "Has everything", |_: NoArgs, _: Ctx| async { Json(Sum { sum: 3 }) })
                .title("Sum")
                .read_only()
                .icons(json!([{"src": "https://example.com/i.png"}])),
        )
        .with_tool(Tool::new("list", "Not an object", |_: NoArgs, _: Ctx| async { Json(vec![1, 2]) }))
        .tool("blocks", "Blocks of all kinds", |_: NoArgs, _: Ctx| async {
            ToolOutput::new([
                Content::Audio { mime_type: "audio/wav".into(), data: vec![1] },
                Content::Link { uri: "at://x".into(), name: "x".into() },
            ])
        })
}

/// The members that clients of one revision see.
struct Shown {
    version: &'static str,
    title: bool,
    annotations: bool,
    icons: bool,
    structured: bool,
    completions: bool,
    blocks: [&'static str; 2],
}

const ALL: [Shown; 4] = [
    Shown {
        version: "2024-11-05",
        title: false,
        annotations: false,
        icons: false,
        structured: false,
        completions: false,
        blocks: ["text", "text"],
    },
    Shown {
        version: "2025-03-26",
        title: false,
        annotations: true,
        icons: false,
        structured: false,
        completions: true,
        blocks: ["audio", "text"],
    },
    Shown {
        version: "2025-06-18",
        title: true,
        annotations: true,
        icons: false,
        structured: true,
        completions: true,
        blocks: ["audio", "resource_link"],
    },
    Shown {
        version: "2025-11-25",
        title: true,
        annotations: true,
        icons: true,
        structured: true,
        completions: true,
        blocks: ["audio", "resource_link"],
    },
];

/// The messages of a conversation of one revision, after the handshake.
fn conversation() -> [Value; 5] {
    [
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "sum"}}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "list"}}),
        json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "blocks"}}),
        json!({"jsonrpc": "2.0", "id": 5, "method": "server/discover"}),
    ]
}

fn hello(version: &str) -> Value {
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

fn check(shown: &Shown, hello: &Value, answers: [Value; 5]) {
    let version = shown.version;
    let [list, sum, array, blocks, discover] = answers;
    assert_eq!(hello["result"]["protocolVersion"], version);
    let capabilities = &hello["result"]["capabilities"];
    assert_eq!(capabilities.get("completions").is_some(), shown.completions, "{version}");
    assert_eq!(capabilities["tools"], json!({"listChanged": true}), "{version}");
    assert_eq!(capabilities["logging"], json!({}), "{version}");
    let tool = &list["result"]["tools"][0];
    assert_eq!((tool["name"].as_str(), &tool["inputSchema"]["type"]), (Some("sum"), &json!("object")));
    for (member, there) in [
        ("title", shown.title),
        ("annotations", shown.annotations),
        ("icons", shown.icons),
        ("outputSchema", shown.structured),
    ] {
        assert_eq!(tool.get(member).is_some(), there, "{version} {member}: {tool}");
    }
    assert_eq!(list["result"]["tools"][1].get("outputSchema"), None, "{version}: no schema of an array");
    assert_eq!(sum["result"].get("structuredContent").is_some(), shown.structured, "{version}: {sum}");
    assert_eq!(sum["result"]["content"][0]["text"], r#"{"sum":3}"#);
    assert_eq!(array["result"].get("structuredContent"), None, "{version}: {array}");
    let kinds = [0, 1].map(|at| blocks["result"]["content"][at]["type"].clone());
    assert_eq!(kinds, shown.blocks, "{version}: {blocks}");
    for answer in [&list, &sum, &array, &blocks] {
        for member in ["resultType", "ttlMs", "cacheScope", "_meta"] {
            assert_eq!(answer["result"].get(member), None, "{version} {member}: {answer}");
        }
    }
    assert!(discover["error"].is_object(), "{version}");
}

// VER-02, LEG-01, LEG-02
#[test]
fn each_revision_is_negotiated_and_gets_only_its_own_members_over_http() {
    let http = Http::start(server());
    for shown in &ALL {
        let json = [("host", "localhost"), ("content-type", "application/json")];
        let answer = http.open(&json, hello(shown.version).to_string().as_bytes());
        let session = answer.header("mcp-session-id").expect("a session").to_owned();
        let agreed = serde_json::from_slice(&answer.rest()).expect("JSON");
        let answers = conversation().map(|message| {
            let mut headers = json.to_vec();
            headers.push(("mcp-session-id", &session));
            serde_json::from_slice(&http.post(&headers, message.to_string().as_bytes()).body).expect("JSON")
        });
        check(shown, &agreed, answers);
    }
}

// VER-02, LEG-01, LEG-02
#[tokio::test]
async fn each_revision_is_negotiated_and_gets_only_its_own_members_over_lines() {
    for shown in &ALL {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (input, output) = tokio::io::split(theirs);
        tokio::spawn(attache_host::stdio::serve(server().build(), input, output));
        let (reading, mut writing) = tokio::io::split(ours);
        let mut lines = BufReader::new(reading).lines();
        let mut ask = async |message: &Value| -> Value {
            writing.write_all(format!("{message}\n").as_bytes()).await.expect("it reads");
            serde_json::from_str(&lines.next_line().await.expect("a line").expect("an answer")).expect("JSON")
        };
        let agreed = ask(&hello(shown.version)).await;
        let mut answers = [(); 5].map(|()| Value::Null);
        for (slot, message) in answers.iter_mut().zip(conversation()) {
            *slot = ask(&message).await;
        }
        check(shown, &agreed, answers);
    }
}

// VER-03, LEG-03
#[test]
fn version_that_is_not_served_is_countered_with_the_newest_and_never_echoed() {
    let http = Http::start(server());
    for asked in ["2023-01-01", "2025-06-17", "2026-07-28", "v1", ""] {
        let json = [("host", "localhost"), ("content-type", "application/json")];
        let answer = http.post(&json, hello(asked).to_string().as_bytes());
        let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{asked}");
    }
}
