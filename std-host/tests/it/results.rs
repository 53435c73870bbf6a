//! The types that handlers return.

use attache_host::testing::Client;
use attache_host::{Content, Ctx, Json, NoArgs, Prompt, Role, Server, Tool, ToolOutput, Version};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize, JsonSchema)]
struct Air {
    /// degrees Celsius
    celsius: f64,
}

#[tokio::test]
async fn each_type_of_result_is_what_its_documentation_says() {
    let server = Server::new("t", "1")
        .tool("integer", "d", async |_: NoArgs, _: Ctx| -7_i64)
        .tool("float", "d", async |_: NoArgs, _: Ctx| 0.5_f32)
        .tool("flag", "d", async |_: NoArgs, _: Ctx| true)
        .tool("blocks", "d", async |_: NoArgs, _: Ctx| vec![Content::text("a"), Content::text("b")])
        .tool("some", "d", async |_: NoArgs, _: Ctx| Some(3_u8))
        .tool("none", "d", async |_: NoArgs, _: Ctx| None::<u8>)
        .tool("value", "d", async |_: NoArgs, _: Ctx| Ok(json!({"a": [1]})))
        .tool("list", "d", async |_: NoArgs, _: Ctx| json!([1, 2]))
        .tool("json", "d", async |_: NoArgs, _: Ctx| Json(Air { celsius: 21.5 }))
        .tool("output", "d", async |_: NoArgs, _: Ctx| ToolOutput::failed("broken".to_owned()));
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let mut client = Client::of(server);
    for (tool, content, structured) in [
        ("integer", text("-7"), Value::Null),
        ("float", text("0.5"), Value::Null),
        ("flag", text("true"), Value::Null),
        ("blocks", json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), Value::Null),
        ("some", text("3"), Value::Null),
        ("none", json!([]), Value::Null),
        ("value", text(r#"{"a":[1]}"#), json!({"a": [1]})),
        ("list", text("[1,2]"), json!([1, 2])),
        ("json", text(r#"{"celsius":21.5}"#), json!({"celsius": 21.5})),
        ("output", text("broken"), Value::Null),
    ] {
        let result = client.call(tool, json!({})).await.expect("a result");
        assert_eq!((&result["content"], &result["structuredContent"]), (&content, &structured), "{tool}");
        assert_eq!(result["isError"] == true, tool == "output", "{tool}");
    }
    // Before 2026-07-28, a structured result is an object.
    let mut old = client.clone().revision(Version::V2025_11_25);
    let result = old.call("list", json!({})).await.expect("a result");
    assert_eq!((&result["content"], result.get("structuredContent")), (&text("[1,2]"), None));
}

#[tokio::test]
async fn list_shows_no_names_of_rust_types() {
    let server = Server::new("t", "1").tool("nothing", "d", async |_: NoArgs, _: Ctx| ()).tool(
        "air",
        "d",
        async |_: NoArgs, _: Ctx| Json(Air { celsius: 1.0 }),
    );
    let list = Client::of(server).request("tools/list", json!({})).await.expect("a list");
    let tools = list["tools"].as_array().expect("an array");
    assert_eq!(tools[0]["inputSchema"]["properties"], json!({}));
    for tool in tools {
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            assert_eq!((schema.get("title"), schema.get("description")), (None, None), "{tool}");
        }
    }
    assert_eq!(tools[1]["outputSchema"]["properties"]["celsius"]["description"], "degrees Celsius");
}

#[tokio::test]
async fn prompt_may_return_blocks_and_messages_of_both_roles() {
    let server = Server::new("t", "1")
        .with_prompt(Prompt::new("block", "d", async |_: NoArgs, _: Ctx| Content::text("a")))
        .with_prompt(Prompt::new("talk", "d", async |_: NoArgs, _: Ctx| {
            vec![(Role::User, Content::text("a")), (Role::Assistant, Content::text("b"))]
        }));
    let mut client = Client::of(server);
    for (prompt, roles) in [("block", vec!["user"]), ("talk", vec!["user", "assistant"])] {
        let prompt = client.request("prompts/get", json!({"name": prompt})).await.expect("a prompt");
        let messages = prompt["messages"].as_array().expect("an array");
        assert_eq!(messages.iter().map(|message| message["role"].as_str().expect("a role")).collect::<Vec<_>>(), roles);
    }
}

#[tokio::test]
async fn hints_have_the_names_of_the_protocol() {
    let tool = |name| Tool::new(name, "d", async |_: NoArgs, _: Ctx| ());
    let server = Server::new("t", "1")
        .with_tool(tool("a").destructive().open_world().idempotent())
        .with_tool(tool("b").read_only().additive().closed_world());
    let list = Client::of(server).request("tools/list", json!({})).await.expect("a list");
    assert_eq!(
        list["tools"][0]["annotations"],
        json!({"destructiveHint": true, "idempotentHint": true, "openWorldHint": true})
    );
    assert_eq!(
        list["tools"][1]["annotations"],
        json!({"destructiveHint": false, "openWorldHint": false, "readOnlyHint": true})
    );
}
