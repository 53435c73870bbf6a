//! The devices' HTTP/1.1 reader: the requests in a stream of bytes, and refused streams.

use crate::vectors::folder;
use attache_core::http::{Field, Method};
use attache_core::http1::{After, Body, Content, Fault, Heads, chunk, head};
use attache_core::json::Slice;
use base64::Engine as _;
use serde_json::Value;
use std::fs;

/// A request of the stream.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    post: bool,
    path: String,
    keep_alive: bool,
    expects_continue: bool,
    /// The part of the body that fits.
    body: Vec<u8>,
    too_large: bool,
}

/// Reads the requests of `stream` in pieces of `size` bytes, and returns them with the final fault.
fn requests(stream: &[u8], size: usize) -> (Vec<Read>, Option<Fault>) {
    let (mut head, mut buffer) = ([0; 1024], [0; BODY]);
    let mut heads = Heads::new(&mut head);
    let mut pieces = stream.chunks(size);
    let mut piece: &[u8] = &[];
    let mut read = Vec::new();
    loop {
        heads.clear();
        loop {
            match heads.feed(&mut piece) {
                Err(fault) => return (read, Some(fault)),
                Ok(true) => break,
                Ok(false) => match pieces.next() {
                    Some(next) => piece = next,
                    None => return (read, None),
                },
            }
        }
        let request = match heads.request() {
            Ok(request) => request,
            Err(fault) => return (read, Some(fault)),
        };
        let mut body = Body::new(request.framing);
        let mut out = Slice::new(&mut buffer);
        while !body.is_done() {
            match body.feed(&mut piece, &mut out) {
                Err(fault) => return (read, Some(fault)),
                Ok(true) => {}
                Ok(false) => match pieces.next() {
                    Some(next) => piece = next,
                    None => return (read, None),
                },
            }
        }
        assert!(matches!(request.facts.host, Field::Once(_)));
        read.push(Read {
            post: request.facts.verb == Method::Post,
            path: request.path.to_owned(),
            keep_alive: request.keep_alive,
            expects_continue: request.expects_continue,
            body: if body.is_too_large() { Vec::new() } else { out.written().to_vec() },
            too_large: body.is_too_large(),
        });
    }
}

const BODY: usize = 64;

/// The same in pieces of every size.
fn read(stream: &[u8]) -> (Vec<Read>, Option<Fault>) {
    let whole = requests(stream, stream.len().max(1));
    for size in 1..stream.len().min(200) {
        assert_eq!(requests(stream, size), whole, "pieces of {size}: {}", String::from_utf8_lossy(stream));
    }
    whole
}

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /mcp HTTP/1.1\r\nHost: board\r\n{fields}\r\n{body}").into_bytes()
}

#[test]
fn requests_that_follow_each_other_are_cut_where_each_ends() {
    let plain = |body: &str| Read {
        post: true,
        path: "/mcp".to_owned(),
        keep_alive: true,
        expects_continue: false,
        body: body.as_bytes().to_vec(),
        too_large: false,
    };
    let fixed = post("content-length: 5\r\n", "hello");
    let chunked = post(
        "TRANSFER-ENCODING: Chunked\r\n",
        "3;name=\"v a\"\r\nhel\r\n0000002\r\nlo\r\n0\r\nTrailer: x\r\nAnother: y\r\n\r\n",
    );
    let empty = post("", "");
    let stream = [fixed.clone(), chunked, b"\r\n\r\n".to_vec(), empty, fixed].concat();
    assert_eq!(read(&stream), (vec![plain("hello"), plain("hello"), plain(""), plain("hello")], None));

    for (stream, expected) in [
        (post("Connection: close\r\n", ""), Read { keep_alive: false, ..plain("") }),
        (post("Connection: x, CLOSE\r\n", ""), Read { keep_alive: false, ..plain("") }),
        (post("Expect: 100-Continue\r\ncontent-length: 1\r\n", "x"), Read { expects_continue: true, ..plain("x") }),
        (b"GET /mcp?a=/b HTTP/1.1\r\nhost:board\r\n\r\n".to_vec(), Read { post: false, ..plain("") }),
        (b"post / HTTP/1.1\r\nhost:board\r\n\r\n".to_vec(), Read { post: false, path: "/".to_owned(), ..plain("") }),
    ] {
        assert_eq!(read(&stream), (vec![expected], None));
    }
}

// RFC 9112 §2.2, §3, §5.1, §6.1, §6.3, §7.1
#[test]
fn head_or_framing_that_two_readers_could_read_in_two_ways_is_refused() {
    for (fields, body, fault) in [
        ("content-length: 3\r\ncontent-length: 3\r\n", "abc", Fault::Framing),
        ("content-length: 3, 3\r\n", "abc", Fault::Framing),
        ("content-length: +3\r\n", "abc", Fault::Framing),
        ("content-length: 0x3\r\n", "abc", Fault::Framing),
        ("content-length: -1\r\n", "abc", Fault::Framing),
        ("content-length: \r\n", "abc", Fault::Framing),
        ("content-length: 3\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n", Fault::Framing),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n", Fault::Framing),
        ("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n", Fault::Coding),
        ("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n", Fault::Coding),
        ("transfer-encoding: identity\r\n", "0\r\n\r\n", Fault::Coding),
        ("transfer-encoding: \r\n", "0\r\n\r\n", Fault::Coding),
        ("transfer-encoding : chunked\r\n", "0\r\n\r\n", Fault::Head),
        (" transfer-encoding: chunked\r\n", "0\r\n\r\n", Fault::Head),
        ("x: y\r\n folded\r\n", "", Fault::Head),
        ("x: y\n", "", Fault::Head),
        ("x: y\rz: 1\r\n", "", Fault::Head),
        ("x: \0\r\n", "", Fault::Head),
        ("no colon\r\n", "", Fault::Head),
        ("host: another\r\n", "", Fault::Host),
        ("expect: 200-ok\r\n", "", Fault::Expectation),
        ("transfer-encoding: chunked\r\n", "\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "g\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "0x1\r\na\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "-1\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "1 \r\na\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "1\na\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "1;x\ny\r\na\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "1\r\nab\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "1\r\na\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "00000001\r\na\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "0\r\nx: \0\r\n", Fault::Chunk),
        ("transfer-encoding: chunked\r\n", "0\r\nx: y\n\r\n", Fault::Chunk),
    ] {
        assert_eq!(read(&post(fields, body)), (Vec::new(), Some(fault)), "{fields:?} {body:?}");
    }
    for (stream, fault) in [
        ("POST /mcp HTTP/1.0\r\nHost: b\r\n\r\n", Fault::Version),
        ("POST /mcp HTTP/2.0\r\nHost: b\r\n\r\n", Fault::Version),
        ("POST /mcp\r\n\r\n", Fault::Head),
        ("POST  /mcp HTTP/1.1\r\nHost: b\r\n\r\n", Fault::Head),
        ("POST /mcp HTTP/1.1 \r\nHost: b\r\n\r\n", Fault::Head),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fault::Version),
        ("\u{16}\u{3}\u{1}\n", Fault::Head),
        ("POST /mcp HTTP/1.1\r\n\r\n", Fault::Host),
    ] {
        assert_eq!(read(stream.as_bytes()), (Vec::new(), Some(fault)), "{stream:?}");
    }
}

#[test]
fn head_or_body_of_exactly_the_limit_is_read_and_one_byte_more_is_refused() {
    let padded = |len: usize| post(&format!("x: {}\r\n", "y".repeat(len)), "");
    let most = 1024 - padded(0).len();
    assert_eq!(read(&padded(most)).0.len(), 1);
    assert_eq!(read(&padded(most + 1)), (Vec::new(), Some(Fault::HeadTooLarge)));
    let next = post("", "");
    for (len, too_large) in [(BODY, false), (BODY + 1, true), (700, true)] {
        let body = "z".repeat(len);
        let (front, back) = body.split_at(10);
        let chunks = format!("a\r\n{front}\r\n{:x}\r\n{back}\r\n0\r\n\r\n", back.len());
        for request in
            [post(&format!("content-length: {len}\r\n"), &body), post("transfer-encoding: chunked\r\n", &chunks)]
        {
            let (requests, fault) = read(&[request, next.clone()].concat());
            assert_eq!((requests.len(), requests[0].too_large, fault), (2, too_large, None), "the connection survives");
        }
    }
    // A body that is far too large is refused as soon as its length is known.
    let kept = |len: usize| requests(&post(&format!("content-length: {len}\r\n"), "z"), 4096);
    assert_eq!(kept(BODY + 64 * 1024), (Vec::new(), None), "the rest of it is waited for");
    for len in ["65601", "18446744073709551616", "99999999999999999999999999"] {
        let stream = post(&format!("content-length: {len}\r\n"), "z");
        assert_eq!(read(&stream), (Vec::new(), Some(Fault::BodyTooLarge)));
    }
    let endless = post("transfer-encoding: chunked\r\n", &format!("ff\r\n{}\r\n", "z".repeat(255)).repeat(300));
    assert_eq!(requests(&endless, 4096), (Vec::new(), Some(Fault::BodyTooLarge)));
}

#[test]
fn stream_that_the_strict_reader_of_node_refuses_is_never_a_request() {
    let cases: Vec<Value> =
        serde_json::from_slice(&fs::read(folder().join("llhttp/cases.json")).expect("the vectors")).expect("JSON");
    let mut checked = 0;
    for case in cases.iter().filter(|case| case["meta"]["type"] == "request") {
        let stream = base64::engine::general_purpose::STANDARD.decode(case["input_b64"].as_str().expect("a string"));
        let stream = stream.expect("Base64");
        // Most cases have no Host and would be refused for that alone, so the test adds one.
        let end = stream.windows(11).position(|eleven| eleven == b" HTTP/1.1\r\n").map_or(0, |at| at + 11);
        let lower = stream.to_ascii_lowercase();
        let hosted = lower.windows(6).any(|six| six == b"\nhost:");
        let stream = match end {
            1.. if !hosted => [&stream[..end], b"Host: b\r\n", &stream[end..]].concat(),
            _ => stream,
        };
        let (requests, fault) = read(&stream);
        if case["expect"]["accepted"] != true {
            // If the fault is in the body of a later request, the earlier requests are complete.
            let before = case["log"]
                .as_array()
                .expect("a log")
                .iter()
                .filter(|entry| entry.as_str().is_some_and(|entry| entry.ends_with("message complete")));
            let ours = case["id"] == HTTP2_PREFACE;
            assert!(ours || requests.len() <= before.count(), "{}: {requests:?} {fault:?}", case["id"]);
        }
        checked += 1;
    }
    assert!(checked > 80, "{checked}");
}

/// `PRI * HTTP/1.1`, which the other reader accepts as the HTTP/2 preface. To us it is a method
/// that is not served.
const HTTP2_PREFACE: &str = "request/method.md#15";

#[test]
fn obfuscated_framing_is_refused_or_goes_by_the_length_alone() {
    let cases: Vec<Value> =
        serde_json::from_slice(&fs::read(folder().join("smuggling-payloads/payloads.json")).expect("the vectors"))
            .expect("JSON");
    for case in cases.iter().filter(|case| case["content_length_key"].is_string()) {
        let text = |value: &Value| {
            let text = value.as_str().expect("a string");
            text.replace("[space here]", " ").replace("\\r", "\r").replace("\\xFF", "\u{ff}")
        };
        let encoding = &case["transfer_encoding"];
        let smuggled = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: b\r\n\r\n";
        let fields = format!(
            "{} {}\r\n{}{}\r\n",
            text(&case["content_length_key"]),
            smuggled.len(),
            text(&encoding["te_key"]),
            text(&encoding["te_value"])
        );
        match read(&post(&fields, smuggled)) {
            (requests, Some(_)) => assert!(requests.is_empty(), "{fields:?}"),
            (requests, None) => {
                assert_eq!(requests.len(), 1, "{fields:?}");
                assert_eq!(requests[0].body, smuggled.as_bytes(), "{fields:?}");
            }
        }
    }
}

#[test]
fn head_of_an_answer_has_the_framing_of_the_body_and_the_fate_of_the_connection() {
    let written = |status, content, after| {
        let mut buffer = [0; 192];
        let mut out = Slice::new(&mut buffer);
        head(status, content, after, &mut out).expect("it fits");
        String::from_utf8(out.written().to_vec()).expect("ASCII")
    };
    let json = "content-type: application/json\r\n";
    for (status, content, after, expected) in [
        (202, Content::Nothing, After::KeepAlive, "HTTP/1.1 202 \r\ncontent-length: 0\r\n\r\n".to_owned()),
        (200, Content::Message(17), After::KeepAlive, format!("HTTP/1.1 200 \r\n{json}content-length: 17\r\n\r\n")),
        (
            405,
            Content::Message(1),
            After::Close,
            format!("HTTP/1.1 405 \r\n{json}allow: POST\r\ncontent-length: 1\r\nconnection: close\r\n\r\n"),
        ),
        (200, Content::Chunks, After::KeepAlive, format!("HTTP/1.1 200 \r\n{json}transfer-encoding: chunked\r\n\r\n")),
        (
            200,
            Content::Events,
            After::Close,
            "HTTP/1.1 200 \r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
                .to_owned(),
        ),
    ] {
        assert_eq!(written(status, content, after), expected);
    }
    assert_eq!(&chunk(1), b"00000001\r\n");
    assert_eq!(&chunk(0x00ab_cdef), b"00abcdef\r\n");
}
