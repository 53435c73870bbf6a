//! The behaviour of tool handlers: panics, failures, blocking, and arguments. The tests use lines,
//! the transport with the fewest other parts.

use attache_host::{Content, Ctx, NoArgs, Server, ServerBuilder, ToolError, ToolOutput, stdio};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex, split};

/// Calls each tool without arguments, and returns the results in the order of their ids.
async fn results(server: ServerBuilder, tools: &[&str]) -> Vec<Value> {
    let calls: Vec<_> = tools.iter().map(|tool| (*tool, json!({}))).collect();
    results_of(server, &calls).await
}

/// Makes each call, and returns the results in the order of their ids.
async fn results_of(server: ServerBuilder, calls: &[(&str, Value)]) -> Vec<Value> {
    let (here, there) = duplex(1024 * 1024);
    let (input, output) = split(there);
    let serving = tokio::spawn(stdio::serve(server.build(), input, output));
    let (answers, mut questions) = split(here);
    for (id, (tool, arguments)) in calls.iter().enumerate() {
        let question = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }}});
        questions.write_all(format!("{question}\n").as_bytes()).await.expect("taken");
    }
    questions.shutdown().await.expect("closed");
    let mut lines = BufReader::new(answers).lines();
    let mut results = vec![Value::Null; calls.len()];
    for _ in calls {
        let line = lines.next_line().await.expect("readable").expect("an answer for each question");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        let id = answer["id"].as_u64().expect("the id of a question");
        results[usize::try_from(id).expect("small")] = answer["result"].clone();
    }
    serving.await.expect("no panic").expect("no failure");
    results
}

#[tokio::test]
async fn tool_that_panics_or_fails_answers_with_a_fixed_sentence_and_the_next_call_runs() {
    let server = Server::new("t", "1")
        .tool("panics", "d", |_: NoArgs, _: Ctx| async {
            if true {
                panic!("secret one")
            }
        })
        .tool("fails", "d", |_: NoArgs, _: Ctx| async {
            "x".parse::<u8>()?;
            Ok("unreachable")
        })
        .tool("refuses", "d", |_: NoArgs, _: Ctx| async { Err::<(), _>(ToolError::user("say \"please\"")) })
        .tool("works", "d", |_: NoArgs, _: Ctx| async { "yes" });
    let [panics, fails, refuses, works] =
        results(server, &["panics", "fails", "refuses", "works"]).await.try_into().expect("four");
    for result in [panics, fails] {
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert!(text.starts_with("The tool failed.") && !text.contains("secret") && !text.contains("digit"), "{text}");
    }
    assert_eq!(refuses["isError"], true);
    assert_eq!(refuses["content"][0]["text"], "say \"please\"");
    assert_eq!(works["content"][0]["text"], "yes");
    assert_eq!(works.get("isError"), None);
}

#[derive(schemars::JsonSchema)]
struct Trap {}

impl<'de> serde::Deserialize<'de> for Trap {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("secret two")
    }
}

#[tokio::test]
async fn arguments_whose_reading_panics_answer_with_the_fixed_sentence_and_the_next_call_runs() {
    let server = Server::new("t", "1").tool("trap", "d", |_: Trap, _: Ctx| async {}).tool(
        "works",
        "d",
        |_: NoArgs, _: Ctx| async { "yes" },
    );
    let [trap, works] = results(server, &["trap", "works"]).await.try_into().expect("two");
    let text = trap["content"][0]["text"].as_str().expect("a text");
    assert!(text.starts_with("The tool failed.") && !text.contains("secret"), "{text}");
    assert_eq!(works["content"][0]["text"], "yes");
}

#[tokio::test]
async fn tool_that_waits_does_not_hold_up_the_others() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let (waits, opens) = (gate.clone(), gate);
    let server = Server::new("t", "1")
        .tool("waits", "d", move |_: NoArgs, _: Ctx| {
            let gate = waits.clone();
            async move { gate.notified().await }
        })
        .tool("opens", "d", move |_: NoArgs, _: Ctx| {
            opens.notify_one();
            async { "open" }
        });
    let results = results(server, &["waits", "opens"]).await;
    assert_eq!(results[0]["content"], json!([]));
    assert_eq!(results[1]["content"][0]["text"], "open");
}

#[tokio::test]
async fn tool_that_blocks_its_thread_delays_no_other_call_and_its_panic_is_a_fixed_sentence() {
    let (opens, waits) = std::sync::mpsc::channel();
    let waits = std::sync::Mutex::new(waits);
    let server = Server::new("t", "1")
        .tool_blocking("waits", "d", move |_: NoArgs, _: Ctx| {
            let waits = waits.lock().expect("not poisoned");
            waits.recv_timeout(core::time::Duration::from_secs(10)).expect("the other tool runs meanwhile")
        })
        .tool_blocking("panics", "d", |_: NoArgs, _: Ctx| {
            if true {
                panic!("secret")
            }
        })
        .tool("opens", "d", move |_: NoArgs, _: Ctx| {
            let opens = opens.clone();
            async move { opens.send("open").expect("somebody waits") }
        });
    let results = results(server, &["waits", "panics", "opens"]).await;
    assert_eq!(results[0]["content"][0]["text"], "open");
    assert_eq!(results[1]["isError"], true);
    assert!(!results[1]["content"][0]["text"].as_str().expect("a text").contains("secret"));
    assert_eq!(results[2]["content"], json!([]));
}

#[tokio::test]
async fn output_of_several_blocks_keeps_their_order() {
    let server = Server::new("t", "1").tool("two", "d", |_: NoArgs, _: Ctx| async {
        ToolOutput::new(["a", "b"].map(|text| Content::Text(text.to_owned())))
    });
    let results = results(server, &["two"]).await;
    assert_eq!(results[0]["content"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
}

#[test]
#[should_panic(expected = "already a tool")]
fn name_taken_twice_stops_the_program_at_its_start() {
    let tool = |_: NoArgs, _: Ctx| async {};
    let _ = Server::new("t", "1").tool("same", "d", tool).tool("same", "d", tool);
}

#[test]
#[should_panic(expected = "must have 1 to 128 characters")]
fn name_with_a_space_stops_the_program_at_its_start() {
    let _ = Server::new("t", "1").tool("not a name", "d", |_: NoArgs, _: Ctx| async {});
}

#[test]
#[should_panic(expected = "must be a struct with named fields")]
fn arguments_that_are_no_object_stop_the_program_at_its_start() {
    let _ = Server::new("t", "1").tool("number", "d", |_: u8, _: Ctx| async {});
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Table {
    #[expect(dead_code, reason = "only its type matters")]
    rows: std::collections::BTreeMap<String, u8>,
}

#[tokio::test]
async fn call_with_a_long_name_that_does_not_fit_is_answered_with_the_beginning_of_it() {
    let long = "n".repeat(100_000);
    let server = || Server::new("t", "1").tool("table", "d", |_: Table, _: Ctx| async {});
    for arguments in [json!({"rows": {&long: "x"}}), json!({&long: 1})] {
        let [result] = results_of(server(), &[("table", arguments)]).await.try_into().expect("one");
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains(&"n".repeat(100)) && text.len() < 500, "{text}");
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Move {
    steps: u8,
    #[serde(flatten)]
    way: Way,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(tag = "way", rename_all = "snake_case")]
enum Way {
    Up { speed: f64 },
    Down,
}

#[tokio::test]
async fn argument_flattened_out_of_an_enum_is_taken_and_an_unknown_one_is_refused() {
    let server = Server::new("t", "1").tool("move", "d", |wanted: Move, _: Ctx| async move {
        match wanted.way {
            Way::Up { speed } => format!("up {} at {speed}", wanted.steps),
            Way::Down => format!("down {}", wanted.steps),
        }
    });
    let calls = [
        json!({"steps": 2, "way": "up", "speed": 1.5}),
        json!({"way": "down", "steps": 1}),
        json!({"steps": 2, "way": "up", "speed": 1.5, "sped": 1}),
    ];
    let results = results_of(server, &calls.map(|arguments| ("move", arguments))).await;
    let texts = results.iter().map(|result| result["content"][0]["text"].as_str().expect("a text"));
    let [up, down, refused] = texts.collect::<Vec<_>>().try_into().expect("three");
    assert_eq!((up, down), ("up 2 at 1.5", "down 1"));
    assert!(refused.contains("'sped'") && refused.contains("speed"), "{refused}");
}

#[tokio::test]
async fn argument_beyond_what_the_schema_says_reaches_no_tool_and_is_named() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Target {
        #[schemars(range(min = 5, max = 30))]
        celsius: f64,
    }
    let server =
        Server::new("t", "1").tool("set", "d", |target: Target, _: Ctx| async move { target.celsius.to_string() });
    let call = |celsius: f64| json!({"celsius": celsius});
    let results = results_of(server, &[("set", call(21.5)), ("set", call(31.0))]).await;
    assert_eq!(results[0]["content"][0]["text"], "21.5");
    assert_eq!(results[1]["isError"], true);
    let text = results[1]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("'celsius'") && text.contains("30"), "{text}");
}

/// The file and line that a panic of the closure names.
fn place_of_panic(mistake: impl FnOnce() + core::panic::UnwindSafe) -> (String, u32) {
    use core::cell::RefCell;
    thread_local! { static PLACE: RefCell<(String, u32)> = RefCell::default(); }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            PLACE.replace((place.file().to_owned(), place.line()));
        }
    }));
    let caught = std::panic::catch_unwind(mistake);
    std::panic::set_hook(before);
    assert!(caught.is_err(), "it is no mistake");
    PLACE.take()
}

#[cfg(feature = "discovery")]
#[test]
fn texts_that_operators_write_are_parsed_and_a_wrong_one_is_an_error_that_says_what_to_write() {
    use attache_host::auth::{Issuer, Keys, Tokens};
    let discovered = |issuer: &str| Issuer::discovered(issuer).map(|_| ()).map_err(|error| error.to_string());
    for issuer in
        ["https://id.example", "http://localhost:8080/tenant", "https://login.microsoftonline.com/common/v2.0"]
    {
        assert_eq!(discovered(issuer), Ok(()), "{issuer}");
    }
    for issuer in ["", "id.example", "ftp://id.example", "http://id.example", "https://169.254.169.254"] {
        let error = discovered(issuer).expect_err(issuer);
        assert_eq!(error, format!("issuer {issuer:?} must be an https URL, or an http URL of this machine"));
    }
    let issuer = || Issuer::discovered("https://id.example").expect("an issuer");
    assert!(Tokens::of("https://api.example/mcp", issuer()).is_ok());
    for resource in ["mcp", "ftp://api.example", "https://", "https://api.example/mcp#a"] {
        let error = Tokens::of(resource, issuer()).map(|_| ()).expect_err(resource).to_string();
        assert_eq!(error, format!("resource {resource:?} must be a URL such as https://api.example/mcp"));
    }
    let error = Keys::new([("good", "0123456789abcdef0123456789abcdef"), ("a", "short")]).expect_err("a short value");
    assert_eq!(error.to_string(), "the value of key \"a\" must have at least 32 bytes");
    let error = Server::new("t", "1").path("mcp").map(|_| ()).expect_err("no slash");
    assert_eq!(error.to_string(), "path \"mcp\" must begin with a slash");
}

#[test]
fn mistake_in_a_builder_panics_at_the_line_of_its_author() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct NotAnObject(#[expect(dead_code, reason = "only its schema matters")] u8);
    let tool = |name: &'static str| attache_host::Tool::new(name, "d", |_: NoArgs, _: Ctx| async { "x" });
    let mistakes: [fn(); 6] = [
        || drop(Server::new("t", "1").tool("no name", "d", |_: NoArgs, _: Ctx| async { "x" })),
        || drop(Server::new("t", "1").tool("a", "d", |_: NotAnObject, _: Ctx| async { "x" })),
        || drop(Server::new("t", "1").extension("none", json!({}))),
        || drop(Server::new("t", "1").seal_keys([])),
        || drop(Server::new("t", "1").state(1_u8).state(1_u8)),
        || {
            let read = |_: attache_host::ResourceRequest, _: Ctx| async { "x" };
            drop(Server::new("t", "1").with_resource(attache_host::Resource::new("none", "n", "text/plain", read)));
        },
    ];
    for (number, mistake) in mistakes.into_iter().enumerate() {
        assert_eq!(place_of_panic(mistake).0, file!(), "{number}");
    }
    let here = (place_of_panic(|| drop(Server::new("t", "1").seal_keys([]))), line!());
    assert_eq!(here.0.1, here.1);
    let twice = move || drop(Server::new("t", "1").with_tool(tool("a")).with_tool(tool("a")));
    assert_eq!(place_of_panic(twice).0, file!());
    let several = move || drop(Server::new("t", "1").with_tools([tool("a"), tool("a")]));
    assert_eq!(place_of_panic(several).0, file!());
}

#[test]
fn entry_from_data_that_breaks_a_rule_is_an_error_and_the_server_goes_on() {
    use attache_host::{AddError, CompletionRequest, Prompt, Resource, ResourceRequest};
    let tool = |name: &str| attache_host::Tool::new(name, "d", |_: NoArgs, _: Ctx| async { "x" });
    let prompt = |name: &str| Prompt::new(name, "d", |_: NoArgs, _: Ctx| async { "x" });
    let resource = |uri: &str| Resource::new(uri, "n", "text/plain", |_: ResourceRequest, _: Ctx| async { "x" });
    let complete = |_: CompletionRequest, _: Ctx| async { vec![] };
    let server = Server::new("t", "1").with_tool(tool("known"));
    let changes = server.changes();
    for (added, reason) in [
        (changes.add_tool(tool("")), "must have 1 to 128 characters"),
        (changes.add_tool(tool("a b")), "must have 1 to 128 characters"),
        (changes.add_tool(tool("known")), "there is already a tool \"known\""),
        (changes.add_tool(tool("a").icons(json!([{"src": "http://x"}]))), "icons of \"a\" must be"),
        (changes.add_tool(tool("a").meta(json!({"dev.mcp/x": 1}))), "belongs to the protocol"),
        (changes.add_tool(tool("a").input_schema(json!({"type": "string"}))), "must have the root type object"),
        (
            changes.add_tool(tool("a").input_schema(json!({"type": "object", "required": "a"}))),
            "the schema of tool \"a\" cannot be used",
        ),
        (
            changes
                .add_tool(tool("a").input_schema(json!({"type": "object", "properties": {"a": {"x-mcp-header": ""}}}))),
            "must be a header name",
        ),
        (changes.add_prompt(prompt("p").meta(json!([]))), "_meta of p must be an object"),
        (changes.add_prompt(prompt("p").complete("city", complete)), "has no argument \"city\""),
        (changes.add_resource(resource("no uri")), "must be a URI"),
        (changes.add_template(resource("a://{b}").complete("c", complete)), "has no variable \"c\""),
    ] {
        let error = added.expect_err(reason);
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(matches!(error, AddError::NameTaken(_)), reason.contains("already"), "{error}");
    }
    assert_eq!(changes.add_tool(tool("new")), Ok(()));
    assert_eq!(changes.add_template(resource("a://{b}").complete("b", complete)), Ok(()));
}
