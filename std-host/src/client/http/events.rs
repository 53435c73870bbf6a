//! Reads the server-sent events of a response, with a size limit.

use super::response::Response;
use crate::client::error::Error;
use attache_core::client::sse::{Field, LineEnds};
use bytes::Bytes;
use core::time::Duration;

/// The event stream of a response.
#[derive(Debug)]
pub(super) struct Events {
    response: Response,
    chunk: Bytes,
    ends: LineEnds,
    line: Vec<u8>,
    is_first_line: bool,
    has_ended: bool,
    event: Event,
    limit: usize,
}

/// A server-sent event. Fields that were not sent are `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: Option<String>,
    pub(super) data: Vec<u8>,
    /// The id. An empty id resets the last one.
    pub(super) id: Option<String>,
    pub(super) retry: Option<Duration>,
}

impl Event {
    // MCP 2025-11-25 basic/transports: an event without data primes the stream. Other event types
    // are keep-alives.
    /// Takes the message of the event, if it has one.
    pub(super) fn message(&mut self) -> Option<Bytes> {
        let is_message = self.kind.as_deref().is_none_or(|kind| kind.is_empty() || kind == "message");
        let is_object = matches!(self.data.trim_ascii_start().first(), Some(b'{' | b'['));
        (is_message && is_object).then(|| core::mem::take(&mut self.data).into())
    }
}

impl Events {
    /// Reads the events of `response`. `chunk` was read from it already.
    pub(super) fn new(response: Response, chunk: Bytes, limit: usize) -> Self {
        Self {
            response,
            chunk,
            ends: LineEnds::default(),
            line: Vec::new(),
            is_first_line: true,
            has_ended: false,
            event: Event::default(),
            limit,
        }
    }

    /// Reads the next event. Returns `None` at the end of the stream. Data at the end without a
    /// blank line counts as an event, too.
    ///
    /// # Errors
    /// If the connection is lost or an event is too large.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.parse()? {
                return Ok(Some(event));
            }
            if self.has_ended {
                return Ok(None);
            }
            match self.response.chunk().await? {
                Some(chunk) => self.chunk = chunk,
                None => {
                    self.has_ended = true;
                    let line = core::mem::take(&mut self.line);
                    self.field(&line);
                    let event = core::mem::take(&mut self.event);
                    return Ok((event != Event::default()).then_some(event));
                }
            }
        }
    }

    fn parse(&mut self) -> Result<Option<Event>, Error> {
        let chunk = core::mem::take(&mut self.chunk);
        let mut rest = &chunk[..];
        while let Some((part, ended)) = self.ends.next(&mut rest) {
            // Only the colon of a comment is kept, so comments do not count towards the limit.
            if self.line.first() != Some(&b':') {
                self.line.extend_from_slice(part);
            }
            if self.line.len() + self.event.data.len() > self.limit {
                return Err(Error::TooLarge(self.limit));
            }
            if !ended {
                continue;
            }
            let line = core::mem::take(&mut self.line);
            if self.field(&line) && self.event != Event::default() {
                self.chunk = chunk.slice(chunk.len() - rest.len()..);
                return Ok(Some(core::mem::take(&mut self.event)));
            }
            // Keeps the allocation of a short line for the next one.
            self.line = line;
            self.line.clear();
        }
        Ok(None)
    }

    /// Processes a line. Returns whether the event is complete.
    fn field(&mut self, line: &[u8]) -> bool {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let first = core::mem::take(&mut self.is_first_line);
        match Field::of(line, first) {
            Field::Dispatch => return true,
            Field::Data(data) => {
                if !self.event.data.is_empty() {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(data);
            }
            Field::Event(kind) => self.event.kind = Some(text(kind)),
            Field::Id(id) => self.event.id = Some(text(id)),
            Field::Retry(time) => self.event.retry = Some(Duration::from_millis(time.into())),
            Field::Ignored => {}
        }
        false
    }
}
