//! Discovery, and unknown members of a request that must not change its answer.

use crate::implementations::{Http, headers};
use crate::modern::{Client, request};
use attache_host::{Ctx, NoArgs, Resource, ResourceRequest, Server, ServerBuilder};
use serde_json::{Value, json};

fn server() -> ServerBuilder {
    let tool = |_: NoArgs, ctx: Ctx| async move { format!("{:?}", ctx.version()) };
    let resource = Resource::new("at://1", "r", "text/plain", |_: ResourceRequest, _: Ctx| async { "x" });
    Server::new("s \"1\"", "1.0").instructions("Use\nme").tool("tool", "d", tool).with_resource(resource)
}

// VER-01, DISC-01, DISC-02, DISC-03, DISC-04, META-02, META-06, CACHE-01, TASK-13
#[test]
fn discovery_as_the_first_request_names_versions_and_capabilities_and_hints() {
    let result = Client::of(server()).result("server/discover", json!({}));
    assert_eq!(
        result,
        json!({
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}, "resources": {}},
            "instructions": "Use\nme",
            "ttlMs": 60_000,
            "cacheScope": "public",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s \"1\"", "version": "1.0"}},
        })
    );
}

// META-02, META-05, META-08, META-13, RPC-21, HTTP-12, HTTP-13, HTTP-16, EXT-02, TASK-10
#[test]
fn unknown_members_of_a_request_do_not_change_its_answer() {
    let host = Http::start(server());
    let ask = |meta: Value, member: Value, more: &[(&str, &str)]| -> Value {
        let mut body =
            request(1, "tools/call", json!({"name": "tool", "_meta": meta, "unknown": member, "task": {"ttl": 1}}));
        body["unknown"] = json!([1]);
        let mut head = headers("tools/call", Some("tool"));
        head.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        head.extend(more);
        let answer = host.open(&head, body.to_string().as_bytes());
        assert_eq!((answer.status, answer.header("mcp-session-id")), (200, None), "{meta} {more:?}");
        serde_json::from_slice(&answer.rest()).expect("JSON")
    };
    let plain = ask(json!({}), json!(null), &[]);
    assert_eq!(plain["result"]["content"][0]["text"], "V2026_07_28");
    for meta in [
        json!({"io.modelcontextprotocol/clientInfo": {"name": "evil", "version": "1"}}),
        json!({"io.modelcontextprotocol/clientInfo": 7}),
        json!({"traceparent": "00-x", "tracestate": 1, "baggage": null}),
        json!({"io.modelcontextprotocol/unheard": {}, "example.com/own": [1], "": ""}),
        json!({"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}, "x": 1}}),
        json!({"progressToken": {"no": "token"}}),
    ] {
        assert_eq!(ask(meta.clone(), json!({"a": 1}), &[]), plain, "{meta}");
    }
    for more in [
        ("mcp-session-id", "made up"),
        ("last-event-id", "7"),
        ("accept", "*/*"),
        ("accept", "application/json;q=0.5,text/event-stream"),
        ("x-unknown", "x"),
    ] {
        assert_eq!(ask(json!({}), json!(null), &[more]), plain, "{more:?}");
    }
}

// HTTP-08, HTTP-09, HDR-15, RPC-07
#[test]
fn notification_is_taken_without_mirrored_headers_and_refused_with_a_version_that_is_not_served() {
    let host = Http::start(server());
    let bare = [("host", "localhost"), ("content-type", "application/json")];
    let body = json!({"jsonrpc": "2.0", "method": "notifications/unheard_of"}).to_string();
    let taken = host.open(&bare, body.as_bytes());
    assert_eq!((taken.status, taken.header("content-type")), (202, None));
    assert_eq!(taken.rest(), b"");
    let refused = host.open(&[&bare[..], &[("mcp-protocol-version", "2099-01-01")]].concat(), body.as_bytes());
    assert_eq!(refused.status, 400);
    let answer: Value = serde_json::from_slice(&refused.rest()).expect("JSON");
    assert_eq!((answer["error"]["code"].is_i64(), answer.get("id")), (true, None), "{answer}");
}

// VER-02, VER-03, VER-04, RPC-06
#[test]
fn version_that_is_not_served_over_http_is_refused_with_versions_that_discovery_names() {
    let client = Client::of(server());
    let served = client.result("server/discover", json!({}))["supportedVersions"].take();
    for version in ["v999.0.0", "2099-01-01"] {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": version});
        let body = request("v", "tools/list", json!({"_meta": meta})).to_string();
        let mut head = headers("tools/list", None);
        head.retain(|(name, _)| *name != "mcp-protocol-version");
        head.push(("mcp-protocol-version", version));
        let answer = client.0.open(&head, body.as_bytes());
        assert_eq!(answer.status, 400, "{version}");
        let answer: Value = serde_json::from_slice(&answer.rest()).expect("JSON");
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("v"), &json!(-32022)), "{answer}");
        assert_eq!(answer["error"]["data"], json!({"supported": served, "requested": version}));
    }
}
