//! Metadata of requests, and metadata of entries in lists.

use crate::modern::{Client, able};
use attache_host::{Ctx, NoArgs, Prompt, Resource, ResourceRequest, Role, Server, ServerBuilder, Tool, ToolError};
use serde_json::{Value, json};

const EXTENSION: &str = "com.example/units";

fn measuring() -> ServerBuilder {
    Server::new("s", "1")
        .tool("may", "d", |_: NoArgs, ctx: Ctx| async move { format!("{:?}", ctx.extension(EXTENSION)) })
        .tool("must", "d", |_: NoArgs, ctx: Ctx| async move {
            Ok::<_, ToolError>(ctx.require_extension(EXTENSION)?.to_string())
        })
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("a text in {result}"))
}

// VER-18, EXT-02, EXT-03, META-04
#[test]
fn extension_is_active_only_where_both_sides_declare_it() {
    let with = Client::of(measuring().extension(EXTENSION, json!({"system": "si"})));
    let without = Client::of(measuring());
    let declared = json!({"extensions": {EXTENSION: {"system": "us"}, "com.example/other": {}}});
    for (client, capabilities, may, must) in [
        (&with, declared.clone(), r#"Some(Object {"system": String("us")})"#, Some(r#"{"system":"us"}"#)),
        (&with, json!({}), "None", None),
        (&with, json!({"extensions": {"com.example/other": {}}}), "None", None),
        (&with, json!({"extensions": {EXTENSION: true}}), "None", None),
        (&without, declared, "None", None),
    ] {
        let call = |name: &str| json!({"name": name, "_meta": able(capabilities.clone())});
        assert_eq!(text(&client.result("tools/call", call("may"))), may, "{capabilities}");
        match must {
            Some(must) => assert_eq!(text(&client.result("tools/call", call("must"))), must, "{capabilities}"),
            None => {
                let (status, error) = client.error("tools/call", call("must"));
                assert_eq!((status, &error["code"]), (400, &json!(-32021)), "{capabilities}");
                assert_eq!(error["data"], json!({"requiredCapabilities": {"extensions": {EXTENSION: {}}}}));
            }
        }
    }
}

// EXT-01, EXT-02
#[test]
fn extension_is_declared_in_discovery_and_to_no_legacy_client() {
    for (server, capabilities) in [
        (Server::new("s", "1").extension(EXTENSION, json!({})), json!({"extensions": {EXTENSION: {}}})),
        (measuring(), json!({"tools": {}})),
        (
            measuring().extension(EXTENSION, json!({"x": 1})).extension("a.b/c", json!({})),
            json!({"tools": {}, "extensions": {EXTENSION: {"x": 1}, "a.b/c": {}}}),
        ),
    ] {
        let client = Client::of(server);
        assert_eq!(client.result("server/discover", json!({}))["capabilities"], capabilities);
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
        }});
        let head = [("host", "localhost"), ("content-type", "application/json")];
        let hello = client.0.post(&head, hello.to_string().as_bytes());
        let hello: Value = serde_json::from_slice(&hello.body).expect("JSON");
        assert_eq!(hello["result"]["capabilities"].get("extensions"), None);
    }
}

#[test]
#[should_panic(expected = "extension \"units\" must be named like com.example/name")]
fn extension_without_a_prefix_stops_the_program_at_its_start() {
    let _ = Server::new("s", "1").extension("units", json!({}));
}

// META-08, META-09
#[test]
fn trace_of_the_client_reaches_the_handler_if_it_is_well_formed() {
    let client = Client::of(Server::new("s", "1").tool("trace", "d", |_: NoArgs, ctx: Ctx| async move {
        format!("{:?} {:?}", ctx.trace().map(|trace| (trace.parent, trace.state)), ctx.metadata("com.example/x"))
    }));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (meta, said) in [
        (
            json!({"traceparent": parent, "tracestate": "a=b", "com.example/x": [1]}),
            format!("Some((\"{parent}\", Some(\"a=b\"))) Some(Array [Number(1)])"),
        ),
        (json!({"traceparent": parent, "tracestate": 7}), format!("Some((\"{parent}\", None)) None")),
        (json!({"traceparent": "00-x", "tracestate": "a=b"}), "None None".to_owned()),
        (json!({"traceparent": [parent]}), "None None".to_owned()),
        (json!({}), "None None".to_owned()),
    ] {
        assert_eq!(text(&client.result("tools/call", json!({"name": "trace", "_meta": meta}))), said, "{meta}");
    }
}

// ICON-01, META-07
#[test]
fn entry_is_listed_with_all_that_it_says_of_itself() {
    let icons = json!([{"src": "https://a.example/i.png", "mimeType": "image/png", "sizes": ["48x48"]}]);
    let meta = json!({"com.example/x": 1});
    let client = Client::of(
        Server::new("s", "1")
            .with_tool(
                Tool::new("t", "d", |_: NoArgs, _: Ctx| async {}).title("T").icons(icons.clone()).meta(meta.clone()),
            )
            .with_prompt(
                Prompt::new("p", "d", |_: NoArgs, _: Ctx| async { "x" })
                    .title("P")
                    .icons(icons.clone())
                    .meta(meta.clone()),
            )
            .with_resource(
                Resource::new("at://1", "r", "text/plain", |_: ResourceRequest, _: Ctx| async { "x" })
                    .title("R")
                    .icons(icons.clone())
                    .meta(meta.clone())
                    .size(7)
                    .audience(&[Role::User], 0.5),
            ),
    );
    for (method, list, title) in
        [("tools/list", "tools", "T"), ("prompts/list", "prompts", "P"), ("resources/list", "resources", "R")]
    {
        let entry = client.result(method, json!({}))[list][0].take();
        assert_eq!(
            (&entry["title"], &entry["icons"], &entry["_meta"]),
            (&json!(title), &icons, &meta),
            "{method}: {entry}"
        );
        if list == "resources" {
            assert_eq!(entry["size"], 7);
            assert_eq!(entry["annotations"], json!({"audience": ["user"], "priority": 0.5}));
        }
    }
}

// ICON-01, META-07, RES-11
#[test]
fn entry_that_clients_would_refuse_stops_the_program_at_its_start() {
    fn panics<T>(make: impl FnOnce() -> T + ::core::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(|| drop(make())).is_err()
    }
    let server = || Server::new("s", "1");
    let tool = || Tool::new("t", "d", |_: NoArgs, _: Ctx| async {});
    let icons = |icons: Value| move || server().with_tool(tool().icons(icons));
    let meta = |meta: Value| move || server().with_tool(tool().meta(meta));
    let resource = |uri: &'static str| {
        move || {
            let resource = Resource::new(uri, "r", "text/plain", |_: ResourceRequest, _: Ctx| async { "x" });
            if uri.contains('{') { server().with_template(resource) } else { server().with_resource(resource) }
        }
    };
    for wrong in [
        json!([{"src": "http://a.example/i.png"}]),
        json!([{"src": "javascript:x"}]),
        json!({"src": "https://a.example/i.png"}),
    ] {
        assert!(panics(icons(wrong.clone())), "{wrong}");
    }
    assert!(!panics(icons(json!([{"src": "data:image/png;base64,AA=="}]))));
    assert!(panics(meta(json!({"io.modelcontextprotocol/x": 1}))));
    assert!(panics(meta(json!({"no prefix": 1}))));
    assert!(!panics(meta(json!({"ui": {}}))));
    for uri in ["relative", "/absolute", "1://x", "at:", "at://a b", "at://\u{e9}", "at://\"", ""] {
        assert!(panics(resource(uri)), "{uri:?}");
    }
    for uri in ["at://x", "urn:isbn:1", "file:///a%20b", "at://{x}/y", "a+b-c.d:x?y#z"] {
        assert!(!panics(resource(uri)), "{uri:?}");
    }
}
