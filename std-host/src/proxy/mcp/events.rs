//! Event streams (SSE) through a policy.

use super::policy::{Filtered, McpPolicy};
use crate::limits::RESULT;
use crate::proxy::BoxError;
use axum::body::Body;
use bytes::Bytes;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http_body::{Frame, SizeHint};

/// A stream of events through a policy. Events pass as they came, except for lists.
pub(super) struct Events {
    body: Body,
    policy: McpPolicy,
    /// The bytes before the first event.
    first: Option<Bytes>,
    splitter: Splitter,
    has_ended: bool,
}

impl Events {
    pub(super) fn new(body: Body, policy: McpPolicy, first: Option<Bytes>) -> Self {
        Self { body, policy, first, splitter: Splitter::default(), has_ended: false }
    }

    /// Returns the events that are complete, after the policy.
    fn filtered(&mut self, is_end: bool) -> Bytes {
        let mut out = Vec::new();
        while let Some(event) = self.splitter.next(is_end) {
            write(&event, &self.policy, &mut out);
        }
        out.into()
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        while !this.has_ended {
            let out = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.splitter.bytes.extend_from_slice(&data);
                        this.filtered(false)
                    }
                    // Trailers are of no use to a reader of events.
                    Err(_) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    this.has_ended = true;
                    this.filtered(true)
                }
            };
            if this.splitter.bytes.len() > RESULT {
                return Poll::Ready(Some(Err("an event of the application is too large to be judged".into())));
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Splits a stream into events.
#[derive(Default)]
struct Splitter {
    bytes: Vec<u8>,
    /// Bytes that are known to be whole lines of the event.
    checked: usize,
}

impl Splitter {
    /// Returns the bytes of the next event, with the blank line at its end. `is_end` says that no more bytes come: what is left is the
    /// last event.
    fn next(&mut self, is_end: bool) -> Option<Vec<u8>> {
        loop {
            let rest = self.bytes.get(self.checked..).unwrap_or_default();
            let Some((line, end)) = line(rest, is_end) else {
                let left = is_end && !self.bytes.is_empty();
                return left.then(|| self.take(self.bytes.len()));
            };
            self.checked += end;
            if line == 0 {
                return Some(self.take(self.checked));
            }
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.checked = 0;
        let rest = self.bytes.split_off(len);
        core::mem::replace(&mut self.bytes, rest)
    }
}

/// The length of the first line, without and with its end: a line feed, a carriage return, or both.
fn line(bytes: &[u8], is_end: bool) -> Option<(usize, usize)> {
    let at = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Some((at, at + 2)),
        // A line feed may follow.
        (Some(b'\r'), None) if !is_end => None,
        _ => Some((at, at + 1)),
    }
}

/// The lines of an event.
fn lines(event: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut rest) = (Vec::new(), event);
    while let Some((len, end)) = line(rest, true) {
        lines.extend(rest.get(..len));
        rest = rest.get(end..).unwrap_or_default();
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// The value of a field, if the line has this name.
fn value<'l>(line: &'l [u8], name: &str) -> Option<&'l [u8]> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let rest = line.strip_prefix(name.as_bytes())?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

/// Writes an event after the policy.
fn write(event: &[u8], policy: &McpPolicy, out: &mut Vec<u8>) {
    let all = lines(event);
    let data: Vec<&[u8]> = all.iter().filter_map(|line| value(line, "data")).collect();
    let data = data.join(&b'\n');
    if !matches!(data.trim_ascii_start().first(), Some(b'{' | b'[')) {
        // No message: a comment, or the address of the endpoint in the transport of 2024-11-05.
        return out.extend_from_slice(event);
    }
    let filtered = core::str::from_utf8(&data).map_or(Filtered::Unreadable, |json| policy.now().filtered(json));
    let text = match filtered {
        Filtered::Same => return out.extend_from_slice(event),
        Filtered::Other(text) => Some(text),
        Filtered::Gone => None,
        Filtered::Unreadable => {
            tracing::warn!("an event of an application was withheld: two parsers may read it in two ways");
            None
        }
    };
    let is_kept = |line: &&&[u8]| {
        let names: &[&str] = if text.is_some() { &["id", "retry", "event"] } else { &["id", "retry"] };
        names.iter().any(|name| value(line, name).is_some())
    };
    for line in all.iter().filter(is_kept) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    for line in text.iter().flat_map(|text| text.split(['\n', '\r'])) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    /// The stream after the policy, in pieces of each size.
    fn through(stream: &[u8]) -> String {
        let mut whole: Option<String> = None;
        for size in [1, 2, 3, 7, stream.len()] {
            let mut events = Events::new(Body::empty(), McpPolicy::new(Policy::new().deny(["b"])), None);
            let mut out = Vec::new();
            for piece in stream.chunks(size) {
                events.splitter.bytes.extend_from_slice(piece);
                out.extend_from_slice(&events.filtered(false));
            }
            out.extend_from_slice(&events.filtered(true));
            let text = String::from_utf8(out).expect("UTF-8");
            assert_eq!(*whole.get_or_insert_with(|| text.clone()), text, "pieces of {size}");
        }
        whole.unwrap_or_default()
    }

    #[test]
    fn events_pass_as_they_came_except_for_lists() {
        for same in [
            ": keep-alive\n\n",
            "event: endpoint\ndata: /messages?id=1\n\n",
            "id: 1\r\ndata: {\"id\":1,\"result\":{}}\r\n\r\n",
            "data: {\"id\":1,\ndata: \"result\":{}}\n\ndata: {\"id\":2,\"result\":{}}\r\r",
            "retry: 5\n\nid: 7\ndata\n\n",
            "data: {\"id\":1,\"result\":{}}",
        ] {
            assert_eq!(through(same.as_bytes()), same);
        }
        for (stream, expected) in [
            (
                "id: 1\nevent: message\ndata: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}\n\n",
                "id: 1\nevent: message\ndata: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"a\"}]}}\n\n",
            ),
            (
                "data: {\"id\":1,\"result\":\r\ndata: {\"tools\":[{\"name\":\"b\"}]}}\r\n\r\n",
                "data: {\"id\":1,\"result\":{\"tools\":[]}}\n\n",
            ),
            (
                "\u{feff}data: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"b\"}]}}\n\n",
                "data: {\"id\":1,\"result\":{\"tools\":[]}}\n\n",
            ),
            (
                "id: 3\ndata: {\"result\":{\"tools\":[],\"Tools\":[{\"name\":\"b\"}]}}\n\n: end\n\n",
                "id: 3\n\n: end\n\n",
            ),
            (
                "data: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"b\"}]}}",
                "data: {\"id\":1,\"result\":{\"tools\":[]}}\n\n",
            ),
        ] {
            assert_eq!(through(stream.as_bytes()), expected);
        }
    }
}
