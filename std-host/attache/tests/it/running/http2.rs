//! A client of HTTP/2 that can misbehave: frames are written by hand, and windows are as the test wants them.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A connection from `from`, one of the addresses of the loopback network.
pub fn connect_from(from: [u8; 4], to: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(IpAddr::from(from), 0).into()).expect("an address of its own");
    let to: SocketAddr = to.parse().expect("an address");
    socket.connect(&to.into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    stream
}

pub struct Http2 {
    pub stream: TcpStream,
    unread: Vec<u8>,
    window: i64,
    initial: i64,
    windows: HashMap<u32, i64>,
    next: u32,
    /// Status of each stream that was answered.
    pub statuses: HashMap<u32, u16>,
    /// Bytes of answers that have come.
    pub received: usize,
    pub is_closed: bool,
}

impl Http2 {
    /// A connection on which the server may send `window` bytes of each answer.
    pub fn new(stream: TcpStream, window: u32) -> Self {
        let mut client = Self {
            stream,
            unread: Vec::new(),
            window: 65_535,
            initial: 65_535,
            windows: HashMap::new(),
            next: 1,
            statuses: HashMap::new(),
            received: 0,
            is_closed: false,
        };
        client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
        client.frame(4, 0, 0, &settings);
        client
    }

    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.write(&[&head, payload].concat());
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.stream.write_all(bytes).is_err() {
            self.is_closed = true;
        }
    }

    /// Opens a stream with these fields, in addition to those of every request; its body follows.
    pub fn post(&mut self, fields: &[(&str, &str)]) -> u32 {
        let stream = self.next;
        self.next += 2;
        let mut block = Vec::new();
        let every = [(":method", "POST"), (":scheme", "http"), (":path", "/mcp"), (":authority", "localhost")];
        for (name, value) in every.iter().chain(&[("content-type", "application/json")]).chain(fields) {
            // RFC 7541 §6.2.2: a literal without indexing, with a name of its own.
            block.push(0);
            for text in [name, value] {
                integer(text.len(), &mut block);
                block.extend_from_slice(text.as_bytes());
            }
        }
        let mut pieces = block.chunks(16_000).peekable();
        let mut kind = 1;
        while let Some(piece) = pieces.next() {
            let end = if pieces.peek().is_none() { 4 } else { 0 };
            self.frame(core::mem::replace(&mut kind, 9), end, stream, piece);
        }
        self.windows.insert(stream, self.initial);
        stream
    }

    /// Sends as much of `body` as the server has room for; how much that was.
    pub fn send(&mut self, stream: u32, body: &[u8], ends: bool) -> usize {
        let mut sent = 0;
        while sent < body.len() && !self.is_closed {
            let window = self.windows.get(&stream).copied().unwrap_or_default().min(self.window);
            let room = usize::try_from(window).unwrap_or(0).min(16_384).min(body.len() - sent);
            if room == 0 {
                break;
            }
            let last = ends && sent + room == body.len();
            self.frame(0, u8::from(last), stream, &body[sent..sent + room]);
            self.window -= i64::try_from(room).expect("short");
            *self.windows.entry(stream).or_default() -= i64::try_from(room).expect("short");
            sent += room;
        }
        sent
    }

    /// Takes in what the server sends, for so long.
    pub fn hear(&mut self, time: Duration) {
        let started = Instant::now();
        let mut piece = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => self.is_closed = true,
                Ok(read) => self.unread.extend_from_slice(&piece[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => self.is_closed = true,
            }
            while let Some(length) = self
                .unread
                .get(..3)
                .map(|head| usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]))
                && self.unread.len() >= 9 + length
            {
                let frame: Vec<u8> = self.unread.drain(..9 + length).collect();
                self.take(
                    frame[3],
                    frame[4],
                    u32::from_be_bytes([frame[5] & 127, frame[6], frame[7], frame[8]]),
                    &frame[9..],
                );
            }
            if self.is_closed || started.elapsed() >= time {
                return;
            }
        }
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let number = |at: usize| {
            payload.get(at..at + 4).map(|four| i64::from(u32::from_be_bytes([four[0], four[1], four[2], four[3]])))
        };
        match kind {
            0 => self.received += payload.len(),
            // RFC 7541 §6.1: the statuses of the static table; others are literals that contain the
            // digits.
            1 => {
                let status = match payload.iter().find(|byte| **byte & 0xe0 != 0x20).copied() {
                    Some(0x88) => 200,
                    Some(0x8c) => 400,
                    Some(0x8d) => 404,
                    Some(0x8e) => 500,
                    Some(_) => digits(payload),
                    None => 0,
                };
                self.statuses.insert(stream, status);
            }
            3 => drop(self.statuses.entry(stream).or_insert(0)),
            4 if flags & 1 == 0 => {
                for at in (0..payload.len()).step_by(6) {
                    if payload.get(at..at + 2) == Some(&[0, 4]) {
                        let initial = number(at + 2).expect("a value");
                        let more = initial - self.initial;
                        self.initial = initial;
                        self.windows.values_mut().for_each(|window| *window += more);
                    }
                }
                self.frame(4, 1, 0, b"");
            }
            7 => self.is_closed = true,
            8 if stream == 0 => self.window += number(0).expect("an increment"),
            8 => *self.windows.entry(stream).or_default() += number(0).expect("an increment"),
            _ => {}
        }
    }
}

/// RFC 7541 §5.1, with a prefix of seven bits.
fn integer(value: usize, to: &mut Vec<u8>) {
    if value < 127 {
        return to.push(u8::try_from(value).expect("short"));
    }
    to.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        to.push(u8::try_from(rest % 128).expect("short") | 128);
        rest /= 128;
    }
    to.push(u8::try_from(rest).expect("short"));
}

/// The three digits of a status that is not in the static table; RFC 7541 Appendix B: `0`, `1` and
/// `2` have five bits, the others six.
fn digits(block: &[u8]) -> u16 {
    let text = block.windows(2).find(|pair| pair[0] == 0x82 || pair[0] == 3).map(|pair| pair[1]);
    match (block.get(1), text) {
        // Two bytes of Huffman code.
        (Some(0x82), _) => {
            let bits = u16::from_be_bytes([block[2], block[3]]);
            let (mut bits, mut left, mut status) = (u32::from(bits), 16, 0);
            for _ in 0..3 {
                let five = bits >> (left - 5) & 31;
                let (digit, len) = if five < 3 { (five, 5) } else { ((bits >> (left - 6) & 63) - 22, 6) };
                left -= len;
                bits &= (1 << left) - 1;
                status = status * 10 + digit;
            }
            u16::try_from(status).expect("three digits")
        }
        _ => block.get(2..5).and_then(|text| str::from_utf8(text).ok()).and_then(|text| text.parse().ok()).unwrap_or(0),
    }
}
