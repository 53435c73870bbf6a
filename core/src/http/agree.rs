//! Compares the headers that mirror the body, which let a proxy route without parsing (MCP
//! 2026-07-28 streamable-http, "Standard headers"). A proxy's decision by a header must hold for
//! the body too, so the comparison comes before anything runs.

use super::{Field, HeadFacts};
use crate::json::{Base64, Kind, Text, Value};
use crate::rpc::{Error, Header, HeaderFault};

/// Checks the headers of a modern request against the method in its body and, if the method has
/// one, the name.
///
/// # Errors
/// [`Error::Header`] with the first header that is missing or differs.
pub fn agree(facts: &HeadFacts<'_>, method: Text<'_>, name: Option<Text<'_>>) -> Result<(), Error> {
    present(Header::ProtocolVersion, facts.protocol_version)?;
    let mirrored = present(Header::Method, facts.mcp_method)?;
    if !core::str::from_utf8(mirrored).is_ok_and(|mirrored| method.is(mirrored)) {
        return Err(Error::Header(Header::Method, HeaderFault::Differs));
    }
    match name {
        Some(name) => text_agrees(Header::Name, present(Header::Name, facts.mcp_name)?, name),
        None => Ok(()),
    }
}

/// Returns the value of a header that must occur exactly once and contain only characters allowed
/// in a header value.
fn present<'h>(header: Header, field: Field<'h>) -> Result<&'h [u8], Error> {
    let fault = match field {
        Field::Absent => HeaderFault::Missing,
        Field::Repeated => HeaderFault::Repeated,
        Field::Once(value) if value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) => return Ok(value),
        Field::Once(_) => HeaderFault::Malformed,
    };
    Err(Error::Header(header, fault))
}

/// Checks a header against the argument that it mirrors; `argument` is `None` if the call does not
/// have it.
///
/// # Errors
/// [`Error::Header`] if the header is missing, is present without its argument, or differs.
// MCP 2026-07-28 streamable-http, "Custom headers": if the argument is absent or null in the body,
// the header must be absent.
pub fn param_agrees(field: Field<'_>, argument: Option<Value<'_>>) -> Result<(), Error> {
    let Some(argument) = argument.filter(|argument| argument.kind() != Kind::Null) else {
        return match field {
            Field::Absent => Ok(()),
            _ => Err(Error::Header(Header::Param, HeaderFault::Differs)),
        };
    };
    let value = present(Header::Param, field)?;
    let same = match argument.text() {
        Some(text) => return text_agrees(Header::Param, value, text),
        // Numbers are compared as numbers: `42.0` equals `42`.
        None if argument.kind() == Kind::Number => {
            match (Value::parse(value).map(|value| value.integer()), argument.integer()) {
                (Ok(Ok(header)), Ok(body)) => header == body,
                _ => value == argument.raw(),
            }
        }
        None => value == argument.raw(),
    };
    if same { Ok(()) } else { Err(Error::Header(Header::Param, HeaderFault::Differs)) }
}

// MCP 2026-07-28 streamable-http, "Value encoding": =?base64?…?= holds UTF-8; an incomplete
// sentinel is literal text.
fn text_agrees(header: Header, value: &[u8], text: Text<'_>) -> Result<(), Error> {
    let encoded = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?="));
    let same = match encoded {
        None => core::str::from_utf8(value).is_ok_and(|value| text.is(value)),
        Some(encoded) => {
            let decoded = Base64::decode(encoded).ok_or(Error::Header(header, HeaderFault::Malformed))?;
            // Compared byte by byte, without a buffer for the whole text.
            text.bytes().eq(decoded)
        }
    };
    if same { Ok(()) } else { Err(Error::Header(header, HeaderFault::Differs)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn compare(header: &'static str, name: &str) -> Result<(), HeaderFault> {
        let mut facts = HeadFacts::new(b"POST");
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
    fn mirrored_arguments_agree_as_the_values_they_are() {
        use HeaderFault::{Differs, Malformed, Missing, Repeated};
        for (fields, argument, outcome) in [
            (&["eu-west"][..], Some(r#""eu-west""#), Ok(())),
            (&["us"], Some(r#""eu""#), Err(Differs)),
            (&["=?base64?WsO8cmljaA==?="], Some("\"Z\u{fc}rich\""), Ok(())),
            (&["=?base64?WsO8cmljaA=?="], Some("\"Z\u{fc}rich\""), Err(Malformed)),
            (&["42"], Some("42.0"), Ok(())),
            (&["4.2e1"], Some("42"), Ok(())),
            (&["-0"], Some("0.0"), Ok(())),
            (&["43"], Some("42"), Err(Differs)),
            (&["x"], Some("42"), Err(Differs)),
            (&["true"], Some("true"), Ok(())),
            (&["True"], Some("true"), Err(Differs)),
            (&[], Some("true"), Err(Missing)),
            (&["a", "a"], Some(r#""a""#), Err(Repeated)),
            (&[], None, Ok(())),
            (&[], Some("null"), Ok(())),
            (&["null"], Some("null"), Err(Differs)),
            (&["a"], None, Err(Differs)),
        ] {
            let mut facts = HeadFacts::new(b"POST");
            for value in fields {
                facts.note(b"Mcp-Param-Region", value.as_bytes());
            }
            let argument = argument.map(|json| Value::parse(json.as_bytes()).unwrap());
            let outcome = outcome.map_err(|fault| Error::Header(Header::Param, fault));
            assert_eq!(param_agrees(facts.param("region"), argument), outcome, "{fields:?} against {argument:?}");
        }
    }

    #[test]
    fn mirrored_argument_behind_more_headers_than_are_kept_is_refused() {
        let names: [[u8; 11]; limits::MIRRORED + 1] = core::array::from_fn(|at| {
            let mut name = *b"mcp-param-a";
            name[10] += at as u8;
            name
        });
        let mut facts = HeadFacts::new(b"POST");
        for name in &names {
            facts.note(name, b"1");
        }
        assert_eq!(facts.param("h"), Field::Once(b"1"));
        assert_eq!(facts.param("i"), Field::Repeated);
    }

    #[test]
    fn mirrored_argument_behind_a_header_without_a_name_is_seen() {
        let mut facts = HeadFacts::new(b"POST");
        facts.note(b"Mcp-Param-", b"a");
        facts.note(b"Mcp-Param-Region", b"eu");
        assert_eq!(facts.param("region"), Field::Once(b"eu"));
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
