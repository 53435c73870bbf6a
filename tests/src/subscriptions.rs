//! The messages of open subscriptions.

use crate::modern::{Client, Local, Pipe, event, request};
use attache_host::{Changes, Ctx, NoArgs, Prompt, Resource, ResourceRequest, Server, ServerBuilder};
use serde_json::{Value, json};

/// A server with one entry of each kind.
fn server() -> ServerBuilder {
    Server::new("s", "1")
        .tool("tool", "d", |_: NoArgs, _: Ctx| async {})
        .with_prompt(Prompt::new("prompt", "d", |_: NoArgs, _: Ctx| async { "x" }))
        .with_resource(Resource::new("at://1", "r", "text/plain", |_: ResourceRequest, _: Ctx| async { "x" }))
}

/// A server that reports changes, and the handle to announce them.
fn changing() -> (ServerBuilder, Changes) {
    let server = server().subscriptions();
    let changes = server.changes();
    (server, changes)
}

fn listen(id: impl Into<Value>, notifications: Value) -> Value {
    request(id, "subscriptions/listen", json!({"notifications": notifications}))
}

/// The message that the server sends for the subscription `id`.
fn sent(method: &str, id: impl Into<Value>, mut params: Value) -> Value {
    params["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": id.into()});
    json!({"jsonrpc": "2.0", "method": format!("notifications/{method}"), "params": params})
}

fn acknowledged(id: impl Into<Value>, notifications: Value) -> Value {
    sent("subscriptions/acknowledged", id, json!({"notifications": notifications}))
}

fn everything() -> Value {
    json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": ["at://1"]})
}

fn tell_everything(changes: &Changes) {
    changes.tools();
    changes.prompts();
    changes.resources();
    changes.resource("at://1");
    changes.resource("at://2");
}

// SUB-01, SUB-02, SUB-03, SUB-04, RES-13, RES-14, TOOL-19, SSE-01, SSE-04, RPC-08
#[test]
fn subscription_is_acknowledged_first_and_then_gets_only_the_acknowledged_changes() {
    let (server, changes) = changing();
    let client = Client::of(server);
    let tools = |id: Value| sent("tools/list_changed", id, json!({}));
    let prompts = |id: Value| sent("prompts/list_changed", id, json!({}));
    let resources = |id: Value| sent("resources/list_changed", id, json!({}));
    let updated = |id: Value, uri: &str| sent("resources/updated", id, json!({"uri": uri}));
    for id in [json!(7), json!("7"), json!("é \"x\""), json!(-1), json!(9_007_199_254_740_993_i64)] {
        let it = || id.clone();
        for (asked, honoured, heard) in [
            (everything(), everything(), vec![tools(it()), prompts(it()), resources(it()), updated(it(), "at://1")]),
            (json!({"toolsListChanged": true}), json!({"toolsListChanged": true}), vec![tools(it())]),
            (
                json!({"toolsListChanged": false, "promptsListChanged": true}),
                json!({"promptsListChanged": true}),
                vec![prompts(it())],
            ),
            (
                json!({"resourceSubscriptions": ["at://2", "at:\u{2f}/3"], "taskIds": ["x"], "unknown": true}),
                json!({"resourceSubscriptions": ["at://2", "at://3"]}),
                vec![updated(it(), "at://2")],
            ),
        ] {
            let mut stream = client.send(&listen(it(), asked));
            assert_eq!((stream.status, stream.header("content-type")), (200, Some("text/event-stream")));
            assert_eq!(stream.header("x-accel-buffering"), Some("no"));
            assert_eq!(stream.event(), Some(acknowledged(it(), honoured)));
            // Announced twice, so that additional messages after the first round are noticed too.
            tell_everything(&changes);
            tell_everything(&changes);
            for message in heard.iter().chain(&heard) {
                assert_eq!(stream.event().as_ref(), Some(message));
            }
        }
    }
}

// SUB-02
#[tokio::test]
async fn subscription_to_what_the_server_does_not_have_is_acknowledged_without_it() {
    for (server, honoured) in [
        (Server::new("s", "1").tool("tool", "d", |_: NoArgs, _: Ctx| async {}), json!({"toolsListChanged": true})),
        (
            Server::new("s", "1").with_prompt(Prompt::new("p", "d", |_: NoArgs, _: Ctx| async { "x" })),
            json!({"promptsListChanged": true}),
        ),
    ] {
        let server = server.subscriptions();
        let changes = server.changes();
        let mut local = Local::of(server);
        let mut body = local.open(&listen(1, everything())).await.into_body();
        assert_eq!(event(&mut body).await, Some(acknowledged(1, honoured.clone())));
        tell_everything(&changes);
        let only = if honoured.get("toolsListChanged").is_some() { "tools" } else { "prompts" };
        assert_eq!(event(&mut body).await, Some(sent(&format!("{only}/list_changed"), 1, json!({}))));
        tell_everything(&changes);
        assert_eq!(event(&mut body).await, Some(sent(&format!("{only}/list_changed"), 1, json!({}))));
    }
}

// SUB-05
#[tokio::test]
async fn subscription_with_a_token_and_a_level_gets_neither_progress_nor_log() {
    let server = Server::new("s", "1").logging().subscriptions().tool("tells", "d", |_: NoArgs, ctx: Ctx| async move {
        ctx.progress(1.0, None, None).await;
        ctx.log(attache_host::Level::Error, "x").await;
        ctx.changes().tools();
    });
    let meta = json!({"progressToken": 1, "io.modelcontextprotocol/logLevel": "debug"});
    let mut pipe = Pipe::to(server);
    pipe.ask("l", "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}, "_meta": meta})).await;
    assert_eq!(pipe.hear().await["method"], "notifications/subscriptions/acknowledged");
    pipe.ask("c", "tools/call", json!({"name": "tells", "_meta": {"progressToken": 2}})).await;
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(pipe.hear().await);
    }
    let of_listen: Vec<_> = heard
        .iter()
        .filter(|message| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "l")
        .collect();
    assert_eq!(of_listen, [&sent("tools/list_changed", "l", json!({}))]);
    assert_eq!(heard.iter().filter(|message| message["params"]["progressToken"] == 2).count(), 1);
    assert_eq!(heard.iter().filter(|message| message["id"] == "c").count(), 1);
}

// SUB-04, SUB-07, CAN-03, CAN-05
#[tokio::test]
async fn subscriptions_of_one_connection_get_changes_under_their_own_ids_until_one_is_cancelled() {
    let (server, changes) = changing();
    let mut pipe = Pipe::to(server);
    pipe.say(&listen(1, json!({"toolsListChanged": true}))).await;
    assert_eq!(pipe.hear().await, acknowledged(1, json!({"toolsListChanged": true})));
    pipe.say(&listen("1", json!({"toolsListChanged": true, "promptsListChanged": true}))).await;
    assert_eq!(pipe.hear().await, acknowledged("1", json!({"toolsListChanged": true, "promptsListChanged": true})));
    changes.tools();
    let mut both = [pipe.hear().await, pipe.hear().await];
    both.sort_by_key(Value::to_string);
    assert_eq!(both, [sent("tools/list_changed", "1", json!({})), sent("tools/list_changed", 1, json!({}))]);
    changes.prompts();
    assert_eq!(pipe.hear().await, sent("prompts/list_changed", "1", json!({})));
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    pipe.say(&cancel).await;
    pipe.ask("alive", "server/discover", json!({})).await;
    assert_eq!(pipe.hear().await["id"], "alive");
    changes.tools();
    assert_eq!(pipe.hear().await, sent("tools/list_changed", "1", json!({})));
    changes.prompts();
    assert_eq!(pipe.hear().await, sent("prompts/list_changed", "1", json!({})));
    assert_eq!(pipe.end().await, [] as [Value; 0]);
}

// SUB-07, SUB-08
#[test]
fn dropped_subscription_leaves_the_others_and_a_new_one_gets_only_later_changes() {
    let (server, changes) = changing();
    let client = Client::of(server);
    let open = |id: &str| {
        let mut stream = client.send(&listen(id, json!({"toolsListChanged": true})));
        assert_eq!(stream.event(), Some(acknowledged(id, json!({"toolsListChanged": true}))));
        stream
    };
    let (first, mut second) = (open("a"), open("a"));
    drop(first);
    changes.tools();
    assert_eq!(second.event(), Some(sent("tools/list_changed", "a", json!({}))));
    let mut third = open("c");
    changes.tools();
    assert_eq!(third.event(), Some(sent("tools/list_changed", "c", json!({}))));
}

// RPC-13, RPC-14, DISC-03
#[test]
fn subscription_at_a_server_that_has_none_is_an_unknown_method() {
    let client = Client::of(server());
    let capabilities = client.result("server/discover", json!({}))["capabilities"].take();
    assert_eq!(capabilities, json!({"tools": {}, "prompts": {}, "resources": {}}));
    assert_eq!(client.refusal("subscriptions/listen", json!({"notifications": everything()})), (404, -32601));
    let capabilities = Client::of(changing().0).result("server/discover", json!({}))["capabilities"].take();
    let changes = json!({"listChanged": true});
    assert_eq!(
        capabilities,
        json!({"tools": changes, "prompts": changes, "resources": {"listChanged": true, "subscribe": true}})
    );
}

// SUB-01, RPC-06
#[test]
fn filter_that_is_malformed_is_refused_without_a_stream() {
    let client = Client::of(changing().0);
    for params in [
        json!({}),
        json!({"notifications": null}),
        json!({"notifications": []}),
        json!({"notifications": true}),
        json!({"notifications": {"toolsListChanged": "yes"}}),
        json!({"notifications": {"promptsListChanged": 1}}),
        json!({"notifications": {"resourceSubscriptions": "at://1"}}),
        json!({"notifications": {"resourceSubscriptions": ["at://1", 2]}}),
        json!({"notifications": {"resourceSubscriptions": {"at://1": true}}}),
    ] {
        assert_eq!(client.refusal("subscriptions/listen", params.clone()), (200, -32602), "{params}");
    }
}

// SUB-02, SUB-07, HTTP-17
#[tokio::test]
async fn thousands_of_subscriptions_stay_open_and_all_get_a_change() {
    let (server, changes) = changing();
    let mut local = Local::of(server);
    let mut open = Vec::new();
    for id in 0..2000 {
        let filter = json!({"toolsListChanged": true, "resourceSubscriptions": [format!("at://{id}")]});
        let mut body = local.open(&listen(id, filter.clone())).await.into_body();
        assert_eq!(event(&mut body).await, Some(acknowledged(id, filter)));
        open.push(body);
    }
    changes.resource("at://1234");
    changes.tools();
    for (id, body) in open.iter_mut().enumerate() {
        if id == 1234 {
            assert_eq!(event(body).await, Some(sent("resources/updated", id, json!({"uri": "at://1234"}))));
        }
        assert_eq!(event(body).await, Some(sent("tools/list_changed", id, json!({}))));
    }
}

// SUB-03, TOOL-19
#[tokio::test]
async fn subscription_that_fell_behind_is_told_of_each_list_it_wants() {
    let (server, changes) = changing();
    let mut local = Local::of(server);
    let filter = json!({"toolsListChanged": true, "promptsListChanged": true});
    let mut body = local.open(&listen(1, filter.clone())).await.into_body();
    assert_eq!(event(&mut body).await, Some(acknowledged(1, filter)));
    for _ in 0..10_000 {
        changes.resource("at://1");
    }
    assert_eq!(event(&mut body).await, Some(sent("tools/list_changed", 1, json!({}))));
    assert_eq!(event(&mut body).await, Some(sent("prompts/list_changed", 1, json!({}))));
}

// RES-13
#[tokio::test]
async fn subscription_that_fell_behind_is_told_of_each_resource_it_wants() {
    let (server, changes) = changing();
    let mut local = Local::of(server);
    let filter = json!({"resourceSubscriptions": ["at://1", "at://\"2\""]});
    let mut body = local.open(&listen(1, filter.clone())).await.into_body();
    assert_eq!(event(&mut body).await, Some(acknowledged(1, filter)));
    changes.resource("at://1");
    for _ in 0..10_000 {
        changes.tools();
    }
    assert_eq!(event(&mut body).await, Some(sent("resources/updated", 1, json!({"uri": "at://1"}))));
    assert_eq!(event(&mut body).await, Some(sent("resources/updated", 1, json!({"uri": "at://\"2\""}))));
}

// LEG-09
#[test]
fn legacy_client_has_no_subscriptions_and_needs_a_session_for_its_own_kind() {
    let client = Client::of(changing().0);
    let legacy = [("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")];
    let ask = |method: &str, params: Value| -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        serde_json::from_slice(&client.0.post(&legacy, body.as_bytes()).body).expect("JSON")
    };
    assert_eq!(ask("subscriptions/listen", json!({"notifications": everything()}))["error"]["code"], -32601);
    assert_eq!(ask("resources/subscribe", json!({"uri": "at://1"}))["error"]["code"], -32600);
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    assert_eq!(
        ask("initialize", hello)["result"]["capabilities"],
        json!({
            "tools": {"listChanged": true}, "prompts": {"listChanged": true},
            "resources": {"listChanged": true, "subscribe": true},
        })
    );
}
