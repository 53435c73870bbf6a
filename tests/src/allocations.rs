//! Checks that the engine allocates nothing, refusals included, over the public JSON vectors and
//! over the requests of the benches.

use crate::vectors::folder;
use attache_benches::{Buffers, CASES, Counting, ECHO, TWENTY, allocations};
use attache_core::era::Version;
use attache_core::json::{Reader, Value};
use core::hint::black_box;
use std::ffi::OsStr;
use std::fs;

/// The allocator of the whole binary. It counts by thread, so tests that run at the same time do
/// not disturb each other.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the allocations of this thread while `work` runs.
fn allocated(work: impl FnOnce()) -> u64 {
    let before = allocations();
    work();
    allocations() - before
}

#[test]
fn allocation_of_one_byte_is_counted() {
    assert_eq!(allocated(|| drop(black_box(Box::new(1u8)))), 1);
    let mut grown = Vec::with_capacity(1);
    assert_eq!(allocated(|| grown.extend_from_slice(black_box(&[1u8, 2]))), 1, "a block that grows");
    assert_eq!(allocated(|| drop(black_box(vec![0u8; 64]))), 1, "a block of zeros");
    assert_eq!(allocated(|| ()), 0);
}

#[test]
fn requests_of_the_benches_answered_allocate_nothing() {
    let mut buffers = Buffers::new();
    for case in CASES {
        let ready = case.ready();
        let mut answer = Vec::with_capacity(32 * 1024);
        let count = allocated(|| ready.run(&mut buffers, |piece| answer.extend_from_slice(piece)));
        case.check(&answer);
        assert_eq!(count, 0, "{}", case.name);
    }
}

#[test]
fn json_vectors_read_bare_and_as_every_part_of_a_request_allocate_nothing() {
    let mut buffers = Buffers::new();
    let mut seen = 0;
    for (name, text) in vectors() {
        assert_eq!(allocated(|| read(&text)), 0, "{name}, bare");
        for (front, back) in AROUND {
            let body = [front.as_bytes(), &text, back.as_bytes()].concat();
            assert_eq!(allocated(|| everywhere(&body, &mut buffers)), 0, "{name}, behind {front}");
        }
        seen += 1;
    }
    assert!(seen > 0, "no vectors in {}", folder().display());
}

/// Calls every method that reads a text on its own.
fn read(text: &[u8]) {
    if let Ok(value) = Value::parse(text) {
        black_box(value.bool());
        let _ = black_box(value.integer());
        if let Some(text) = value.text() {
            black_box(text.chars().fold(0, |sum, char| sum ^ u32::from(char)));
            let _ = black_box(text.copy_to(&mut [0; 64]));
        }
    }
    if let Ok(mut reader) = Reader::new(text) {
        let _ = black_box(reader.enter_array().and_then(|_| reader.element()).and_then(|_| reader.skip()));
    }
}

/// Sends a body over each transport, in each era, to a server with one tool and to one with many.
fn everywhere(body: &[u8], buffers: &mut Buffers) {
    let send = |piece: &[u8]| {
        black_box(piece);
    };
    for bench in [&ECHO, &TWENTY] {
        for version in [None, Some(Version::V2025_11_25)] {
            bench.line(version, body, buffers, send);
        }
        for head in HEADS {
            bench.post(head, body, buffers, send);
        }
    }
}

fn vectors() -> impl Iterator<Item = (String, Vec<u8>)> {
    ["test_parsing", "test_transform"]
        .into_iter()
        .filter_map(|group| fs::read_dir(folder().join("jsontestsuite").join(group)).ok())
        .flatten()
        .map(|entry| entry.expect("a file of the vectors").path())
        .filter(|path| path.extension() == Some(OsStr::new("json")))
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a file of the vectors")))
}

macro_rules! modern {
    () => {
        r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#
    };
}

/// The places in a request that take a vector.
const AROUND: &[(&str, &str)] = &[
    ("", ""),
    (r#"{"jsonrpc":"2.0","id":"#, r#","method":"ping"}"#),
    (r#"{"jsonrpc":"2.0","id":1,"method":"#, "}"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":"#, "}"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":"#, "}}"),
    (concat!(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"#, modern!(), r#","x":"#), "}}}"),
    (
        concat!(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"#, modern!(), r#"},"cursor":"#),
        "}}",
    ),
    (concat!(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"#, modern!(), r#"},"name":"#), "}}"),
    (
        concat!(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"#,
            modern!(),
            r#"},"arguments":"#
        ),
        "}}",
    ),
    (
        concat!(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"#,
            modern!(),
            r#"},"arguments":{"text":"#
        ),
        "}}}",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/protocolVersion":"#,
        "}}}",
    ),
];

/// Heads that the gate accepts, one for each era, and one that it refuses.
const HEADS: &[&[(&str, &str)]] = &[
    &[
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "=?base64?ZWNobw==?="),
    ],
    &[("host", "localhost"), ("content-type", "application/json"), ("mcp-protocol-version", "2025-11-25")],
    &[("host", "rebound.example"), ("content-type", "application/json")],
];
