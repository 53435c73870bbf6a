//! gRPC framing: messages with a prefix of five bytes, in a body of HTTP/2.

use super::limits::{MESSAGE, OUTGOING, OUTGOING_BYTES};
use super::messages::StreamingMessage;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::fmt;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use prost::Message;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The messages of a request body.
pub(super) struct Messages {
    body: Incoming,
    buffer: BytesMut,
}

/// Why a stream cannot be read further.
#[derive(Debug)]
pub(super) enum Broken {
    TooLarge(usize),
    Compressed,
    Invalid(prost::DecodeError),
    Connection(hyper::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(size) => write!(f, "the worker sent a message of {size} bytes; the limit is {MESSAGE}"),
            Self::Compressed => f.write_str("the worker sent a compressed message, which was not offered"),
            Self::Invalid(error) => write!(f, "the worker sent a message that cannot be read: {error}"),
            Self::Connection(error) => write!(f, "the connection of the worker broke: {error}"),
        }
    }
}

impl Messages {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// Returns the next message, or `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<StreamingMessage>, Broken> {
        loop {
            if let Some(message) = self.take()? {
                return StreamingMessage::decode(message).map(Some).map_err(Broken::Invalid);
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Broken::Connection(error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    /// Takes a whole message out of the buffer.
    fn take(&mut self) -> Result<Option<Bytes>, Broken> {
        let Some((head, _)) = self.buffer.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let [flag, length @ ..] = *head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if flag != 0 {
            return Err(Broken::Compressed);
        }
        if length > MESSAGE {
            return Err(Broken::TooLarge(length));
        }
        if self.buffer.len() - PREFIX < length {
            self.buffer.reserve(PREFIX + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// The bytes of the flag and the length before each message.
const PREFIX: usize = 5;

/// Encodes a message of this length with its prefix.
fn encode(message: &StreamingMessage, length: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // The buffer grows, so encoding cannot fail.
    let _ = message.encode(&mut bytes);
    bytes.freeze()
}

/// Messages that wait to be sent, bounded in number and in bytes.
pub(super) struct Outbox {
    messages: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

/// An encoded message, with the room that it takes.
struct Waiting {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Outbox {
    /// Sends a message as soon as there is room. It is lost if the stream has ended.
    pub(super) async fn send(&self, message: &StreamingMessage) {
        let length = message.encoded_len();
        // The semaphore is never closed.
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(permits(length)).await else { return };
        let _ = self.messages.send(Waiting { bytes: encode(message, length), _room: room }).await;
    }

    /// Sends a message if there is room now. Otherwise it is lost.
    pub(super) fn try_send(&self, message: &StreamingMessage) {
        let length = message.encoded_len();
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(permits(length)) {
            let _ = self.messages.try_send(Waiting { bytes: encode(message, length), _room: room });
        }
    }
}

/// The room of a message of this length. A message that is larger than all room waits until nothing else waits.
fn permits(length: usize) -> u32 {
    u32::try_from((PREFIX + length).min(OUTGOING_BYTES)).unwrap_or(u32::MAX)
}

/// The body of the answer: the messages of an [`Outbox`], then `grpc-status: 0`.
pub(super) struct Outgoing {
    messages: mpsc::Receiver<Waiting>,
    ended: bool,
}

impl Outgoing {
    /// Creates a body, and the outbox whose messages it has.
    pub(super) fn new() -> (Self, Outbox) {
        let (sender, messages) = mpsc::channel(OUTGOING);
        let room = Arc::new(Semaphore::new(OUTGOING_BYTES));
        (Self { messages, ended: false }, Outbox { messages: sender, room })
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = core::convert::Infallible;

    fn poll_frame(
        mut self: core::pin::Pin<&mut Self>,
        context: &mut core::task::Context<'_>,
    ) -> core::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        use core::task::Poll;
        if self.ended {
            return Poll::Ready(None);
        }
        self.messages.poll_recv(context).map(|message| {
            Some(Ok(message.map(|waiting| http_body::Frame::data(waiting.bytes)).unwrap_or_else(|| {
                self.ended = true;
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
                http_body::Frame::trailers(trailers)
            })))
        })
    }
}
