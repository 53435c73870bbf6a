//! Proofs for `json`: reading and writing.

use crate::foreign::Foreign;
use crate::{keep, proofs};
use attache_core::json::{Decimal, Escaped, Fields, Item, Reader, Sink, Slice, Text, Value, escape};

proofs! {
    /// The pull reader, with its steps in any order, even a senseless one.
    fn proof_json_reader(foreign, _out) {
        let text = foreign.piece();
        match Reader::new(text) {
            Ok(mut reader) => while !foreign.is_empty() {
                step(&mut reader, text, &mut foreign);
            },
            Err(error) => keep(error),
        }
    }

    /// A whole text, and every method of a value.
    fn proof_json_value(foreign, _out) {
        if let Ok(value) = Value::parse(foreign.piece()) {
            keep((value.kind(), value.raw(), value.bool()));
            let mut reader = value.reader();
            let text = foreign.piece();
            while !foreign.is_empty() {
                step(&mut reader, text, &mut foreign);
            }
        }
    }

    /// Integers, as each type that accepts one.
    fn proof_json_integer(foreign, _out) {
        if let Ok(value) = Value::parse(foreign.rest()) {
            match value.integer() {
                Ok(number) => {
                    keep((number.to::<u8>(), number.to::<u16>(), number.to::<u32>(), number.to::<u64>()));
                    keep((number.to::<i8>(), number.to::<i16>(), number.to::<i32>(), number.to::<i64>()));
                    keep((number.to::<usize>(), number.to::<isize>(), number.to::<u128>(), number.to::<i128>()));
                }
                Err(error) => keep(error),
            }
        }
    }

    /// A string's contents: compared, looked up, read, copied.
    fn proof_json_text(foreign, out) {
        let text = Value::parse(foreign.piece()).ok().and_then(|value| value.text()).unwrap_or_default();
        texts(text, &mut foreign, out);
    }

    /// The members of an object, asked for by any number, also one that no name has.
    fn proof_json_fields(foreign, _out) {
        let text = foreign.piece();
        let mut fields = Fields::<3>::new();
        if let Ok(mut reader) = Reader::new(text) {
            let names = [foreign.string(), foreign.string(), foreign.string()];
            keep(fields.read(&mut reader, &names, |index, reader| match index {
                1 => reader.skip().map(Some),
                _ => Ok(None),
            }));
            // Into the same record again, so that members are found a second time.
            keep(fields.read(&mut reader, &names, |_, _| Ok(None)));
        }
        keep(fields.get(foreign.number()));
    }

    /// The sink over a slice, truncated to any mark.
    fn proof_json_slice(foreign, out) {
        let mut sink = Slice::new(out);
        while !foreign.is_empty() {
            match foreign.byte() % 4 {
                0 => keep(sink.put(foreign.piece())),
                1 => sink.truncate(foreign.number()),
                2 => keep((sink.len(), sink.is_empty())),
                _ => keep(sink.written()),
            }
        }
    }

    /// Any string escaped between quotes.
    fn proof_json_escape(foreign, out) {
        let text = foreign.string();
        keep(escape(text, &mut Slice::new(out)));
        keep(Escaped::new(text).map(Escaped::as_str));
    }

    /// Any number in decimal.
    fn proof_json_decimal(foreign, _out) {
        keep(Decimal::new(foreign.number() as i64).as_bytes());
    }
}

/// Takes one step of a reader. `text` need not be the text that the reader reads: spans may be
/// applied to any body.
fn step(reader: &mut Reader<'_>, text: &[u8], foreign: &mut Foreign<'_>) {
    match foreign.byte() % 7 {
        0 => keep(reader.enter_object()),
        1 => keep(reader.enter_array()),
        2 => keep(reader.key()),
        3 => keep(reader.element()),
        4 => {
            if let Ok(item) = reader.skip() {
                items(item, text);
            }
        }
        5 => keep(reader.end()),
        _ => keep(reader.position()),
    }
}

fn items(item: Item, text: &[u8]) {
    for span in [item.span(), item.inner()] {
        keep((span.of(text), span.len(), span.is_empty()));
    }
    keep((item.kind(), item.of(text).text(), item.of(text).integer(), item.of(text).bool()));
}

fn texts(text: Text<'_>, foreign: &mut Foreign<'_>, out: &mut [u8]) {
    keep((text.raw(), text.plain(), text.is(foreign.string())));
    keep(text.position(&[foreign.string(), foreign.string()]));
    text.chars().for_each(keep);
    keep(text.copy_to(out));
}
