//! Calls that ask their client and are retried with the answers (MCP 2026-07-28
//! basic/patterns/mrtr).

use crate::modern::{Client, able, request};
use attache_host::{
    Ask, Ctx, Elicited, NoArgs, Prompt, Resource, ResourceRequest, Server, ServerBuilder, ToolError, UserPage,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
struct Cut {
    relay: Option<u8>,
}

fn form(field: &str) -> Value {
    json!({"type": "object", "properties": {field: {"type": "string"}}, "required": [field]})
}

fn asking() -> ServerBuilder {
    let cut = |of: Cut, ctx: Ctx| async move {
        ctx.save(&of.relay)?;
        let name = elicited(&ctx, "name")?;
        Ok::<_, ToolError>(format!("{name} kept {:?}", ctx.saved::<Option<u8>>()))
    };
    Server::new("asking", "1")
        .tool("cut", "Asks for a name", cut)
        .tool("cut2", "Asks for a name too", cut)
        .tool("plain", "Asks, and keeps nothing", |_: NoArgs, ctx: Ctx| async move { elicited(&ctx, "name") })
        .tool("both", "Asks two things at once", |_: NoArgs, ctx: Ctx| async move {
            let [name, roots] = ctx.ask_all([("name", Ask::form("Name?", form("name"))), ("roots", Ask::Roots)])?;
            Ok::<_, ToolError>(format!("{} {}", name["content"]["name"], roots["roots"]))
        })
        .tool("rounds", "Asks one thing after the other", |_: NoArgs, ctx: Ctx| async move {
            let first = elicited(&ctx, "first")?;
            let second = elicited(&ctx, "second")?;
            Ok::<_, ToolError>(format!("{first} {second}"))
        })
        .tool("sample", "Asks the model", |_: NoArgs, ctx: Ctx| async move {
            Ok::<_, ToolError>(ctx.ask("answer", Ask::sample("?", 5))?["content"]["text"].to_string())
        })
        .tool("url", "Opens a page", |_: NoArgs, ctx: Ctx| async move {
            let page = Ask::Url { message: "Open".to_owned(), url: "https://a.example/x".to_owned() };
            Ok::<_, ToolError>(format!("{:?}", Elicited::of(&ctx.ask("page", page)?)?))
        })
        .tool("sign_in", "Sends a person to sign in", |_: NoArgs, ctx: Ctx| async move {
            Err::<(), _>(ctx.require_page(UserPage::new("visit-7", "Sign in", "https://a.example/sign-in")))
        })
        .tool("roots", "Asks for the roots", |_: NoArgs, ctx: Ctx| async move {
            Ok::<_, ToolError>(ctx.ask("roots", Ask::Roots)?["roots"].to_string())
        })
        .with_prompt(Prompt::new("prompt", "Asks", |_: NoArgs, ctx: Ctx| async move { elicited(&ctx, "name") }))
        .with_resource(Resource::new("at://asks", "a", "text/plain", |_: ResourceRequest, ctx: Ctx| async move {
            ctx.save(&1)?;
            elicited(&ctx, "name")
        }))
        .with_template(Resource::new("at://asks/{id}", "b", "text/plain", |_: ResourceRequest, ctx: Ctx| async move {
            ctx.save(&1)?;
            elicited(&ctx, "name")
        }))
}

/// Asks the user for `key`, and returns the answer as text.
fn elicited(ctx: &Ctx, key: &str) -> Result<String, ToolError> {
    match ctx.elicit(key, "Who?", form(key))? {
        Elicited::Accepted(content) => Ok(content[key].as_str().unwrap_or_default().to_owned()),
        Elicited::Declined => Ok("declined".to_owned()),
        _ => Ok("cancelled".to_owned()),
    }
}

fn accepted(field: &str, value: &str) -> Value {
    json!({"action": "accept", "content": {field: value}})
}

/// Parameters of a client that declares every capability.
fn with(name: &str, more: Value) -> Value {
    let mut params = json!({"name": name, "_meta": able(json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}))});
    params.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    params
}

fn text(result: &Value) -> &str {
    assert_eq!(result["resultType"], "complete", "{result}");
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("a text in {result}"))
}

// MRTR-01, MRTR-03, MRTR-04, MRTR-13, CACHE-04, META-06, META-10, META-11, ELI-02, RPC-20, TOOL-27
#[test]
fn call_that_asks_is_answered_with_questions_of_its_kind() {
    let client = Client::of(asking());
    let elicit = json!({"method": "elicitation/create", "params": {"mode": "form", "message": "Who?", "requestedSchema": form("name")}});
    let sample = json!({"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": "?"}}], "maxTokens": 5,
    }});
    let page = json!({"method": "elicitation/create", "params": {"mode": "url", "message": "Open", "url": "https://a.example/x"}});
    let named = json!({"method": "elicitation/create", "params": {"mode": "form", "message": "Name?", "requestedSchema": form("name")}});
    for (method, params, questions) in [
        ("tools/call", with("plain", json!({})), json!({"name": elicit})),
        ("tools/call", with("cut", json!({})), json!({"name": elicit})),
        ("tools/call", with("sample", json!({})), json!({"answer": sample})),
        ("tools/call", with("url", json!({})), json!({"page": page})),
        ("tools/call", with("roots", json!({})), json!({"roots": {"method": "roots/list"}})),
        ("tools/call", with("both", json!({})), json!({"name": named, "roots": {"method": "roots/list"}})),
        ("prompts/get", with("prompt", json!({})), json!({"name": elicit})),
        (
            "resources/read",
            json!({"uri": "at://asks", "_meta": able(json!({"elicitation": {}}))}),
            json!({"name": elicit}),
        ),
        (
            "resources/read",
            json!({"uri": "at://asks/1", "_meta": able(json!({"elicitation": {}}))}),
            json!({"name": elicit}),
        ),
    ] {
        let result = client.result(method, params);
        assert_eq!(
            (&result["resultType"], &result["inputRequests"]),
            (&json!("input_required"), &questions),
            "{result}"
        );
        for absent in ["content", "messages", "contents", "ttlMs", "cacheScope", "isError"] {
            assert_eq!(result.get(absent), None, "{absent} in {result}");
        }
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "asking");
    }
}

// ELI-02, MRTR-01, RPC-19
#[test]
fn result_asks_the_user_to_visit_a_page_and_the_retry_tells_the_model_the_outcome() {
    let client = Client::of(asking());
    let page = json!({"method": "elicitation/create", "params": {
        "mode": "url", "message": "Sign in", "url": "https://a.example/sign-in",
    }});
    let asked = client.result("tools/call", with("sign_in", json!({})));
    assert_eq!(asked["inputRequests"], json!({"visit-7": page}), "{asked}");
    for (action, said) in [("accept", "not done yet"), ("decline", "did not want"), ("cancel", "did not want")] {
        let answers = json!({"inputResponses": {"visit-7": {"action": action}}});
        let result = client.result("tools/call", with("sign_in", answers));
        assert!(result["isError"] == true && text(&result).contains(said), "{action}: {result}");
    }
}

// MRTR-01, MRTR-11, ELI-03, TOOL-27
#[test]
fn call_made_again_with_answers_completes_and_extra_answers_are_ignored() {
    let client = Client::of(asking());
    for (answers, said) in [
        (json!({"name": accepted("name", "Ada")}), "Ada kept Some(Some(3))"),
        (json!({"name": accepted("name", "Ada"), "extra": {}, "": {"action": 7}}), "Ada kept Some(Some(3))"),
        (json!({"name": {"action": "decline"}}), "declined kept Some(Some(3))"),
        (json!({"name": {"action": "cancel", "content": {}}}), "cancelled kept Some(Some(3))"),
    ] {
        let arguments = json!({"relay": 3});
        let asked = client.result("tools/call", with("cut", json!({"arguments": arguments})));
        let again = json!({"arguments": arguments, "inputResponses": answers, "requestState": asked["requestState"]});
        assert_eq!(text(&client.result("tools/call", with("cut", again))), said);
        // The state only carries earlier answers, so a call with answers but without state works as
        // well.
        let alone = json!({"arguments": arguments, "inputResponses": answers});
        assert_eq!(text(&client.result("tools/call", with("cut", alone))), said);
    }
    for (tool, answers, said) in [
        (
            "sample",
            json!({"answer": {"role": "assistant", "content": {"type": "text", "text": "x"}, "model": "m"}}),
            "\"x\"",
        ),
        ("roots", json!({"roots": {"roots": [{"uri": "file:///x"}]}}), r#"[{"uri":"file:///x"}]"#),
        ("url", json!({"page": {"action": "accept"}}), "Accepted({})"),
    ] {
        assert_eq!(text(&client.result("tools/call", with(tool, json!({"inputResponses": answers})))), said);
    }
}

// MRTR-02
#[test]
fn prompt_and_resource_that_ask_complete_when_they_are_asked_again() {
    let client = Client::of(asking());
    let answers = json!({"name": accepted("name", "Ada")});
    let prompt = client.result("prompts/get", with("prompt", json!({"inputResponses": answers})));
    assert_eq!(prompt["messages"][0]["content"]["text"], "Ada");
    for uri in ["at://asks", "at://asks/1"] {
        let meta = able(json!({"elicitation": {}}));
        let asked = client.result("resources/read", json!({"uri": uri, "_meta": meta}));
        let again =
            json!({"uri": uri, "_meta": meta, "inputResponses": answers, "requestState": asked["requestState"]});
        let read = client.result("resources/read", again);
        assert_eq!(read["contents"], json!([{"uri": uri, "mimeType": "text/plain", "text": "Ada"}]));
        assert!(read["ttlMs"].is_u64(), "{read}");
    }
}

// MRTR-02
#[test]
fn other_methods_never_ask_whatever_they_are_sent() {
    let client = Client::of(asking());
    for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "server/discover"] {
        let params =
            json!({"inputResponses": {"name": {}}, "requestState": "x", "_meta": able(json!({"elicitation": {}}))});
        assert_eq!(client.result(method, params)["resultType"], "complete", "{method}");
    }
}

// MRTR-09, MRTR-10
#[test]
fn answer_that_is_missing_is_asked_for_again_and_the_others_are_kept() {
    let client = Client::of(asking());
    let asked = client.result("tools/call", with("both", json!({})));
    assert_eq!(asked["inputRequests"].as_object().map(serde_json::Map::len), Some(2));
    let half = client.result("tools/call", with("both", json!({"inputResponses": {"name": accepted("name", "Ada")}})));
    assert_eq!(half["inputRequests"], json!({"roots": {"method": "roots/list"}}));
    let none = json!({"inputResponses": {}, "requestState": half["requestState"]});
    let none = client.result("tools/call", with("both", none));
    assert_eq!(none["inputRequests"], half["inputRequests"]);
    let rest = json!({"inputResponses": {"roots": {"roots": []}}, "requestState": none["requestState"]});
    assert_eq!(text(&client.result("tools/call", with("both", rest))), "\"Ada\" []");
}

// MRTR-01, MRTR-10
#[test]
fn call_that_asks_twice_remembers_the_first_answer_in_its_state() {
    let client = Client::of(asking());
    let first = client.result("tools/call", with("rounds", json!({})));
    assert!(first["inputRequests"].get("first").is_some());
    let second = json!({"inputResponses": {"first": accepted("first", "Ada")}});
    let second = client.result("tools/call", with("rounds", second));
    assert_eq!(second["inputRequests"].as_object().expect("questions").keys().collect::<Vec<_>>(), ["second"]);
    let third =
        json!({"inputResponses": {"second": accepted("second", "Byron")}, "requestState": second["requestState"]});
    assert_eq!(text(&client.result("tools/call", with("rounds", third))), "Ada Byron");
}

// MRTR-12
#[test]
fn answers_that_are_malformed_are_a_protocol_error() {
    let client = Client::of(asking());
    for answers in [
        json!([]),
        json!("x"),
        json!(7),
        json!({"name": null}),
        json!({"name": "Ada"}),
        json!({"name": [accepted("name", "Ada")]}),
        json!({"name": accepted("name", "Ada"), "extra": 7}),
        json!({"name": {}}),
        json!({"name": {"action": "maybe"}}),
        json!({"name": {"action": 7}}),
        json!({"name": {"action": "accept"}}),
        json!({"name": accepted("other", "Ada")}),
        json!({"name": {"action": "accept", "content": {"name": 7}}}),
    ] {
        for (method, params) in [
            ("tools/call", with("plain", json!({"inputResponses": answers}))),
            ("prompts/get", with("prompt", json!({"inputResponses": answers}))),
        ] {
            assert_eq!(client.refusal(method, params), (200, -32602), "{method} {answers}");
        }
    }
    for (tool, answers) in [
        ("url", json!({"page": {"action": "open"}})),
        ("sample", json!({"answer": {"content": {"type": "text", "text": "x"}}})),
        ("sample", json!({"answer": {"role": "assistant", "content": "x"}})),
        ("roots", json!({"roots": {}})),
        ("roots", json!({"roots": {"roots": [{"name": "x"}]}})),
    ] {
        let params = with(tool, json!({"inputResponses": answers}));
        assert_eq!(client.refusal("tools/call", params), (200, -32602), "{tool} {answers}");
    }
}

// ELI-08
#[test]
fn answer_that_does_not_fit_its_form_is_refused_with_the_field_to_mend() {
    let client = Client::of(asking());
    let answers = json!({"name": {"action": "accept", "content": {"name": 7}}});
    let (_, error) = client.error("tools/call", with("plain", json!({"inputResponses": answers})));
    assert_eq!(error["message"], "inputResponses.name: field \"name\" must be a text");
}

// ELI-02, ELI-06
#[test]
fn question_that_no_client_may_be_asked_is_a_failure_of_the_tool() {
    let nested = json!({"type": "object", "properties": {"x": {"type": "object"}}});
    for (ask, good) in [
        (Ask::form("?", nested), false),
        (Ask::form("?", json!({"type": "string"})), false),
        (Ask::form("?", form("x")), true),
        (Ask::Url { message: "?".to_owned(), url: "https://a.example/x?y=1".to_owned() }, true),
        (Ask::Url { message: "?".to_owned(), url: "http://127.0.0.1:8080/x".to_owned() }, true),
        (Ask::Url { message: "?".to_owned(), url: "http://a.example/x".to_owned() }, false),
        (Ask::Url { message: "?".to_owned(), url: "javascript:alert(1)".to_owned() }, false),
        (Ask::Url { message: "?".to_owned(), url: "/relative".to_owned() }, false),
    ] {
        let described = format!("{ask:?}");
        let client = Client::of(Server::new("s", "1").tool("asks", "d", move |_: NoArgs, ctx: Ctx| {
            let ask = ask.clone();
            async move { ctx.ask("x", ask).map(|_| "answered") }
        }));
        let result = client.result("tools/call", with("asks", json!({})));
        assert_eq!(result["resultType"] == "input_required", good, "{described}: {result}");
        assert_eq!(result["isError"] == true, !good, "{described}: {result}");
    }
}

// MRTR-06, MRTR-07
#[test]
fn state_that_was_not_given_for_this_very_call_is_refused() {
    let client = Client::of(asking());
    let arguments = json!({"relay": 3});
    let asked = client.result("tools/call", with("cut", json!({"arguments": arguments})));
    let state = asked["requestState"].as_str().expect("a state");
    let answers = json!({"name": accepted("name", "Ada")});
    let call = |tool: &str, arguments: &Value, state: &Value| {
        with(tool, json!({"arguments": arguments, "inputResponses": answers, "requestState": state}))
    };
    assert_eq!(text(&client.result("tools/call", call("cut", &arguments, &json!(state)))), "Ada kept Some(Some(3))");
    let refused = |params| assert_eq!(client.refusal("tools/call", params), (200, -32602));
    refused(call("cut2", &arguments, &json!(state)));
    refused(call("cut", &json!({"relay": 4}), &json!(state)));
    refused(call("cut", &json!({}), &json!(state)));
    let uri = json!({"uri": "at://asks", "inputResponses": answers, "requestState": state, "_meta": able(json!({"elicitation": {}}))});
    assert_eq!(client.refusal("resources/read", uri), (200, -32602));
    let read =
        client.result("resources/read", json!({"uri": "at://asks/1", "_meta": able(json!({"elicitation": {}}))}));
    let other = json!({"uri": "at://asks/2", "inputResponses": answers, "requestState": read["requestState"], "_meta": able(json!({"elicitation": {}}))});
    assert_eq!(client.refusal("resources/read", other), (200, -32602));
    for at in 0..state.len() {
        let swapped = if state.as_bytes()[at] == b'A' { "B" } else { "A" };
        refused(call("cut", &arguments, &json!(format!("{}{swapped}{}", &state[..at], &state[at + 1..]))));
        refused(call("cut", &arguments, &json!(&state[..at])));
    }
    for state in [
        json!(format!("{state}A")),
        json!(format!(" {state}")),
        json!(format!("{state}=")),
        json!("x".repeat(100_000)),
        json!("\u{1f600}"),
    ] {
        refused(call("cut", &arguments, &state));
    }
    // Another server has another key.
    let foreign = Client::of(asking()).result("tools/call", with("cut", json!({"arguments": arguments})));
    refused(call("cut", &arguments, &foreign["requestState"]));
}

// MRTR-06
#[test]
fn state_that_is_no_text_is_refused() {
    let client = Client::of(asking());
    for state in [json!(7), json!({}), json!([]), json!(true)] {
        let params = with("plain", json!({"requestState": state}));
        assert_eq!(client.refusal("tools/call", params), (200, -32602), "{state}");
    }
}

// META-03, META-04, MRTR-05
#[test]
fn question_that_the_client_did_not_declare_is_refused_with_what_is_needed() {
    let client = Client::of(asking());
    for (tool, declared, needed) in [
        ("plain", json!({}), Some(json!({"elicitation": {}}))),
        ("plain", json!({"elicitation": {}}), None),
        ("plain", json!({"elicitation": {"form": {}}}), None),
        ("plain", json!({"elicitation": {"url": {}}}), Some(json!({"elicitation": {}}))),
        ("plain", json!({"elicitation": null}), Some(json!({"elicitation": {}}))),
        ("plain", json!({"sampling": {}, "roots": {}}), Some(json!({"elicitation": {}}))),
        ("url", json!({"elicitation": {}}), Some(json!({"elicitation": {"url": {}}}))),
        ("url", json!({"elicitation": {"form": {}}}), Some(json!({"elicitation": {"url": {}}}))),
        ("url", json!({"elicitation": {"url": {}}}), None),
        ("sample", json!({"elicitation": {}}), Some(json!({"sampling": {}}))),
        ("sample", json!({"sampling": {"tools": {}}}), None),
        ("roots", json!({}), Some(json!({"roots": {}}))),
        ("both", json!({"elicitation": {}}), Some(json!({"roots": {}}))),
    ] {
        let params = json!({"name": tool, "_meta": able(declared.clone())});
        match needed {
            None => {
                assert_eq!(client.result("tools/call", params)["resultType"], "input_required", "{tool} {declared}")
            }
            Some(needed) => {
                let (status, error) = client.error("tools/call", params);
                assert_eq!((status, &error["code"]), (400, &json!(-32021)), "{tool} {declared}");
                assert_eq!(error["data"], json!({"requiredCapabilities": needed}), "{tool} {declared}");
            }
        }
    }
    for (method, params) in
        [("prompts/get", json!({"name": "prompt"})), ("resources/read", json!({"uri": "at://asks"}))]
    {
        assert_eq!(client.refusal(method, params), (400, -32021), "{method}");
    }
}

// MRTR-01, LEG-05, LEG-09
#[test]
fn legacy_client_without_a_session_gets_an_error_and_never_a_question() {
    let client = Client::of(asking());
    let legacy = [("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")];
    let ask = |method: &str, params: Value| -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        serde_json::from_slice(&client.0.post(&legacy, body.as_bytes()).body).expect("JSON")
    };
    for params in [json!({"name": "plain"}), json!({"name": "plain", "_meta": {"x": 1}})] {
        let answer = ask("tools/call", params);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(
            answer["result"]["content"][0]["text"]
                .as_str()
                .is_some_and(|text| text.contains("does not support such questions"))
        );
        assert_eq!((answer["result"].get("inputRequests"), answer["result"].get("resultType")), (None, None));
    }
    for (method, params) in
        [("prompts/get", json!({"name": "prompt"})), ("resources/read", json!({"uri": "at://asks"}))]
    {
        let answer = ask(method, params);
        assert_eq!((&answer["error"]["code"], answer.get("result")), (&json!(-32602), None), "{method}: {answer}");
    }
}

// MRTR-07, RPC-02
#[test]
fn call_made_again_with_its_own_id_or_another_is_the_same() {
    let client = Client::of(asking());
    let asked = client.result("tools/call", with("cut", json!({})));
    for id in [json!(1), json!("another"), json!(-7)] {
        let again = json!({"inputResponses": {"name": accepted("name", "Ada")}, "requestState": asked["requestState"]});
        let answer = client.send(&request(id.clone(), "tools/call", with("cut", again)));
        let answer: Value = serde_json::from_slice(&answer.rest()).expect("JSON");
        assert_eq!(answer["id"], id);
        assert_eq!(text(&answer["result"]), "Ada kept Some(None)");
    }
}
