//! Checks the reader of a client's messages, the negotiation of the revision, and the reader of
//! server-sent events.

use crate::decimal;
use attache_core::client::sse::{Field, LineEnds};
use attache_core::client::{
    AnswerId, Failure, Heard, Message, Negotiation, Outcome, Step, Transport, elements, members, read,
};
use attache_core::json::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// Checks what a server sends. The first byte selects the transport, the credential, and the size of
/// the pieces; the rest is a stream of events, and each line of it a message.
///
/// # Panics
/// If the pieces of a stream give other lines than the whole, if a message is read otherwise than a
/// second reader reads it, or if a negotiation does not end.
pub fn client(input: &[u8]) {
    let Some((options, stream)) = input.split_first() else { return };
    events(stream, usize::from(options & 7) + 1);
    let lines: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    lines.iter().for_each(|line| message(line));
    negotiation(*options, &lines);
}

/// The lines of a stream, and the meaning of each, in whatever pieces it arrives.
fn events(stream: &[u8], size: usize) {
    let expected = model_lines(stream);
    for size in [size, 1, stream.len().max(1)] {
        let (mut ends, mut lines, mut line) = (LineEnds::default(), Vec::new(), Vec::new());
        for mut piece in stream.chunks(size) {
            while let Some((part, has_ended)) = ends.next(&mut piece) {
                line.extend_from_slice(part);
                if has_ended {
                    lines.push(core::mem::take(&mut line));
                }
            }
        }
        lines.push(line);
        assert_eq!(lines, expected, "in pieces of {size}");
    }
    for (at, line) in expected.iter().enumerate() {
        assert_eq!(Field::of(line, at == 0), model_field(line, at == 0), "{}", line.escape_ascii());
    }
}

/// Lines end with CR, LF or CRLF. The last one is what follows the last end.
fn model_lines(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut rest = stream.iter().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' => {
                rest.next_if(|next| **next == b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().expect("never empty").push(*other),
        }
    }
    lines
}

/// HTML Living Standard §9.2.6: the name up to the first colon, the value without one blank.
fn model_field(line: &[u8], is_first: bool) -> Field<'_> {
    let line = if is_first && line.starts_with(b"\xEF\xBB\xBF") { &line[3..] } else { line };
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
    let value = if value.first() == Some(&b' ') { &value[1..] } else { value };
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    match name {
        _ if line.is_empty() => Field::Dispatch,
        b"data" => Field::Data(value),
        b"event" => Field::Event(value),
        b"id" if !value.contains(&0) => Field::Id(value),
        b"retry" if is_number => {
            let digits = core::str::from_utf8(value).expect("digits");
            Field::Retry(digits.parse::<u128>().map_or(u32::MAX, |time| u32::try_from(time).unwrap_or(u32::MAX)))
        }
        _ => Field::Ignored,
    }
}

/// The members of an object as serde_json reads them, with their texts.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl<'t> Members<'t> {
    fn named(&self, name: &str) -> Option<&'t RawValue> {
        let mut found = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| *value);
        found.next().filter(|_| found.next().is_none())
    }
}

fn message(body: &[u8]) {
    let Ok(received) = read(body) else { return };
    let known: Members<'_> = serde_json::from_slice(body).expect("a message is an object");
    assert_eq!(known.named("jsonrpc").map(RawValue::get).map(str::len), Some(r#""2.0""#.len()));
    if let Some(params) = received.params {
        assert_eq!(Some(params.of(body).raw()), known.named("params").map(|params| params.get().as_bytes()));
    }
    match received.message {
        Message::Answer(answer) => {
            let (outcome, name) = match answer.outcome {
                Ok(result) => (result, "result"),
                Err(error) => (error, "error"),
            };
            let outcome = outcome.of(body);
            assert_eq!(Some(outcome.raw()), known.named(name).map(|outcome| outcome.get().as_bytes()));
            id(answer.id, known.named("id"));
            walked(outcome);
            match answer.outcome {
                Ok(_) => judged(outcome),
                Err(_) => {
                    let _ = Failure::of(outcome);
                }
            }
        }
        Message::Request { id, method } => {
            assert_eq!(Some(id.of(body)), known.named("id").map(|id| id.get().as_bytes()));
            assert!(method.of(body).text().is_some());
        }
        Message::Notification(method) => assert!(method.of(body).text().is_some() && known.named("id").is_none()),
    }
}

/// A number, or a string of digits, is the id of a request of this client.
fn id(read: AnswerId, written: Option<&RawValue>) {
    let text = written.map(RawValue::get).unwrap_or("null");
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let expected = match digits {
        Some(digits) => digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit())),
        None => {
            decimal::whole(text).ok().filter(|(negative, number)| !negative || *number == 0).map(|(_, number)| number)
        }
    };
    match read {
        AnswerId::Missing => assert_eq!(text, "null"),
        AnswerId::Number(read) => assert_eq!(expected, Some(read), "{text}"),
        AnswerId::Foreign(_) => assert_eq!(expected, None, "{text}"),
    }
}

/// The members of an object and the elements of an array, as serde_json finds them.
fn walked(value: Value<'_>) {
    let text = core::str::from_utf8(value.raw()).expect("JSON is UTF-8");
    if let Ok(known) = serde_json::from_str::<Members<'_>>(text) {
        let found: Vec<(String, &[u8])> =
            members(value).map(|(name, value)| (name.chars().collect(), value.raw())).collect();
        let known: Vec<(String, &[u8])> =
            known.0.into_iter().map(|(name, value)| (name, value.get().as_bytes())).collect();
        assert_eq!(found, known);
    }
    if let Ok(known) = serde_json::from_str::<Vec<&RawValue>>(text) {
        assert!(elements(value).map(|value| value.raw()).eq(known.iter().map(|value| value.get().as_bytes())));
    }
}

/// MCP 2026-07-28 basic/index and basic/patterns/mrtr.
fn judged(result: Value<'_>) {
    let text = core::str::from_utf8(result.raw()).expect("JSON is UTF-8");
    let Ok(known) = serde_json::from_str::<Members<'_>>(text) else {
        return assert!(matches!(Outcome::of(result), Outcome::Invalid));
    };
    let names: BTreeSet<&String> = known.0.iter().map(|(name, _)| name).collect();
    if names.len() < known.0.len() {
        // With duplicate members, either outcome is allowed.
        return;
    }
    let value = |name: &str| -> Option<serde_json::Value> { serde_json::from_str(known.named(name)?.get()).ok() };
    let (requests, state) = (value("inputRequests"), value("requestState"));
    let expected = match value("resultType") {
        None => "complete",
        Some(kind) if kind == "complete" => "complete",
        Some(kind)
            if kind == "input_required"
                && requests.as_ref().is_none_or(serde_json::Value::is_object)
                && state.as_ref().is_none_or(serde_json::Value::is_string)
                && (requests.is_some() || state.is_some()) =>
        {
            "input"
        }
        Some(_) => "invalid",
    };
    let read = match Outcome::of(result) {
        Outcome::Complete => "complete",
        Outcome::InputRequired { .. } => "input",
        Outcome::Invalid => "invalid",
    };
    assert_eq!(read, expected, "{text}");
}

/// A negotiation ends, whatever the server answers: it probes twice at most, and offers a version once
/// at most after each probe and after a restart.
fn negotiation(options: u8, lines: &[&[u8]]) {
    let transport = if options & 1 == 0 { Transport::Line } else { Transport::Http };
    let mut negotiation = Negotiation::new(transport);
    if options & 2 != 0 {
        negotiation = negotiation.with_credential();
    }
    if options & 4 != 0 {
        negotiation = negotiation.legacy();
    }
    let (mut probes, mut offered, mut old) = (0, Vec::new(), 0);
    let mut step = negotiation.start();
    for (at, line) in lines.iter().cycle().take(lines.len().max(1) * 16).enumerate() {
        match step {
            Step::Discover(version) => {
                probes += 1;
                assert!(version.is_modern());
            }
            Step::Initialize(version) => {
                offered.push(version);
                let times = offered.iter().filter(|other| **other == version).count();
                assert!(!version.is_modern() && times <= OFFERS, "{version:?} {times} times");
            }

            Step::OpenOldTransport => old += 1,
            Step::Modern(version) => return assert!(version.is_modern()),
            Step::Legacy(version) => return assert!(!version.is_modern()),
            Step::Fail(_) => return,
            // The caller ends here after one repetition.
            Step::Authorize(_) | Step::Wait(_) => return,
        }
        assert!(probes <= 2 && old <= 1);
        let status = [200, 200, 400, 404, 405, 500][at % 6];
        let heard = match line {
            [] => Heard::Silence,
            [b'!', ..] => Heard::Ended,
            [b'>', ..] => Heard::Opened,
            [b'%', body @ ..] => Heard::Status { status, body },
            body => Heard::Message { status, body },
        };
        step = negotiation.heard(heard);
    }
    assert!(
        matches!(step, Step::Modern(_) | Step::Legacy(_) | Step::Fail(_) | Step::Authorize(_) | Step::Wait(_)),
        "it does not end: {step:?}"
    );
}

/// After the start or the first probe, after the second probe, and after a restart.
const OFFERS: usize = 3;
