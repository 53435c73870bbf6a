//! Getting prompts, reading resources, completing arguments, and every kind of content.

use crate::implementations::{Http, headers};
use crate::modern::{Client, request};
use attache_core::auth::{Access, Authenticated};
use attache_core::exchange::{Carrier, answer};
use attache_core::json::Slice;
use attache_core::tool::{Kind, Messages, Operation, Output, Role as Speaker, Tables, ToolResult, Values};
use attache_host::{
    CompletionRequest, Content, Contents, Ctx, Json, NoArgs, Prompt, PromptOutput, Resource, ResourceRequest, Role,
    Server, ServerBuilder, ToolError, ToolOutput,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
struct Diagnose {
    /// number of the relay
    relay: String,
    why: Option<String>,
}

fn prompts() -> ServerBuilder {
    Server::new("prompts", "1")
        .with_prompt(Prompt::new("diagnose", "Find out why", |about: Diagnose, _: Ctx| async move {
            format!("Check relay {}: {}", about.relay, about.why.unwrap_or_default())
        }))
        .with_prompt(Prompt::new("all", "Every kind of content", |_: NoArgs, _: Ctx| async {
            PromptOutput::new(
                blocks()
                    .into_iter()
                    .zip([Role::User, Role::Assistant].into_iter().cycle())
                    .map(|(block, role)| (role, block)),
            )
        }))
        .with_prompt(Prompt::new("fails", "Fails", |_: NoArgs, _: Ctx| async {
            "x".parse::<u8>()?;
            Ok::<_, ToolError>("unreachable")
        }))
}

/// One block of each kind, with characters that JSON must escape.
fn blocks() -> Vec<Content> {
    vec![
        Content::text("say \"hi\"\n\u{1}"),
        Content::Image { mime_type: "image/png".to_owned(), data: vec![0, 255, 62] },
        Content::Audio { mime_type: "audio/wav".to_owned(), data: vec![1] },
        Content::Link { uri: "at://\"x\"".to_owned(), name: "x\\y".to_owned() },
        Content::Resource { uri: "at://y".to_owned(), mime_type: "text/plain".to_owned(), text: "é".to_owned() },
    ]
}

/// The JSON of these blocks.
fn written() -> Vec<Value> {
    vec![
        json!({"type": "text", "text": "say \"hi\"\n\u{1}"}),
        json!({"type": "image", "data": "AP8+", "mimeType": "image/png"}),
        json!({"type": "audio", "data": "AQ==", "mimeType": "audio/wav"}),
        json!({"type": "resource_link", "uri": "at://\"x\"", "name": "x\\y"}),
        json!({"type": "resource", "resource": {"uri": "at://y", "mimeType": "text/plain", "text": "é"}}),
    ]
}

// PRM-03, PRM-04, PRM-06, META-10
#[test]
fn prompt_got_with_its_arguments_gives_its_messages() {
    let client = Client::of(prompts());
    for (arguments, text) in [
        (json!({"relay": "3"}), "Check relay 3: "),
        (json!({"relay": "3", "why": null}), "Check relay 3: "),
        (json!({"relay": "a \"b\"", "why": "é"}), "Check relay a \"b\": é"),
    ] {
        let result = client.result("prompts/get", json!({"name": "diagnose", "arguments": arguments}));
        assert_eq!(result["messages"], json!([{"role": "user", "content": {"type": "text", "text": text}}]));
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result.get("ttlMs"), None, "a prompt that is got is not cacheable");
    }
}

// PRM-03, PRM-04, RES-15
#[test]
fn prompt_that_cannot_be_got_is_a_protocol_error() {
    let client = Client::of(prompts());
    for (params, code, words) in [
        (json!({"name": "nobody"}), -32602, "nobody"),
        (json!({"name": "Diagnose"}), -32602, "Diagnose"),
        (json!({}), -32602, "name"),
        (json!({"name": 7}), -32602, "name"),
        (json!({"name": "diagnose"}), -32602, "relay"),
        (json!({"name": "diagnose", "arguments": {}}), -32602, "relay"),
        (json!({"name": "diagnose", "arguments": {"why": "x"}}), -32602, "relay"),
        (json!({"name": "diagnose", "arguments": {"relay": 3}}), -32602, "relay"),
        (json!({"name": "diagnose", "arguments": {"relay": "3", "extra": "x"}}), -32602, "extra"),
        (json!({"name": "diagnose", "arguments": []}), -32602, "arguments"),
        (json!({"name": "fails"}), -32603, "failed"),
    ] {
        let name = params["name"].as_str().map(str::to_owned);
        let body = request(1, "prompts/get", params.clone()).to_string();
        let response = client.0.post(&headers("prompts/get", name.as_deref()), body.as_bytes());
        let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!((response.status, &answer["error"]["code"]), (200, &json!(code)), "{params}: {answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(words) && !message.contains("digit"), "{params}: {message:?}");
    }
}

// TOOL-07, TOOL-18, PRM-06, PRM-07
#[test]
fn content_of_every_kind_is_written_alike_in_a_tool_and_in_a_prompt() {
    let client = Client::of(prompts().tool("all", "d", |_: NoArgs, _: Ctx| async { ToolOutput::new(blocks()) }));
    let result = client.result("tools/call", json!({"name": "all"}));
    assert_eq!(result["content"], Value::from(written()));
    let result = client.result("prompts/get", json!({"name": "all"}));
    let roles = ["user", "assistant"].into_iter().cycle();
    let messages: Vec<_> =
        written().into_iter().zip(roles).map(|(content, role)| json!({"role": role, "content": content})).collect();
    assert_eq!(result["messages"], Value::from(messages));
}

// META-07
#[test]
fn block_that_says_more_of_itself_is_the_block_with_that() {
    let server = Server::new("s", "1").tool("all", "d", |_: NoArgs, _: Ctx| async {
        let blocks = blocks().into_iter();
        ToolOutput::new(
            blocks.map(|block| block.audience(&[Role::User, Role::Assistant], 0.5).meta(&json!({"a.b/c": "}"}))),
        )
    });
    let result = Client::of(server).result("tools/call", json!({"name": "all"}));
    let more = |mut block: Value| {
        block["annotations"] = json!({"audience": ["user", "assistant"], "priority": 0.5});
        block["_meta"] = json!({"a.b/c": "}"});
        block
    };
    assert_eq!(result["content"], written().into_iter().map(more).collect::<Value>());
}

#[derive(Serialize, JsonSchema)]
struct Measured {
    celsius: f64,
    sensor: String,
    history: Vec<i32>,
}

// TOOL-11, TOOL-12, TOOL-28
#[test]
fn structured_result_is_listed_with_its_schema_and_mirrored_in_a_text() {
    let server = Server::new("s", "1")
        .tool("measure", "d", |_: NoArgs, _: Ctx| async {
            Json(Measured { celsius: 20.5, sensor: "a \"b\"\n".to_owned(), history: vec![-1, 2] })
        })
        .tool("may_fail", "d", |_: NoArgs, _: Ctx| async {
            Err::<Json<Measured>, _>(ToolError::user("the sensor is gone"))
        });
    let client = Client::of(server);
    let tools = client.result("tools/list", json!({}))["tools"].take();
    for tool in tools.as_array().expect("a list") {
        let schema = &tool["outputSchema"];
        assert_eq!(schema["type"], "object", "{tool}");
        assert_eq!(schema["required"], json!(["celsius", "sensor", "history"]));
        assert_eq!(schema["properties"]["celsius"]["type"], "number");
        assert_eq!(tool.get("execution"), None);
    }
    let structured = json!({"celsius": 20.5, "sensor": "a \"b\"\n", "history": [-1, 2]});
    let result = client.result("tools/call", json!({"name": "measure"}));
    assert_eq!(result["structuredContent"], structured);
    assert_eq!(result["content"].as_array().map(Vec::len), Some(1));
    let text = result["content"][0]["text"].as_str().expect("a text");
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), structured);
    let result = client.result("tools/call", json!({"name": "may_fail"}));
    assert_eq!((&result["isError"], result.get("structuredContent")), (&json!(true), None), "{result}");
}

fn resources() -> ServerBuilder {
    Server::new("resources", "1")
        .with_resource(Resource::new("at://text", "t", "text/plain", |_: ResourceRequest, _: Ctx| async {
            "quote \" and é"
        }))
        .with_resource(Resource::new("at://blob", "b", "image/png", |_: ResourceRequest, _: Ctx| async {
            vec![0u8, 255, 62]
        }))
        .with_resource(Resource::new("at://other", "o", "text/plain", |_: ResourceRequest, _: Ctx| async {
            Contents::text("{}").with_mime_type("application/json")
        }))
        .with_resource(Resource::new("at://gone", "g", "text/plain", |_: ResourceRequest, _: Ctx| async {
            Err::<String, _>(ToolError::not_found())
        }))
        .with_resource(Resource::new("at://broken", "x", "text/plain", |_: ResourceRequest, _: Ctx| async {
            "secret".parse::<u8>()?;
            Ok::<_, ToolError>("unreachable")
        }))
        .with_resource(Resource::new("at://one/own/page", "p", "text/plain", |_: ResourceRequest, _: Ctx| async {
            "its own"
        }))
        .with_template(Resource::new(
            "at://one/{id}/page",
            "v",
            "text/plain",
            |read: ResourceRequest, _: Ctx| async move {
                format!("id={} none={:?} of {}", read.variable("id"), read.variable("none"), read.uri())
            },
        ))
        .with_template(Resource::new(
            "at://two/{a}-{b}",
            "w",
            "text/plain",
            |read: ResourceRequest, _: Ctx| async move { format!("{}|{}", read.variable("a"), read.variable("b")) },
        ))
}

// RES-01, RES-08, CACHE-01, CACHE-02, CACHE-03
#[test]
fn resource_read_gives_its_contents_under_the_uri_asked_for() {
    let client = Client::of(resources());
    for (uri, mime_type, member, value) in [
        ("at://text", "text/plain", "text", "quote \" and é"),
        ("at://blob", "image/png", "blob", "AP8+"),
        ("at://other", "application/json", "text", "{}"),
        ("at://one/own/page", "text/plain", "text", "its own"),
        ("at://one/7/page", "text/plain", "text", "id=7 none=\"\" of at://one/7/page"),
        ("at://one/a%2Fb%20c/page", "text/plain", "text", "id=a%2Fb%20c none=\"\" of at://one/a%2Fb%20c/page"),
        ("at://one/%22/page", "text/plain", "text", "id=%22 none=\"\" of at://one/%22/page"),
        ("at://two/x-y", "text/plain", "text", "x|y"),
    ] {
        let result = client.result("resources/read", json!({"uri": uri}));
        assert_eq!(result["contents"], json!([{"uri": uri, "mimeType": mime_type, member: value}]));
        assert_eq!(result["resultType"], "complete");
        assert!(result["ttlMs"].is_u64() && result["cacheScope"] == "private", "{result}");
    }
}

// RES-03, RES-04, RES-05, RES-06, RES-15, RPC-19
#[test]
fn resource_that_is_not_there_is_an_error_with_its_uri_in_each_era() {
    let client = Client::of(resources());
    for uri in [
        "at://nothing",
        "at://gone",
        "at://one//page",
        "at://one/1/2/page",
        "at://one/7/page/",
        "AT://text",
        "",
        "at://one/{id}/page/x",
        "at://two/x",
        "at://one/7%\"/page/",
    ] {
        let (status, error) = client.error("resources/read", json!({"uri": uri}));
        assert_eq!((status, &error["code"], &error["data"]), (200, &json!(-32602), &json!({"uri": uri})), "{uri}");
        let legacy =
            [("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")];
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}});
        let answer: Value =
            serde_json::from_slice(&client.0.post(&legacy, body.to_string().as_bytes()).body).expect("JSON");
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["data"]),
            (&json!(-32002), &json!({"uri": uri})),
            "{uri}"
        );
    }
    let (status, error) = client.error("resources/read", json!({"uri": "at://broken"}));
    assert_eq!((status, &error["code"]), (200, &json!(-32603)));
    assert!(!error.to_string().contains("digit"), "{error}");
    assert_eq!(client.refusal("resources/read", json!({"uri": 7})), (200, -32602));
    assert_eq!(client.refusal("resources/read", json!({})), (200, -32602));
}

fn completing() -> ServerBuilder {
    let server = resources().with_prompt(Prompt::new("diagnose", "d", |_: Diagnose, _: Ctx| async { "x" }));
    server.completion(|typed: CompletionRequest, _: Ctx| async move {
        match (typed.argument(), typed.value()) {
            ("relay", count) if count.starts_with(|first: char| first.is_ascii_digit()) => {
                (0..count.parse().unwrap_or(0)).map(|number| format!("v{number}")).collect()
            }
            (argument, value) => {
                let kind = match typed.kind() {
                    Kind::Prompt => "prompt",
                    Kind::Template => "template",
                    _ => "resource",
                };
                let context: Vec<_> = typed.context().map(|(name, value)| format!("{name}={value}")).collect();
                assert_eq!(typed.resolved("why"), typed.context().find(|(name, _)| *name == "why").map(|(_, why)| why));
                let first = format!("{kind} {} {argument}={value} {}", typed.reference(), context.join(","));
                vec![first, "\"second\"".to_owned()]
            }
        }
    })
}

attache_core::args! { struct About<'a> { /** number of the relay */ relay: attache_core::json::Text<'a>, /** why */ why: Option<attache_core::json::Text<'a>> } }
attache_core::prompts! { pub mod scripts for Board {
    /// Find out why
    fn diagnose(About<'_>);
} }

/// A board with the prompt of the host above.
struct Board;

impl Board {
    fn diagnose(&self, about: About<'_>, out: &mut Messages<'_, '_>) -> ToolResult {
        out.message(Speaker::User, |block| block.text_with(|text| text.echo(about.relay)))
    }

    fn complete(typed: attache_core::tool::Completing<'_>, out: &mut Values<'_, '_>) -> ToolResult {
        out.value(typed.resolved("relay").and_then(|relay| relay.plain()).unwrap_or("nothing"))
    }
}

static OFFERS: Tables<'static> = Tables::EMPTY.with_prompts(scripts::PROMPTS).with_completions();
static BOARD: attache_core::mcp::Server<'static> = attache_core::mcp::Server::new("board", "1", &OFFERS);

/// Returns a board's answer to a message on a line.
fn on_board(message: &Value) -> Value {
    let (body, mut buffer) = (message.to_string().into_bytes(), vec![0; 4096]);
    let mut out = Slice::new(&mut buffer);
    let who = Authenticated::anonymous(&Access::Anonymous);
    let run = |call: attache_core::tool::Call<'_>, out: &mut Output<'_>| match call.operation() {
        Operation::Complete(..) => Board::complete(call.completing(), &mut out.values()),
        _ => scripts::dispatch(&Board, call, out),
    };
    let reply = answer(&BOARD, &who, Carrier::Line(None), &body, &mut out, run).expect("an answer");
    let mut emission = reply.emit(&BOARD, &body, out.written());
    let mut bytes = vec![0; emission.len()];
    emission.fill(&mut bytes);
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn argument_that_a_prompt_does_not_have_is_refused_by_its_name_and_called_a_prompts() {
    let client = Client::of(prompts());
    for (arguments, name) in [
        (json!({"relay": "3", "whi": "x"}), "whi"),
        (json!({"Relay": "3"}), "Relay"),
        (json!({"relay": "3", "a \"b\"": ""}), "a \"b\""),
    ] {
        let params = json!({"name": "diagnose", "arguments": arguments});
        let (status, error) = client.error("prompts/get", params.clone());
        let on_board = on_board(&request(1, "prompts/get", params));
        for error in [&error, &on_board["error"]] {
            assert_eq!(
                (&error["code"], error["message"].as_str()),
                (&json!(-32602), Some(format!("This prompt has no such argument: {name}").as_str())),
                "{error}"
            );
        }
        assert_eq!(status, 200);
    }
    let good = on_board(&request(1, "prompts/get", json!({"name": "diagnose", "arguments": {"relay": "3"}})));
    assert_eq!(good["result"]["messages"][0]["content"]["text"], "3", "{good}");
    let params = json!({
        "ref": {"type": "ref/prompt", "name": "diagnose"}, "argument": {"name": "why", "value": ""},
        "context": {"arguments": {"relay": "7"}},
    });
    assert_eq!(on_board(&request(1, "completion/complete", params))["result"]["completion"]["values"], json!(["7"]));
}

// CMP-01, CMP-05, META-10
#[test]
fn argument_of_a_prompt_or_a_template_is_completed_best_first() {
    let client = Client::of(completing());
    let prompt = json!({"type": "ref/prompt", "name": "diagnose"});
    let titled = json!({"type": "ref/prompt", "name": "diagnose", "title": "x", "uri": null});
    let template = json!({"type": "ref/resource", "uri": "at://one/{id}/page"});
    for (reference, argument, context, first) in [
        (&prompt, "relay", json!({"arguments": {"why": "x\n"}}), "prompt diagnose relay=é why=x\n"),
        (&prompt, "why", json!({"arguments": {"rel\u{61}y": "7", "why": ""}}), "prompt diagnose why=é relay=7,why="),
        (&titled, "relay", json!({"arguments": {}}), "prompt diagnose relay=é "),
        (&titled, "relay", json!({"arguments": null}), "prompt diagnose relay=é "),
        (&titled, "relay", json!({}), "prompt diagnose relay=é "),
        (&titled, "relay", json!(null), "prompt diagnose relay=é "),
        (&template, "id", json!({"arguments": {"id": "8"}}), "template at://one/{id}/page id=é id=8"),
    ] {
        let params = json!({"ref": reference, "argument": {"name": argument, "value": "é"}, "context": context});
        let result = client.result("completion/complete", params);
        assert_eq!(result["completion"], json!({"values": [first, "\"second\""], "hasMore": false}));
        assert_eq!((&result["resultType"], result.get("ttlMs")), (&json!("complete"), None));
    }
}

// CMP-02
#[test]
fn completion_with_more_values_than_a_hundred_sends_a_hundred_and_says_so() {
    let client = Client::of(completing());
    for (count, sent, more) in
        [(0, 0, false), (1, 1, false), (99, 99, false), (100, 100, false), (101, 100, true), (1000, 100, true)]
    {
        let params = json!({"ref": {"type": "ref/prompt", "name": "diagnose"}, "argument": {"name": "relay", "value": count.to_string()}});
        let completion = client.result("completion/complete", params)["completion"].take();
        let values = completion["values"].as_array().expect("values");
        assert_eq!((values.len(), completion["hasMore"].as_bool()), (sent, Some(more)), "{count}");
        assert!(values.iter().enumerate().all(|(number, value)| *value == format!("v{number}")));
    }
}

// CMP-03, CMP-04
#[test]
fn completion_of_what_is_not_there_is_refused() {
    let client = Client::of(completing());
    let argument = json!({"name": "relay", "value": ""});
    let prompt = json!({"type": "ref/prompt", "name": "diagnose"});
    for params in [
        json!({"ref": {"type": "ref/prompt", "name": "nobody"}, "argument": argument}),
        json!({"ref": {"type": "ref/prompt", "uri": "diagnose"}, "argument": argument}),
        json!({"ref": {"type": "ref/resource", "uri": "at://nothing"}, "argument": argument}),
        json!({"ref": {"type": "ref/resource", "uri": "at://one/7/page/x"}, "argument": argument}),
        json!({"ref": {"type": "ref/tool", "name": "diagnose"}, "argument": argument}),
        json!({"ref": {"name": "diagnose"}, "argument": argument}),
        json!({"ref": "diagnose", "argument": argument}),
        json!({"argument": argument}),
        json!({"ref": prompt}),
        json!({"ref": prompt, "argument": {"name": "relay"}}),
        json!({"ref": prompt, "argument": {"value": ""}}),
        json!({"ref": prompt, "argument": {"name": "relay", "value": 7}}),
        json!({"ref": prompt, "argument": "relay"}),
        json!({"ref": prompt, "argument": argument, "context": 7}),
        json!({"ref": prompt, "argument": argument, "context": {"arguments": []}}),
        json!({"ref": prompt, "argument": argument, "context": {"arguments": {"why": 7}}}),
    ] {
        assert_eq!(client.refusal("completion/complete", params.clone()), (200, -32602), "{params}");
    }
    // Names are those of the prompt's arguments, or of the template's variables.
    let template = json!({"type": "ref/resource", "uri": "at://one/{id}/page"});
    let resource = json!({"type": "ref/resource", "uri": "at://text"});
    let of = |name: &str| json!({"name": name, "value": ""});
    for (params, name) in [
        (json!({"ref": prompt, "argument": of("Relay")}), "Relay"),
        (json!({"ref": prompt, "argument": of("id")}), "id"),
        (json!({"ref": template, "argument": of("relay")}), "relay"),
        (json!({"ref": resource, "argument": of("relay")}), "relay"),
        (json!({"ref": prompt, "argument": of("relay"), "context": {"arguments": {"whi": ""}}}), "whi"),
        (json!({"ref": template, "argument": of("id"), "context": {"arguments": {"relay": ""}}}), "relay"),
    ] {
        let (status, error) = client.error("completion/complete", params.clone());
        assert_eq!((status, &error["code"]), (200, &json!(-32602)), "{params}");
        let said = error["message"].as_str().expect("words");
        let what = if params["ref"]["type"] == "ref/prompt" {
            "prompt has no such argument"
        } else {
            "URI has no such variable"
        };
        assert_eq!(said, format!("This {what}: {name}"), "{params}");
    }
    let without = Client::of(resources());
    let params = json!({"ref": {"type": "ref/resource", "uri": "at://text"}, "argument": argument});
    assert_eq!(without.refusal("completion/complete", params), (404, -32601));
}

// HDR-02, HDR-03, HDR-04, HDR-05, HDR-06, HDR-07, HDR-08, RPC-06
#[test]
fn name_header_that_does_not_mirror_the_prompt_or_the_uri_is_refused() {
    let server =
        prompts()
            .with_template(Resource::new("at://{x}", "e", "text/plain", |_: ResourceRequest, _: Ctx| async { "é" }));
    let host = Http::start(server);
    let prompt = request("h", "prompts/get", json!({"name": "diagnose", "arguments": {"relay": "3"}}));
    let resource = request("h", "resources/read", json!({"uri": "at://é"}));
    let complete = request("h", "prompts/list", json!({}));
    for (body, name, status) in [
        (&prompt, Some("diagnose"), 200),
        (&prompt, Some("  diagnose "), 200),
        (&prompt, Some("=?base64?ZGlhZ25vc2U=?="), 200),
        (&prompt, Some("Diagnose"), 400),
        (&prompt, Some("=?base64?ZGlhZ25vc2U?="), 400),
        (&prompt, Some("=?base64?ZGlhZ25vc2U="), 400),
        (&prompt, Some(""), 400),
        (&prompt, None, 400),
        (&resource, Some("=?base64?YXQ6Ly/DqQ==?="), 200),
        (&resource, Some("at://e"), 400),
        (&resource, None, 400),
        (&complete, Some("ignored"), 200),
        (&complete, None, 200),
    ] {
        let response =
            host.post(&headers(body["method"].as_str().expect("a method"), name), body.to_string().as_bytes());
        let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(response.status, status, "{name:?}: {answer}");
        assert_eq!(answer["error"]["code"].as_i64(), (status == 400).then_some(-32020), "{name:?}: {answer}");
        assert_eq!(answer["id"], "h");
    }
}
