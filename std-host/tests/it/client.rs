//! The client and this project's own server, over both transports and in every revision.

use attache_host::client::{
    Call, Client, ClientBuilder, Error, Event, Filter, List, Notice, QuestionMethod, RawJson, Request, Version,
};
use attache_host::{Ask, Changes, Ctx, Level, NoArgs, Prompt, Resource, Server, ServerBuilder, Tool, stdio};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;

const REVISIONS: [Version; 5] =
    [Version::V2024_11_05, Version::V2025_03_26, Version::V2025_06_18, Version::V2025_11_25, Version::V2026_07_28];

#[derive(Clone, Copy, Debug)]
enum Over {
    Http,
    Line,
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// what to repeat
    text: String,
}

#[derive(Default)]
struct Seen {
    begun: AtomicUsize,
    dropped: AtomicUsize,
}

/// Counts when it is dropped.
struct Counted(Arc<Seen>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server with everything a client can ask for.
fn server() -> (ServerBuilder, Changes, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let counts = Arc::clone(&seen);
    let server = Server::new("host", "1.0")
        .instructions("be kind")
        .logging()
        .subscriptions()
        .tool("echo", "Repeats a text", |echo: Echo, _: Ctx| async move { echo.text })
        .tool("steps", "Tells of its progress", |_: NoArgs, ctx: Ctx| async move {
            ctx.progress(1.0, Some(2.0), Some("half")).await;
            ctx.log(Level::Warning, "halfway").await;
            ctx.progress(2.0, Some(2.0), None).await;
            "done"
        })
        .tool("asks", "Asks two questions", |_: NoArgs, ctx: Ctx| async move {
            let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
            let who = ctx.ask("who", Ask::form("Who are you?", schema))?;
            let says = ctx.ask("model", Ask::sample("Say something", 10))?;
            let text = says["content"]["text"].as_str().unwrap_or_default().to_owned();
            Ok(format!("{} {} {text}", who["action"], who["content"]["name"]))
        })
        .tool("waits", "Never ends", move |_: NoArgs, _: Ctx| {
            let counted = Counted(Arc::clone(&counts));
            counted.0.begun.fetch_add(1, Ordering::SeqCst);
            async move {
                let _counted = counted;
                core::future::pending::<()>().await;
                "never"
            }
        })
        .with_prompt(Prompt::new("greet", "Greets", |echo: Echo, _: Ctx| async move { format!("Hello {}", echo.text) }))
        .with_resource(Resource::new("file:///a", "a", "text/plain", |_, _: Ctx| async { "A" }));
    let changes = server.changes();
    (server, changes, seen)
}

/// The URL of a server that runs as long as the test.
async fn served(server: ServerBuilder) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let router: axum::Router = server.routes();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn builder() -> ClientBuilder {
    let capabilities = json!({"elicitation": {"form": {}}, "sampling": {}, "roots": {}});
    Client::builder("test", "1").capabilities(RawJson::of(&capabilities).expect("JSON"))
}

async fn connected(builder: ClientBuilder, server: ServerBuilder, over: Over) -> Result<Client, Error> {
    match over {
        Over::Http => builder.http(&served(server).await).await,
        Over::Line => {
            let (own_input, output) = tokio::io::duplex(64 * 1024);
            let (input, own_output) = tokio::io::duplex(64 * 1024);
            tokio::spawn(stdio::serve(server.build(), input, output));
            builder.streams(own_input, own_output).await
        }
    }
}

fn raw(json: &str) -> RawJson {
    RawJson::parse(json.to_owned()).expect("JSON")
}

fn text(result: &RawJson) -> String {
    let result: Value = result.read().expect("JSON");
    result["content"][0]["text"].as_str().expect("a text").to_owned()
}

async fn next(call: &mut Call) -> Event {
    timeout(Duration::from_secs(10), call.next()).await.expect("an event in time")
}

#[tokio::test]
async fn newest_revision_that_both_speak_is_found_out() {
    for over in [Over::Http, Over::Line] {
        let client = connected(builder(), server().0, over).await.expect("connected");
        assert_eq!(client.version(), Version::V2026_07_28);
        assert_eq!(client.server().instructions.as_deref(), Some("be kind"));
        assert_eq!(client.server().info, Some(raw(r#"{"name":"host","version":"1.0"}"#)));
        assert!(client.server().has(&["tools"]) && client.server().has(&["resources", "subscribe"]));
        assert!(!client.server().has(&["tasks"]));
        client.check().await.expect("it answers");
        client.close().await;
    }
}

#[tokio::test]
async fn everything_is_asked_for_in_every_revision_over_both_transports() {
    for over in [Over::Http, Over::Line] {
        for version in REVISIONS {
            let client = connected(builder().version(version), server().0, over).await.expect("connected");
            assert_eq!(client.version(), version, "{over:?}");
            client.check().await.expect("it answers");
            let tools = client.list(List::Tools).await.expect("a list");
            let names: Vec<_> = tools.iter().filter_map(|tool| tool.member("name")?.string()).collect();
            assert_eq!(names, ["echo", "steps", "asks", "waits"]);
            let result = client.call("echo", raw(r#"{"text":"a\u00e9\n"}"#)).await.expect("a result");
            assert_eq!(text(&result), "a\u{e9}\n");
            let result = client.read("file:///a").await.expect("a resource");
            assert!(result.as_str().contains(r#""text":"A""#), "{result}");
            let result = client.prompt("greet", raw(r#"{"text":"you"}"#)).await.expect("a prompt");
            assert!(result.as_str().contains("Hello you"), "{result}");
            assert_eq!(client.list(List::Resources).await.expect("a list").len(), 1);
            assert_eq!(client.list(List::ResourceTemplates).await.expect("a list").len(), 0);
            let error = client.call("nothing", RawJson::empty_object()).await.expect_err("no such tool");
            assert_eq!(error.code(), Some(-32602), "{error}");
            client.close().await;
        }
    }
}

#[tokio::test]
async fn list_in_pages_comes_whole() {
    let mut server = Server::new("t", "1").page_size(3);
    for number in 0..10 {
        server = server.tool(&format!("tool{number}"), "d", |_: NoArgs, _: Ctx| async { "x" });
    }
    let client = connected(builder(), server, Over::Http).await.expect("connected");
    assert_eq!(client.list(List::Tools).await.expect("a list").len(), 10);
}

#[tokio::test]
async fn progress_and_log_messages_come_while_the_request_runs() {
    for over in [Over::Http, Over::Line] {
        for version in REVISIONS {
            let client = connected(builder().version(version), server().0, over).await.expect("connected");
            client.set_level(Level::Debug).await.expect("taken");
            let request = Request::call("steps", RawJson::empty_object()).progress().level(Level::Debug);
            let mut call = client.start(request);
            let mut told = Vec::new();
            let result = loop {
                match next(&mut call).await {
                    Event::Progress(params) => told.push(params.member("progress").expect("progress").to_string()),
                    Event::Log(params) => told.push(params.member("level").expect("a level").to_string()),
                    Event::Done(result) => break result.expect("a result"),
                    other => panic!("{other:?}"),
                }
            };
            let told: Vec<&str> = told.iter().map(|told| told.trim_end_matches(".0")).collect();
            assert_eq!(told, ["1", r#""warning""#, "2"], "{over:?} {version:?}");
            assert_eq!(text(&result), "done");
        }
    }
}

/// Answers the questions of a call, and gives its result.
async fn answered(mut call: Call) -> Result<RawJson, Error> {
    loop {
        match next(&mut call).await {
            Event::Question(question) => match question.method {
                QuestionMethod::Elicitation => {
                    assert!(question.params.as_str().contains("Who are you?"));
                    question.answer(raw(r#"{"action":"accept","content":{"name":"Ann"}}"#));
                }
                QuestionMethod::Sampling => {
                    question.answer(raw(r#"{"role":"assistant","model":"m","content":{"type":"text","text":"hi"}}"#))
                }
                other => panic!("{other:?}"),
            },
            Event::Done(result) => return result,
            _ => {}
        }
    }
}

#[tokio::test]
async fn questions_are_answered_while_the_call_waits() {
    for over in [Over::Http, Over::Line] {
        // Revision 2025-06-18 brought questions to the person.
        for version in &REVISIONS[2..] {
            let client = connected(builder().version(*version), server().0, over).await.expect("connected");
            let call = client.start(Request::call("asks", RawJson::empty_object()).questions());
            let result = answered(call).await.expect("a result");
            assert_eq!(text(&result), r#""accept" "Ann" hi"#, "{over:?} {version:?}");
        }
    }
}

#[tokio::test]
async fn questions_go_to_the_function_of_the_client_if_the_call_takes_none() {
    for over in [Over::Http, Over::Line] {
        for version in [Version::V2025_11_25, Version::V2026_07_28] {
            let builder = builder().version(version).answers(|question| async move {
                match question.method {
                    QuestionMethod::Elicitation => {
                        question.answer(raw(r#"{"action":"accept","content":{"name":"Bo"}}"#))
                    }
                    _ => question
                        .answer(raw(r#"{"role":"assistant","model":"m","content":{"type":"text","text":"ho"}}"#)),
                }
            });
            let client = connected(builder, server().0, over).await.expect("connected");
            let result = client.call("asks", RawJson::empty_object()).await.expect("a result");
            assert_eq!(text(&result), r#""accept" "Bo" ho"#, "{over:?} {version:?}");
        }
    }
}

#[tokio::test]
async fn question_that_nobody_answers_ends_the_call_in_words() {
    for over in [Over::Http, Over::Line] {
        let client = connected(builder(), server().0, over).await.expect("connected");
        let error = client.call("asks", RawJson::empty_object()).await.expect_err("no answer");
        assert!(matches!(&error, Error::Unanswered(what) if what == "Who are you?"), "{error}");
        // A dropped question is a cancelled form; the tool goes on, and asks the model next.
        let mut call = client.start(Request::call("asks", RawJson::empty_object()).questions());
        let Event::Question(question) = next(&mut call).await else { panic!("a question") };
        drop(question);
        let Event::Question(question) = next(&mut call).await else { panic!("the next question") };
        assert_eq!(question.method, QuestionMethod::Sampling);
        question.refuse(-1, "the person does not want to");
        let Event::Done(result) = next(&mut call).await else { panic!("the end") };
        assert!(matches!(result, Err(Error::Unanswered(why)) if why == "the person does not want to"));
    }
}

#[tokio::test]
async fn question_can_be_passed_on_as_it_is() {
    let client = connected(builder(), server().0, Over::Http).await.expect("connected");
    let request = || Request::call("asks", RawJson::empty_object()).keep_questions();
    let result = client.request(request()).await.expect("a result");
    assert_eq!(result.member("resultType").and_then(|kind| kind.string()).as_deref(), Some("input_required"));
    let answers = raw(r#"{"who":{"action":"accept","content":{"name":"Cy"}}}"#);
    let again = request().param("inputResponses", answers);
    let again = match result.member("requestState") {
        Some(state) => again.param("requestState", state),
        None => again,
    };
    let result = client.request(again).await.expect("a result");
    assert!(result.member("inputRequests").expect("the next question").member("model").is_some());
}

#[tokio::test]
async fn dropped_call_is_cancelled_at_the_server() {
    for over in [Over::Http, Over::Line] {
        for version in REVISIONS {
            let (server, _, seen) = server();
            let client = connected(builder().version(version), server, over).await.expect("connected");
            let mut call = client.start(Request::call("waits", RawJson::empty_object()));
            while seen.begun.load(Ordering::SeqCst) == 0 {
                assert!(timeout(Duration::from_millis(5), call.next()).await.is_err(), "it never ends");
            }
            drop(call);
            let cancelled = async {
                while seen.dropped.load(Ordering::SeqCst) == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(Duration::from_secs(10), cancelled).await.unwrap_or_else(|_| panic!("{over:?} {version:?}"));
            // The connection is of further use.
            assert_eq!(text(&client.call("echo", raw(r#"{"text":"x"}"#)).await.expect("a result")), "x");
        }
    }
}

#[tokio::test]
async fn request_that_takes_too_long_is_cancelled() {
    for over in [Over::Http, Over::Line] {
        let (server, _, seen) = server();
        let client = connected(builder(), server, over).await.expect("connected");
        let request = Request::call("waits", RawJson::empty_object()).timeout(Duration::from_millis(50));
        let error = client.request(request).await.expect_err("too late");
        assert!(matches!(error, Error::Timeout(time) if time == Duration::from_millis(50)), "{error}");
        let cancelled = async {
            while seen.dropped.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), cancelled).await.expect("the server is told");
    }
}

#[tokio::test]
async fn changes_and_updates_are_heard_in_both_eras() {
    for over in [Over::Http, Over::Line] {
        for version in [Version::V2025_06_18, Version::V2025_11_25, Version::V2026_07_28] {
            let (server, changes, _) = server();
            let client = connected(builder().version(version), server, over).await.expect("connected");
            let filter = Filter::lists().resource("file:///a");
            let mut heard = client.listen(filter).await.expect("a subscription");
            assert!(heard.acknowledged().member("resourceSubscriptions").is_some());
            changes.resource("file:///a");
            let notice = timeout(Duration::from_secs(10), heard.next()).await.expect("in time").expect("a notice");
            assert!(matches!(&notice, Notice::ResourceUpdated(uri) if uri == "file:///a"), "{notice:?}");
            changes.add_tool(Tool::new("late", "d", |_: NoArgs, _: Ctx| async { "x" })).expect("a new name");
            let notice = timeout(Duration::from_secs(10), heard.next()).await.expect("in time").expect("a notice");
            assert!(matches!(notice, Notice::ToolsChanged), "{over:?} {version:?}: {notice:?}");
            assert_eq!(client.list(List::Tools).await.expect("a list").len(), 5);
        }
    }
}

#[tokio::test]
async fn numbers_and_unknown_members_arrive_as_they_were_written() {
    let (own_input, mut output) = tokio::io::duplex(64 * 1024);
    let (input, own_output) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
        let mut lines = BufReader::new(input).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: Value = serde_json::from_str(&line).expect("JSON");
            let result = match request["method"].as_str() {
                Some("server/discover") => r#"{"supportedVersions":["2026-07-28"],"capabilities":{}}"#.to_owned(),
                _ => {
                    // The arguments as they came on the wire.
                    let from = line.find(r#""arguments":"#).expect("arguments") + 12;
                    let to = line.find(r#","_meta""#).expect("metadata");
                    format!(r#"{{"big":12345678901234567890,"exp":1E2, "x" : [1.50],"back":{}}}"#, &line[from..to])
                }
            };
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}\n", request["id"]);
            output.write_all(answer.as_bytes()).await.expect("taken");
        }
    });
    let client = builder().streams(own_input, own_output).await.expect("connected");
    let result = client.call("t", raw(r#"{"n":1E2,  "big":12345678901234567890}"#)).await.expect("a result");
    let expected =
        r#"{"big":12345678901234567890,"exp":1E2, "x" : [1.50],"back":{"n":1E2,  "big":12345678901234567890}}"#;
    assert_eq!(result.as_str(), expected);
}

#[tokio::test]
async fn arguments_that_a_tool_wants_mirrored_are_mirrored_after_the_list_is_fetched_again() {
    #[derive(Deserialize, JsonSchema)]
    struct Region {
        #[schemars(extend("x-mcp-header" = "Region"))]
        region: String,
    }
    let server = Server::new("t", "1").tool("where", "d", |region: Region, _: Ctx| async move { region.region });
    let client = connected(builder(), server, Over::Http).await.expect("connected");
    // The client has never seen the list: the server refuses with -32020, and the client corrects it once.
    let result = client.call("where", raw(r#"{"region":"Z\u00fcrich"}"#)).await.expect("a result");
    assert_eq!(text(&result), "Z\u{fc}rich");
    let result = client.call("where", raw(r#"{"region":""}"#)).await.expect("a result");
    assert_eq!(text(&result), "");
}

#[tokio::test]
async fn many_calls_at_once_keep_their_own_answers() {
    for over in [Over::Http, Over::Line] {
        let client = connected(builder(), server().0, over).await.expect("connected");
        let calls: Vec<_> = (0..100)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move {
                    let result =
                        client.call("echo", raw(&format!(r#"{{"text":"{number}"}}"#))).await.expect("a result");
                    assert_eq!(text(&result), number.to_string());
                })
            })
            .collect();
        for call in calls {
            call.await.expect("no panic");
        }
    }
}

#[tokio::test]
async fn closed_client_fails_what_runs_and_takes_no_more() {
    for over in [Over::Http, Over::Line] {
        let (server, _, seen) = server();
        let client = connected(builder(), server, over).await.expect("connected");
        let mut call = client.start(Request::call("waits", RawJson::empty_object()));
        while seen.begun.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let other = client.clone();
        client.close().await;
        let Event::Done(Err(error)) = next(&mut call).await else { panic!("the end") };
        assert!(matches!(error, Error::Closed), "{error}");
        assert!(matches!(other.call("echo", raw(r#"{"text":"x"}"#)).await, Err(Error::Closed)));
    }
}
