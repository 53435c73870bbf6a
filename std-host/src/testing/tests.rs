//! The client in memory.

use super::*;
use crate::auth::Caller;
use crate::{Ask, Ctx, Elicited, Level, NoArgs, Server, ServerBuilder, Tool, ToolError, Version};
use serde_json::{Value, json};

#[tokio::test]
async fn client_sees_results_failures_errors_and_what_is_told_meanwhile() {
    let server = Server::new("t", "1")
        .logging()
        .tool("fine", "d", async |_: NoArgs, ctx: Ctx| {
            ctx.progress(1.0, None, None).await;
            ctx.log(Level::Emergency, "on fire").await;
            "done"
        })
        .tool("fails", "d", async |_: NoArgs, _: Ctx| Err::<(), _>(ToolError::user("no")));
    let mut client = Client::of(server);
    for revision in [Version::V2026_07_28, Version::V2025_11_25, Version::V2024_11_05] {
        client = client.revision(revision);
        if !revision.is_modern() {
            client.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
        }
        let result = client.call("fine", json!({})).await.unwrap();
        assert_eq!(result["content"][0]["text"], "done", "{revision:?}");
        let told = client.told();
        assert_eq!(told[0]["params"]["progress"], 1.0, "{revision:?}");
        // MCP 2026-07-28 server/utilities/logging: only for a request that names a level.
        assert_eq!(told.len(), if revision.is_modern() { 1 } else { 2 }, "{revision:?} {told:?}");
        assert!(client.told().is_empty());
        assert_eq!(client.call("fails", json!({})).await.unwrap()["isError"], true);
        assert_eq!(client.call("none", json!({})).await.unwrap_err()["code"], -32602);
    }
}

/// A tool that asks twice, and joins the answers.
fn asking() -> ServerBuilder {
    Server::new("t", "1").tool("asks", "d", async |_: NoArgs, ctx: Ctx| {
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let Elicited::Accepted(answer) = ctx.elicit("name", "Name?", schema)? else {
            return Err(ToolError::user("declined"));
        };
        let joke = ctx.ask("joke", Ask::sample("Tell a joke", 10))?;
        Ok(format!("{} {}", answer["name"], joke["content"]["text"]))
    })
}

fn answer(question: &Question) -> Answer {
    match (question.method(), question.message()) {
        ("elicitation/create", "Name?") => Answer::accept(json!({"name": "Ada"})),
        ("sampling/createMessage", "") => Answer::sampled("ha"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn client_with_answers_answers_every_question_in_every_revision_that_has_them() {
    for revision in [Version::V2026_07_28, Version::V2025_11_25, Version::V2025_06_18] {
        let mut client = Client::of(asking()).revision(revision).answers(answer);
        let result = client.call("asks", json!({})).await.unwrap();
        assert_eq!(result["content"][0]["text"], r#""Ada" "ha""#, "{revision:?}");
        let mut client = Client::of(asking()).revision(revision).answers(|_| Answer::decline());
        let result = client.call("asks", json!({})).await.unwrap();
        assert_eq!(result["content"][0]["text"], "declined", "{revision:?}");
    }
}

#[tokio::test]
async fn client_without_answers_sees_the_question_and_may_answer_it_by_hand() {
    let mut client = Client::of(asking()).capable(json!({"elicitation": {"form": {}}}));
    let asked = client.call("asks", json!({})).await.unwrap();
    assert_eq!(asked["resultType"], "input_required");
    assert_eq!(asked["inputRequests"]["name"]["params"]["message"], "Name?");
    let again = json!({"name": "asks", "arguments": {}, "inputResponses": {"name": {"action": "cancel"}}});
    assert_eq!(client.request("tools/call", again).await.unwrap()["content"][0]["text"], "declined");
    let mut incapable = Client::of(asking());
    assert!(incapable.call("asks", json!({})).await.is_err());
}

#[tokio::test]
async fn client_is_the_caller_that_the_test_names() {
    let server = Server::new("t", "1")
        .with_tool(Tool::new("write", "d", async |_: NoArgs, ctx: Ctx| ctx.caller().subject()).scope("notes.write"))
        .with_tool(Tool::new("manage", "d", async |_: NoArgs, ctx: Ctx| ctx.caller().claim("plan")).role("admin"))
        .tool("read", "d", async |_: NoArgs, ctx: Ctx| ctx.caller().is_anonymous());
    let text = |result: Result<Value, Value>| result.map(|result| result["content"][0]["text"].clone());
    let client = Client::of(server);
    let ada = Caller::new("ada").with_scope("notes.read").with_scope("notes.write");
    let mut writer = client.clone().caller(ada.clone());
    assert_eq!(text(writer.call("write", json!({})).await), Ok("ada".into()));
    assert!(writer.call("manage", json!({})).await.is_err());
    let mut admin = client.clone().caller(ada.with_role("admin").with_claim("plan", json!({"level": 1})));
    assert_eq!(text(admin.call("manage", json!({})).await), Ok(r#"{"level":1}"#.into()));
    let mut guest = client.clone().caller(Caller::guest().with_scope("notes.write"));
    assert!(guest.call("write", json!({})).await.is_err());
    assert_eq!(text(guest.call("read", json!({})).await), Ok("true".into()));
    let mut anyone = client.clone();
    assert!(anyone.call("write", json!({})).await.is_ok());
}

#[tokio::test]
async fn request_extension_of_a_test_reaches_the_handler() {
    #[derive(Clone)]
    struct Tenant(&'static str);
    let tool = async |_: NoArgs, ctx: Ctx| Ok(ctx.request_extension::<Tenant>()?.0);
    let server = Server::new("t", "1").request_extension::<Tenant>().tool("tenant", "d", tool);
    let client = Client::of(server);
    let result = client.clone().extension(Tenant("acme")).call("tenant", json!({})).await.unwrap();
    assert_eq!(result["content"][0]["text"], "acme");
    assert_eq!(client.clone().call("tenant", json!({})).await.unwrap()["isError"], true);
    let undeclared = Server::new("t", "1").tool("tenant", "d", tool);
    let result = Client::of(undeclared).extension(Tenant("acme")).call("tenant", json!({})).await.unwrap();
    assert_eq!(result["isError"], true);
}
