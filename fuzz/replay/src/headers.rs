//! Checks the fields of a head and their comparison with a body against a slow reading of the same
//! lines.

use crate::decimal;
use crate::schema;
use attache_core::auth::{Access, Gate};
use attache_core::era::Version;
use attache_core::exchange::Standalone;
use attache_core::http::{
    Door, Field, HeadFacts, LOOPBACK, Method, Policy, Refusal, agree, fields, gate, param_agrees,
};
use attache_core::json::{Kind, Text, Value};
use attache_core::limits;
use attache_core::rpc::{Error, Header, HeaderFault};

/// Checks that for any headers the gate decides as the rules say, and that a header passes exactly
/// if it agrees with the body.
///
/// The first byte chooses the method: an even digit is POST. Then come header lines up to a blank
/// line, and then three lines of JSON: the method, the name, and the argument that
/// `Mcp-Param-Region` mirrors. A line that is not JSON counts as absent.
///
/// # Panics
/// If the gate or the comparison decides differently.
pub fn headers(input: &[u8]) {
    let Some((verb, rest)) = input.split_first() else { return };
    let (headers, body) = head(rest);
    let verb: &[u8] = if verb % 2 == 0 { b"POST" } else { b"GET" };
    let mut facts = HeadFacts::new(verb);
    headers.iter().for_each(|(name, value)| facts.note(name, value));
    assert_eq!(facts.verb == Method::Post, verb == b"POST");
    for (name, field) in [
        ("Host", facts.host),
        ("Origin", facts.origin),
        ("Content-Type", facts.content_type),
        ("MCP-Protocol-Version", facts.protocol_version),
        ("Mcp-Method", facts.mcp_method),
        ("Mcp-Name", facts.mcp_name),
    ] {
        assert_eq!(field, slow_field(&headers, name), "{name}");
    }
    assert_eq!([facts.accept.json(), facts.accept.events()], slow_accept(&headers));
    door(&facts, &headers);

    let mut lines = body.split(|byte| *byte == b'\n');
    let mut line = || Value::parse(lines.next().unwrap_or_default()).ok();
    let (method, name, argument) = (line(), line(), line());
    if let Some(method) = method.and_then(|method| method.text()) {
        let name = name.and_then(|name| name.text());
        assert_eq!(agree(&facts, method, name), slow_agreement(&headers, method, name));
    }
    let field = slow_param(&headers, "Region");
    assert_eq!(facts.param("Region"), field);
    assert_eq!(facts.param("rEGION"), field);
    assert_eq!(
        param_agrees(field, argument),
        slow_mirror(field, argument).map_err(|fault| Error::Header(Header::Param, fault))
    );
}

/// A header field's name and value as received.
pub(crate) type Line<'a> = (&'a [u8], &'a [u8]);

/// Takes `name: value` lines off the front, up to a blank line.
pub(crate) fn head(mut rest: &[u8]) -> (Vec<Line<'_>>, &[u8]) {
    let mut headers = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, behind) = (rest[..end].trim_ascii_end(), &rest[end + 1..]);
        rest = behind;
        if line.is_empty() {
            break;
        }
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            headers.push((&line[..colon], &line[colon + 1..]));
        }
    }
    (headers, rest)
}

/// Finds the field with this name in the lines.
pub(crate) fn slow_field<'a>(headers: &[Line<'a>], name: &str) -> Field<'a> {
    let values: Vec<&[u8]> =
        headers.iter().filter(|(key, _)| lower(key) == lower(name.as_bytes())).map(|(_, value)| *value).collect();
    match values[..] {
        [] => Field::Absent,
        [value] => Field::Once(trimmed(value)),
        _ => Field::Repeated,
    }
}

/// Finds `Mcp-Param-{name}`. The engine keeps a limited number of them; later ones count as
/// repeated, since they may be present or not.
pub(crate) fn slow_param<'a>(headers: &[Line<'a>], name: &str) -> Field<'a> {
    let prefix = b"mcp-param-".to_vec();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for (key, _) in headers {
        let key = lower(key);
        if key.starts_with(&prefix) && !kept.contains(&key) {
            kept.push(key);
        }
    }
    let wanted = [prefix, lower(name.as_bytes())].concat();
    match kept.iter().position(|key| *key == wanted) {
        Some(at) if at < limits::MIRRORED => slow_field(headers, &format!("Mcp-Param-{name}")),
        _ if kept.len() > limits::MIRRORED => Field::Repeated,
        _ => Field::Absent,
    }
}

fn lower(name: &[u8]) -> Vec<u8> {
    name.iter().map(u8::to_ascii_lowercase).collect()
}

/// RFC 9110 §5.5: trims spaces and tabs, nothing else.
fn trimmed(value: &[u8]) -> &[u8] {
    let white = |byte: &u8| matches!(byte, b' ' | b'\t');
    match (value.iter().position(|byte| !white(byte)), value.iter().rposition(|byte| !white(byte))) {
        (Some(first), Some(last)) => &value[first..=last],
        _ => b"",
    }
}

fn door(facts: &HeadFacts<'_>, headers: &[Line<'_>]) {
    for hosts in [LOOPBACK, &[]] {
        let policy = Policy { hosts, origins: &["https://app.example"], access: Gate::Open(Access::Anonymous) };
        let refusal = match gate(facts, &policy) {
            Door::In(_) => None,
            Door::NeedKey(_) => unreachable!("nothing has to be shown"),
            Door::Out(refusal) => Some(refusal),
        };
        assert_eq!(refusal, slow_refusal(facts.verb, headers, hosts), "{hosts:?}");
        let Some(refusal) = refusal else { continue };
        let reply = Standalone::refused(refusal);
        assert!(matches!(reply.status(), 400 | 403 | 405 | 406 | 415));
        assert_eq!(reply.status() == 405, fields(reply.status()).contains(&("allow", "POST")));
        let mut sent = vec![0; 512];
        let len = reply.emit(&crate::application::SERVER).fill(&mut sent);
        for version in [Version::V2025_11_25, Version::V2026_07_28] {
            schema::conforms(version, "JSONRPCErrorResponse", &sent[..len]);
        }
    }
}

fn slow_refusal(verb: Method, headers: &[Line<'_>], hosts: &[&str]) -> Option<Refusal> {
    let own = |authority: &str| {
        let authority = authority.to_ascii_lowercase();
        hosts.iter().any(|host| match authority.strip_prefix(host) {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':').is_some_and(|port| port.chars().all(|digit| digit.is_ascii_digit())),
            None => false,
        })
    };
    // All names of ours are ASCII.
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let host = match slow_field(headers, "host") {
        Field::Absent => hosts.is_empty(),
        Field::Once(value) => hosts.is_empty() || own(&text(value)),
        Field::Repeated => false,
    };
    let origin = match slow_field(headers, "origin") {
        Field::Absent => true,
        Field::Once(value) => {
            let value = text(value);
            let behind = ["http://", "https://"].into_iter().find_map(|scheme| value.strip_prefix(scheme));
            value.eq_ignore_ascii_case("https://app.example") || behind.is_some_and(own)
        }
        Field::Repeated => false,
    };
    let json = match slow_field(headers, "content-type") {
        Field::Once(value) => {
            let value = text(value).to_ascii_lowercase();
            value
                .split(';')
                .next()
                .is_some_and(|media| media.trim_matches(|char: char| char.is_ascii_whitespace()) == "application/json")
        }
        _ => false,
    };
    if slow_field(headers, "host") == Field::Repeated {
        return Some(Refusal::Authority);
    }
    match (host, origin, verb, json, slow_accept(headers)) {
        (false, ..) => Some(Refusal::Host),
        (_, false, ..) => Some(Refusal::Origin),
        (_, _, Method::Get | Method::Delete | Method::Other, ..) => Some(Refusal::Method),
        (_, _, _, false, _) => Some(Refusal::MediaType),
        (true, true, Method::Post, true, [false, false]) => Some(Refusal::NotAcceptable),
        (true, true, Method::Post, true, _) => None,
    }
}

/// Whether the `Accept` fields allow JSON, and a stream of events (RFC 9110 §12.5.1).
fn slow_accept(headers: &[Line<'_>]) -> [bool; 2] {
    // Each range, and whether its weight is above zero.
    let mut ranges: Vec<(String, bool)> = Vec::new();
    for (_, value) in headers.iter().filter(|(name, _)| lower(name) == b"accept") {
        for element in unquoted_parts(value, b',') {
            let parts: Vec<String> = unquoted_parts(&element, b';')
                .iter()
                .map(|part| part.trim_ascii().iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect())
                .collect();
            let Some((kind, subtype)) = parts[0].split_once('/') else { continue };
            let weight = parts[1..].iter().find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(Some(true), |weight| {
                let digits = weight.get(2..).unwrap_or_default();
                let good = ["0", "1"].contains(&weight)
                    || ["0.", "1."].contains(&weight.get(..2).unwrap_or_default())
                        && digits.len() <= 3
                        && digits.bytes().all(|digit| digit.is_ascii_digit());
                let thousandths = weight[..usize::from(good)].to_owned() + &format!("{digits:0<3}");
                let thousandths = thousandths.parse::<u32>().ok().filter(|_| good)?;
                (thousandths <= 1000).then_some(thousandths > 0)
            });
            if let Some(takes) = weight
                && !kind.is_empty()
                && !subtype.is_empty()
                && (kind != "*" || subtype == "*")
            {
                ranges.push((parts[0].clone(), takes));
            }
        }
    }
    [["application/json", "application/*", "*/*"], ["text/event-stream", "text/*", "*/*"]].map(|from_narrow_to_broad| {
        let said = from_narrow_to_broad.into_iter().find_map(|range| {
            let said: Vec<bool> = ranges.iter().filter(|(known, _)| known == range).map(|(_, takes)| *takes).collect();
            (!said.is_empty()).then(|| said.contains(&true))
        });
        said.unwrap_or(ranges.is_empty())
    })
}

/// Splits at separators outside of quotes.
fn unquoted_parts(text: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let (mut quoted, mut literal) = (false, false);
    for byte in text {
        match byte {
            _ if literal => literal = false,
            b'\\' if quoted => literal = true,
            b'"' => quoted = !quoted,
            byte if *byte == separator && !quoted => {
                parts.push(Vec::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("one at least").push(*byte);
    }
    parts
}

fn slow_agreement(headers: &[Line<'_>], method: Text<'_>, name: Option<Text<'_>>) -> Result<(), Error> {
    let fault = |header| move |fault| Error::Header(header, fault);
    good(slow_field(headers, "MCP-Protocol-Version")).map_err(fault(Header::ProtocolVersion))?;
    let mirrored = good(slow_field(headers, "Mcp-Method")).map_err(fault(Header::Method))?;
    if mirrored != string(method).as_bytes() {
        return Err(Error::Header(Header::Method, HeaderFault::Differs));
    }
    let Some(name) = name else { return Ok(()) };
    let value = good(slow_field(headers, "Mcp-Name")).map_err(fault(Header::Name))?;
    slow_text(value, &string(name)).map_err(fault(Header::Name))
}

fn string(text: Text<'_>) -> String {
    serde_json::from_slice(&[b"\"", text.raw(), b"\""].concat()).expect("a string")
}

/// Returns a value that occurs once and is printable.
fn good(field: Field<'_>) -> Result<&[u8], HeaderFault> {
    match field {
        Field::Absent => Err(HeaderFault::Missing),
        Field::Repeated => Err(HeaderFault::Repeated),
        Field::Once(value) if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte > 0x7E) => {
            Err(HeaderFault::Malformed)
        }
        Field::Once(value) => Ok(value),
    }
}

fn slow_text(value: &[u8], text: &str) -> Result<(), HeaderFault> {
    let decoded = unwrapped(value).ok_or(HeaderFault::Malformed)?;
    if decoded == text.as_bytes() { Ok(()) } else { Err(HeaderFault::Differs) }
}

/// Checks whether a header has the same value as an argument; see `param_agrees`.
pub(crate) fn slow_mirror(field: Field<'_>, argument: Option<Value<'_>>) -> Result<(), HeaderFault> {
    let argument = match argument {
        Some(argument) if argument.kind() != Kind::Null => argument,
        _ if field == Field::Absent => return Ok(()),
        _ => return Err(HeaderFault::Differs),
    };
    let value = good(field)?;
    let same = match (argument.kind(), core::str::from_utf8(value), core::str::from_utf8(argument.raw())) {
        (Kind::String, ..) => return slow_text(value, &string(argument.text().expect("a string"))),
        (Kind::Number, Ok(header), Ok(body)) => {
            header == body || whole(header).is_some_and(|header| Some(header) == whole(body))
        }
        _ => value == argument.raw(),
    };
    if same { Ok(()) } else { Err(HeaderFault::Differs) }
}

/// Returns the integer written as `text`, if it is one and fits.
fn whole(text: &str) -> Option<i128> {
    // serde_json judges the grammar of the number, the decimal reader its value.
    serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
    let text = text.trim_ascii();
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then_some(())?;
    let (negative, magnitude) = decimal::whole(text).ok()?;
    Some(if negative { -i128::from(magnitude) } else { magnitude.into() })
}

/// Decodes a header value: the inside of `=?base64?…?=` as Base64, anything else as it is. Returns
/// `None` if the inside is not valid Base64.
pub(crate) fn unwrapped(value: &[u8]) -> Option<Vec<u8>> {
    let Some(encoded) = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?=")) else {
        return Some(value.to_vec());
    };
    let digits = encoded.split(|char| *char == b'=').next().unwrap_or_default();
    let sextets: Option<String> =
        digits.iter().map(|char| Some(format!("{:06b}", ALPHABET.iter().position(|known| known == char)?))).collect();
    let bytes = numbers(sextets?.as_bytes(), 8);
    // The text was canonical only if the bytes encode to the same text.
    (base64(&bytes) == encoded).then_some(bytes)
}

/// Encodes `bytes` as Base64 by way of a string of bits.
pub(crate) fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    while !bits.len().is_multiple_of(6) {
        bits.push('0');
    }
    let mut text: Vec<u8> =
        numbers(bits.as_bytes(), 6).into_iter().map(|sextet| ALPHABET[usize::from(sextet)]).collect();
    while !text.len().is_multiple_of(4) {
        text.push(b'=');
    }
    text
}

/// Reads binary numbers of `width` digits each; a remainder is dropped.
fn numbers(bits: &[u8], width: usize) -> Vec<u8> {
    let chunks = bits.chunks_exact(width);
    chunks.map(|bits| bits.iter().fold(0, |number, bit| number << 1 | (bit & 1))).collect()
}

pub(crate) const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
