//! Arguments that are mirrored in headers (MCP 2026-07-28 server/tools, `x-mcp-header`).

use crate::implementations::{Http, headers};
use crate::modern::request;
use ::core::panic::AssertUnwindSafe;
use attache_host::{Ctx, Server, ServerBuilder, Tool};
use serde_json::{Map, Value, json};
use std::panic::catch_unwind;

/// Makes a server with one tool that lists these properties and accepts any arguments.
fn listing(schema: Value) -> ServerBuilder {
    let tool = Tool::new("tool", "d", |_: Map<String, Value>, _: Ctx| async { "done" });
    Server::new("s", "1").with_tool(tool.input_schema(schema))
}

fn properties(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

// HDR-01, HDR-05, HDR-06, HDR-07, HDR-08, HDR-09, HDR-10, HDR-11, HDR-12, HDR-13, TOOL-24
#[test]
fn header_that_does_not_mirror_its_argument_is_refused() {
    let host = Http::start(listing(properties(json!({
        "region": {"type": "string", "x-mcp-header": "Region"},
        "outer": {"type": "object", "properties": {"count": {"type": "integer", "x-mcp-header": "Count"}}},
        "plain": {"type": "string"},
    }))));
    let nested = json!({"outer": {"count": 42}});
    for (arguments, mirrored, status) in [
        (json!({"plain": "x"}), &[][..], 200),
        (json!({"region": null}), &[], 200),
        (json!({"region": "eu"}), &[("mcp-param-region", "eu")], 200),
        (json!({"region": "eu"}), &[("MCP-PARAM-REGION", " eu ")], 200),
        (json!({"region": "é"}), &[("mcp-param-region", "=?base64?w6k=?=")], 200),
        (json!({"region": "=?base64?w6k="}), &[("mcp-param-region", "=?base64?w6k=")], 200),
        (json!({"region": "eu"}), &[("mcp-param-region", "eu"), ("mcp-param-unknown", "x")], 200),
        (json!({"region": "eu"}), &[], 400),
        (json!({"region": "eu"}), &[("mcp-param-region", "EU")], 400),
        (json!({"region": "eu"}), &[("mcp-param-region", "us")], 400),
        (json!({"region": "eu"}), &[("mcp-param-region", "eu"), ("mcp-param-region", "eu")], 400),
        (json!({"region": "é"}), &[("mcp-param-region", "=?base64?w6k?=")], 400),
        (json!({"region": "eu"}), &[("mcp-param-region", "e\u{7f}u")], 400),
        (nested.clone(), &[("mcp-param-count", "42")], 200),
        (nested.clone(), &[("mcp-param-count", "42.0")], 200),
        (nested.clone(), &[("mcp-param-count", "43")], 400),
        (nested, &[], 400),
    ] {
        let body = request("m", "tools/call", json!({"name": "tool", "arguments": arguments}));
        let mut head = headers("tools/call", Some("tool"));
        head.extend(mirrored);
        let answer = host.open(&head, body.to_string().as_bytes());
        assert_eq!(answer.status, status, "{arguments} {mirrored:?}");
        let answer: Value = serde_json::from_slice(&answer.rest()).unwrap_or_default();
        assert_eq!(answer["error"]["code"].as_i64(), (status == 400 && !answer.is_null()).then_some(-32020));
    }
}

// TOOL-21, TOOL-22, TOOL-23, TOOL-24
#[test]
fn annotation_where_no_client_may_take_it_from_stops_the_program_at_its_start() {
    let text = |header: &str| json!({"type": "string", "x-mcp-header": header});
    let number = json!({"type": "number", "x-mcp-header": "N"});
    for (name, schema) in [
        ("empty", properties(json!({"a": text("")}))),
        ("space", properties(json!({"a": text("a b")}))),
        ("colon", properties(json!({"a": text("a:b")}))),
        ("control", properties(json!({"a": text("a\r\nb")}))),
        ("not ASCII", properties(json!({"a": text("é")}))),
        ("no text", properties(json!({"a": {"type": "string", "x-mcp-header": 7}}))),
        ("twice", properties(json!({"a": text("Same"), "b": text("sAME")}))),
        ("number", properties(json!({"a": number}))),
        ("object", properties(json!({"a": {"type": "object", "x-mcp-header": "A"}}))),
        ("no type", properties(json!({"a": {"x-mcp-header": "A"}}))),
        ("items", properties(json!({"a": {"type": "array", "items": text("A")}}))),
        ("branch", properties(json!({"a": {"anyOf": [text("A")]}}))),
        (
            "definition",
            json!({"type": "object", "$defs": {"d": text("A")}, "properties": {"a": {"$ref": "#/$defs/d"}}}),
        ),
        ("pattern", json!({"type": "object", "patternProperties": {"^a": text("A")}})),
        ("root", json!({"type": "object", "x-mcp-header": "A"})),
    ] {
        assert!(catch_unwind(AssertUnwindSafe(|| listing(schema))).is_err(), "{name}");
    }
    let _ = listing(properties(json!({
        "x-mcp-header": {"type": "string"},
        "a": {"type": "boolean", "x-mcp-header": "A", "default": {"x-mcp-header": 1}},
    })));
}
