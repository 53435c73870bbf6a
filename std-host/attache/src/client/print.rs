//! Output of the client commands.

use attache_core::json::Base64;
use attache_host::client::{RawJson, ServerInfo, Version};
use std::io::{IsTerminal, Write, stdout};

/// Replaces control characters in foreign text, which could steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    let is_harmless = |char: char| !char.is_control() || matches!(char, '\n' | '\t');
    text.chars().map(|char| if is_harmless(char) { char } else { '\u{fffd}' }).collect()
}

/// Writes to standard output. A reader that has closed its end does not cause a failure.
fn put(bytes: &[u8]) {
    let mut out = stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Writes text. If the output is a terminal, replaces control characters first.
fn put_text(text: &str) {
    match stdout().is_terminal() {
        true => put(clean(text).as_bytes()),
        false => put(text.as_bytes()),
    }
}

fn put_line(text: &str) {
    put_text(text);
    put(b"\n");
}

fn string(of: &RawJson, name: &str) -> Option<String> {
    of.member(name).and_then(|text| text.string())
}

/// Prints the lists of a server.
pub(super) fn print_list(server: &ServerInfo, version: Version, lists: &[(&str, Vec<RawJson>)], json: bool) {
    if json {
        return put_line(&lists_as_json(server, version, lists));
    }
    let info = server.info.clone().unwrap_or_else(RawJson::empty_object);
    let name = string(&info, "name").unwrap_or_else(|| "a server without a name".to_owned());
    let own = string(&info, "version").unwrap_or_default();
    put_line(format!("{name} {own}").trim_end());
    put_line(&format!("revision {}", version.as_str()));
    for (name, entries) in lists {
        if !entries.is_empty() {
            put_line(&format!("\n{name}:"));
        }
        entries.iter().for_each(print_entry);
    }
}

fn lists_as_json(server: &ServerInfo, version: Version, lists: &[(&str, Vec<RawJson>)]) -> String {
    let info = server.info.as_ref().map_or("null", |info| info.as_str());
    let mut text = format!("{{\"revision\":\"{}\",\"serverInfo\":{info}", version.as_str());
    for (name, entries) in lists {
        let entries: Vec<&str> = entries.iter().map(RawJson::as_str).collect();
        text += &format!(",\"{name}\":[{}]", entries.join(","));
    }
    text + "}"
}

fn print_entry(entry: &RawJson) {
    let name = string(entry, "uri").or_else(|| string(entry, "uriTemplate")).or_else(|| string(entry, "name"));
    let words = string(entry, "description").or_else(|| string(entry, "title")).unwrap_or_default();
    let first = words.trim().lines().next().unwrap_or_default();
    put_line(format!("  {:<24} {first}", name.unwrap_or_default()).trim_end());
    for line in arguments(entry) {
        put_line(&format!("    {line}"));
    }
}

/// Returns one line for each argument of a tool or a prompt.
fn arguments(entry: &RawJson) -> Vec<String> {
    let line = |name: &str, kind: &str, is_required: bool, words: Option<String>| {
        let kind = if kind.is_empty() { "any" } else { kind };
        let optional = if is_required { "" } else { ", optional" };
        let words = words.map(|words| format!(": {}", words.lines().next().unwrap_or_default())).unwrap_or_default();
        format!("{name} ({kind}{optional}){words}")
    };
    if let Some(schema) = entry.member("inputSchema") {
        let required: Vec<_> = schema
            .member("required")
            .map(|names| names.elements().filter_map(|name| name.string()).collect())
            .unwrap_or_default();
        let properties = schema.member("properties").unwrap_or_else(RawJson::empty_object);
        let lines = properties.members().map(|(name, property)| {
            let kind = string(&property, "type").unwrap_or_default();
            line(&name, &kind, required.contains(&name), string(&property, "description"))
        });
        return lines.collect();
    }
    let arguments = entry.member("arguments").unwrap_or_else(RawJson::empty_object);
    let lines = arguments.elements().map(|argument| {
        let is_required = argument.member("required").is_some_and(|required| required.as_str() == "true");
        line(&string(&argument, "name").unwrap_or_default(), "string", is_required, string(&argument, "description"))
    });
    lines.collect()
}

/// Prints the result of a tool, and returns whether the tool succeeded. The text of a failed tool
/// goes to standard error.
pub(super) fn print_result(result: &RawJson, json: bool) -> bool {
    let has_failed = result.member("isError").is_some_and(|is_error| is_error.as_str() == "true");
    if json {
        put_line(result.as_str());
        return !has_failed;
    }
    let blocks: Vec<_> = result.member("content").map(|content| content.elements().collect()).unwrap_or_default();
    let lines: Vec<String> = match (blocks.is_empty(), result.member("structuredContent")) {
        (true, Some(structured)) => vec![structured.to_string()],
        _ => blocks.iter().map(block).collect(),
    };
    for line in lines {
        match has_failed {
            true => eprintln!("{}", clean(&line)),
            false => put_line(&line),
        }
    }
    !has_failed
}

/// Returns a content block as text. Names the type of a block that is not text.
fn block(block: &RawJson) -> String {
    let kind = string(block, "type").unwrap_or_default();
    let media = |of: &RawJson| string(of, "mimeType").unwrap_or_else(|| "no media type".to_owned());
    match kind.as_str() {
        "text" => string(block, "text").unwrap_or_default(),
        "resource_link" => string(block, "uri").unwrap_or_default(),
        "resource" => {
            let resource = block.member("resource").unwrap_or_else(RawJson::empty_object);
            let uri = string(&resource, "uri").unwrap_or_default();
            string(&resource, "text").unwrap_or_else(|| format!("[resource {uri}, {}]", media(&resource)))
        }
        kind => {
            let len = string(block, "data").map_or(0, |data| data.len() / 4 * 3);
            format!("[{kind}, {}, about {len} bytes; --json shows it]", media(block))
        }
    }
}

/// Prints the contents of a resource: text as text, a blob as its bytes.
pub(super) fn print_resource(result: &RawJson, json: bool) {
    if json {
        return put_line(result.as_str());
    }
    for contents in result.member("contents").into_iter().flat_map(|all| all.elements().collect::<Vec<_>>()) {
        if let Some(text) = string(&contents, "text") {
            put_text(&text);
            if stdout().is_terminal() && !text.ends_with('\n') {
                put(b"\n");
            }
        } else if let Some(blob) = string(&contents, "blob") {
            let bytes: Option<Vec<u8>> = Base64::decode(blob.as_bytes()).map(Iterator::collect);
            match bytes {
                Some(bytes) if !stdout().is_terminal() => put(&bytes),
                Some(bytes) => put_line(&format!("[{} bytes; redirect the output to a file]", bytes.len())),
                None => eprintln!("attache: the blob is not Base64"),
            }
        }
    }
}

/// Shows progress on standard error.
pub(super) fn print_progress(params: &RawJson) {
    let number = |name| params.member(name).map(|number: RawJson| number.to_string());
    let of = number("total").map(|total| format!("/{total}")).unwrap_or_default();
    let words = string(params, "message").map(|words| format!(" {words}")).unwrap_or_default();
    eprintln!("{}", clean(&format!("[{}{of}]{words}", number("progress").unwrap_or_default())));
}

/// Shows a log message on standard error.
pub(super) fn print_log(params: &RawJson) {
    let data = params.member("data").map(|data| data.string().unwrap_or_else(|| data.to_string())).unwrap_or_default();
    eprintln!("{}", clean(&format!("{}: {data}", string(params, "level").unwrap_or_else(|| "info".to_owned()))));
}
