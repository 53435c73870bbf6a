//! MCP over standard input and output (MCP basic/transports/stdio), or any pair of byte streams:
//! one message a line. Calls run concurrently, each answer is one line, and nothing else is
//! written.
//!
//! Each message has a slot until its answer is written, and the limits set the number of slots. The
//! slot moves with the call and its answer to the writer, so a slow reader never delays a tool. It
//! only delays the reading of further lines.

use crate::admission::Place;
use crate::budget::{Account, Permit, weight};
use crate::engine::{Listening, Moment, Pending, STOPPED, Server, Step, Stop, StopCalls, batched};
use crate::limits;
use crate::observe::{Transport, Watch};
use crate::session::{Client, SessionStream};
use crate::visitor::Visitor;
use attache_core::era::{Session, Version};
use attache_core::exchange::{Batch, Next, Opened, Standalone, Ticket};
use attache_core::line::{Connection, Cut, Lines};
use attache_core::rpc::Error;
use bytes::Bytes;
use core::pin::pin;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Serves one connection until `input` ends. Then running calls have
/// [`STDIO_GRACE`](crate::limits::STDIO_GRACE) to end; the others are answered with an error.
/// Answers have [`STDIO_DRAIN`](crate::limits::STDIO_DRAIN) to be written. Serving ends at once if
/// writing to `output` fails.
///
/// Up to [`LINE_CALLS`](crate::limits::LINE_CALLS) calls run at once. Further calls wait while
/// other messages are still answered. Reading pauses only while
/// [`LINE_WAITING`](crate::limits::LINE_WAITING) calls wait.
///
/// ```no_run
/// use attache_host::prelude::*;
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let server = Server::new("answers", "1.0").tool("answer", "The answer", async |_: NoArgs, _: Ctx| 42);
///     stdio::serve(server.build(), tokio::io::stdin(), tokio::io::stdout()).await
/// }
/// ```
///
/// # Errors
/// If reading or writing fails, or if calls do not end in time.
pub async fn serve(
    server: Arc<Server>,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> io::Result<()> {
    serve_until(server, input, output, core::future::pending()).await
}

/// Serves one connection as [`serve`] does, until `input` ends or `stop` completes. After `stop` no
/// more lines are read, and running calls have [`stop_grace`](crate::Limits::stop_grace) to end.
///
/// # Errors
/// As [`serve`]. Unfinished calls after a stop are not an error.
pub async fn serve_until(
    server: Arc<Server>,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    serve_visitor(server, Visitor::anonymous(), input, output, stop).await
}

/// Serves one connection of this peer, as [`serve_until`] does.
pub(crate) async fn serve_visitor(
    server: Arc<Server>,
    visitor: Visitor,
    mut input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (answers, outbox) = mpsc::unbounded_channel();
    let mut writer = Writer(tokio::spawn(write_lines(output, outbox)));
    let (stop_calls, stop_of_calls) = StopCalls::new();
    let mut peer = Peer::new(server, visitor, answers, stop_of_calls);
    let mut buffer = vec![0; limits::BODY];
    let mut lines = Lines::new(&mut buffer);
    let mut piece = vec![0; PIECE];
    let mut stop = pin!(stop);
    let is_stopped = loop {
        let read = tokio::select! {
            () = stop.as_mut() => break true,
            read = input.read(&mut piece) => read?,
            ended = &mut writer.0 => return ended.map_err(io::Error::other)?,
            Some(_) = peer.running.join_next() => {
                peer.fill();
                continue;
            }
        };
        let mut fresh = piece.get(..read).unwrap_or_default();
        while let Some(cut) = lines.feed(&mut fresh) {
            peer.take(cut).await;
        }
        if read == 0 {
            if let Some(cut) = lines.finish() {
                peer.take(cut).await;
            }
            break false;
        }
    };
    let grace = if is_stopped { peer.server.limits().stop_grace } else { limits::STDIO_GRACE };
    let in_time = timeout(grace, peer.rest()).await.is_ok();
    let unfinished = peer.running.len() + peer.waiting.len();
    if !in_time {
        peer.refuse_waiting();
        stop_calls.now();
        let _ = timeout(limits::STDIO_DRAIN, peer.rest()).await;
    }
    // Dropping the peer drops the last sender, so the writer ends after its last line.
    drop(peer);
    match timeout(limits::STDIO_DRAIN, &mut writer.0).await {
        Ok(written) => written.map_err(io::Error::other)??,
        Err(_) => return Err(late("answers were not read in time")),
    }
    match in_time || is_stopped {
        true => Ok(()),
        false => Err(late(&format!("input has ended, and {unfinished} calls that did not end in time got an error"))),
    }
}

fn late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// Bytes read or written at a time.
const PIECE: usize = 64 * 1024;

/// An answer with the slot of its message, which is freed when the answer is written.
type Placed = (Bytes, OwnedSemaphorePermit);

/// A call that waits for a slot, with the state of the server when it arrived.
struct Waiting {
    moment: Moment,
    ticket: Ticket,
    line: Bytes,
    place: OwnedSemaphorePermit,
    /// The memory of the line and of the values parsed from it.
    permit: Permit,
    watch: Watch,
}

struct Peer {
    server: Arc<Server>,
    visitor: Arc<Visitor>,
    connection: Connection,
    answers: mpsc::UnboundedSender<Placed>,
    /// The slots of calls.
    calls: Arc<Semaphore>,
    /// The slots of other messages.
    others: Arc<Semaphore>,
    running: JoinSet<()>,
    /// The waiting calls, in the order of arrival.
    waiting: VecDeque<Waiting>,
    listening: JoinSet<()>,
    /// The tasks that can be cancelled, by the id of the request in its written form.
    by_id: HashMap<Vec<u8>, AbortHandle>,
    /// The client, after a legacy handshake.
    client: Option<Client>,
    /// Whether the client already receives notifications of changes.
    heard: bool,
    /// Ends running calls.
    stop: Stop,
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            client.forget();
        }
    }
}

impl Peer {
    fn new(server: Arc<Server>, visitor: Visitor, answers: mpsc::UnboundedSender<Placed>, stop: Stop) -> Self {
        Self {
            server,
            visitor: Arc::new(visitor),
            connection: Connection::new(),
            answers,
            calls: Arc::new(Semaphore::new(limits::LINE_CALLS + limits::LINE_WAITING)),
            others: Arc::new(Semaphore::new(limits::LINE_ANSWERS)),
            running: JoinSet::new(),
            waiting: VecDeque::new(),
            listening: JoinSet::new(),
            by_id: HashMap::new(),
            client: None,
            heard: false,
            stop,
        }
    }

    /// Waits until all calls have ended.
    async fn rest(&mut self) {
        while self.running.join_next().await.is_some() {
            self.fill();
        }
    }

    /// Answers calls that have not started with an error.
    fn refuse_waiting(&mut self) {
        for Waiting { moment, ticket, line, place, permit, mut watch } in self.waiting.drain(..) {
            let answer = moment.replied(&ticket.refuse_for(Error::Failed(STOPPED)), &line, &permit, &mut watch);
            let _ = self.answers.send((answer.bytes, place));
        }
    }

    async fn take(&mut self, cut: Cut<'_>) {
        let visitor = Arc::clone(&self.visitor);
        let who = visitor.who();
        let moment = self.server.now_with(visitor.request.clone());
        let mut watch = self.server.watch(Transport::Line);
        let (opened, line) = match cut {
            Cut::TooLong => (Opened::from(Standalone::too_large(limits::BODY)), Bytes::new()),
            Cut::Line(line) => {
                (self.connection.open(&moment.server_for(&who), &who, line), Bytes::copy_from_slice(line))
            }
        };
        let permit = self.room(&opened.next, &line).await;
        self.hear();
        moment.opened(&opened, &who, &line, &mut watch);
        let next = opened.next;
        match &next {
            Next::Cancel(id) => {
                watch.taken();
                return self.cancel(id.of(&line));
            }
            // A peer does not expect a reply to an unexpected answer.
            Next::Answer(..) => {
                return drop(moment.start(next, &who, line, Place::of(permit), self.client.as_ref(), watch));
            }
            // A second handshake was refused before, so it cannot change the session.
            Next::Reply(reply) => {
                if let Some(version) = reply.agreed() {
                    let session = self.server.session(version, reply.client());
                    let session = Session { ends: u64::MAX, ..session };
                    self.client = Some(self.server.client(session, Account::UNKNOWN));
                }
            }
            _ => {}
        }
        let places = if let Next::Call(_) | Next::Batch(_) = next { &self.calls } else { &self.others };
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        if let Next::Call(ticket) = next {
            self.waiting.push_back(Waiting { moment, ticket, line, place, permit, watch });
            return self.fill();
        }
        if let Next::Batch(batch) = next {
            return self.batch(&moment, batch, &line, place, permit, watch);
        }
        match moment.start(next, &who, line, Place::of(permit), self.client.as_ref(), watch) {
            // If the writer has ended, it has reported its error already.
            Some(Pending::Ready(answer)) => drop(self.answers.send((answer.bytes, place))),
            Some(Pending::Listening(listening)) => self.listen(listening, place),
            Some(Pending::Running(_)) | None => {}
        }
    }

    /// Reserves memory for a line and for the request in it. Until the budget has room, no other
    /// line is read. Running calls continue, and waiting calls start.
    async fn room(&mut self, next: &Next, line: &[u8]) -> Permit {
        let parsed = match next {
            Next::Call(_) | Next::Batch(_) | Next::Answer(..) => limits::CALL_MEMORY + weight(line),
            _ => 0,
        };
        loop {
            if let Ok(permit) = self.server.budget().reserve(Account::UNKNOWN, line.len() + parsed) {
                return permit;
            }
            self.fill();
            sleep(limits::ROOM_AGAIN).await;
        }
    }

    /// Serves the messages of a batch in their order; their answers make up one line.
    fn batch(
        &mut self,
        moment: &Moment,
        batch: Batch,
        line: &Bytes,
        place: OwnedSemaphorePermit,
        permit: Permit,
        mut watch: Watch,
    ) {
        // The array has no place for questions.
        let client = self.client.clone().map(|client| client.hearing(false));
        let who = self.visitor.who();
        let pending = batch.messages(line).filter_map(|message| {
            let opened = self.connection.open_batched(&moment.server_for(&who), &who, message);
            let (message, mut watch) = (line.slice_ref(message), self.server.watch(Transport::Line));
            moment.opened(&opened, &who, &message, &mut watch);
            moment.clone().start(opened.next, &who, message, Place::of(permit.another()), client.as_ref(), watch)
        });
        let pending: Vec<_> = pending.collect();
        let (answers, stop) = (self.answers.clone(), self.stop.clone());
        let moment = moment.clone();
        watch.taken();
        self.running.spawn(async move {
            match batched(pending, &permit, stop).await {
                Ok(Some(bytes)) => drop(answers.send((bytes, place))),
                Ok(None) => {}
                Err(short) => {
                    let refusal = Standalone::error(Error::Busy(short.reason()), Version::V2025_03_26);
                    drop(answers.send((moment.refused(refusal, &mut watch).bytes, place)));
                }
            }
        });
    }

    /// Starts notifications of changes to a legacy client after its first message that follows the
    /// handshake. MCP 2025-11-25 basic/lifecycle: before the client has said that it is ready,
    /// nothing is sent to it.
    fn hear(&mut self) {
        let Some(client) = self.client.as_ref().filter(|_| !self.heard) else {
            return;
        };
        self.heard = true;
        let Ok(mut hearing) = SessionStream::open(client.clone(), &self.server.changes, &Permit::uncounted()) else {
            return;
        };
        let (answers, others) = (self.answers.clone(), Arc::clone(&self.others));
        self.listening.spawn(async move {
            while let Some(message) = hearing.next().await {
                tell(message, &answers, &others).await;
            }
        });
    }

    /// Starts waiting calls while there are free slots.
    fn fill(&mut self) {
        while self.running.try_join_next().is_some() {}
        self.by_id.retain(|_, task| !task.is_finished());
        while self.running.len() < limits::LINE_CALLS
            && let Some(Waiting { moment, ticket, line, place, permit, watch }) = self.waiting.pop_front()
        {
            let (id, next) = (ticket.id(&line).to_vec(), Next::Call(ticket));
            let started = moment.start(next, &self.visitor.who(), line, Place::of(permit), self.client.as_ref(), watch);
            let mut running = match started {
                Some(Pending::Running(running)) => running,
                Some(Pending::Ready(answer)) => {
                    let _ = self.answers.send((answer.bytes, place));
                    continue;
                }
                Some(Pending::Listening(_)) | None => continue,
            };
            running.whole();
            running.ends_with(self.stop.clone());
            let (answers, others) = (self.answers.clone(), Arc::clone(&self.others));
            let task = self.running.spawn(async move {
                loop {
                    match running.step().await {
                        Step::Told(message) => tell(message, &answers, &others).await,
                        Step::Last(answer) => break drop(answers.send((answer.bytes, place))),
                        // Answers here are whole, so these steps do not occur.
                        Step::Piece(_) | Step::Broken => {}
                        Step::Gone => break,
                    }
                }
            });
            self.by_id.insert(id, task);
        }
    }

    fn listen(&mut self, mut listening: Box<Listening>, place: OwnedSemaphorePermit) {
        while self.listening.try_join_next().is_some() {}
        self.by_id.retain(|_, task| !task.is_finished());
        if self.listening.len() >= limits::LINE_LISTENS {
            let _ = self.answers.send((listening.refuse(), place));
            return;
        }
        let (answers, others) = (self.answers.clone(), Arc::clone(&self.others));
        let id = listening.id();
        let task = self.listening.spawn(async move {
            loop {
                match listening.step().await {
                    Step::Told(message) => tell(message, &answers, &others).await,
                    Step::Last(answer) => break tell(answer.bytes, &answers, &others).await,
                    Step::Piece(_) | Step::Broken | Step::Gone => {}
                }
            }
        });
        self.by_id.insert(id, task);
    }

    /// Cancels a request. MCP 2026-07-28 basic/patterns/cancellation: stop it, and send nothing
    /// more for it. An unknown id is ignored.
    fn cancel(&mut self, id: &[u8]) {
        self.waiting.retain(|call| call.ticket.id(&call.line) != id);
        match (self.by_id.remove(id), &self.client) {
            (Some(task), _) => task.abort(),
            // The call may be part of a batch.
            (None, Some(client)) => drop(client.cancel(id)),
            (None, None) => {}
        }
    }
}

/// Sends a message that is not an answer. It takes its own slot, so that a slow reader slows down
/// the sender.
async fn tell(message: Bytes, answers: &mpsc::UnboundedSender<Placed>, others: &Arc<Semaphore>) {
    if let Ok(place) = Arc::clone(others).acquire_owned().await {
        let _ = answers.send((message, place));
    }
}

/// The writing task. It must not outlive the connection, because it holds the output open.
struct Writer(JoinHandle<io::Result<()>>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn write_lines(output: impl AsyncWrite + Unpin, mut outbox: mpsc::UnboundedReceiver<Placed>) -> io::Result<()> {
    // Lines that are queued together are flushed together.
    let mut output = BufWriter::with_capacity(PIECE, output);
    while let Some((answer, _place)) = outbox.recv().await {
        output.write_all(&answer).await?;
        output.write_all(b"\n").await?;
        if outbox.is_empty() {
            output.flush().await?;
        }
    }
    output.flush().await
}
