//! The macro `tools!`.

use attache_host::testing::Client;
use attache_host::{Ctx, Json, NoArgs, OrUser, Server, ToolError, tools};
use core::time::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

tools! {
    /// More about them.
    mod board for Board {
        /// Set the level
        #[title = "Level"] #[idempotent] #[destructive] #[scope("board.write")] #[role("operator")]
        async fn set(Level) -> Level;
        /// The level.
        /// It is measured when the tool is called.
        ///
        ///   Indented.
        #[read_only] #[closed_world] fn level();
        /// Progress
        #[name = "with-context"] #[timeout(Duration::from_secs(1))] #[concurrency(3)] async fn context(Ctx);
        /// All of it
        #[additive] #[open_world] async fn both(Level, Ctx);
        /// By its own reference count
        async fn shared(NoArgs);
        /// Slow
        #[blocking] fn render(Level) -> Level;
        /// Not in this build
        #[cfg(any())] fn absent(Level);
    }
}

#[derive(Default)]
struct Board(Mutex<u8>);

#[derive(Serialize, Deserialize, JsonSchema)]
struct Level {
    /// from 0 to 9
    level: u8,
}

impl Board {
    async fn set(&self, wanted: Level) -> Result<Level, ToolError> {
        Some(wanted.level).filter(|level| *level < 10).or_user("at most 9")?;
        *self.0.lock().map_err(ToolError::internal)? = wanted.level;
        Ok(wanted)
    }

    fn level(&self) -> Result<u8, ToolError> {
        Ok(*self.0.lock().map_err(ToolError::internal)?)
    }

    async fn context(&self, ctx: Ctx) -> &'static str {
        ctx.progress(1.0, None, None).await;
        "told"
    }

    async fn both(&self, wanted: Level, ctx: Ctx) -> Json<Level> {
        ctx.progress(2.0, None, None).await;
        Json(wanted)
    }

    async fn shared(self: Arc<Self>, _: NoArgs) -> usize {
        Arc::strong_count(&self)
    }

    fn render(&self, wanted: Level) -> Result<Level, ToolError> {
        std::thread::sleep(Duration::from_millis(1));
        Ok(wanted)
    }
}

#[tokio::test]
async fn declared_tools_run_the_methods_of_their_names() {
    let app = Arc::new(Board::default());
    let mut client = Client::of(Server::new("t", "1").with_tools(board::of(&app)));
    for (tool, arguments, content, structured) in [
        ("set", json!({"level": 4}), r#"{"level":4}"#, json!({"level": 4})),
        ("set", json!({"level": 10}), "at most 9", Value::Null),
        ("set", json!({}), "Argument", Value::Null),
        ("level", json!({}), "4", Value::Null),
        ("with-context", json!({}), "told", Value::Null),
        ("both", json!({"level": 1}), r#"{"level":1}"#, json!({"level": 1})),
        ("render", json!({"level": 2}), r#"{"level":2}"#, json!({"level": 2})),
    ] {
        let result = client.call(tool, arguments.clone()).await.expect("a result");
        let text = result["content"][0]["text"].as_str().expect("a text");
        let reads = text.starts_with(content) || tool == "set" && result["isError"] == true;
        assert!(reads && result["structuredContent"] == structured, "{tool} {arguments}: {result}");
    }
    assert_eq!(client.told().len(), 2);
    assert!(client.call("shared", json!({})).await.is_ok());
    assert!(client.call("absent", json!({"level": 1})).await.is_err());
}

#[tokio::test]
async fn declared_tools_are_listed_with_their_comments_and_attributes() {
    let app = Arc::new(Board::default());
    let mut client = Client::of(Server::new("t", "1").with_tools(board::of(&app)));
    let list = client.request("tools/list", json!({})).await.expect("a list");
    let tools = list["tools"].as_array().expect("an array");
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["set", "level", "with-context", "both", "shared", "render"]);
    assert_eq!((&tools[0]["title"], &tools[0]["description"]), (&json!("Level"), &json!("Set the level")));
    assert_eq!(tools[0]["annotations"], json!({"destructiveHint": true, "idempotentHint": true}));
    assert_eq!(tools[0]["outputSchema"]["required"], json!(["level"]));
    let words = "The level.\nIt is measured when the tool is called.\n\n  Indented.";
    assert_eq!(tools[1]["description"], words);
    assert_eq!(tools[1]["annotations"], json!({"openWorldHint": false, "readOnlyHint": true}));
    assert_eq!(tools[3]["annotations"], json!({"destructiveHint": false, "openWorldHint": true}));
    assert_eq!(tools[3]["outputSchema"]["required"], json!(["level"]));
}

#[tokio::test]
async fn scope_and_role_of_a_declared_tool_are_required() {
    use attache_host::auth::Caller;
    let app = Arc::new(Board::default());
    let client = Client::of(Server::new("t", "1").with_tools(board::of(&app)));
    let ada = Caller::new("ada");
    for (caller, may) in [
        (ada.clone(), false),
        (ada.clone().with_scope("board.write"), false),
        (ada.clone().with_role("operator"), false),
        (ada.with_scope("board.write").with_role("operator"), true),
    ] {
        let outcome = client.clone().caller(caller.clone()).call("set", json!({"level": 1})).await;
        assert_eq!(outcome.is_ok(), may, "{caller:?} {outcome:?}");
    }
}
