//! The pipe transport: messages as lines of a pair of streams (MCP basic/transports, stdio).

use super::error::{Error, shown};
use super::limits::{NOISE, OUTGOING};
use super::outgoing::{Drive, Outgoing, Sending};
use super::router::{Router, Stray};
use attache_core::client::number;
use attache_core::json::Value;
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// A line to be written, with the id of its request.
type Line = (Option<u64>, Bytes);

/// The writing end of a pair of streams. Dropping it closes the streams.
#[derive(Debug)]
pub(super) struct Pipe {
    lines: mpsc::Sender<Line>,
    router: Arc<Router>,
    responder: AbortHandle,
}

impl Pipe {
    /// Starts tasks that read and write. They are separate, because a full pipe must not block
    /// reading.
    ///
    /// `responses` are the answers to requests of the server. `ended` is called when the input has
    /// ended.
    pub(super) fn open(
        router: Arc<Router>,
        responses: Arc<tokio::sync::Mutex<mpsc::Receiver<Bytes>>>,
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
        limit: usize,
        ended: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (lines, outgoing) = mpsc::channel(OUTGOING);
        tokio::spawn(write(Arc::clone(&router), outgoing, output));
        let reader = Arc::clone(&router);
        tokio::spawn(async move {
            read(&reader, input, limit).await;
            ended();
        });
        // The task holds only a weak sender, so that the streams close with the last use of the
        // pipe.
        let weak = lines.downgrade();
        let responder = tokio::spawn(async move {
            let mut responses = responses.lock().await;
            while let Some(response) = responses.recv().await {
                let Some(lines) = weak.upgrade() else { break };
                if lines.send((None, response)).await.is_err() {
                    break;
                }
            }
        });
        Self { lines, router, responder: responder.abort_handle() }
    }

    pub(super) fn start(&self, outgoing: Outgoing) -> Sending {
        let line = (Some(outgoing.id), outgoing.body);
        match self.lines.try_send(line) {
            Ok(()) => Sending::default(),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.router.fail(outgoing.id, Error::Closed);
                Sending::default()
            }
            Err(mpsc::error::TrySendError::Full(line)) => {
                let (lines, router) = (self.lines.clone(), Arc::clone(&self.router));
                Sending::of(Drive::Task, async move {
                    if lines.send(line).await.is_err() {
                        router.fail(outgoing.id, Error::Closed);
                    }
                })
            }
        }
    }

    pub(super) async fn notify(&self, body: Bytes) -> Result<(), Error> {
        self.lines.send((None, body)).await.map_err(|_| Error::Closed)
    }

    pub(super) fn notify_later(&self, body: Bytes) {
        if let Err(mpsc::error::TrySendError::Full(line)) = self.lines.try_send((None, body)) {
            let lines = self.lines.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { lines.send(line).await });
            }
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.responder.abort();
    }
}

/// Writes lines from one task, so that messages of concurrent senders are not interleaved. Lines
/// end with LF only, because some servers fail at CRLF.
async fn write(router: Arc<Router>, mut lines: mpsc::Receiver<Line>, mut output: impl AsyncWrite + Unpin) {
    while let Some((id, line)) = lines.recv().await {
        // A request that was given up before it was written is not sent.
        if let Some(id) = id {
            if !router.is_running(id) {
                continue;
            }
            router.written(id);
        }
        if let Err(error) = write_line(&mut output, &line).await {
            tracing::debug!(%error, "the server takes no more input");
            break;
        }
    }
    let _ = output.shutdown().await;
}

async fn write_line(output: &mut (impl AsyncWrite + Unpin), line: &[u8]) -> io::Result<()> {
    output.write_all(line).await?;
    output.write_all(b"\n").await?;
    output.flush().await
}

/// Reads lines until the input ends, and delivers each to its receiver.
async fn read(router: &Router, mut input: impl AsyncRead + Unpin, limit: usize) {
    let mut reader = Reader { buffer: BytesMut::new(), searched: 0, skipping: false, noise: 0, limit };
    loop {
        reader.buffer.reserve(8 * 1024);
        match input.read_buf(&mut reader.buffer).await {
            Ok(0) => break,
            Ok(_) => reader.lines(router),
            Err(error) => {
                tracing::debug!(%error, "the server's output cannot be read");
                break;
            }
        }
    }
    // The last line may lack its line end.
    let rest = reader.buffer.split().freeze();
    if !reader.skipping {
        reader.line(router, rest);
    }
}

struct Reader {
    buffer: BytesMut,
    /// Bytes at the front of the buffer that contain no line feed.
    searched: usize,
    /// Whether a line was too long. Everything up to the next line feed is skipped.
    skipping: bool,
    /// The number of lines that are not messages.
    noise: u64,
    limit: usize,
}

impl Reader {
    fn lines(&mut self, router: &Router) {
        while let Some(end) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
            let line = self.buffer.split_to(self.searched + end + 1).freeze();
            self.searched = 0;
            if !core::mem::replace(&mut self.skipping, false) {
                self.line(router, line);
            }
        }
        self.searched = self.buffer.len();
        if self.skipping || self.buffer.len() > self.limit {
            if !core::mem::replace(&mut self.skipping, true) {
                too_large(router, &self.buffer, self.limit);
            }
            self.buffer.clear();
            self.searched = 0;
        }
    }

    fn line(&mut self, router: &Router, line: Bytes) {
        let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            return;
        }
        let line = line.slice_ref(text);
        if line.len() > self.limit {
            return too_large(router, &line, self.limit);
        }
        if let Err(Stray::Unreadable(why)) = router.receive(&line, 200, None) {
            self.noise += 1;
            if self.noise <= NOISE {
                let line = shown(&String::from_utf8_lossy(&line[..line.len().min(1024)]));
                tracing::warn!(%why, %line, "a line of the server was skipped");
            }
        }
    }
}

/// Fails the request with an answer that is too large, if its id can be determined.
fn too_large(router: &Router, front: &[u8], limit: usize) {
    let id = id_of(front).filter(|id| router.is_running(*id)).or_else(|| router.only());
    tracing::warn!("a line of more than {limit} bytes was skipped");
    if let Some(id) = id {
        router.fail(id, Error::TooLarge(limit));
    }
}

/// Finds the id of a truncated answer, if it comes before the result.
fn id_of(front: &[u8]) -> Option<u64> {
    let front = &front[..front.len().min(256)];
    let end = front.windows(9).position(|window| window == b"\"result\":").unwrap_or(front.len());
    let at = front[..end].windows(5).position(|window| window == b"\"id\":")? + 5;
    let rest = &front[at..end];
    let digits = rest.iter().position(|byte| matches!(byte, b',' | b'}'))?;
    number(Value::parse(&rest[..digits]).ok()?)
}
