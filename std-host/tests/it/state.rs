//! Handlers can use the program's own values, methods, typed answers, and errors.

use attache_host::testing::{Answer, Client};
use attache_host::{CompletionRequest, Ctx, Json, NoArgs, OrUser, Prompt, Resource, Server, ToolError, Version, with};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex};

/// Calls a tool without arguments, and returns the text of the result.
async fn text(client: &mut Client, tool: &str) -> String {
    let result = client.call(tool, json!({})).await.expect("a result");
    result["content"][0]["text"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn handlers_get_the_state_by_its_type_and_a_missing_one_is_an_error_of_the_server() {
    struct Visits(Mutex<u32>);
    let server = Server::new("t", "1")
        .tool("visit", "d", async |_: NoArgs, ctx: Ctx| {
            let mut visits = ctx.state::<Visits>()?.0.lock().map_err(ToolError::internal)?;
            *visits += 1;
            Ok(*visits)
        })
        .tool("name", "d", async |_: NoArgs, ctx: Ctx| Ok(ctx.state::<&'static str>()?.to_owned()))
        .tool("missing", "d", async |_: NoArgs, ctx: Ctx| Ok(ctx.state::<String>()?.clone()))
        .state(Visits(Mutex::new(7)))
        .state("Ada");
    let mut client = Client::of(server);
    assert_eq!(text(&mut client, "visit").await, "8");
    assert_eq!(text(&mut client, "visit").await, "9");
    assert_eq!(text(&mut client, "name").await, "Ada");
    assert!(text(&mut client, "missing").await.starts_with("The tool failed."));
}

#[test]
#[should_panic(expected = "there is already a state of type u8")]
fn two_states_of_one_type_stop_the_program_at_its_start() {
    let _ = Server::new("t", "1").state(1_u8).state(2_u8);
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

#[derive(Deserialize, JsonSchema)]
struct Draft {
    text: String,
}

impl Notes {
    async fn add(self: Arc<Self>, draft: Draft, _: Ctx) -> Result<usize, ToolError> {
        let mut notes = self.0.lock().map_err(ToolError::internal)?;
        notes.push(draft.text);
        Ok(notes.len())
    }

    async fn all(self: Arc<Self>, _: attache_host::ResourceRequest, _: Ctx) -> Result<Json<Vec<String>>, ToolError> {
        Ok(Json(self.0.lock().map_err(ToolError::internal)?.clone()))
    }

    async fn words(self: Arc<Self>, typed: CompletionRequest, _: Ctx) -> Vec<String> {
        let notes = self.0.lock().map(|notes| notes.clone()).unwrap_or_default();
        notes.into_iter().filter(|note| note.starts_with(typed.value())).collect()
    }
}

#[tokio::test]
async fn methods_of_one_value_are_handlers_of_tools_resources_and_completions() {
    let notes = Arc::new(Notes::default());
    let server = Server::new("t", "1")
        .tool("add", "d", with(&notes, Notes::add))
        .with_resource(Resource::new("notes://all", "all", "application/json", with(&notes, Notes::all)))
        .with_prompt(
            Prompt::new("about", "d", async |draft: Draft, _: Ctx| draft.text)
                .complete("text", with(&notes, Notes::words)),
        )
        .with_template(
            Resource::new(
                "notes://{kind}/{word}",
                "one",
                "text/plain",
                async |_: attache_host::ResourceRequest, _: Ctx| None::<String>,
            )
            .complete("word", async |typed: CompletionRequest, _: Ctx| vec![typed.value().to_uppercase()]),
        );
    let mut client = Client::of(server);
    for (note, number) in [("tea", "1"), ("milk", "2")] {
        let result = client.call("add", json!({"text": note})).await.expect("a result");
        assert_eq!(result["content"][0]["text"], number);
    }
    let read = client.request("resources/read", json!({"uri": "notes://all"})).await.expect("contents");
    assert_eq!(read["contents"][0]["text"], r#"["tea","milk"]"#);
    let missing = client.request("resources/read", json!({"uri": "notes://a/b"})).await.expect_err("no resource");
    assert_eq!(missing["code"], -32602, "{missing}");
    let prompt = json!({"type": "ref/prompt", "name": "about"});
    let template = json!({"type": "ref/resource", "uri": "notes://{kind}/{word}"});
    for (reference, name, value, values) in [
        (&prompt, "text", "m", json!(["milk"])),
        (&template, "word", "a", json!(["A"])),
        (&template, "kind", "a", json!([])),
    ] {
        let params = json!({"ref": reference, "argument": {"name": name, "value": value}});
        let completed = client.request("completion/complete", params).await.expect("completions");
        assert_eq!(completed["completion"]["values"], values, "{reference} {name}");
    }
    let discovered = client.request("server/discover", json!({})).await.expect("capabilities");
    assert!(discovered["capabilities"]["completions"].is_object(), "{discovered}");
}

#[test]
#[should_panic(expected = "has no argument \"texts\"")]
fn completion_of_an_argument_that_does_not_exist_stops_the_program_at_its_start() {
    let about = Prompt::new("about", "d", async |draft: Draft, _: Ctx| draft.text);
    let _ = Server::new("t", "1").with_prompt(about.complete("texts", async |_: CompletionRequest, _: Ctx| vec![]));
}

#[tokio::test]
async fn errors_of_all_kinds_end_a_call_and_only_those_for_the_user_are_shown() {
    fn boxed() -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
        Err("secret".into())
    }
    let server = Server::new("t", "1")
        .tool("standard", "d", async |_: NoArgs, _: Ctx| Ok("secret".parse::<u8>()?))
        .tool("boxed", "d", async |_: NoArgs, _: Ctx| Ok(boxed()?))
        .tool("anyhow", "d", async |_: NoArgs, _: Ctx| {
            Err(anyhow::anyhow!("secret").context("more secrets"))?;
            Ok(())
        })
        .tool("text", "d", async |_: NoArgs, _: Ctx| Ok(Err::<(), _>("secret".to_owned())?))
        .tool("internal", "d", async |_: NoArgs, _: Ctx| Err::<(), _>(ToolError::internal("secret")))
        .tool("option", "d", async |_: NoArgs, _: Ctx| Ok(None::<u8>.or_user("there is none")?))
        .tool("result", "d", async |_: NoArgs, _: Ctx| {
            let refused: Result<(), _> = Err(io::Error::other("secret"));
            refused.or_user(format!("there is no {}", "file"))
        });
    let mut client = Client::of(server);
    for (tool, expected) in [
        ("standard", "The tool failed."),
        ("boxed", "The tool failed."),
        ("anyhow", "The tool failed."),
        ("text", "The tool failed."),
        ("internal", "The tool failed."),
        ("option", "there is none"),
        ("result", "there is no file"),
    ] {
        let said = text(&mut client, tool).await;
        assert!(said.starts_with(expected) && !said.contains("secret"), "{tool}: {said}");
    }
    let with_sources = ToolError::from(anyhow::anyhow!("disk is full").context("cannot save"));
    assert_eq!(with_sources.to_string(), "cannot save: disk is full");
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    /// how many
    #[schemars(range(min = 1, max = 9))]
    count: u8,
    size: Size,
    note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Size {
    Small,
    Large,
}

#[tokio::test]
async fn typed_question_has_a_form_of_its_type_and_a_wrong_answer_reaches_no_handler() {
    let server = Server::new("t", "1").tool("order", "d", async |_: NoArgs, ctx: Ctx| {
        let order = ctx.elicit_as::<Order>("order", "What would you like?")?;
        Ok(order
            .map_or_else(|| "nothing".to_owned(), |order| format!("{} {:?} {:?}", order.count, order.size, order.note)))
    });
    let client = Client::of(server);
    for revision in [Version::V2026_07_28, Version::V2025_11_25, Version::V2025_06_18] {
        for (answer, expected) in [
            (Answer::accept(json!({"count": 2, "size": "large"})), Ok("2 Large None")),
            (Answer::accept(json!({"count": 2.0, "size": "small", "note": "hot"})), Ok("2 Small Some(\"hot\")")),
            (Answer::decline(), Ok("nothing")),
            (Answer::cancel(), Ok("nothing")),
            (Answer::accept(json!({"count": 2})), Err("size")),
            (Answer::accept(json!({"count": 0, "size": "large"})), Err("count")),
            (Answer::accept(json!({"count": "2", "size": "large"})), Err("count")),
            (Answer::accept(json!({"count": 2, "size": "huge"})), Err("size")),
            (Answer::raw(json!({"action": "maybe"})), Err("action")),
            (Answer::raw(json!({"action": "accept", "content": [1]})), Err("")),
        ] {
            let what = format!("{revision:?} {answer:?}");
            let mut client = client.clone().revision(revision).answers(move |question| {
                assert_eq!(question.params()["requestedSchema"]["properties"]["count"]["maximum"], 9);
                answer.clone()
            });
            let result = client.call("order", json!({})).await;
            match expected {
                Ok(words) => {
                    let result = result.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!(result["content"][0]["text"], words, "{what}");
                }
                Err(field) => {
                    let said = result.unwrap_or_else(|error| error).to_string();
                    assert!(
                        said.contains(field) && (said.contains("-32602") || said.contains("isError")),
                        "{what}: {said}"
                    );
                }
            }
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct NotAForm {
    #[expect(dead_code, reason = "only its schema matters")]
    order: Order,
}

#[tokio::test]
async fn question_of_a_type_that_is_no_form_is_an_error_of_the_server() {
    let server = Server::new("t", "1").tool("order", "d", async |_: NoArgs, ctx: Ctx| {
        ctx.elicit_as::<NotAForm>("order", "?").map(|answer| answer.is_some())
    });
    let mut client = Client::of(server).answers(|_| Answer::decline());
    assert!(text(&mut client, "order").await.starts_with("The tool failed."));
}

#[tokio::test]
async fn batch_and_call_over_http_pass_request_extensions_on() {
    use attache_host::http::McpService;
    use http_body_util::{BodyExt, Full};
    use tower_service::Service;

    #[derive(Clone)]
    struct Tenant(&'static str);
    let server =
        Server::new("t", "1")
            .request_extension::<Tenant>()
            .tool("tenant", "d", async |_: NoArgs, ctx: Ctx| Ok(ctx.request_extension::<Tenant>()?.0));
    let mut service = McpService::new(server.build());
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "tenant"}});
    for (body, place) in [(call.clone(), "/result/content/0/text"), (json!([call]), "/0/result/content/0/text")] {
        let mut request = http::Request::post("/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-03-26")
            .body(Full::new(bytes::Bytes::from(body.to_string())))
            .expect("a request");
        request.extensions_mut().insert(Tenant("acme"));
        request.extensions_mut().insert("not declared");
        let Ok(response) = service.call(request).await;
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{body:?}"));
        assert_eq!(answer.pointer(place), Some(&json!("acme")), "{answer}");
    }
}
