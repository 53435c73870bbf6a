//! The endpoint that workers connect to: FunctionRpc over HTTP/2 without TLS, on a loopback port.
//!
//! A stream is accepted once for each worker, while the worker starts, and only with the id that was made for it.

use super::frames::{Messages, Outbox, Outgoing};
use super::limits::{START_TIME, STRANGERS};
use super::messages::{Content, StartStream};
use super::peer;
use core::convert::Infallible;
use core::net::SocketAddr;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// The path of the one method of the service.
const PATH: &str = "/AzureFunctionsRpcMessages.FunctionRpc/EventStream";

/// Bytes that a worker may send before this host has read them, per stream and per connection.
const WINDOW: u32 = 4 * 1024 * 1024;

/// The endpoint. Dropping it closes the port.
pub(super) struct Endpoint {
    address: SocketAddr,
    claims: Claims,
    accepting: AbortHandle,
}

/// The stream of a worker that has shown its id.
pub(super) struct Opened {
    pub(super) messages: Messages,
    pub(super) outbox: Outbox,
    /// Completes when a second stream shows the same id.
    pub(super) rival: oneshot::Receiver<()>,
}

/// A worker that may open its stream. Dropping it makes its id invalid.
pub(super) struct Expected {
    id: String,
    claims: Claims,
    opened: Option<oneshot::Receiver<Opened>>,
}

type Claims = Arc<Mutex<HashMap<String, Claim>>>;

enum Claim {
    Free(oneshot::Sender<Opened>),
    Taken(oneshot::Sender<()>),
    /// Two streams have shown the id.
    Disputed,
}

impl Endpoint {
    /// Opens a free port.
    ///
    /// # Errors
    /// If there is no port to listen on.
    pub(super) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let claims = Claims::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&claims))).abort_handle();
        Ok(Self { address, claims, accepting })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a worker with this id open its stream.
    pub(super) fn expect(&self, id: &str) -> Expected {
        let (sender, opened) = oneshot::channel();
        lock(&self.claims).insert(id.to_owned(), Claim::Free(sender));
        Expected { id: id.to_owned(), claims: Arc::clone(&self.claims), opened: Some(opened) }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Expected {
    /// Waits for the stream. `None` if it was not opened in time.
    pub(super) async fn opened(&mut self) -> Option<Opened> {
        timeout(START_TIME, self.opened.take()?).await.ok()?.ok()
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        lock(&self.claims).remove(&self.id);
    }
}

fn lock(claims: &Claims) -> MutexGuard<'_, HashMap<String, Claim>> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, claims: Claims) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: another connection may end soon.
            tokio::time::sleep(core::time::Duration::from_millis(100)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&strangers).try_acquire_owned() else { continue };
        match peer::is_own(&stream) {
            Ok(true) => drop(tokio::spawn(serve(stream, Arc::clone(&claims), permit))),
            Ok(false) => tracing::warn!("another user has connected to the port of workers, and was refused"),
            Err(error) => {
                tracing::warn!(%error, "a connection to the port of workers was refused: its owner is unknown")
            }
        }
    }
}

/// Serves a connection until it ends. A connection without a worker is closed after [`START_TIME`].
async fn serve(stream: TcpStream, claims: Claims, permit: OwnedSemaphorePermit) {
    let _ = stream.set_nodelay(true);
    let (claimed, mut known) = mpsc::channel::<()>(1);
    let service = service_fn(move |request| {
        let answer = answer(request, Arc::clone(&claims), claimed.clone());
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW).max_concurrent_streams(4);
    let mut connection = core::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let is_known = tokio::select! {
        _ = &mut connection => return,
        is_known = timeout(START_TIME, known.recv()) => is_known.is_ok_and(|known| known.is_some()),
    };
    drop(permit);
    if is_known {
        let _ = connection.await;
    }
}

/// Answers a request at once. Its messages are read by a task.
fn answer(request: Request<Incoming>, claims: Claims, claimed: mpsc::Sender<()>) -> Response<Outgoing> {
    let (body, outbox) = Outgoing::new();
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if request.method() == Method::POST && request.uri().path() == PATH {
        tokio::spawn(begin(Messages::new(request.into_body()), outbox, claims, claimed));
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// Reads the first message, and gives the stream to the worker that it names.
async fn begin(mut messages: Messages, outbox: Outbox, claims: Claims, claimed: mpsc::Sender<()>) {
    let first = match timeout(START_TIME, messages.next()).await {
        Ok(Ok(Some(first))) => first.content,
        _ => None,
    };
    let Some(Content::Start(StartStream { worker_id })) = first else {
        tracing::warn!("a stream of a worker was refused: it does not begin with the id of the worker");
        return;
    };
    let mut claims = lock(&claims);
    let Some(claim) = claims.get_mut(&worker_id) else {
        tracing::warn!("a stream of a worker was refused: no worker with its id is being started");
        return;
    };
    let (rival, disputed) = oneshot::channel();
    match core::mem::replace(claim, Claim::Taken(rival)) {
        Claim::Free(waiting) => {
            let _ = claimed.try_send(());
            // An error means that the start was given up.
            let _ = waiting.send(Opened { messages, outbox, rival: disputed });
        }
        Claim::Taken(first) => {
            *claim = Claim::Disputed;
            tracing::error!("two processes have shown the id of one worker: both streams are closed");
            let _ = first.send(());
        }
        Claim::Disputed => *claim = Claim::Disputed,
    }
}
