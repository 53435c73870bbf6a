//! Checks that HTTP/1.1 requests are read the same in whatever pieces they arrive.

use attache_core::http1::{Body, Fault, Framing, Heads};
use attache_core::json::Slice;

/// Checks that a stream gives the same requests and ends with the same fault in whatever pieces it
/// arrives, and that the bytes read for the requests add up to the stream.
///
/// The input is the size of the buffers in units of 16 bytes and two sizes of pieces, each the low
/// half of a byte; the rest is the stream.
///
/// # Panics
/// If the requests or the fault differ.
pub fn http1(input: &[u8]) {
    let Some(([capacity, sizes @ ..], stream)) = input.split_first_chunk::<3>() else { return };
    let capacity = usize::from(capacity & 15) * 16;
    let size = |at: usize| usize::from(sizes[at % 2] & 15).max(1);

    let whole = requests(stream, capacity, |_| stream.len().max(1));
    assert_eq!(requests(stream, capacity, |_| 1), whole, "fed byte by byte");
    assert_eq!(requests(stream, capacity, size), whole, "fed in pieces of {} and {}", size(0), size(1));
    for request in &whole.0 {
        if let (Framing::Length(len), Some(body)) = (request.framing, &request.body) {
            assert_eq!(body.len(), len, "a body is as long as it says");
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Read {
    path: String,
    framing: Framing,
    keep_alive: bool,
    /// `None` if the body was too large.
    body: Option<Vec<u8>>,
}

fn requests(mut stream: &[u8], capacity: usize, size: impl Fn(usize) -> usize) -> (Vec<Read>, Option<Fault>) {
    let (mut head, mut buffer) = ([0; 240], [0; 240]);
    let mut heads = Heads::new(&mut head[..capacity]);
    let mut read = Vec::new();
    let mut pieces = 0;
    let mut piece: &[u8] = &[];
    let mut next = || {
        let (front, rest) = stream.split_at(size(pieces).min(stream.len()));
        pieces += 1;
        stream = rest;
        (!front.is_empty()).then_some(front)
    };
    loop {
        heads.clear();
        loop {
            match heads.feed(&mut piece) {
                Err(fault) => return (read, Some(fault)),
                Ok(true) => break,
                Ok(false) => match next() {
                    Some(more) => piece = more,
                    None => return (read, None),
                },
            }
        }
        let request = match heads.request() {
            Ok(request) => request,
            Err(fault) => return (read, Some(fault)),
        };
        let mut body = Body::new(request.framing);
        let mut out = Slice::new(&mut buffer[..capacity]);
        while !body.is_done() {
            match body.feed(&mut piece, &mut out) {
                Err(fault) => return (read, Some(fault)),
                Ok(true) => {}
                Ok(false) => match next() {
                    Some(more) => piece = more,
                    None => return (read, None),
                },
            }
        }
        let whole = (!body.is_too_large()).then(|| out.written().to_vec());
        let (path, framing, keep_alive) = (request.path.to_owned(), request.framing, request.keep_alive);
        read.push(Read { path, framing, keep_alive, body: whole });
    }
}
