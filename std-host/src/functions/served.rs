//! Processes that serve HTTP: their start, the wait until they answer, and their restart when they end.

use super::limits::{BACK_OFF_FIRST, BACK_OFF_MOST, MESSAGE, READY_CHECK, READY_TIME, SUSTAINED};
use super::lines::Lines;
use super::process::{Launch, Process};
use super::start::{Failure, exited, fresh_id};
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
#[cfg(feature = "proxy")]
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Where a process listens. `None` while it does not run.
pub(crate) type Address = watch::Sender<Option<SocketAddr>>;

/// A process that serves HTTP, started again when it ends. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Served {
    address: watch::Receiver<Option<SocketAddr>>,
    stop: watch::Sender<bool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Served {
    /// Keeps a process that runs, or starts it. The receivers of `sender` are told where it listens.
    pub(crate) fn keep(recipe: Recipe, running: Option<(Process, SocketAddr)>, sender: Address) -> Self {
        let (process, address) = running.unzip();
        let watched = sender.subscribe();
        sender.send_replace(address);
        let stop = watch::Sender::new(false);
        let keeper = tokio::spawn(recipe.keep(process, sender, stop.subscribe()));
        Self { address: watched, stop, keeper: Mutex::new(Some(keeper)) }
    }

    /// Where the process listens. `None` while it does not run.
    pub(crate) const fn address(&self) -> &watch::Receiver<Option<SocketAddr>> {
        &self.address
    }

    /// Ends the process.
    pub(crate) async fn stop(&self) {
        let _ = self.stop.send(true);
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            let _ = keeper.await;
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        keeper.iter().for_each(JoinHandle::abort);
    }
}

/// The command of a process that serves HTTP.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The name in the log.
    pub(crate) app: Arc<str>,
    /// The least severe level that is logged, by category.
    pub(crate) levels: Arc<[(String, i32)]>,
    pub(crate) launch: Launch,
    /// The port on which the process listens. `None` for a free one.
    pub(crate) port: Option<u16>,
    pub(crate) told: Told,
}

/// The way to tell the process its port.
#[derive(Debug)]
pub(crate) enum Told {
    /// By the variables of the platform. `root` is the directory of the app.
    Platform {
        /// The directory.
        root: String,
    },
    /// By the placeholder `{port}` in its arguments and its environment.
    #[cfg(feature = "proxy")]
    Placeholder,
}

impl Told {
    // azure.md B.2.
    fn tell(&self, port: u16, launch: &mut Launch) {
        let port = port.to_string();
        match self {
            Self::Platform { root } => {
                let id = fresh_id();
                for (name, value) in [
                    ("FUNCTIONS_CUSTOMHANDLER_PORT", &port),
                    ("FUNCTIONS_HTTPWORKER_PORT", &port),
                    ("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id),
                    ("FUNCTIONS_HTTPWORKER_ID", &id),
                    ("FUNCTIONS_APP_ROOT_PATH", root),
                ] {
                    launch.environment.push((name.into(), value.into()));
                }
            }
            #[cfg(feature = "proxy")]
            Self::Placeholder => {
                let replace = |text: &mut OsString| {
                    if let Some(replaced) = text.to_str().filter(|text| text.contains("{port}")) {
                        *text = replaced.replace("{port}", &port).into();
                    }
                };
                launch.arguments.iter_mut().for_each(replace);
                launch.environment.iter_mut().for_each(|(_, value)| replace(value));
            }
        }
    }
}

impl Recipe {
    /// Starts the process, and keeps it: it is started again when it ends. Returns its output, too.
    ///
    /// # Errors
    /// If the process does not answer at the first start.
    pub(crate) async fn serve(self, sender: Address) -> Result<(Served, Lines), Failure> {
        let (process, address, lines) = self.start().await?;
        Ok((Served::keep(self, Some((process, address)), sender), lines))
    }

    /// Starts the process, and waits until it answers.
    async fn start(&self) -> Result<(Process, SocketAddr, Lines), Failure> {
        let lines = Lines::new(Arc::clone(&self.app), Arc::clone(&self.levels));
        let failed = |error| Failure::Spawn { program: self.launch.program.to_string_lossy().into_owned(), error };
        let port = match self.port {
            Some(port) => port,
            None => free_port().map_err(failed)?,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut launch = self.launch.clone();
        self.told.tell(port, &mut launch);
        let mut process = Process::start(&launch, &[], &lines).map_err(failed)?;
        let ready = async {
            let answers = async || {
                let stream = TcpStream::connect(address).await?;
                send(stream, Method::GET, "/", Bytes::new(), "").await
            };
            while answers().await.is_err() {
                sleep(READY_CHECK).await;
            }
        };
        tokio::select! {
            ready = timeout(READY_TIME, ready) => match ready {
                Ok(()) => {
                    lines.started();
                    Ok((process, address, lines))
                }
                Err(_) => Err(Failure::Timeout { step: "did not answer GET /", limit: READY_TIME, lines: lines.started() }),
            },
            status = process.ended() => Err(exited(status, &lines).await),
        }
    }

    /// Starts the process again when it ends.
    async fn keep(
        self,
        mut process: Option<Process>,
        address: watch::Sender<Option<SocketAddr>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let (mut begun, mut wait) = (Instant::now(), Duration::ZERO);
        loop {
            if let Some(mut running) = process.take() {
                let ended = tokio::select! {
                    ended = running.ended() => ended,
                    _ = stop.changed() => return running.terminate().await,
                };
                let ended = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::warn!(app = &*self.app, ended, "the process of the app has ended and is started again");
                address.send_replace(None);
            }
            if begun.elapsed() >= SUSTAINED {
                wait = Duration::ZERO;
            }
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.changed() => return,
            }
            wait = wait.saturating_mul(2).clamp(BACK_OFF_FIRST, BACK_OFF_MOST);
            begun = Instant::now();
            let started = tokio::select! {
                started = self.start() => started,
                _ = stop.changed() => return,
            };
            process = match started {
                Ok((started, at, _)) => {
                    address.send_replace(Some(at));
                    Some(started)
                }
                Err(failure) => {
                    tracing::error!(app = &*self.app, "the process of the app does not start: {failure}");
                    None
                }
            };
        }
    }
}

/// Returns a port that is free at the moment.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Sends a request on a fresh connection.
pub(super) async fn send(
    stream: TcpStream,
    method: Method,
    path: &str,
    body: Bytes,
    id: &str,
) -> Result<(StatusCode, Bytes), Box<dyn core::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let address = stream.peer_addr()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The connection is driven until the answer is read, and then dropped with this future.
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-azure-functions-invocationid", id)
        .body(Full::new(body))?;
    let answered = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MESSAGE).collect().await?.to_bytes();
        Ok((head.status, body))
    };
    let answered = answered.await;
    driver.abort();
    answered
}
