//! The builder of a client, and its ways to connect.

use super::connection::Client;
use super::credential::Credential;
use super::error::Error;
use super::handshake::{Handshake, NoRestart, Restart, ServerInfo};
use super::http::{Http, HttpOptions};
use super::limits::{ClientLimits, READY_CHECK};
use super::link::Link;
use super::memory::Verdicts;
use super::pipe::Pipe;
use super::process::{PORT, Process, ServerCommand};
use super::profile::OwnProfile;
use super::question::Question;
use super::raw::RawJson;
use super::router::{Answers, Router};
#[cfg(unix)]
use super::serial::SerialPort;
use attache_core::client::{Negotiation, Transport};
use attache_core::era::Version;
use bytes::Bytes;
use core::fmt;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::TcpListener;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

/// The builder of a client, which is not connected yet.
#[must_use]
pub struct ClientBuilder {
    name: String,
    own_version: String,
    capabilities: RawJson,
    answers: Option<Answers>,
    limits: ClientLimits,
    pinned: Option<Version>,
    verdicts: Option<Verdicts>,
    is_legacy: bool,
    headers: HeaderMap,
    credential: Credential,
    allow_plain: bool,
    old_transport: bool,
}

impl Client {
    /// Starts to build a client with this name and version.
    pub fn builder(name: impl Into<String>, version: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            name: name.into(),
            own_version: version.into(),
            capabilities: RawJson::empty_object(),
            answers: None,
            limits: ClientLimits::default(),
            pinned: None,
            verdicts: None,
            is_legacy: false,
            headers: HeaderMap::new(),
            credential: Credential::None,
            allow_plain: false,
            old_transport: false,
        }
    }
}

impl ClientBuilder {
    /// Declares the capabilities of the client, such as `{"elicitation":{"form":{}},"roots":{}}`.
    /// Without them the server must not ask the client for anything.
    pub fn capabilities(mut self, capabilities: RawJson) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Sets the function that answers questions of the server. Requests with
    /// [`Request::questions`](super::Request::questions) do not use it.
    pub fn answers<F, Fut>(mut self, answers: F) -> Self
    where
        F: Fn(Question) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.answers = Some(Arc::new(move |question| Box::pin(answers(question))));
        self
    }

    /// Replaces the limits.
    pub fn limits(mut self, limits: ClientLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Uses only this revision. Without it, the client negotiates the newest revision that both
    /// sides speak.
    pub fn version(mut self, version: Version) -> Self {
        self.pinned = Some(version);
        self
    }

    /// Caches the revisions of HTTP servers here. Several clients can share the cache.
    pub fn verdicts(mut self, verdicts: Verdicts) -> Self {
        self.verdicts = Some(verdicts);
        self
    }

    /// Starts the handshake of the older revisions without a probe, because a process of this command was
    /// found to speak one of them.
    pub(crate) const fn known_legacy(mut self) -> Self {
        self.is_legacy = true;
        self
    }

    /// Sends this credential to an HTTP server.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// Adds a header field to each HTTP request.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Allows credentials over plain HTTP to another machine, such as a board in a private network.
    pub fn allow_plain_http(mut self) -> Self {
        self.allow_plain = true;
        self
    }

    /// Uses the transport of revision 2024-11-05 (HTTP with a separate event stream) without trying
    /// the others first.
    pub fn old_transport(mut self) -> Self {
        self.old_transport = true;
        self
    }

    /// Connects to the server at a URL.
    ///
    /// # Errors
    /// [`Error`] if no connection could be made.
    pub async fn http(self, url: &str) -> Result<Client, Error> {
        let parts = self.parts();
        self.over_http(parts, url, None).await
    }

    /// Starts a server as a child process that serves HTTP, and connects as soon as it answers. `{port}` in the
    /// arguments and the environment of the command and in the URL is replaced by a free port of this machine.
    /// Returns the client, and the URL.
    ///
    /// # Errors
    /// [`Error`] if no connection could be made. It contains the last lines of the server's output.
    pub async fn served(self, command: ServerCommand, url: &str) -> Result<(Client, String), Error> {
        let unreachable = |error: std::io::Error| Error::Unreachable(error.to_string());
        // Another program may take the port before the server does. Then the server ends, and is started again.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(unreachable)?.port();
        let url = url.replace(PORT, &port.to_string());
        let parts = self.parts();
        let process = Process::start_server(&command.with_port(port), Arc::clone(&parts.router))?;
        let until = Instant::now() + self.limits.handshake_time;
        tokio::select! {
            error = parts.router.ended() => return Err(error),
            listens = listens(&url, until) => listens?,
        }
        Ok((self.over_http(parts, &url, Some(process)).await?, url))
    }

    async fn over_http(self, parts: Parts, url: &str, process: Option<Process>) -> Result<Client, Error> {
        let options = HttpOptions {
            url: url.to_owned(),
            headers: self.headers,
            credential: self.credential,
            allow_plain: self.allow_plain,
        };
        let (router, profile) = (&parts.router, &parts.profile);
        let http = Http::new(options, Arc::clone(router), parts.responses, Arc::clone(profile), self.limits.clone())?;
        let mut negotiation = Negotiation::new(Transport::Http);
        if http.has_credential() {
            negotiation = negotiation.with_credential();
        }
        let is_legacy = self.verdicts.as_ref().is_some_and(|verdicts| verdicts.is_legacy(url));
        if self.old_transport {
            http.open_old().await?;
        }
        if self.old_transport || is_legacy {
            negotiation = negotiation.legacy();
        }
        let mut link = Link::Http(http);
        let handshake = Handshake { router, profile, limits: &self.limits };
        let server = handshake.run(&mut link, pinned(negotiation, self.pinned), &mut NoRestart).await?;
        if let Some(verdicts) = self.verdicts.filter(|_| self.pinned.is_none()) {
            verdicts.note(url, !server.version.is_modern());
        }
        Ok(Client::new(parts.router, link, self.limits, parts.profile, server, process))
    }

    /// Starts a server as a child process, and talks to it over its standard input and output.
    ///
    /// # Errors
    /// [`Error`] if no connection could be made. It contains the last lines of the server's
    /// standard error.
    pub async fn command(self, command: ServerCommand) -> Result<Client, Error> {
        let parts = self.parts();
        let responses = Arc::new(tokio::sync::Mutex::new(parts.responses));
        let starter = Starter { command, router: Arc::clone(&parts.router), responses, limit: self.limits.message };
        let (pipe, process) = starter.start()?;
        let mut link = Link::Pipe(pipe);
        let mut running = Running { starter, process: Some(process) };
        let negotiation = Negotiation::new(Transport::Line);
        let negotiation = pinned(if self.is_legacy { negotiation.legacy() } else { negotiation }, self.pinned);
        let handshake = Handshake { router: &parts.router, profile: &parts.profile, limits: &self.limits };
        let server = handshake.run(&mut link, negotiation, &mut running).await?;
        Ok(Client::new(parts.router, link, self.limits, parts.profile, server, running.process))
    }

    /// Talks to a server over a pair of streams: one to read from, one to write to.
    ///
    /// # Errors
    /// [`Error`] if no connection could be made.
    pub async fn streams(
        self,
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Client, Error> {
        let parts = self.parts();
        let responses = Arc::new(tokio::sync::Mutex::new(parts.responses));
        let router = Arc::clone(&parts.router);
        let ended = move || router.close(&Error::Lost("the server closed its output".to_owned()));
        let pipe = Pipe::open(Arc::clone(&parts.router), responses, input, output, self.limits.message, ended);
        let mut link = Link::Pipe(pipe);
        let negotiation = pinned(Negotiation::new(Transport::Line), self.pinned);
        let handshake = Handshake { router: &parts.router, profile: &parts.profile, limits: &self.limits };
        let server: ServerInfo = handshake.run(&mut link, negotiation, &mut NoRestart).await?;
        Ok(Client::new(parts.router, link, self.limits, parts.profile, server, None))
    }

    /// Opens a serial port, and talks to the server behind it. The port is used by this client alone.
    ///
    /// # Errors
    /// [`Error`] if the port cannot be opened, or if the server does not answer.
    #[cfg(unix)]
    pub async fn serial(self, port: &SerialPort) -> Result<Client, Error> {
        let (input, output) = port.open_quiet().await?;
        self.streams(input, output).await
    }

    fn parts(&self) -> Parts {
        let (router, responses) = Router::new(&self.capabilities, self.answers.clone());
        let (name, version) = (self.name.clone(), self.own_version.clone());
        let profile = Arc::new(OwnProfile::new(name, version, self.capabilities.clone()));
        Parts { router, responses, profile }
    }
}

/// Waits until the server at a URL takes connections.
async fn listens(url: &str, until: Instant) -> Result<(), Error> {
    let invalid = || Error::Unreachable(format!("{url} is not a URL with a host"));
    let parsed = reqwest::Url::parse(url).map_err(|_| invalid())?;
    let address = (parsed.host_str().ok_or_else(invalid)?, parsed.port_or_known_default().ok_or_else(invalid)?);
    while let Err(error) = TcpStream::connect(address).await {
        if Instant::now() >= until {
            return Err(Error::Unreachable(error.to_string()));
        }
        sleep(READY_CHECK).await;
    }
    Ok(())
}

/// The parts that every kind of connection needs.
struct Parts {
    router: Arc<Router>,
    responses: mpsc::Receiver<Bytes>,
    profile: Arc<OwnProfile>,
}

fn pinned(negotiation: Negotiation, version: Option<Version>) -> Negotiation {
    match version {
        Some(version) => negotiation.pinned(version),
        None => negotiation,
    }
}

/// Starts a server process, and restarts it if the process ends at the probe.
struct Starter {
    command: ServerCommand,
    router: Arc<Router>,
    responses: Arc<tokio::sync::Mutex<mpsc::Receiver<Bytes>>>,
    limit: usize,
}

struct Running {
    starter: Starter,
    process: Option<Process>,
}

impl Starter {
    fn start(&self) -> Result<(Pipe, Process), Error> {
        let (ended, drained) = oneshot::channel();
        let (process, streams) = Process::start(&self.command, Arc::clone(&self.router), drained)?;
        let ended = move || {
            let _ = ended.send(());
        };
        let (router, responses) = (Arc::clone(&self.router), Arc::clone(&self.responses));
        Ok((Pipe::open(router, responses, streams.output, streams.input, self.limit, ended), process))
    }
}

impl Restart for Running {
    // Servers built on old SDKs exit at any request except `initialize`.
    async fn restart(&mut self, link: &mut Link) -> Result<(), Error> {
        // Waits for the end of the old process. Otherwise that end would fail the requests to the
        // new one.
        if let Some(process) = self.process.take() {
            process.stop().await;
        }
        self.starter.router.reopen();
        let (pipe, process) = self.starter.start()?;
        *link = Link::Pipe(pipe);
        self.process = Some(process);
        Ok(())
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
