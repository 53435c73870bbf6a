//! Checks the JSON reader against serde_json, and the writer against the reader.

use crate::decimal;
use crate::document::Document;
use attache_core::json::{Error, Fault, Full, Integer, Kind, Slice, Text, Value, escape};
use attache_core::limits;
use serde::de::IgnoredAny;

/// Checks that any bytes get the same verdict and the same document as from serde_json, whether
/// skipped or read member by member.
///
/// # Panics
/// If they differ.
pub fn json(input: &[u8]) {
    let skipped = Value::parse(input);
    let pulled = Document::ours(input, scalar);
    assert_eq!(pulled.as_ref().err(), skipped.as_ref().err(), "pulled apart and skipped");

    let utf8 = core::str::from_utf8(input);
    // When it skips, serde_json checks the grammar alone, not the size of a number, the depth, or
    // surrogates.
    let grammatical = utf8.is_ok() && serde_json::from_slice::<IgnoredAny>(input).is_ok();
    let theirs = Document::theirs(input);
    match skipped {
        Ok(value) => {
            assert!(grammatical, "accepted against the grammar");
            match theirs {
                Ok(theirs) => assert_eq!(pulled, Ok(theirs)),
                Err(error) => assert!(error.to_string().starts_with("number out of range"), "{error}"),
            }
            assert_eq!(value.raw(), input.trim_ascii());
        }
        Err(Error { fault, at }) => {
            assert!(at <= input.len(), "a fault behind the input");
            assert_eq!(fault == Fault::NotUtf8, utf8.is_err());
            match fault {
                Fault::Depth => assert_eq!(open_brackets(input, at), limits::DEPTH as usize),
                Fault::Surrogate => assert!(theirs.is_err(), "half a pair that serde_json takes"),
                _ => assert!(!grammatical, "{fault:?} at {at} of a good text"),
            }
        }
    }
}

fn scalar(value: Value<'_>) {
    let raw = core::str::from_utf8(value.raw()).expect("a part of a checked text");
    match value.kind() {
        Kind::Number => number(value, raw),
        Kind::String => text(value.text().expect("a string"), raw),
        _ => assert!(value.integer().is_err()),
    }
}

fn number(value: Value<'_>, raw: &str) {
    let ours = value.integer();
    match decimal::whole(raw) {
        Ok((negative, magnitude)) => {
            let ours = ours.unwrap_or_else(|error| panic!("{raw} is {error:?}"));
            let exact = if negative { -i128::from(magnitude) } else { magnitude.into() };
            fits::<u8>(ours, exact);
            fits::<i8>(ours, exact);
            fits::<u16>(ours, exact);
            fits::<i16>(ours, exact);
            fits::<u32>(ours, exact);
            fits::<i32>(ours, exact);
            fits::<u64>(ours, exact);
            fits::<i64>(ours, exact);
        }
        Err(error) => assert_eq!(ours, Err(error), "{raw}"),
    }
}

fn fits<T>(ours: Integer, exact: i128)
where
    T: TryFrom<i64> + TryFrom<u64> + TryFrom<i128> + PartialEq + core::fmt::Debug,
{
    assert_eq!(ours.to::<T>(), T::try_from(exact).ok(), "{exact}");
}

/// Checks that every way to read a text gives the same value, also after it is written again.
fn text(text: Text<'_>, raw: &str) {
    let theirs: String = serde_json::from_str(raw).expect("a string");
    assert!(text.is(&theirs));
    assert!(!text.is(&format!("{theirs}x")));
    assert_eq!(text.position(&["\u{0}no\u{0}", &theirs]), Some(usize::from(theirs != "\u{0}no\u{0}")));
    assert_eq!(text.plain(), (!raw.contains('\\')).then_some(&*theirs));
    let mut buffer = vec![0; theirs.len()];
    assert_eq!(text.copy_to(&mut buffer), Ok(&*theirs));
    if let Some(short) = theirs.len().checked_sub(1) {
        assert_eq!(text.copy_to(&mut vec![0; short]), Err(Full));
    }

    let mut buffer = vec![0; 6 * theirs.len()];
    let mut out = Slice::new(&mut buffer);
    escape(&theirs, &mut out).expect("no escape is longer than six bytes");
    let written = [b"\"", out.written(), b"\""].concat();
    assert_eq!(serde_json::from_slice::<String>(&written).ok().as_ref(), Some(&theirs));
    assert!(Value::parse(&written).is_ok_and(|value| value.text().is_some_and(|text| text.is(&theirs))));
}

/// Counts the brackets that are open at a position of a text that is well-formed up to there.
fn open_brackets(input: &[u8], at: usize) -> usize {
    let mut open = 0;
    let (mut quoted, mut escaped) = (false, false);
    for byte in input.iter().take(at) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => open += 1,
            b']' | b'}' if !quoted => open -= 1,
            _ => {}
        }
    }
    open
}
