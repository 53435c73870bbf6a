//! Messages whose end two parsers could see in two places are refused, and their connection is
//! closed (RFC 9112 §6, §11.2).

use crate::running::Running;
use core::time::Duration;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

fn cases(folder: &str, file: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/vectors/{folder}/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("a list of cases")
}

/// Returns the statuses of the answers, and whether the server closed the connection within the
/// timeout.
fn answers(server: &Running, bytes: &[u8]) -> (Vec<u16>, bool) {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    // The server may close the connection before all bytes are sent.
    let _ = stream.write_all(bytes);
    stream.set_read_timeout(Some(Duration::from_millis(1500))).expect("a timeout");
    let mut answer = Vec::new();
    let closed = match stream.read_to_end(&mut answer) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    let text = String::from_utf8_lossy(&answer);
    let statuses = text.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)?.parse().ok());
    (statuses.collect(), closed)
}

const FRONT: &str =
    "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nmcp-protocol-version: 2025-11-25\r\n";
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn ping() -> String {
    format!("{FRONT}content-length: {}\r\n\r\n{PING}", PING.len())
}

#[test]
fn misspelt_framing_is_answered_once_and_never_as_two_requests() {
    let server = Running::start();
    for case in cases("smuggling-payloads", "payloads.json") {
        let text = |value: &Value| value.as_str().unwrap_or_default().replace("[space here]", " ");
        let coding = match &case["transfer_encoding"] {
            Value::Null => "Transfer-Encoding: chunked".to_owned(),
            coding => text(&coding["te_key"]) + &text(&coding["te_value"]),
        };
        let key = case["content_length_key"].as_str().unwrap_or("Content-Length:");
        // One parser sees the second request as the rest of the body, the other as a message of its
        // own.
        let hidden = format!("0\r\n\r\n{}", ping());
        for (body, length) in [(hidden.as_str(), hidden.len()), (&hidden, 5), (PING, PING.len())] {
            let request = format!("{FRONT}{key} {length}\r\n{coding}\r\n\r\n{body}");
            // The vectors write each byte as the character with the same number.
            let bytes: Vec<u8> = request.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect();
            let (statuses, closed) = answers(&server, &bytes);
            let by_length_alone = !coding.to_ascii_lowercase().replace('\n', "").contains("transfer-encoding");
            match by_length_alone && !closed {
                // An unknown field: the message ends by its length, and the bytes after it are
                // another message.
                true => {
                    assert!(!statuses.is_empty() && length != 5 || statuses.len() <= 2, "{}: {statuses:?}", case["id"])
                }
                false => {
                    assert!(statuses == [400] && closed, "{} {length}: {statuses:?}, closed: {closed}", case["id"])
                }
            }
        }
    }
}

#[test]
fn request_that_a_strict_parser_refuses_is_refused_and_its_connection_closed() {
    const UPGRADES: [i64; 2] = [22, 23];
    let server = Running::start();
    for case in cases("llhttp", "cases.json") {
        let mode = case["meta"]["type"].as_str().unwrap_or_default();
        let Some(code) = case["expect"]["error_code"].as_i64() else { continue };
        // An upgrade is not a fault: the server ignores it and answers the request without it.
        if mode != "request" || UPGRADES.contains(&code) {
            continue;
        }
        let mut bytes = base64(case["input_b64"].as_str().expect("bytes"));
        // Most inputs stop at the fault, but the server waits for the rest of an incomplete head.
        bytes.extend_from_slice(b"\r\n\r\n");
        let log = case["log"].as_array().expect("a log");
        let whole =
            log.iter().filter(|line| line.as_str().is_some_and(|line| line.contains("message complete"))).count();
        let (statuses, closed) = answers(&server, &bytes);
        let refused = statuses.iter().all(|status| (400..500).contains(status)) && statuses.len() <= whole + 1;
        assert!(refused && closed, "{}: {statuses:?}, closed: {closed}", case["id"]);
    }
}

#[test]
fn good_requests_one_behind_the_other_in_one_piece_are_all_answered() {
    let server = Running::start();
    let chunked = format!("{FRONT}transfer-encoding: chunked\r\n\r\n{:x}\r\n{PING}\r\n0\r\n\r\n", PING.len());
    for order in [[&ping(), &ping(), &chunked], [&chunked, &ping(), &chunked], [&chunked, &chunked, &ping()]] {
        let (statuses, closed) = answers(&server, order.map(String::as_str).concat().as_bytes());
        assert_eq!((statuses, closed), (vec![200, 200, 200], false), "{order:?}");
    }
}

#[test]
fn chunk_that_begins_like_a_line_of_a_head_does_not_disturb_its_connection() {
    let server = Running::start();
    let (front, back) = PING.split_at(1);
    // A line feed is white space to JSON. Within its string it would not be, so the line is in the
    // place of a member.
    let line = "\ncontent-length: 7\ntransfer-encoding: chunked\n\n";
    let whole = format!(r#"{front}"x":"{}",{back}"#, "y".repeat(40));
    let chunks = |parts: &[&str]| -> String {
        parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len())).chain(["0\r\n\r\n".to_owned()]).collect()
    };
    let post = |body: &str| format!("{FRONT}transfer-encoding: chunked\r\n\r\n{body}");
    // The first is JSON; the others are refused for what they are, and their connections go on.
    for (body, status) in [
        (chunks(&[&whole]), 200),
        (chunks(&["\nContent-Length: 5\r\n", PING]), 400),
        (chunks(&[front, line, back]), 400),
        (chunks(&["GET / HTTP/1.1\nhost: a\n\n"]), 400),
    ] {
        let (statuses, closed) = answers(&server, format!("{}{}{}", post(&body), post(&body), ping()).as_bytes());
        assert_eq!((statuses, closed), (vec![status, status, 200], false), "{body:?}");
    }
}

#[test]
fn request_that_does_not_say_once_which_server_it_is_for_is_refused() {
    let server = Running::start();
    let rest =
        format!("content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{PING}", PING.len());
    for (front, status) in [
        ("POST /mcp HTTP/1.1\r\nhost: localhost\r\n", 200),
        ("POST http://localhost/mcp HTTP/1.1\r\nhost: localhost\r\n", 200),
        ("POST http://LOCALHOST:80/mcp HTTP/1.1\r\nhost: localhost:80\r\n", 200),
        ("POST /mcp HTTP/1.1\r\n", 400),
        ("POST http://localhost/mcp HTTP/1.1\r\n", 400),
        ("POST /mcp HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n", 400),
        ("POST http://localhost/mcp HTTP/1.1\r\nhost: evil.example\r\n", 400),
        ("POST http://evil.example/mcp HTTP/1.1\r\nhost: localhost\r\n", 400),
        ("POST http://evil.example/mcp HTTP/1.1\r\nhost: evil.example\r\n", 403),
        ("POST /mcp HTTP/1.1\r\nhost: evil.example\r\n", 403),
    ] {
        let (statuses, closed) = answers(&server, format!("{front}{rest}").as_bytes());
        assert_eq!((statuses, closed), (vec![status], true), "{front:?}");
    }
}

#[test]
fn request_refused_for_its_head_loses_its_connection_and_nothing_behind_it_is_answered() {
    let server = Running::start();
    for (head, status) in [
        ("GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), 405),
        ("POST /other HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n".to_owned(), 404),
        (format!("{FRONT}origin: http://evil.example\r\ncontent-length: 1000\r\n\r\n"), 403),
        (format!("{FRONT}content-length: 4194305\r\n\r\n"), 413),
        (format!("{FRONT}transfer-encoding: gzip, chunked\r\n\r\n"), 400),
        (FRONT.replace("/json", "/xml") + "content-length: 1000\r\n\r\n", 415),
        (format!("{FRONT}transfer-encoding: chunked\r\n\r\nxyz\r\n"), 400),
        (format!("{FRONT}{}\r\n", "a: b\r\n".repeat(100)), 431),
        (format!("{FRONT}a: {}\r\n\r\n", "b".repeat(64 * 1024)), 431),
    ] {
        let (statuses, closed) = answers(&server, format!("{head}{}", ping()).as_bytes());
        assert_eq!((statuses, closed), (vec![status], true), "{}", head.get(..200).unwrap_or(&head));
    }
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0_u32;
    let mut bytes = Vec::new();
    for (number, digit) in text.bytes().filter(|byte| *byte != b'=').enumerate() {
        let value = DIGITS.iter().position(|other| *other == digit).expect("a digit of Base64");
        bits = bits << 6 | u32::try_from(value).expect("below 64");
        if number % 4 > 0 {
            bytes.push(u8::try_from(bits >> (6 - 2 * (number % 4)) & 0xff).expect("a byte"));
        }
    }
    bytes
}
