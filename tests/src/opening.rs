//! The result of opening a message: the method and the revision for the driver's log, and the
//! replies of the driver for handlers that return at once.

use crate::modern::request;
use attache_core::auth::{Access, Authenticated};
use attache_core::era::{Client, Session, Version};
use attache_core::exchange::{Carrier, answer, open};
use attache_core::http::HeadFacts;
use attache_core::json::Slice;
use attache_core::mcp::Server;
use attache_core::tool::Tables;
use serde_json::{Value, json};

const OFFERS: Tables<'static> = Tables::of_tools(crate::demo::tools::TOOLS)
    .with_resources(crate::device::resources::RESOURCES, &[])
    .with_subscriptions()
    .with_logging();
static SERVER: Server<'static> = Server::new("opening", "1", &OFFERS).with_sessions();

const WHO: &Authenticated<'static> = &Authenticated::anonymous(&Access::Anonymous);

fn legacy(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn hello() -> Value {
    legacy(
        "initialize",
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}),
    )
}

fn session() -> Session {
    Session { version: Version::V2025_06_18, client: Client::NONE, name: [1; 16], home: [0; 4], ends: u64::MAX }
}

#[test]
fn opened_message_names_its_method_and_its_revision() {
    const MODERN: Option<Version> = Some(Version::V2026_07_28);
    const JUNE: Option<Version> = Some(Version::V2025_06_18);
    let facts = &HeadFacts::new(b"POST");
    let (line, agreed) = (Carrier::Line(None), Carrier::Line(JUNE));
    let (session, unknown) = (Carrier::Session(facts, session()), Carrier::UnknownSession(facts));
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"});
    let response = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    for (carrier, body, method, version) in [
        (line, request(1, "tools/call", json!({"name": "echo"})), "tools/call", MODERN),
        (line, request(1, "tools/call", json!({"name": "unknown"})), "tools/call", MODERN),
        (agreed, request(1, "server/discover", json!({})), "server/discover", MODERN),
        (line, request(1, "subscriptions/listen", json!({"notifications": {}})), "subscriptions/listen", MODERN),
        (line, request(1, "tools/Call", json!({})), "unknown", MODERN),
        (line, request(1, "notifications/progress", json!({})), "notifications/progress", MODERN),
        (agreed, legacy("tools/list", json!({})), "tools/list", JUNE),
        (session, legacy("logging/setLevel", json!({"level": "error"})), "logging/setLevel", JUNE),
        (Carrier::Http(facts), legacy("ping", json!({})), "ping", Some(Version::V2025_03_26)),
        (line, hello(), "initialize", JUNE),
        (unknown, hello(), "initialize", JUNE),
        // No revision is known before the request names one.
        (line, legacy("tools/list", json!({})), "tools/list", None),
        (agreed, hello(), "initialize", None),
        (unknown, legacy("tools/list", json!({})), "tools/list", None),
        (unknown, notification.clone(), "notifications/roots/list_changed", None),
        (unknown, response.clone(), "response", None),
        (agreed, notification, "notifications/roots/list_changed", None),
        (agreed, response, "response", None),
        (Carrier::Http(facts), json!([hello()]), "none", None),
        (line, json!({"jsonrpc": "2.0", "id": {}, "method": "ping"}), "none", None),
        (line, json!(1), "none", None),
    ] {
        let opened = open(&SERVER, WHO, carrier, body.to_string().as_bytes());
        assert_eq!((opened.method.as_str(), opened.version), (method, version), "{carrier:?} {body}");
    }
    assert_eq!(open(&SERVER, WHO, line, b"{").method.as_str(), "none");
}

// SESS-04
#[test]
fn unknown_session_is_reported_with_the_id_of_the_request_whatever_else_is_wrong() {
    let facts = &HeadFacts::new(b"POST");
    for (body, id) in [
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[]}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"method":7}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, Value::Null),
        (r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#, Value::Null),
        ("{", Value::Null),
    ] {
        let reply = answered(Carrier::UnknownSession(facts), body).expect("a reply");
        assert_eq!((&reply["error"]["code"], &reply["id"]), (&json!(-32600), &id), "{body}");
        assert!(
            reply["error"]["message"].as_str().is_some_and(|text| text.starts_with("Session not found")),
            "{reply}"
        );
    }
    let opened = answered(Carrier::UnknownSession(facts), &hello().to_string()).expect("a reply");
    assert_eq!(opened["result"]["protocolVersion"], "2025-06-18");
}

/// Returns the reply of the driver for handlers that return at once.
fn answered(carrier: Carrier<'_>, body: &str) -> Option<Value> {
    let mut room = [0; 1024];
    let mut out = Slice::new(&mut room);
    let reply = answer(&SERVER, WHO, carrier, body.as_bytes(), &mut out, |_, _| panic!("no call was made"))?;
    let mut emission = reply.emit(&SERVER, body.as_bytes(), out.written());
    let mut bytes = vec![0; emission.len()];
    emission.fill(&mut bytes);
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

#[test]
fn driver_without_subscriptions_refuses_them_and_confirms_nothing_that_it_does_not_store() {
    let line = Carrier::Line(Some(Version::V2025_11_25));
    let uri = json!({"uri": "board://log"});
    for (method, body) in [
        ("subscriptions/listen", request(1, "subscriptions/listen", json!({"notifications": {}}))),
        ("logging/setLevel", legacy("logging/setLevel", json!({"level": "error"}))),
        ("resources/subscribe", legacy("resources/subscribe", uri.clone())),
        ("resources/unsubscribe", legacy("resources/unsubscribe", uri)),
    ] {
        let reply = answered(line, &body.to_string()).expect("a reply");
        assert_eq!((&reply["error"]["code"], &reply["id"]), (&json!(-32603), &json!(1)), "{method}: {reply}");
    }
    assert_eq!(answered(line, &legacy("ping", json!({})).to_string()).expect("a reply")["result"], json!({}));
}
