//! Equivalent spellings: variants that clients may write and that the server must accept.

use crate::device::{Board, SERVER, call, topics};
use crate::endpoint::boot;
use crate::implementations::{Http, headers};
use crate::modern::{Client, request};
use attache_core::embassy::Deadlines;
use attache_host::{Ctx, NoArgs, Resource, ResourceRequest, Server, ServerBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
struct Numbers {
    needed: u8,
    optional: Option<u8>,
}

fn server() -> ServerBuilder {
    Server::new("lenient", "1")
        .logging()
        .subscriptions()
        .tool("echo", "Says it", |_: NoArgs, _: Ctx| async { "said" })
        .tool("add", "Adds", |numbers: Numbers, _: Ctx| async move {
            format!("{}", numbers.needed + numbers.optional.unwrap_or(1))
        })
        .with_resource(Resource::new(
            "at://a%2Fb",
            "escaped",
            "text/plain",
            |read: ResourceRequest, _: Ctx| async move { read.uri().to_owned() },
        ))
        .with_template(Resource::new(
            "at://x%c3%a9/{id}",
            "x",
            "text/plain",
            |read: ResourceRequest, _: Ctx| async move { read.variable("id").to_owned() },
        ))
}

#[test]
fn null_for_an_optional_member_of_the_protocol_is_absence_and_for_an_argument_only_where_its_type_says_so() {
    let client = Client::of(server());
    let meta = json!({"progressToken": null, "io.modelcontextprotocol/logLevel": null, "traceparent": null});
    for params in [
        json!({"name": "echo", "arguments": null}),
        json!({"name": "echo", "arguments": null, "_meta": meta}),
        json!({"name": "echo", "inputResponses": null, "requestState": null}),
        json!({"name": "echo", "cursor": null, "uri": null}),
    ] {
        assert_eq!(client.result("tools/call", params.clone())["content"][0]["text"], "said", "{params}");
    }
    assert!(client.result("tools/list", json!({"cursor": null}))["tools"].is_array());
    let sum = |arguments| client.result("tools/call", json!({"name": "add", "arguments": arguments}));
    assert_eq!(sum(json!({"needed": 1, "optional": null}))["content"][0]["text"], "2");
    assert_eq!(sum(json!({"needed": null, "optional": 1}))["isError"], true);
    let lists = json!({"toolsListChanged": true, "promptsListChanged": null, "resourceSubscriptions": null});
    let mut stream = client.open("subscriptions/listen", json!({"notifications": lists}));
    let acknowledged = stream.event().expect("an acknowledgement");
    assert_eq!(acknowledged["params"]["notifications"], json!({"toolsListChanged": true}));
}

#[test]
fn params_that_are_null_are_none() {
    let client = Client::of(server());
    let headers = [("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")];
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#;
    let answer: Value = serde_json::from_slice(&client.0.post(&headers, body).body).expect("JSON");
    assert_eq!(answer["result"], json!({}));
}

#[test]
fn digits_of_percent_escapes_in_uris_are_the_same_in_either_case() {
    let client = Client::of(server());
    for (uri, text) in [
        ("at://a%2Fb", "at://a%2Fb"),
        ("at://a%2fb", "at://a%2fb"),
        ("at://x%C3%A9/%c3", "%c3"),
        ("at://x%c3%A9/7", "7"),
    ] {
        assert_eq!(client.result("resources/read", json!({"uri": uri}))["contents"][0]["text"], text, "{uri}");
    }
    for uri in ["at://a/b", "at://A%2Fb", "at://x%C3%A8/7"] {
        assert_eq!(client.refusal("resources/read", json!({"uri": uri})), (200, -32602), "{uri}");
    }
}

#[test]
fn change_of_a_resource_is_heard_in_either_spelling_of_its_uri() {
    let server = server();
    let changes = server.changes();
    let client = Client::of(server);
    let wanted = json!({"notifications": {"resourceSubscriptions": ["at://a%2fb"]}});
    let mut stream = client.open("subscriptions/listen", wanted);
    stream.event().expect("an acknowledgement");
    changes.resource("at://a%2Fb");
    assert_eq!(stream.event().expect("an update")["params"]["uri"], "at://a%2Fb");
}

#[test]
fn slash_behind_the_path_of_the_endpoint_does_not_count() {
    let host = Http::start(server());
    let topics = Box::leak(Box::new(topics()));
    let board = boot(&SERVER, topics, 2, Deadlines::DEFAULT, async |call, out| Board.answer(call, out).await);
    let list = request(1, "tools/list", json!({})).to_string();
    for (path, status) in [("/mcp", 200), ("/mcp/", 200), ("/mcp//", 404), ("/", 404), ("/mcpx", 404), ("/mcp/x", 404)]
    {
        for http in [&host, &board] {
            let answer = http.open_at("POST", path, &headers("tools/list", None), list.as_bytes());
            assert_eq!(answer.status, status, "{path}");
        }
    }
    assert_eq!(
        board
            .open_at("POST", "/mcp/?x", &headers("tools/call", Some("log")), call(1, "log", 1).to_string().as_bytes())
            .status,
        200
    );
}
