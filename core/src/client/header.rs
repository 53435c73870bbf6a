//! Header fields that mirror a request of revision 2026-07-28 (MCP 2026-07-28
//! basic/transports/streamable-http).

use crate::json::{Full, Sink, encode_base64};

/// The member of `params` that `Mcp-Name` mirrors for this method.
// MCP 2026-07-28 streamable-http, "Standard headers"; SEP-2663 for tasks.
pub fn mirrored_name(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// Writes `text` as the value of a header field: unchanged, or as `=?base64?…?=` if a header cannot
/// carry it.
///
/// # Errors
/// [`Full`] if the value does not fit; a part of it may then be written.
// MCP 2026-07-28 streamable-http, "Value encoding": encode non-ASCII and control characters, spaces
// at the ends, and text that looks encoded. The public suite expects tabs to be encoded, too.
pub fn field_value(text: &str, out: &mut dyn Sink) -> Result<(), Full> {
    let bytes = text.as_bytes();
    let is_printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let has_blank_end = bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ');
    let looks_encoded = bytes.starts_with(FRONT) && bytes.ends_with(BACK);
    if is_printable && !has_blank_end && !looks_encoded {
        return out.put(bytes);
    }
    out.put(FRONT)?;
    encode_base64(bytes, out)?;
    out.put(BACK)
}

const FRONT: &[u8] = b"=?base64?";
const BACK: &[u8] = b"?=";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Slice;

    #[test]
    fn texts_are_encoded_only_where_a_header_cannot_carry_them() {
        for (text, value) in [
            ("echo", "echo"),
            ("", ""),
            ("two words", "two words"),
            (" x", "=?base64?IHg=?="),
            ("x ", "=?base64?eCA=?="),
            ("a\tb", "=?base64?YQli?="),
            ("a\r\nb", "=?base64?YQ0KYg==?="),
            ("Z\u{fc}rich", "=?base64?WsO8cmljaA==?="),
            ("=?base64?ZQ==?=", "=?base64?PT9iYXNlNjQ/WlE9PT89?="),
            ("=?base64?ZQ==", "=?base64?ZQ=="),
            ("file:///a%20b?c", "file:///a%20b?c"),
        ] {
            let mut buffer = [0; 64];
            let mut out = Slice::new(&mut buffer);
            field_value(text, &mut out).unwrap();
            assert_eq!(core::str::from_utf8(out.written()).unwrap(), value, "{text:?}");
        }
    }
}
