//! The lists and their pages.

use crate::modern::{Client, Pipe};
use ::core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use attache_core::auth::{Access, Authenticated};
use attache_core::exchange::{Carrier, answer};
use attache_core::json::{Slice, Text};
use attache_core::mcp;
use attache_core::tool::{Catalogue, Contents, Features, Kind, Member, Messages, Read, Role, Tables, ToolResult};
use attache_host::{Ctx, NoArgs, Prompt, Resource, Server, ServerBuilder};
use serde_json::{Value, json};

/// The lists: method, member of the result, key of an entry.
const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("prompts/list", "prompts", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
];

/// A server with seven entries of each kind.
fn sevens() -> ServerBuilder {
    (0..7).fold(Server::new("sevens", "1"), |server, number| {
        server
            .tool(&format!("tool{number}"), "A tool", |_: NoArgs, _: Ctx| async {})
            .with_prompt(Prompt::new(&format!("prompt{number}"), "A prompt", |_: NoArgs, _: Ctx| async { "x" }))
            .with_resource(Resource::new(&format!("at://{number}"), "r", "text/plain", |_, _: Ctx| async { "x" }))
            .with_template(Resource::new(&format!("at://{number}/{{x}}"), "t", "text/plain", |_, _: Ctx| async { "x" }))
    })
}

/// Returns the keys on a page, and the cursor to the next page.
fn page(result: &Value, (_, member, key): (&str, &str, &str)) -> (Vec<String>, Option<Value>) {
    let entries = result[member].as_array().unwrap_or_else(|| panic!("{member} in {result}"));
    let keys = entries.iter().map(|entry| entry[key].as_str().expect("a key").to_owned());
    (keys.collect(), result.get("nextCursor").cloned())
}

// PAG-01, PAG-02, CACHE-01, CACHE-02, CACHE-03, CACHE-05, META-06, META-10, TOOL-02, TOOL-04, PRM-01, RES-01
#[test]
fn list_followed_by_its_cursors_gives_each_entry_once_in_order() {
    for (size, pages) in [(1, 7), (3, 3), (7, 1), (100, 1)] {
        let client = Client::of(sevens().page_size(size));
        for list in LISTS {
            let (mut keys, mut params, mut turned) = (Vec::new(), json!({}), 0);
            loop {
                let result = client.result(list.0, params);
                assert_eq!(result["resultType"], "complete");
                assert!(result["ttlMs"].is_u64() && result["cacheScope"] == "public", "{result}");
                assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "sevens");
                let (fresh, next) = page(&result, list);
                assert!(fresh.len() <= size && !fresh.is_empty(), "{result}");
                keys.extend(fresh);
                turned += 1;
                match next {
                    Some(cursor) => params = json!({"cursor": cursor.as_str().expect("a string")}),
                    None => break,
                }
            }
            assert_eq!(turned, pages, "{} by {size}", list.0);
            assert_eq!(keys.len(), 7, "{} by {size}", list.0);
            assert!(keys.is_sorted(), "{keys:?} were added in order");
        }
    }
}

// TOOL-03, TOOL-04, PRM-02, RES-02, VER-05, META-12, META-13
#[test]
fn list_asked_for_again_on_another_connection_is_the_same() {
    let client = Client::of(sevens().page_size(4));
    for (method, ..) in LISTS {
        let first = client.result(method, json!({}));
        let cursor = json!({"cursor": first["nextCursor"]});
        let second = client.result(method, cursor.clone());
        assert_eq!(client.result(method, cursor), second);
        assert_eq!(client.result(method, json!({})), first);
    }
}

// PAG-03
#[test]
fn cursor_that_was_not_issued_for_this_list_is_refused() {
    let client = Client::of(sevens().page_size(2));
    let foreign = client.result("tools/list", json!({}))["nextCursor"].clone();
    for (method, ..) in LISTS {
        let own = client.result(method, json!({}))["nextCursor"].as_str().expect("a cursor").to_owned();
        let front = own.strip_suffix('2').expect("the number of the third entry");
        let mut bad = vec![
            json!(""),
            json!("0"),
            json!("x"),
            json!("\u{1f600}"),
            json!(format!("{front}7")),
            json!(format!("{front}99999999999999999999999")),
            json!(format!("{front}-1")),
            json!(format!("{own} ")),
            json!(format!("1{own}")),
            json!(7),
            json!([&own]),
        ];
        if method != "tools/list" {
            bad.push(foreign.clone());
        }
        for cursor in bad {
            assert_eq!(client.refusal(method, json!({"cursor": cursor})), (200, -32602), "{method} {cursor}");
        }
        assert_eq!(client.result(method, json!({"cursor": own}))["resultType"], "complete");
    }
}

/// Tools that change: each generation has one tool more.
struct Growing(AtomicU32);

impl Catalogue for Growing {
    fn len(&self, kind: Kind) -> usize {
        if kind == Kind::Tool { 5 + self.0.load(Relaxed) as usize } else { 0 }
    }

    fn key(&self, _: Kind, _: usize) -> Option<&str> {
        Some("same")
    }

    fn members<'s>(&'s self, _: Kind, _: usize, take: &mut dyn FnMut(Member<'s>)) {
        take(Member::always(r#""name":"same","inputSchema":{"type":"object"}"#));
    }

    fn features(&self) -> Features {
        Features { tools: true, ..Features::default() }
    }

    fn generation(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// Returns the answer of the engine alone.
fn engine(server: &mcp::Server<'_>, method: &str, params: Value) -> Value {
    let body = crate::modern::request(1, method, params).to_string();
    let who = Authenticated::anonymous(&Access::Anonymous);
    let mut room = vec![0; 16 * 1024];
    let mut out = Slice::new(&mut room);
    let reply = answer(server, &who, Carrier::Line(None), body.as_bytes(), &mut out, |call, out| match method {
        "prompts/get" => device::scripts::dispatch(&device::Board, call, out),
        _ => device::files::dispatch(&device::Board, call, out),
    });
    let reply = reply.expect("an answer");
    let mut emission = reply.emit(server, body.as_bytes(), out.written());
    let mut bytes = vec![0; emission.len()];
    emission.fill(&mut bytes);
    serde_json::from_slice(&bytes).expect("JSON")
}

// PAG-02, PAG-03
#[test]
fn cursor_into_a_list_that_has_changed_is_refused() {
    let tools = Growing(AtomicU32::new(0));
    let server = mcp::Server::new("growing", "1", &tools).with_page(2);
    let first = engine(&server, "tools/list", json!({}));
    let cursor = json!({"cursor": first["result"]["nextCursor"]});
    assert_eq!(engine(&server, "tools/list", cursor.clone())["result"]["tools"].as_array().map(Vec::len), Some(2));
    tools.0.store(1, Relaxed);
    assert_eq!(engine(&server, "tools/list", cursor)["error"]["code"], -32602);
}

/// An application as a device declares it.
mod device {
    use super::*;

    attache_core::args! { pub(crate) struct Diagnose<'a> { /** number of the relay */ relay: Text<'a>, /** what was seen */ why: Option<Text<'a>> } }
    attache_core::prompts! { pub(crate) mod scripts for Board {
        /// Find out why a relay does not switch
        #[title = "Diagnose"] fn diagnose(Diagnose<'_>);
        /// Say hello
        fn greet(attache_core::tool::Nothing);
    } }
    attache_core::resources! { pub(crate) mod files for Board {
        /// What happened since the start
        "board://log" as "text/plain" => fn log;
    } templates {
        /// The state of one relay
        "board://relay/{number}" as "text/plain" => fn relay;
    } }

    pub(crate) struct Board;

    impl Board {
        fn diagnose(&self, about: Diagnose<'_>, out: &mut Messages<'_, '_>) -> ToolResult {
            out.message(Role::User, |block| {
                block.text_with(|text| text.push("Check relay ").and_then(|()| text.echo(about.relay)))
            })?;
            about
                .why
                .into_iter()
                .try_for_each(|why| out.message(Role::Assistant, |block| block.text_with(|text| text.echo(why))))
        }

        fn greet(&self, _: attache_core::tool::Nothing, out: &mut Messages<'_, '_>) -> ToolResult {
            out.text(Role::User, "Hello.")
        }

        fn log(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
            out.text("text/plain", "12:00 on")?;
            out.blob("application/octet-stream", &[0, 255])
        }

        fn relay(&self, read: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
            match read.variable("board://relay/{number}", "number") {
                Some(number) if number.is("1") => out.text("text/plain", "on"),
                _ => Err(attache_core::tool::ToolError::NotFound),
            }
        }
    }

    pub(crate) const TABLES: Tables<'static> =
        Tables::EMPTY.with_prompts(scripts::PROMPTS).with_resources(files::RESOURCES, files::TEMPLATES);
}

// PRM-01, PRM-03, PRM-06, RES-01, RES-03, RES-05, RES-08, DISC-03, PAG-01
#[test]
fn tables_of_a_device_are_listed_by_pages_and_their_entries_answer() {
    let server = mcp::Server::new("board", "1", &device::TABLES).with_page(1);
    let first = engine(&server, "prompts/list", json!({}))["result"].take();
    assert_eq!(
        first["prompts"],
        json!([{"name": "diagnose", "title": "Diagnose", "description": "Find out why a relay does not switch", "arguments": [
            {"name": "relay", "description": "number of the relay", "required": true},
            {"name": "why", "description": "what was seen", "required": false},
        ]}])
    );
    let second = engine(&server, "prompts/list", json!({"cursor": first["nextCursor"]}))["result"].take();
    assert_eq!(second["prompts"], json!([{"name": "greet", "description": "Say hello", "arguments": []}]));
    assert_eq!(second.get("nextCursor"), None);
    for (method, member, entry) in [
        (
            "resources/list",
            "resources",
            json!({"uri": "board://log", "name": "log", "description": "What happened since the start", "mimeType": "text/plain"}),
        ),
        (
            "resources/templates/list",
            "resourceTemplates",
            json!({"uriTemplate": "board://relay/{number}", "name": "relay", "description": "The state of one relay", "mimeType": "text/plain"}),
        ),
    ] {
        let result = engine(&server, method, json!({}))["result"].take();
        assert_eq!((&result[member], result.get("nextCursor")), (&json!([entry]), None));
    }
    for (method, params, member, outcome) in [
        (
            "prompts/get",
            json!({"name": "greet"}),
            "messages",
            json!([{"role": "user", "content": {"type": "text", "text": "Hello."}}]),
        ),
        (
            "prompts/get",
            json!({"name": "diagnose", "arguments": {"relay": "3", "why": "loud"}}),
            "messages",
            json!([
                {"role": "user", "content": {"type": "text", "text": "Check relay 3"}},
                {"role": "assistant", "content": {"type": "text", "text": "loud"}},
            ]),
        ),
        (
            "resources/read",
            json!({"uri": "board://log"}),
            "contents",
            json!([
                {"uri": "board://log", "mimeType": "text/plain", "text": "12:00 on"},
                {"uri": "board://log", "mimeType": "application/octet-stream", "blob": "AP8="},
            ]),
        ),
        (
            "resources/read",
            json!({"uri": "board://relay/1"}),
            "contents",
            json!([{"uri": "board://relay/1", "mimeType": "text/plain", "text": "on"}]),
        ),
    ] {
        let answer = engine(&server, method, params);
        assert_eq!(answer["result"][member], outcome, "{answer}");
    }
    for (method, params, code) in [
        ("prompts/get", json!({"name": "diagnose"}), -32602),
        ("prompts/get", json!({"name": "diagnose", "arguments": {"relay": 3}}), -32602),
        ("prompts/get", json!({"name": "greet", "arguments": {"loud": "yes"}}), -32602),
        ("prompts/get", json!({"name": "nobody"}), -32602),
        ("resources/read", json!({"uri": "board://relay/2"}), -32602),
        ("resources/read", json!({"uri": "board://nothing"}), -32602),
        ("tools/list", json!({}), -32601),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "x", "value": ""}}),
            -32601,
        ),
        ("subscriptions/listen", json!({"notifications": {}}), -32601),
    ] {
        assert_eq!(engine(&server, method, params)["error"]["code"], code, "{method}");
    }
}

// TOOL-02, PRM-01, RES-01, RPC-13, DISC-03, RPC-14
#[test]
fn list_behind_a_capability_that_is_not_declared_is_an_unknown_method() {
    let nothing = Client::of(Server::new("nothing", "1"));
    assert_eq!(nothing.result("server/discover", json!({}))["capabilities"], json!({}));
    for (method, ..) in LISTS {
        assert_eq!(nothing.refusal(method, json!({})), (404, -32601), "{method}");
    }
    let one = Client::of(Server::new("one", "1").with_resource(Resource::new(
        "at://1",
        "r",
        "text/plain",
        |_, _: Ctx| async { "x" },
    )));
    assert_eq!(one.result("server/discover", json!({}))["capabilities"], json!({"resources": {}}));
    assert_eq!(one.result("resources/templates/list", json!({}))["resourceTemplates"], json!([]));
    assert_eq!(one.refusal("prompts/list", json!({})), (404, -32601));
}

// PAG-01, META-14
#[tokio::test]
async fn lists_asked_for_at_once_over_lines_each_get_their_own_page() {
    let mut pipe = Pipe::to(sevens().page_size(5));
    for (id, (method, ..)) in LISTS.into_iter().enumerate() {
        pipe.ask(format!("list {id}"), method, json!({})).await;
    }
    let mut answers = pipe.end().await;
    answers.sort_by_key(|answer| answer["id"].to_string());
    for (answer, list) in answers.iter().zip(LISTS) {
        assert_eq!(page(&answer["result"], list).0.len(), 5, "{answer}");
    }
    assert_eq!(answers.len(), LISTS.len());
}
