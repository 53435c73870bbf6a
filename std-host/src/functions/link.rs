//! The stream of a running worker: calls by their ids, and the log messages of calls.

use super::endpoint::Opened;
use super::frames::{Broken, Messages, Outbox};
use super::limits::CALL_LOGS;
use super::lines::{CallLog, Lines};
use super::messages::{
    Content, Duration, Empty, InvocationCancel, InvocationRequest, InvocationResponse, RpcLog, StreamingMessage,
    WorkerTerminate,
};
use core::time;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;

/// The stream of a worker. Dropping the last handle ends the stream.
pub(super) struct Link {
    outbox: Outbox,
    calls: Arc<Mutex<Calls>>,
    ended: watch::Receiver<bool>,
    status: Arc<Notify>,
    /// The capabilities of the worker, from its first answer.
    pub(super) capabilities: OnceLock<HashSet<String>>,
    /// Notify this to kill the process and start it again.
    pub(super) kill: Notify,
}

#[derive(Default)]
struct Calls {
    open: HashMap<String, Pending>,
    /// Why the stream has ended.
    ended: Option<Arc<str>>,
}

struct Pending {
    answer: oneshot::Sender<InvocationResponse>,
    logs: mpsc::Sender<CallLog>,
}

/// The pending answer of a call.
pub(super) struct Awaited {
    link: Arc<Link>,
    answer: oneshot::Receiver<InvocationResponse>,
}

struct Running {
    id: String,
    link: Arc<Link>,
}

/// A call that a worker runs. Dropping it before its answer has come cancels the call.
pub(super) struct Invocation {
    /// Cancels the call when it is dropped.
    _running: Running,
    pub(super) answer: Awaited,
    /// Log messages that the function has written.
    pub(super) logs: mpsc::Receiver<CallLog>,
}

impl Link {
    /// Reads and writes a stream from now on. Answers without a call go to the returned channel.
    pub(super) fn open(opened: Opened, lines: Lines) -> (Arc<Self>, mpsc::Receiver<Content>) {
        let Opened { messages, outbox, rival } = opened;
        let (calls, status) = (Arc::<Mutex<Calls>>::default(), Arc::new(Notify::new()));
        let (others, answers) = mpsc::channel(16);
        let (ended, watched) = watch::channel(false);
        let reader = Reader { messages, calls: Arc::clone(&calls), status: Arc::clone(&status), others, lines };
        tokio::spawn(async move {
            reader.run(rival).await;
            let _ = ended.send(true);
        });
        let link = Self { outbox, calls, ended: watched, status, capabilities: OnceLock::new(), kill: Notify::new() };
        (Arc::new(link), answers)
    }

    /// Sends a message. It is lost if the stream has ended.
    pub(super) async fn send(&self, content: Content) {
        self.outbox.send(&message(content)).await;
    }

    /// Starts a call.
    ///
    /// # Errors
    /// The request if the stream has ended before it could be sent.
    pub(super) async fn invoke(
        self: &Arc<Self>,
        request: InvocationRequest,
    ) -> Result<Invocation, Box<InvocationRequest>> {
        let id = request.invocation_id.clone();
        let (sender, answer) = oneshot::channel();
        let (log, logs) = mpsc::channel(CALL_LOGS);
        {
            let mut calls = lock(&self.calls);
            if calls.ended.is_some() {
                return Err(Box::new(request));
            }
            calls.open.insert(id.clone(), Pending { answer: sender, logs: log });
        }
        let running = Running { id, link: Arc::clone(self) };
        let invocation = Invocation { _running: running, answer: Awaited { link: Arc::clone(self), answer }, logs };
        self.send(Content::Invocation(request)).await;
        Ok(invocation)
    }

    /// Whether the worker has this capability.
    // FunctionRpc: a capability is on if its value is not empty.
    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.get().is_some_and(|capabilities| capabilities.contains(capability))
    }

    /// Whether the worker answers within this time.
    pub(super) async fn is_alive(&self, within: time::Duration) -> bool {
        if !self.can("WorkerStatus") {
            return true;
        }
        let answered = self.status.notified();
        let asked = async {
            self.send(Content::Status(Empty {})).await;
            answered.await;
        };
        timeout(within, asked).await.is_ok()
    }

    /// Asks the worker to end. Returns whether it understands that.
    pub(super) async fn terminate(&self, grace: time::Duration) -> bool {
        let can = self.can("HandlesWorkerTerminateMessage");
        if can {
            let grace = Duration { seconds: i64::try_from(grace.as_secs()).unwrap_or(i64::MAX) };
            let sent = self.send(Content::Terminate(WorkerTerminate { grace: Some(grace) }));
            let _ = timeout(time::Duration::from_secs(1), sent).await;
        }
        can
    }

    /// Waits for the end of the stream.
    pub(super) async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Returns the reason why the stream has ended.
    pub(super) fn reason(&self) -> Arc<str> {
        lock(&self.calls).ended.clone().unwrap_or_else(|| "the stream of the worker has ended".into())
    }
}

impl Awaited {
    /// Waits for the answer.
    ///
    /// # Errors
    /// The reason if the worker was lost.
    pub(super) async fn receive(&mut self) -> Result<InvocationResponse, Arc<str>> {
        (&mut self.answer).await.map_err(|_| self.link.reason())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let is_running = lock(&self.link.calls).open.remove(&self.id).is_some();
        if is_running && self.link.can("HandlesInvocationCancelMessage") {
            let cancel = Content::Cancel(InvocationCancel { invocation_id: core::mem::take(&mut self.id) });
            // If the queue is full, the call runs to its end and its answer is dropped.
            self.link.outbox.try_send(&message(cancel));
        }
    }
}

fn message(content: Content) -> StreamingMessage {
    StreamingMessage { request_id: String::new(), content: Some(content) }
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the messages of a worker.
struct Reader {
    messages: Messages,
    calls: Arc<Mutex<Calls>>,
    status: Arc<Notify>,
    others: mpsc::Sender<Content>,
    lines: Lines,
}

impl Reader {
    /// Reads to the end of the stream. Then all open calls fail.
    async fn run(mut self, mut rival: oneshot::Receiver<()>) {
        let ended = tokio::select! {
            ended = self.read() => ended,
            Ok(()) = &mut rival => Ok("another process has shown the id of the worker"),
        };
        let reason: Arc<str> = match ended {
            Ok(reason) => reason.into(),
            Err(broken) => broken.to_string().into(),
        };
        let mut calls = lock(&self.calls);
        calls.ended = Some(reason);
        calls.open.clear();
    }

    async fn read(&mut self) -> Result<&'static str, Broken> {
        while let Some(message) = self.messages.next().await? {
            match message.content {
                // FunctionRpc: answers belong together by their content, because workers do not echo request ids.
                Some(Content::Invoked(response)) => {
                    let call = lock(&self.calls).open.remove(&response.invocation_id);
                    if let Some(call) = call {
                        // An error means that the call was cancelled.
                        let _ = call.answer.send(response);
                    }
                }
                Some(Content::Log(log)) => self.log(log),
                Some(Content::StatusAnswer(_)) => self.status.notify_waiters(),
                // After the start no one reads these.
                Some(other) => drop(self.others.send(other).await),
                // FunctionRpc: .NET workers answer some requests with an empty message.
                None => {}
            }
        }
        Ok("the worker has ended its stream")
    }

    fn log(&self, log: RpcLog) {
        self.lines.log(&log);
        if log.log_category == 0
            && let Some(call) = lock(&self.calls).open.get(&log.invocation_id)
        {
            // A client that reads slowly does not slow the worker down.
            let _ = call.logs.try_send(CallLog::of(&log));
        }
    }
}
