//! The parts of an entry of each kind, for the declarations to join at compile time.

use super::Hints;
use crate::json::Part;

/// A tool (MCP server/tools, "Tool").
pub const fn tool_parts(
    name: &'static str,
    title: &'static str,
    doc: &'static [&'static str],
    schema: &'static str,
    hints: Hints,
) -> [Part<'static>; 14] {
    let [t0, t1, t2] = title_member(title);
    let [h0, h1, h2, h3, h4, h5] = hints.member();
    [
        Part::Json("\"name\":\""),
        Part::Text(name),
        t0,
        t1,
        t2,
        Part::Doc(doc),
        Part::Json("\",\"inputSchema\":"),
        Part::Json(schema),
        Part::Json(h0),
        Part::Json(h1),
        Part::Json(h2),
        Part::Json(h3),
        Part::Json(h4),
        Part::Json(h5),
    ]
}

/// A prompt (MCP server/prompts, "Prompt").
pub const fn prompt_parts(
    name: &'static str,
    title: &'static str,
    doc: &'static [&'static str],
    arguments: &'static str,
) -> [Part<'static>; 8] {
    let [t0, t1, t2] = title_member(title);
    [
        Part::Json("\"name\":\""),
        Part::Text(name),
        t0,
        t1,
        t2,
        Part::Doc(doc),
        Part::Json("\",\"arguments\":"),
        Part::Json(arguments),
    ]
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

/// Ends the name, says the title if there is one, and begins the description.
const fn title_member(title: &'static str) -> [Part<'static>; 3] {
    [
        Part::Json(if title.is_empty() { "" } else { "\",\"title\":\"" }),
        Part::Text(title),
        Part::Json("\",\"description\":\""),
    ]
}
