//! Headers that mirror the body, so that a proxy can route without parsing (MCP 2026-07-28 streamable-http, "Standard
//! headers"). What a proxy decided by a header must hold for the body, so the two are compared before anything runs.

use super::{Facts, Field};
use crate::json::{Base64, Text};
use crate::rpc::{Error, Header, HeaderFault};

/// Checks the headers of a modern request against the method and, where the method has one, the name in its body.
///
/// # Errors
/// [`Error::Header`] names the first header that is missing or does not fit.
pub fn agree(facts: &Facts<'_>, method: Text<'_>, name: Option<Text<'_>>) -> Result<(), Error> {
    present(Header::ProtocolVersion, facts.protocol_version)?;
    let mirrored = present(Header::Method, facts.mcp_method)?;
    if !core::str::from_utf8(mirrored).is_ok_and(|mirrored| method.is(mirrored)) {
        return Err(Error::Header(Header::Method, HeaderFault::Differs));
    }
    match name {
        Some(name) => name_agrees(present(Header::Name, facts.mcp_name)?, name),
        None => Ok(()),
    }
}

/// The value of a header that must be there once, with nothing in it but what a header value may hold.
fn present<'h>(header: Header, field: Field<'h>) -> Result<&'h [u8], Error> {
    let fault = match field {
        Field::Absent => HeaderFault::Missing,
        Field::Repeated => HeaderFault::Repeated,
        Field::Once(value) if value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) => return Ok(value),
        Field::Once(_) => HeaderFault::Malformed,
    };
    Err(Error::Header(header, fault))
}

// MCP 2026-07-28 streamable-http, "Value encoding": =?base64?…?= holds UTF-8; a half sentinel is literal text.
fn name_agrees(value: &[u8], name: Text<'_>) -> Result<(), Error> {
    let encoded = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?="));
    let same = match encoded {
        None => core::str::from_utf8(value).is_ok_and(|value| name.is(value)),
        Some(encoded) => {
            let decoded = Base64::decode(encoded).ok_or(Error::Header(Header::Name, HeaderFault::Malformed))?;
            // Byte by byte: no buffer for the whole name.
            name.bytes().eq(decoded)
        }
    };
    if same { Ok(()) } else { Err(Error::Header(Header::Name, HeaderFault::Differs)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Value;

    fn compare(header: &'static str, name: &str) -> Result<(), HeaderFault> {
        let mut facts = Facts::new(b"POST");
        facts.note(b"mcp-protocol-version", b"2026-07-28");
        facts.note(b"Mcp-Method", b"tools/call");
        facts.note(b"Mcp-Name", header.as_bytes());
        let method = Value::parse(br#""tools/c\u0061ll""#).unwrap().text().unwrap();
        let name = Value::parse(name.as_bytes()).unwrap().text().unwrap();
        agree(&facts, method, Some(name)).map_err(|error| match error {
            Error::Header(Header::Name, fault) => fault,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn names_agree_as_texts_whether_plain_or_encoded() {
        use HeaderFault::{Differs, Malformed};
        for (header, name, outcome) in [
            ("echo", r#""echo""#, Ok(())),
            ("  echo\t", r#""\u0065cho""#, Ok(())),
            ("Echo", r#""echo""#, Err(Differs)),
            ("", r#""""#, Ok(())),
            ("=?base64?WsO8cmljaA==?=", "\"Z\u{fc}rich\"", Ok(())),
            ("=?base64?WsO8cmljaA==?=", r#""Zurich""#, Err(Differs)),
            ("=?base64?WsO8cmlj?=", "\"Z\u{fc}rich\"", Err(Differs)),
            ("=?base64??=", r#""""#, Ok(())),
            ("=?base64?WsO8cmljaA?=", "\"Z\u{fc}rich\"", Err(Malformed)),
            ("=?base64?WsO8cmljaB==?=", "\"Z\u{fc}rich\"", Err(Malformed)),
            ("=?base64?WsO8*mlj?=", r#""x""#, Err(Malformed)),
            ("=?base64?ZQ==ZQ==?=", r#""ee""#, Err(Malformed)),
            ("=?base64?ZQ==", r#""=?base64?ZQ==""#, Ok(())),
            ("=?BASE64?ZQ==?=", r#""e""#, Err(Differs)),
            ("Z\u{fc}rich", "\"Z\u{fc}rich\"", Err(Malformed)),
        ] {
            assert_eq!(compare(header, name), outcome, "{header} against {name}");
        }
    }
}
