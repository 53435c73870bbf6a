//! The gate: a server with a backend that is an MCP client of another server. Every revision of the
//! client is tested with every revision of the upstream, over both transports of the upstream.

use ::core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use ::core::time::Duration;
use attache_host::bridge::Bridge;
use attache_host::client::{
    Call, Client, Error, Event, Filter, List, Notice, QuestionMethod, RawJson, Request, ServerCommand, Version,
};
use attache_host::{
    Ask, CompletionRequest, Ctx, Level, NoArgs, Prompt, Resource, Server, ServerBuilder, Tool, ToolError,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::{sleep, timeout};

pub(crate) const REVISIONS: [Version; 5] =
    [Version::V2024_11_05, Version::V2025_03_26, Version::V2025_06_18, Version::V2025_11_25, Version::V2026_07_28];

/// A client of one revision, a gate, and an upstream of another revision.
struct Cell {
    down: Version,
    up: Version,
    over: Over,
    client: Client,
}

/// The transport of the upstream.
#[derive(Clone, Copy, Debug)]
enum Over {
    Http,
    Stdio,
}

/// Counts a call as running until it is dropped.
struct Runs(Arc<AtomicUsize>);

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// what to repeat
    text: String,
}

/// A server with everything that crosses a gate. Its tools `running` and `changes` show and change
/// its state.
fn server() -> ServerBuilder {
    let running = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&running);
    let server = Server::new("upstream", "1.0")
        .page_size(2)
        .logging()
        .subscriptions()
        .tool("echo", "Repeats a text", |echo: Echo, _: Ctx| async move { echo.text })
        .tool("fails", "Fails", |_: NoArgs, _: Ctx| async { Err::<(), _>(ToolError::user("no luck")) })
        .tool("steps", "Reports progress", |_: NoArgs, ctx: Ctx| async move {
            ctx.progress(1.0, Some(2.0), Some("half")).await;
            ctx.log(Level::Warning, "halfway").await;
            ctx.log(Level::Debug, "details").await;
            ctx.progress(2.0, Some(2.0), None).await;
            "done"
        })
        .tool("form", "Asks the person", |_: NoArgs, ctx: Ctx| async move {
            let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
            let answer = ctx.ask("who", Ask::form("Who are you?", schema))?;
            Ok::<_, ToolError>(format!("{} {}", answer["action"], answer["content"]["name"]))
        })
        .tool("page", "Sends the person to a page", |_: NoArgs, ctx: Ctx| async move {
            let page = Ask::Url { message: "Sign in".to_owned(), url: "https://a.example/in".to_owned() };
            Ok::<_, ToolError>(ctx.ask("page", page)?["action"].to_string())
        })
        .tool("samples", "Asks the model", |_: NoArgs, ctx: Ctx| async move {
            let answer = ctx.ask("model", Ask::sample("Say something", 10))?;
            Ok::<_, ToolError>(answer["content"]["text"].to_string())
        })
        .tool("roots", "Asks for directories", |_: NoArgs, ctx: Ctx| async move {
            Ok::<_, ToolError>(ctx.ask("roots", Ask::Roots)?["roots"][0]["uri"].to_string())
        })
        .tool("waits", "Never ends", move |_: NoArgs, _: Ctx| {
            counts.fetch_add(1, SeqCst);
            let runs = Runs(Arc::clone(&counts));
            async move {
                let _runs = runs;
                ::core::future::pending::<()>().await;
            }
        })
        .with_prompt(Prompt::new("greet", "Greets", |echo: Echo, _: Ctx| async move { format!("Hello {}", echo.text) }))
        .with_resource(Resource::new("note://a", "a", "text/plain", |_, _: Ctx| async { "A" }))
        .with_template(Resource::new(
            "note://b/{id}",
            "b",
            "text/plain",
            |read: attache_host::ResourceRequest, _: Ctx| async move { format!("B {}", read.variable("id")) },
        ))
        .completion(|typed: CompletionRequest, _: Ctx| async move { vec![format!("{}!", typed.value())] });
    let changes = server.changes();
    server
        .tool("running", "Counts the calls of waits that run", move |_: NoArgs, _: Ctx| {
            let running = running.load(SeqCst);
            async move { running.to_string() }
        })
        .tool("changes", "Changes the resource or the list of tools", move |echo: Echo, _: Ctx| {
            match echo.text.as_str() {
                "resource" => changes.resource("note://a"),
                _ => changes.add_tool(Tool::new("late", "d", |_: NoArgs, _: Ctx| async { "x" })).expect("a new name"),
            }
            async { "changed" }
        })
}

/// The upstream as a child process: this program runs itself with this test.
#[tokio::test]
#[ignore = "runs in a child process"]
async fn upstream_on_standard_streams() {
    if std::env::var_os(CHILD).is_some() {
        attache_host::stdio::serve(server().build(), tokio::io::stdin(), tokio::io::stdout()).await.expect("it serves");
    }
}

const CHILD: &str = "ATTACHE_TEST_CHILD";

fn child() -> ServerCommand {
    let own = std::env::current_exe().expect("this program");
    // The lines of the test harness are not messages, so the client skips them.
    let arguments = ["--exact", "gate::upstream_on_standard_streams", "--ignored", "--nocapture", "--test-threads=2"];
    ServerCommand::new(own, arguments).env(CHILD, "1")
}

/// Returns the URL of a server that runs as long as the test.
pub(crate) async fn served(server: ServerBuilder) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let router: axum::Router = server.routes();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

pub(crate) fn raw(json: &str) -> RawJson {
    RawJson::parse(json.to_owned()).expect("JSON")
}

pub(crate) fn read(json: &RawJson) -> Value {
    json.read().expect("JSON")
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("in time")
}

pub(crate) async fn until(mut done: impl AsyncFnMut() -> bool) {
    soon(async {
        while !done().await {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// A client that declares every capability, so that the upstream can ask it any question.
pub(crate) async fn client(url: &str, version: Version) -> Client {
    let capabilities = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}});
    client_with(url, version, &capabilities).await
}

pub(crate) async fn client_with(url: &str, version: Version, capabilities: &Value) -> Client {
    let capabilities = RawJson::of(capabilities).expect("JSON");
    Client::builder("test", "1").capabilities(capabilities).version(version).http(url).await.expect("connected")
}

pub(crate) async fn names(client: &Client, list: List, name: &str) -> Vec<String> {
    let list = client.list(list).await.expect("a list");
    list.iter().filter_map(|entry| entry.member(name)?.string()).collect()
}

impl Cell {
    async fn new(over: Over, down: Version, up: Version) -> Self {
        let capabilities = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}});
        Self::with(over, down, up, &capabilities).await
    }

    async fn with(over: Over, down: Version, up: Version, capabilities: &Value) -> Self {
        let bridge = match over {
            Over::Http => Bridge::http("there", served(server()).await),
            Over::Stdio => Bridge::command("there", child()),
        };
        let gate = Server::new("gate", "1.0").backend("up_", bridge.version(up));
        let client = client_with(&served(gate).await, down, capabilities).await;
        until(async || !names(&client, List::Tools, "name").await.is_empty()).await;
        Self { down, up, over, client }
    }

    /// The name of the cell in failure messages.
    fn name(&self) -> String {
        format!("client {}, upstream {} over {:?}", self.down.as_str(), self.up.as_str(), self.over)
    }

    /// Whether both sides speak this revision or a newer one.
    fn both_since(&self, version: Version) -> bool {
        self.down >= version && self.up >= version
    }

    async fn run(&self, tool: &str) -> Outcome {
        let request = Request::call(&format!("up_{tool}"), RawJson::empty_object());
        run(self.client.start(request.progress().level(Level::Info).questions())).await
    }

    async fn text(&self, tool: &str) -> String {
        text(&self.run(tool).await.result.unwrap_or_else(|error| panic!("{}: {tool}: {error}", self.name())))
    }
}

/// The messages that a call has sent, and its result.
struct Outcome {
    progress: Vec<Value>,
    log: Vec<Value>,
    asked: Vec<Value>,
    result: Result<RawJson, Error>,
}

/// Runs a call and answers its questions.
async fn run(mut call: Call) -> Outcome {
    let (mut progress, mut log, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match soon(call.next()).await {
            Event::Progress(params) => progress.push(read(&params)),
            Event::Log(params) => log.push(read(&params)),
            Event::Question(question) => {
                asked.push(read(&question.params));
                let answer = raw(match question.method {
                    QuestionMethod::Elicitation => r#"{"action":"accept","content":{"name":"Ann"}}"#,
                    QuestionMethod::Sampling => {
                        r#"{"role":"assistant","model":"m","content":{"type":"text","text":"hi"}}"#
                    }
                    _ => r#"{"roots":[{"uri":"file:///home","name":"home"}]}"#,
                });
                question.answer(answer);
            }
            Event::Done(result) => return Outcome { progress, log, asked, result },
            _ => {}
        }
    }
}

pub(crate) fn text(result: &RawJson) -> String {
    read(result)["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}")).to_owned()
}

/// Runs `check` in every cell.
async fn each<F: Future<Output = ()>>(check: impl Fn(Cell) -> F) {
    for over in [Over::Http, Over::Stdio] {
        for up in REVISIONS {
            for down in REVISIONS {
                check(Cell::new(over, down, up).await).await;
            }
        }
    }
}

#[tokio::test]
async fn lists_are_merged_from_all_pages_and_tools_prompts_and_resources_are_used_in_every_cell() {
    each(async |cell| {
        let name = cell.name();
        let tools = names(&cell.client, List::Tools, "name").await;
        let all = ["echo", "fails", "steps", "form", "page", "samples", "roots", "waits", "running", "changes"];
        assert_eq!(tools, all.map(|tool| format!("up_{tool}")), "{name}");
        assert_eq!(names(&cell.client, List::Prompts, "name").await, ["up_greet"], "{name}");
        assert_eq!(names(&cell.client, List::Resources, "uri").await, ["note://a"], "{name}");
        assert_eq!(names(&cell.client, List::ResourceTemplates, "uriTemplate").await, ["note://b/{id}"], "{name}");
        let echoed = cell.client.call("up_echo", raw(r#"{"text":"Z\u00fcrich\n"}"#)).await.expect("a result");
        assert_eq!(text(&echoed), "Z\u{fc}rich\n", "{name}");
        let failed = read(&cell.client.call("up_fails", RawJson::empty_object()).await.expect("a result"));
        assert_eq!((&failed["isError"], &failed["content"][0]["text"]), (&json!(true), &json!("no luck")), "{name}");
        let prompt = read(&cell.client.prompt("up_greet", raw(r#"{"text":"you"}"#)).await.expect("a prompt"));
        assert_eq!(prompt["messages"][0]["content"]["text"], "Hello you", "{name}");
        for (uri, contents) in [("note://a", "A"), ("note://b/7", "B 7")] {
            let read = read(&cell.client.read(uri).await.expect("a resource"));
            assert_eq!(
                (&read["contents"][0]["uri"], &read["contents"][0]["text"]),
                (&json!(uri), &json!(contents)),
                "{name}"
            );
            assert_eq!(read["ttlMs"].is_number(), cell.down.is_modern(), "{name}: {read}");
        }
        let error = cell.client.call("up_nothing", RawJson::empty_object()).await.expect_err("no such tool");
        assert_eq!(error.code(), Some(-32602), "{name}");
    })
    .await;
}

#[tokio::test]
async fn arguments_are_completed_in_every_cell() {
    each(async |cell| {
        for reference in
            [r#"{"type":"ref/prompt","name":"up_greet"}"#, r#"{"type":"ref/resource","uri":"note://b/{id}"}"#]
        {
            let argument = if reference.contains("prompt") { "text" } else { "id" };
            let request = Request::new("completion/complete")
                .param("ref", raw(reference))
                .param("argument", RawJson::of(&json!({"name": argument, "value": "abc"})).expect("JSON"));
            let result = cell.client.request(request).await.unwrap_or_else(|error| panic!("{}: {error}", cell.name()));
            assert_eq!(read(&result)["completion"]["values"], json!(["abc!"]), "{}", cell.name());
        }
    })
    .await;
}

#[tokio::test]
async fn progress_and_log_messages_of_the_level_that_the_client_wants_arrive_in_every_cell() {
    each(async |cell| {
        let name = cell.name();
        cell.client.set_level(Level::Info).await.expect("taken");
        let Outcome { progress, log, result, .. } = cell.run("steps").await;
        assert_eq!(text(&result.expect("a result")), "done", "{name}");
        let steps: Vec<_> = progress.iter().map(|step| (step["progress"].as_f64(), step["total"].as_f64())).collect();
        assert_eq!(steps, [(Some(1.0), Some(2.0)), (Some(2.0), Some(2.0))], "{name}");
        let has_message = cell.both_since(Version::V2025_03_26);
        assert_eq!(progress[0]["message"].as_str(), has_message.then_some("half"), "{name}");
        let log: Vec<_> = log.iter().map(|message| (&message["level"], &message["data"])).collect();
        assert_eq!(log, [(&json!("warning"), &json!("halfway"))], "{name}");
    })
    .await;
}

#[tokio::test]
async fn call_that_the_client_gives_up_ends_at_the_upstream_in_every_cell() {
    // A client that can be asked gets another connection after it has given up a call, because a
    // question of that call may still come. This client sees the same upstream before and after.
    for over in [Over::Http, Over::Stdio] {
        for up in REVISIONS {
            for down in REVISIONS {
                let cell = Cell::with(over, down, up, &json!({})).await;
                let mut call = cell.client.start(Request::call("up_waits", RawJson::empty_object()));
                until(async || {
                    let event = timeout(Duration::from_millis(5), call.next()).await;
                    assert!(event.is_err(), "{}: {event:?}", cell.name());
                    cell.text("running").await == "1"
                })
                .await;
                drop(call);
                until(async || cell.text("running").await == "0").await;
            }
        }
    }
}

#[tokio::test]
async fn questions_of_the_upstream_are_answered_by_the_client_in_every_cell_that_has_them() {
    for (tool, since, answer) in [
        ("form", Version::V2025_06_18, r#""accept" "Ann""#),
        ("page", Version::V2025_11_25, r#""accept""#),
        ("samples", Version::V2024_11_05, r#""hi""#),
        ("roots", Version::V2024_11_05, r#""file:///home""#),
    ] {
        each(async |cell| {
            let name = format!("{tool}: {}", cell.name());
            let Outcome { asked, result, .. } = cell.run(tool).await;
            if cell.both_since(since) {
                assert_eq!(text(&result.unwrap_or_else(|error| panic!("{name}: {error}"))), answer, "{name}");
                assert_eq!(asked.len(), 1, "{name}");
                let message = asked[0]["message"].as_str().map(str::to_owned);
                let expected = match tool {
                    "form" => Some("there asks: Who are you?"),
                    "page" => Some("there asks: Sign in"),
                    _ => None,
                };
                assert_eq!(message.as_deref(), expected, "{name}: the question names the backend");
            } else {
                assert!(asked.is_empty(), "{name}: {asked:?}");
                let is_refused = result.as_ref().map_or(true, |result| read(result)["isError"] == true);
                assert!(is_refused, "{name}: {result:?}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn choice_of_the_user_reaches_the_upstream_as_it_is_in_every_cell_that_has_forms() {
    for (over, up, down) in [Over::Http, Over::Stdio].into_iter().flat_map(|over| {
        let forms = &REVISIONS[2..];
        forms.iter().flat_map(move |up| forms.iter().map(move |down| (over, *up, *down)))
    }) {
        let cell = Cell::new(over, down, up).await;
        for (answer, expected) in [("decline", r#""decline" null"#), ("cancel", r#""cancel" null"#)] {
            let request = Request::call("up_form", RawJson::empty_object()).questions();
            let mut call = cell.client.start(request);
            let result = loop {
                match soon(call.next()).await {
                    Event::Question(question) => question.answer(raw(&format!(r#"{{"action":"{answer}"}}"#))),
                    Event::Done(result) => break result.expect("a result"),
                    _ => {}
                }
            };
            assert_eq!(text(&result), expected, "{}", cell.name());
        }
        // A client of an older revision can refuse with an error. The user has made no choice then.
        if !down.is_modern() && up.is_modern() {
            let mut call = cell.client.start(Request::call("up_form", RawJson::empty_object()).questions());
            let result = loop {
                match soon(call.next()).await {
                    Event::Question(question) => question.refuse(-32603, "no window"),
                    Event::Done(result) => break result.expect("a result"),
                    _ => {}
                }
            };
            assert_eq!(text(&result), r#""cancel" null"#, "{}", cell.name());
        }
    }
}

#[tokio::test]
async fn client_that_can_be_asked_nothing_is_not_asked_in_any_cell() {
    for over in [Over::Http, Over::Stdio] {
        for up in REVISIONS {
            for down in REVISIONS {
                let cell = Cell::with(over, down, up, &json!({})).await;
                let Outcome { asked, result, .. } = cell.run("samples").await;
                assert!(asked.is_empty(), "{}", cell.name());
                let is_refused = result.as_ref().map_or(true, |result| read(result)["isError"] == true);
                assert!(is_refused, "{}: {result:?}", cell.name());
            }
        }
    }
}

#[tokio::test]
async fn changes_of_lists_and_updates_of_watched_resources_are_heard_in_every_cell() {
    each(async |cell| {
        let name = cell.name();
        let filter = Filter::lists().resource("note://a");
        let mut heard = cell.client.listen(filter).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let change = async |what: &str| {
            let arguments = RawJson::of(&json!({"text": what})).expect("JSON");
            cell.client.call("up_changes", arguments).await.expect("a result");
        };
        // The gate subscribes after its client has done so, with a short delay.
        let updated = async {
            loop {
                change("resource").await;
                if let Ok(notice) = timeout(Duration::from_millis(50), heard.next()).await
                    && let Notice::ResourceUpdated(uri) = notice.expect("a notice")
                {
                    break uri;
                }
            }
        };
        assert_eq!(soon(updated).await, "note://a", "{name}");
        change("list").await;
        let changed = async { while !matches!(heard.next().await.expect("a notice"), Notice::ToolsChanged) {} };
        soon(changed).await;
        assert!(names(&cell.client, List::Tools, "name").await.contains(&"up_late".to_owned()), "{name}");
        assert_eq!(cell.text("late").await, "x", "{name}");
    })
    .await;
}
