//! Completion of arguments by an upstream.

use super::content;
use super::failures::{self, Failed};
use super::requests::described;
use super::upstream::Upstream;
use crate::CompletionRequest;
use crate::backend::{Answer, Call, Kind};
use crate::client::{RawJson, Request, Version};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Completes an argument of a prompt or a variable of a template.
pub(super) async fn run(upstream: &Arc<Upstream>, typed: &CompletionRequest, call: &Call) -> Answer {
    let connection = match upstream.connection(call).await {
        Ok(connection) => connection,
        Err(unconnected) => return failures::unconnected(upstream, unconnected),
    };
    // The name as the upstream knows it, without the prefix.
    let reference = match call.kind() {
        Kind::Prompt => json!({ "type": "ref/prompt", "name": call.name() }),
        _ => json!({ "type": "ref/resource", "uri": call.name() }),
    };
    let argument = json!({ "name": typed.argument(), "value": typed.value() });
    let params = [
        ("ref", Some(reference)),
        ("argument", Some(argument)),
        ("context", context(typed, connection.client.version())),
    ];
    let mut request = described(Request::new("completion/complete"), call, &connection);
    for (name, value) in params {
        if let Some(value) = value.and_then(|value| RawJson::of(&value).ok()) {
            request = request.param(name, value);
        }
    }
    match connection.client.request(request).await {
        Ok(result) => content::answer(&result, call),
        Err(error) => match failures::of_call(upstream, call, &connection, error) {
            Failed::Answer(answer) => answer,
            Failed::Pages(_) => Answer::Failed("A completion cannot send the person to a page".to_owned()),
        },
    }
}

/// Returns the values of the other arguments that the person has filled in.
// MCP 2025-06-18 changelog: `context` is new.
fn context(typed: &CompletionRequest, version: Version) -> Option<Value> {
    let resolved: Map<String, Value> =
        typed.context().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    (version >= Version::V2025_06_18 && !resolved.is_empty()).then(|| json!({ "arguments": resolved }))
}
