//! The public test vectors, read from one folder: JSONTestSuite, UTF-8 sequences, the Big List of
//! Naughty Strings.
//!
//! `ATTACHE_VECTORS` names another folder of the same layout, which may contain other files. A
//! file's name, or its verdict in the folder, says what must happen; only answers that are our own
//! choice are pinned here, by name.

use attache_core::auth::{Access, Authenticated};
use attache_core::era::Version;
use attache_core::exchange::{Carrier, Next, Reply, answer, open};
use attache_core::json::{Error, Fault, Kind, Reader, Slice, Text, Value};
use attache_core::line::{Connection, Cut, Lines};
use attache_core::mcp::Server;
use attache_core::tool::{Call, Nothing, Output, Tables, ToolResult};
use serde_json::Value as Document;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The folder of the vectors. No other code knows it.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("ATTACHE_VECTORS")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/vectors").into(), PathBuf::from)
}

// JSONTestSuite, bare.

#[test]
fn text_that_must_be_accepted_parsed_is_accepted() {
    for (name, text) in parsing("y_") {
        match Value::parse(&text) {
            Ok(_) => {}
            // The only limit of the reader that a well-formed text can exceed.
            Err(Error { fault: Fault::Depth, .. }) if deepest(&text) > DEPTH => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn text_that_must_be_refused_parsed_is_refused_inside_its_bounds() {
    for (name, text) in parsing("n_") {
        let error = Value::parse(&text).expect_err(&name);
        assert!(error.at <= text.len(), "{name}: {error}");
    }
}

#[test]
fn text_left_to_the_reader_parsed_gets_our_pinned_verdict() {
    for (name, text) in parsing("i_") {
        let verdict = verdict(&text);
        if let Some((_, pinned)) = LEFT_TO_US.iter().find(|(pinned, _)| *pinned == name) {
            assert_eq!(verdict, *pinned, "{name}");
        }
    }
}

#[test]
fn text_read_in_two_ways_elsewhere_parsed_gets_our_pinned_reading() {
    for (name, text) in files("test_transform") {
        let reading = Value::parse(&text).map(seen).map_err(|error| error.fault);
        if let Some((_, pinned)) = READ_IN_TWO_WAYS.iter().find(|(pinned, _)| *pinned == name) {
            assert_eq!(reading.as_deref().map_err(|fault| *fault), *pinned, "{name}");
        }
    }
}

#[test]
fn every_pinned_text_of_our_own_folder_is_there() {
    if std::env::var_os("ATTACHE_VECTORS").is_some() {
        return;
    }
    let there: BTreeSet<String> = files("test_parsing").chain(files("test_transform")).map(|(name, _)| name).collect();
    for name in LEFT_TO_US.iter().map(|(name, _)| name).chain(READ_IN_TWO_WAYS.iter().map(|(name, _)| name)) {
        assert!(there.contains(*name), "{name}");
    }
}

#[test]
fn text_accepted_pulled_apart_is_the_document_that_serde_json_reads() {
    let mut compared = 0;
    for (name, text) in files("test_parsing").chain(files("test_transform")) {
        let Ok(value) = Value::parse(&text) else { continue };
        match serde_json::from_slice::<Document>(&text) {
            Ok(theirs) => {
                assert!(same(&document(value), &theirs), "{name}: {} is not {theirs}", document(value));
                compared += 1;
            }
            Err(error) => assert!(error.to_string().starts_with("number out of range"), "{name}: {error}"),
        }
    }
    assert!(compared > 0);
}

// JSONTestSuite, as an argument of a call.

#[test]
fn text_as_an_argument_called_is_answered_as_it_is_judged_alone() {
    for (name, text) in files("test_parsing").chain(files("test_transform")) {
        let body = call_with(&text);
        let mut argument = None;
        let reply = ask(&body, |call, output| {
            argument = Some(document(call.arguments().value().expect("there are arguments")));
            output.text("read")
        });
        match Value::parse(&text) {
            // The call puts three brackets around the text.
            Ok(value) if deepest(&text) + 3 <= DEPTH => {
                assert_eq!(reply["result"]["content"][0]["text"], "read", "{name}: {reply}");
                assert_eq!(argument, Some(serde_json::json!({ "x": document(value) })), "{name}");
            }
            _ => {
                assert_eq!(reply["error"]["code"], -32700, "{name}: {reply}");
                assert_eq!(argument, None, "{name}");
            }
        }
    }
}

#[test]
fn text_on_a_line_fed_byte_by_byte_is_answered_like_the_whole_line() {
    for (name, text) in files("test_parsing").chain(files("test_transform")) {
        if text.contains(&b'\n') {
            continue;
        }
        line_fed_in_pieces_is_answered_alike(&name, &text);
        line_fed_in_pieces_is_answered_alike(&name, &call_with(&text));
    }
}

// UTF-8.

#[test]
fn sequence_outside_of_strings_parsed_is_refused_as_encoding_only_if_it_is_malformed() {
    for (id, bytes, valid) in sequences() {
        let refused_as_encoding = matches!(Value::parse(&bytes), Err(Error { fault: Fault::NotUtf8, .. }));
        assert_eq!(refused_as_encoding, !valid, "{id}");
    }
}

#[test]
fn sequence_inside_a_string_parsed_is_accepted_only_if_it_is_well_formed() {
    for (id, bytes, valid) in sequences() {
        let text = [b"{\"a\":\"", bytes.as_slice(), b"\"}"].concat();
        let fault = Value::parse(&text).map(|_| ()).map_err(|error| error.fault);
        let expected = match (valid, bytes.iter().any(|byte| *byte < 0x20)) {
            (false, _) => Err(Fault::NotUtf8),
            // RFC 8259 §7: well-formed, but never raw in a string.
            (true, true) => Err(Fault::Control),
            (true, false) => Ok(()),
        };
        assert_eq!(fault, expected, "{id}");
    }
}

#[test]
fn sequence_on_a_line_fed_byte_by_byte_is_answered_like_the_whole_line() {
    for (id, bytes, _) in sequences().into_iter().filter(|(_, bytes, _)| !bytes.contains(&b'\n')) {
        let quoted = [b"\"", bytes.as_slice(), b"\""].concat();
        line_fed_in_pieces_is_answered_alike(&id, &bytes);
        line_fed_in_pieces_is_answered_alike(&id, &call_with(&quoted));
    }
}

// Naughty strings.

#[test]
fn naughty_string_as_an_argument_echoed_comes_back_byte_for_byte() {
    for (id, bytes) in naughty_strings() {
        for tool in ["echo", "spell"] {
            let reply = ask(&call(tool, &quote(&bytes)), |call, output| parrot::dispatch(&Parrot, call, output));
            match str::from_utf8(&bytes) {
                Ok(text) => assert_eq!(reply["result"]["content"][0]["text"], text, "{id}: {reply}"),
                Err(_) => assert_eq!(reply["error"]["code"], -32700, "{id}: {reply}"),
            }
        }
    }
}

#[test]
fn naughty_string_as_a_name_called_is_refused_in_good_form() {
    for (id, bytes) in naughty_strings() {
        let body =
            [b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":", &*quote(&bytes), META]
                .concat();
        let reply = ask(&body, |_, _| unreachable!("no tool has this name"));
        let (code, has_id) = if str::from_utf8(&bytes).is_ok() { (-32602, true) } else { (-32700, false) };
        assert_eq!(reply["error"]["code"], code, "{id}: {reply}");
        assert_eq!(reply.get("id").is_some_and(|id| id == 1), has_id, "{id}: {reply}");
        assert!(reply["error"]["message"].is_string(), "{id}: {reply}");
    }
}

// The content of the vectors.

/// The files of one folder of JSONTestSuite, sorted by name.
fn files(within: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder = folder().join("jsontestsuite").join(within);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    assert!(!paths.is_empty(), "{}", folder.display());
    paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).map(|path| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        (name, fs::read(path).expect("a readable file"))
    })
}

fn parsing(verdict: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    files("test_parsing").filter(move |(name, _)| name.starts_with(verdict))
}

fn listed(file: &str) -> Vec<Document> {
    let path = folder().join(file);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let list: Vec<Document> = serde_json::from_slice(&text).expect("an array");
    assert!(!list.is_empty());
    list
}

/// Each sequence with its name and whether it is well-formed.
fn sequences() -> Vec<(String, Vec<u8>, bool)> {
    let field = |case: &Document| {
        let hex = case["hex"].as_str()?;
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
        Some((case["id"].to_string(), bytes.collect::<Option<Vec<u8>>>()?, case["valid"].as_bool()?))
    };
    listed("utf8/utf8tests.json").iter().map(|case| field(case).expect("a case of the list")).collect()
}

fn naughty_strings() -> Vec<(String, Vec<u8>)> {
    let field = |case: &Document| Some((case["id"].to_string(), base64(case["b64"].as_str()?)?));
    listed("naughty-strings/blns.json").iter().map(|case| field(case).expect("a case of the list")).collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0usize, 0);
    for char in text.chars().filter(|char| *char != '=') {
        (bits, count) = ((bits << 6 | ALPHABET.find(char)?) & 0xFFFF, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

/// A JSON string that contains `bytes`, which need not be UTF-8.
fn quote(bytes: &[u8]) -> Vec<u8> {
    let escaped = bytes.iter().flat_map(|&byte| match byte {
        b'"' | b'\\' => vec![b'\\', byte],
        0..0x20 => format!("\\u{byte:04x}").into_bytes(),
        _ => vec![byte],
    });
    [b'"'].into_iter().chain(escaped).chain([b'"']).collect()
}

// The reader's view of a text.

/// Returns the fault of a text, or `None` if the text is accepted.
fn verdict(text: &[u8]) -> Option<Fault> {
    Value::parse(text).err().map(|error| error.fault)
}

/// Returns the document as our reader sees it, member by member. Of repeated members the last one
/// counts, as in serde_json.
fn document(value: Value<'_>) -> Document {
    pull(&mut value.reader(), value.raw()).expect("an accepted text")
}

fn pull(reader: &mut Reader<'_>, text: &[u8]) -> Result<Document, Error> {
    if reader.enter_object()?.is_some() {
        let mut members = serde_json::Map::new();
        while let Some(key) = reader.key()? {
            let member = pull(reader, text)?;
            members.insert(key.chars().collect(), member);
        }
        return Ok(members.into());
    }
    if reader.enter_array()?.is_some() {
        let mut elements = Vec::new();
        while reader.element()? {
            elements.push(pull(reader, text)?);
        }
        return Ok(elements.into());
    }
    let value = reader.skip()?.of(text);
    Ok(match (value.kind(), value.bool(), value.text()) {
        (Kind::Null, ..) => Document::Null,
        (Kind::Number, ..) => number(value.raw()),
        (_, Some(truth), _) => truth.into(),
        (_, _, Some(text)) => text.chars().collect::<String>().into(),
        (kind, None, None) => panic!("{kind:?} was not entered"),
    })
}

/// Integers exactly, everything else as the nearest double. serde_json keeps the sign of `-0` by
/// making it a double.
fn number(raw: &[u8]) -> Document {
    let raw = str::from_utf8(raw).expect("digits");
    match (raw.parse::<u64>(), raw.parse::<i64>()) {
        (Ok(whole), _) => whole.into(),
        (_, Ok(whole)) if whole != 0 => whole.into(),
        _ => raw.parse::<f64>().expect("a number").into(),
    }
}

/// Compares documents, except for the last digit of a double: without its feature `float_roundtrip`
/// serde_json rounds differently.
fn same(ours: &Document, theirs: &Document) -> bool {
    match (ours, theirs) {
        (Document::Array(ours), Document::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Document::Object(ours), Document::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, ours)| theirs.get(key).is_some_and(|theirs| same(ours, theirs)))
        }
        (Document::Number(ours), Document::Number(theirs)) if ours.is_f64() && theirs.is_f64() => {
            let bits = |number: &serde_json::Number| number.as_f64().map_or(0, f64::to_bits);
            bits(ours).abs_diff(bits(theirs)) <= 1
        }
        _ => ours == theirs,
    }
}

/// Returns everything that the reader sees in a flat array or object, in order: the raw numbers,
/// the decoded strings, and each of the members that share a name.
fn seen(value: Value<'_>) -> String {
    let whole = "a text that was accepted";
    let word = |value: Value<'_>| match value.text() {
        Some(text) => text.chars().collect(),
        None => String::from_utf8_lossy(value.raw()).into_owned(),
    };
    let mut reader = value.reader();
    let mut words = Vec::new();
    if reader.enter_object().expect(whole).is_some() {
        while let Some(key) = reader.key().expect(whole) {
            words.extend([key.chars().collect(), word(reader.skip().expect(whole).of(value.raw()))]);
        }
    } else if reader.enter_array().expect(whole).is_some() {
        while reader.element().expect(whole) {
            words.push(word(reader.skip().expect(whole).of(value.raw())));
        }
    }
    words.join(" ")
}

/// Returns the depth of a text's brackets, except those in strings.
fn deepest(text: &[u8]) -> u32 {
    let (mut open, mut deepest) = (0u32, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => open += 1,
            b']' | b'}' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

const DEPTH: u32 = attache_core::limits::DEPTH;

// The server of these tests.

attache_core::args! { struct Said<'a> { /** what to say */ x: Text<'a> } }
attache_core::tools! { mod parrot for Parrot {
    /// Say it as it was written
    #[read_only] fn echo(Said<'_>);
    /// Say it as it was understood
    #[read_only] fn spell(Said<'_>);
    /// Say nothing
    #[read_only] fn any(Nothing);
} }

struct Parrot;

impl Parrot {
    fn echo(&self, said: Said<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text_with(|block| block.echo(said.x))
    }

    fn spell(&self, said: Said<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text(&said.x.chars().collect::<String>())
    }

    fn any(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("")
    }
}

static SERVER: Server<'static> = Server::new("parrot", "1", &const { Tables::of_tools(parrot::TOOLS) });
const WHO: &Authenticated<'static> = &Authenticated::anonymous(&Access::Anonymous);
/// The end of a request, with the members that the modern era requires.
const META: &[u8] = concat!(
    r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}}}"#
)
.as_bytes();

/// A call of `tool` with the JSON text `argument` as its argument `x`.
fn call(tool: &str, argument: &[u8]) -> Vec<u8> {
    let front = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""#;
    [front, tool.as_bytes(), br#"","arguments":{"x":"#, argument, b"}", META].concat()
}

fn call_with(argument: &[u8]) -> Vec<u8> {
    call("any", argument)
}

/// Returns the answer to a request; the answer must be well-formed.
fn ask(body: &[u8], handler: impl FnOnce(Call<'_>, &mut Output<'_>) -> ToolResult) -> Document {
    let mut buffer = [0; 4096];
    let mut out = Slice::new(&mut buffer);
    let reply = answer(&SERVER, WHO, Carrier::Line(None), body, &mut out, handler).expect("an answer");
    let sent = bytes(&reply, body, out.written());
    serde_json::from_slice(&sent).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&sent)))
}

fn bytes(reply: &Reply, body: &[u8], written: &[u8]) -> Vec<u8> {
    let mut emission = reply.emit(&SERVER, body, written);
    let mut sent = vec![0; emission.len()];
    assert_eq!(emission.fill(&mut sent), sent.len());
    assert!(emission.is_empty());
    sent
}

/// Carries out the next step for `body`, and returns the bytes that are sent; `None` if nothing is
/// sent.
fn carried_out(next: Next, body: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    let mut out = Slice::new(&mut buffer);
    let reply = match next {
        Next::Listen(_) | Next::Cancel(_) | Next::Answer(..) | Next::Batch(_) | Next::Ack => return None,
        Next::Reply(reply) | Next::Remember(_, reply) => reply,
        Next::Call(mut ticket) => match ticket.begin(body, &mut out) {
            Err(reply) => reply,
            Ok(mut output) => {
                let result = output.text(&String::from_utf8_lossy(ticket.call(body, WHO).arguments().raw()));
                ticket.finish(&SERVER, output, result)
            }
        },
    };
    Some(bytes(&reply, body, out.written()))
}

/// Returns everything that a connection sends for `line` and its line feed, read in pieces of
/// `size` bytes.
fn answers(line: &[u8], size: usize, agreed: bool) -> Vec<Option<Vec<u8>>> {
    const INITIALIZE: &[u8] = concat!(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
        r#""capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#
    )
    .as_bytes();
    let stream = [if agreed { INITIALIZE } else { b"" }, b"\n", line, b"\n"].concat();
    let mut buffer = vec![0; stream.len()];
    let mut lines = Lines::new(&mut buffer);
    let mut connection = Connection::new();
    let mut answers = Vec::new();
    for mut piece in stream.chunks(size) {
        while let Some(cut) = lines.feed(&mut piece) {
            let Cut::Line(line) = cut else { panic!("the buffer is as large as the stream") };
            answers.push(carried_out(connection.open(&SERVER, WHO, line).next, line));
        }
    }
    assert_eq!(lines.finish(), None);
    answers
}

fn line_fed_in_pieces_is_answered_alike(name: &str, line: &[u8]) {
    for agreed in [false, true] {
        let whole = answers(line, usize::MAX, agreed);
        assert_eq!(answers(line, 1, agreed), whole, "{name}");
        // A blank line is not a message, and a carriage return at the end of a line belongs to the
        // line end.
        if !line.iter().all(u8::is_ascii_whitespace) && !line.ends_with(b"\r") {
            let version = agreed.then_some(Version::NEWEST_LEGACY);
            let direct = carried_out(open(&SERVER, WHO, Carrier::Line(version), line).next, line);
            assert_eq!(whole.last(), Some(&direct), "{name}");
        }
    }
}

/// Cases that RFC 8259 leaves open, and our choice: numbers of any size are kept as written (§6),
/// text that is not Unicode is refused (§8.1, §8.2), and so is a byte order mark (§8.1: it MUST NOT
/// be added, and may be an error).
const LEFT_TO_US: &[(&str, Option<Fault>)] = &[
    ("i_number_double_huge_neg_exp.json", None),
    ("i_number_huge_exp.json", None),
    ("i_number_real_neg_overflow.json", None),
    ("i_number_real_pos_overflow.json", None),
    ("i_number_real_underflow.json", None),
    ("i_number_too_big_pos_int.json", None),
    ("i_number_very_big_negative_int.json", None),
    ("i_object_key_lone_2nd_surrogate.json", Some(Fault::Surrogate)),
    ("i_string_1st_surrogate_but_2nd_missing.json", Some(Fault::Surrogate)),
    ("i_string_UTF-16LE_with_BOM.json", Some(Fault::NotUtf8)),
    ("i_string_UTF-8_invalid_sequence.json", Some(Fault::NotUtf8)),
    ("i_string_UTF8_surrogate_U+D800.json", Some(Fault::NotUtf8)),
    ("i_string_incomplete_surrogate_and_escape_valid.json", Some(Fault::Surrogate)),
    ("i_string_incomplete_surrogates_escape_valid.json", Some(Fault::Surrogate)),
    ("i_string_invalid_lonely_surrogate.json", Some(Fault::Surrogate)),
    ("i_string_invalid_utf-8.json", Some(Fault::NotUtf8)),
    ("i_string_inverted_surrogates_U+1D11E.json", Some(Fault::Surrogate)),
    ("i_string_lone_second_surrogate.json", Some(Fault::Surrogate)),
    ("i_string_overlong_sequence_2_bytes.json", Some(Fault::NotUtf8)),
    ("i_string_overlong_sequence_6_bytes.json", Some(Fault::NotUtf8)),
    ("i_string_truncated-utf-8.json", Some(Fault::NotUtf8)),
    ("i_string_utf16BE_no_BOM.json", Some(Fault::NotUtf8)),
    ("i_string_utf16LE_no_BOM.json", Some(Fault::NotUtf8)),
    ("i_structure_UTF-8_BOM_empty_object.json", Some(Fault::Unexpected)),
];

/// Texts that different parsers are known to read differently, and our reading: numbers digit for
/// digit, names compared by code points and never normalized, and each of two members with the same
/// name.
const READ_IN_TWO_WAYS: &[(&str, Result<&str, Fault>)] = &[
    ("number_-9223372036854775808.json", Ok("-9223372036854775808")),
    ("number_-9223372036854775809.json", Ok("-9223372036854775809")),
    ("number_1.0.json", Ok("1.0")),
    ("number_1.000000000000000005.json", Ok("1.000000000000000005")),
    ("number_10000000000000000999.json", Ok("10000000000000000999")),
    ("number_1e-999.json", Ok("1E-999")),
    ("number_1e6.json", Ok("1E6")),
    ("object_key_nfd_nfc.json", Ok("e\u{301} NFD \u{e9} NFC")),
    ("object_same_key_different_values.json", Ok("a 1 a 2")),
    ("object_same_key_unclear_values.json", Ok("a 0 a -0")),
    ("string_1_escaped_invalid_codepoint.json", Err(Fault::Surrogate)),
    ("string_1_invalid_codepoint.json", Err(Fault::NotUtf8)),
    ("string_2_escaped_invalid_codepoints.json", Err(Fault::Surrogate)),
    ("string_2_invalid_codepoints.json", Err(Fault::NotUtf8)),
    ("string_3_escaped_invalid_codepoints.json", Err(Fault::Surrogate)),
];
