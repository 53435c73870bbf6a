//! Entries that are added and removed while a server runs.

use crate::modern::{Client, Local, Pipe, able, event, request};
use attache_host::{Changes, Ctx, NoArgs, Prompt, Resource, ResourceRequest, Server, ServerBuilder, Tool, ToolError};
use serde_json::{Value, json};

fn tool(name: &str) -> Tool {
    let said = name.to_owned();
    Tool::new(name, "d", move |_: NoArgs, _: Ctx| {
        let said = said.clone();
        async move { said }
    })
}

fn resource(uri: &str) -> Resource {
    Resource::new(uri, "r", "text/plain", |read: ResourceRequest, _: Ctx| async move { read.uri().to_owned() })
}

fn prompt(name: &str) -> Prompt {
    Prompt::new(name, "d", |_: NoArgs, _: Ctx| async { "x" })
}

fn running() -> (ServerBuilder, Changes) {
    let server = Server::new("s", "1").subscriptions().page_size(2).with_tool(tool("a")).with_tool(tool("b"));
    let changes = server.changes();
    (server, changes)
}

fn names(list: &Value) -> Vec<&str> {
    let tools = list["tools"].as_array().expect("a list");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect()
}

fn call(client: &Client, name: &str) -> Value {
    client.ask("tools/call", json!({"name": name})).1
}

// TOOL-02, TOOL-04, TOOL-08, TOOL-19, PAG-02
#[test]
fn tool_added_and_removed_while_running_is_listed_called_and_told_of() {
    let (server, changes) = running();
    let client = Client::of(server);
    let filter = json!({"toolsListChanged": true});
    let mut stream = client.send(&request(7, "subscriptions/listen", json!({"notifications": filter})));
    stream.event().expect("the acknowledgement");
    assert_eq!(call(&client, "c")["error"]["code"], -32602);

    changes.add_tool(tool("c")).expect("free");
    assert_eq!(stream.event().expect("a change")["method"], "notifications/tools/list_changed");
    assert_eq!(call(&client, "c")["result"]["content"][0]["text"], "c");
    let first = client.result("tools/list", json!({}));
    assert_eq!(names(&first), ["a", "b"]);
    let cursor = json!({"cursor": first["nextCursor"]});
    assert_eq!(names(&client.result("tools/list", cursor.clone())), ["c"]);

    assert!(changes.remove_tool("a"));
    assert_eq!(stream.event().expect("a change")["method"], "notifications/tools/list_changed");
    assert_eq!(call(&client, "a")["error"]["code"], -32602);
    for (name, text) in [("b", "b"), ("c", "c")] {
        assert_eq!(call(&client, name)["result"]["content"][0]["text"], text);
    }
    assert_eq!(client.refusal("tools/list", cursor), (200, -32602), "a cursor into the list as it was");
    assert_eq!(names(&client.result("tools/list", json!({}))), ["b", "c"]);
}

#[test]
fn name_that_is_taken_is_refused_and_one_that_is_gone_is_free_again() {
    let (server, changes) = running();
    let client = Client::of(server);
    let taken = changes.add_tool(tool("a")).expect_err("taken");
    assert_eq!(taken.to_string(), "there is already a tool \"a\"");
    assert!(changes.remove_tool("a"));
    assert!(!changes.remove_tool("a"));
    changes.add_tool(tool("a")).expect("free again");
    assert_eq!(names(&client.result("tools/list", json!({}))), ["b", "a"]);
}

// DISC-03, PRM-01, RES-01, RES-14
#[test]
fn kind_that_is_offered_for_the_first_time_is_declared_and_stays_so_without_entries() {
    let (server, changes) = running();
    let client = Client::of(server);
    let declared = || client.result("server/discover", json!({}))["capabilities"].take();
    assert_eq!(client.refusal("prompts/list", json!({})), (404, -32601));
    changes.add_prompt(prompt("p")).expect("free");
    changes.add_resource(resource("at://1")).expect("free");
    changes.add_template(resource("at://{x}/y")).expect("free");
    let all = json!({
        "tools": {"listChanged": true}, "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true},
    });
    assert_eq!(declared(), all);
    assert_eq!(client.result("resources/read", json!({"uri": "at://1"}))["contents"][0]["text"], "at://1");
    assert_eq!(client.result("resources/read", json!({"uri": "at://2/y"}))["contents"][0]["text"], "at://2/y");
    assert!(changes.remove_prompt("p") && changes.remove_resource("at://1") && changes.remove_template("at://{x}/y"));
    assert_eq!(client.result("prompts/list", json!({}))["prompts"], json!([]));
    assert_eq!(client.result("resources/templates/list", json!({}))["resourceTemplates"], json!([]));
    assert_eq!(client.refusal("resources/read", json!({"uri": "at://1"})), (200, -32602));
    assert_eq!(declared(), all);
}

#[tokio::test]
async fn call_that_waits_or_runs_is_answered_though_its_tool_and_those_before_it_go() {
    let (server, changes) = running();
    let handle = changes.clone();
    let mut pipe = Pipe::to(server.tool("last", "d", move |_: NoArgs, ctx: Ctx| {
        let handle = handle.clone();
        async move {
            // The first of the calls removes its own tool and all tools before it.
            for name in ["a", "b", "last"] {
                handle.remove_tool(name);
            }
            ctx.progress(1.0, None, None).await;
            tokio::task::yield_now().await;
            "done"
        }
    }));
    const CALLS: usize = 100;
    let mut lines = String::new();
    for id in 0..CALLS {
        lines += &format!("{}\n", request(id, "tools/call", json!({"name": "last"})));
    }
    // One write, so that the server reads all calls before it runs the first.
    pipe.say_all(&lines).await;
    for _ in 0..CALLS {
        assert_eq!(pipe.hear().await["result"]["content"][0]["text"], "done");
    }
    pipe.ask("after", "tools/call", json!({"name": "last"})).await;
    assert_eq!(pipe.hear().await["error"]["code"], -32602);
}

// MRTR-07
#[test]
fn state_of_a_tool_is_void_for_another_that_has_its_number_now() {
    let asks = |name: &str| {
        Tool::new(name, "d", |_: NoArgs, ctx: Ctx| async move {
            ctx.save(&1)?;
            ctx.ask("x", attache_host::Ask::Roots).map(|_| format!("kept {:?}", ctx.saved::<u8>()))
        })
    };
    let server = Server::new("s", "1").with_tool(asks("first")).with_tool(asks("second"));
    let changes = server.changes();
    let client = Client::of(server);
    let state =
        client.result("tools/call", json!({"name": "first", "_meta": able(json!({"roots": {}}))}))["requestState"]
            .take();
    let again = |name: &str| {
        let answers = json!({"x": {"roots": []}});
        client.ask("tools/call", json!({"name": name, "requestState": state, "inputResponses": answers})).1
    };
    assert!(changes.remove_tool("first"));
    assert_eq!(again("second")["error"]["code"], -32602);
    changes.add_tool(asks("first")).expect("free");
    assert_eq!(again("first")["result"]["content"][0]["text"], "kept Some(1)", "whatever its number is now");
}

// SUB-06
#[tokio::test]
async fn subscriptions_of_a_server_that_stops_end_with_their_result() {
    let (server, changes) = running();
    let mut local = Local::of(server);
    let listen = |id: u8| request(id, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let mut open = local.open(&listen(1)).await.into_body();
    event(&mut open).await.expect("the acknowledgement");
    changes.tools();
    changes.end_subscriptions();
    let mut late = local.open(&listen(2)).await.into_body();
    event(&mut late).await.expect("the acknowledgement");
    assert_eq!(event(&mut open).await.expect("told before the end")["method"], "notifications/tools/list_changed");
    for (id, mut stream) in [(1, open), (2, late)] {
        let last = event(&mut stream).await.expect("the result");
        assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(id), &json!("complete")));
        assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        assert_eq!(event(&mut stream).await, None);
    }
}

#[tokio::test]
async fn tool_that_adds_a_tool_is_told_of_on_its_own_line() {
    let server = Server::new("s", "1").subscriptions().tool("grow", "d", |_: NoArgs, ctx: Ctx| async move {
        ctx.changes().add_tool(tool("grown"))?;
        Ok::<_, ToolError>("added")
    });
    let mut pipe = Pipe::to(server);
    pipe.ask("l", "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
    pipe.hear().await;
    pipe.ask("c", "tools/call", json!({"name": "grow"})).await;
    let mut heard = [pipe.hear().await, pipe.hear().await];
    heard.sort_by_key(|message| message["id"].is_string());
    assert_eq!(heard[0]["method"], "notifications/tools/list_changed");
    assert_eq!(heard[1]["result"]["content"][0]["text"], "added");
}
