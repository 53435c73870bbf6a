//! Converts results of an upstream to the revision of the client.

use super::failures;
use super::json::{array, object, text, with};
use crate::backend::{Answer, Call, Kind};
use crate::client::{RawJson, Version};
use attache_core::client::elements;
use attache_core::json::Value;

/// Converts a result to the answer for the client.
pub(super) fn answer(result: &RawJson, call: &Call) -> Answer {
    let fitted = match call.kind() {
        Kind::Tool => fit_all(result, "content", call.version()),
        Kind::Prompt => with(result, "messages", |messages| {
            array(messages.elements().map(|message| with(&message, "content", |block| fit(block, call.version()))))
        }),
        Kind::Resource | Kind::Template => result.clone(),
    };
    match fitted.as_str().starts_with('{') {
        true => Answer::Bytes(fitted.as_bytes().clone()),
        false => failures::broken("the result is not an object"),
    }
}

/// The object with blocks of content that clients of `version` know.
fn fit_all(result: &RawJson, name: &str, version: Version) -> RawJson {
    let is_known = |block: Value<'_>| {
        let kind = block.member("type").and_then(|kind| kind.text());
        knows(version, kind.and_then(|kind| kind.plain()))
    };
    // Most results stay as they are, byte by byte.
    match result.value().member(name) {
        Some(blocks) if !elements(blocks).all(is_known) => {
            with(result, name, |blocks| array(blocks.elements().map(|block| fit(&block, version))))
        }
        _ => result.clone(),
    }
}

/// Whether a revision has blocks of this type.
// MCP 2025-03-26 changelog: `audio` is new. MCP 2025-06-18 changelog: `resource_link` is new.
fn knows(version: Version, kind: Option<&str>) -> bool {
    match kind {
        Some("text" | "image" | "resource") => true,
        Some("audio") => version >= Version::V2025_03_26,
        Some("resource_link") => version >= Version::V2025_06_18,
        // Blocks of sampling, which are checked by the client that asked for them.
        Some(_) | None => false,
    }
}

/// Converts a block of content to one that clients of `version` know. An unknown block becomes a
/// text.
fn fit(block: &RawJson, version: Version) -> RawJson {
    let kind = text(block, "type");
    if knows(version, kind.as_deref()) {
        return block.clone();
    }
    let kind = kind.unwrap_or_default();
    let note = match (kind.as_str(), text(block, "uri")) {
        ("resource_link", Some(uri)) => match text(block, "name") {
            Some(name) => format!("{name}: {uri}"),
            None => uri,
        },
        _ => {
            let media = text(block, "mimeType").map(|media| format!(" ({media})")).unwrap_or_default();
            format!("[content of type {kind:?}{media} was left out: this revision of the protocol does not have it]")
        }
    };
    object([("type".to_owned(), RawJson::text("text")), ("text".to_owned(), RawJson::text(&note))])
}
