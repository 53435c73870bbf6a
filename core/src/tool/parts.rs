//! The parts of an entry of each kind, which the declaration macros join at compile time.

use super::Hints;
use crate::json::Part;

/// A tool (MCP server/tools, "Tool").
pub const fn tool_parts(name: &'static str, doc: &'static [&'static str], schema: &'static str) -> [Part<'static>; 6] {
    [
        Part::Json("\"name\":\""),
        Part::Text(name),
        Part::Json("\",\"description\":\""),
        Part::Doc(doc),
        Part::Json("\",\"inputSchema\":"),
        Part::Json(schema),
    ]
}

/// A prompt (MCP server/prompts, "Prompt").
pub const fn prompt_parts(
    name: &'static str,
    doc: &'static [&'static str],
    arguments: &'static str,
) -> [Part<'static>; 6] {
    [
        Part::Json("\"name\":\""),
        Part::Text(name),
        Part::Json("\",\"description\":\""),
        Part::Doc(doc),
        Part::Json("\",\"arguments\":"),
        Part::Json(arguments),
    ]
}

/// The title and the schema of a result, which revisions before 2025-06-18 do not know; empty if
/// there is neither.
pub const fn later_parts(title: &'static str, output: &'static str) -> [Part<'static>; 5] {
    let (titled, typed) = (!title.is_empty(), !output.is_empty());
    [
        Part::Json(if titled { "\"title\":\"" } else { "" }),
        Part::Text(title),
        Part::Json(if titled { "\"" } else { "" }),
        Part::Json(match (titled, typed) {
            (_, false) => "",
            (false, true) => "\"outputSchema\":",
            (true, true) => ",\"outputSchema\":",
        }),
        Part::Json(output),
    ]
}

/// The hints of a tool, which revision 2024-11-05 does not know; empty if the tool declares none.
pub const fn hint_parts(hints: Hints) -> [Part<'static>; 6] {
    let [h0, h1, h2, h3, h4, h5] = hints.member();
    [Part::Json(h0), Part::Json(h1), Part::Json(h2), Part::Json(h3), Part::Json(h4), Part::Json(h5)]
}

/// A resource or a template (MCP server/resources, "Resource", "ResourceTemplate").
pub const fn resource_parts(
    key: &'static str,
    uri: &'static str,
    name: &'static str,
    doc: &'static [&'static str],
    mime_type: &'static str,
) -> [Part<'static>; 11] {
    [
        Part::Json("\""),
        Part::Json(key),
        Part::Json("\":\""),
        Part::Text(uri),
        Part::Json("\",\"name\":\""),
        Part::Text(name),
        Part::Json("\",\"description\":\""),
        Part::Doc(doc),
        Part::Json("\",\"mimeType\":\""),
        Part::Text(mime_type),
        Part::Json("\""),
    ]
}
