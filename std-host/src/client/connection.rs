//! A connection to a server.

use super::call::Call;
use super::error::Error;
use super::handshake::ServerInfo;
use super::inner::Inner;
use super::limits::ClientLimits;
use super::link::Link;
use super::lists::List;
use super::notice::Notice;
use super::outgoing::Drive;
use super::process::Process;
use super::profile::OwnProfile;
use super::raw::RawJson;
use super::request::Request;
use super::router::Router;
use attache_core::era::Version;
use attache_core::tool::Level;
use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// A connection to a server. Clones are cheap and share the connection, which is closed with the
/// last clone.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

impl Client {
    pub(super) fn new(
        router: Arc<Router>,
        link: Link,
        limits: ClientLimits,
        profile: Arc<OwnProfile>,
        server: ServerInfo,
        process: Option<Process>,
    ) -> Self {
        let (tools, process) = (Mutex::default(), Mutex::new(process));
        Self { inner: Arc::new(Inner { router, link, limits, profile, server, tools, process }) }
    }

    /// The server's description of itself.
    pub fn server(&self) -> &ServerInfo {
        &self.inner.server
    }

    /// The revision in use. A new session of an older revision may negotiate another one.
    pub fn version(&self) -> Version {
        self.inner.version()
    }

    /// Starts a request, and returns a handle for its events.
    pub fn start(&self, request: Request) -> Call {
        Call::new(Arc::clone(&self.inner), request, Drive::Task)
    }

    /// Makes a request whose caller waits for [`Call::next`] all the time. Over HTTP, the request is
    /// not sent before that, and it makes no progress without it.
    pub(crate) fn attended(&self, request: Request) -> Call {
        Call::new(Arc::clone(&self.inner), request, Drive::Caller)
    }

    /// Sends a request, and returns its result in the server's own text.
    ///
    /// # Errors
    /// [`Error`] if the request fails.
    pub async fn request(&self, request: Request) -> Result<RawJson, Error> {
        self.attended(request).result().await
    }

    /// Calls a tool. The result may report a failure of the tool (`isError`).
    ///
    /// # Errors
    /// [`Error`] if the request fails.
    pub async fn call(&self, tool: &str, arguments: RawJson) -> Result<RawJson, Error> {
        self.request(Request::call(tool, arguments)).await
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// [`Error`] if the request fails.
    pub async fn read(&self, uri: &str) -> Result<RawJson, Error> {
        self.request(Request::new("resources/read").text("uri", uri)).await
    }

    /// Gets a prompt.
    ///
    /// # Errors
    /// [`Error`] if the request fails.
    pub async fn prompt(&self, name: &str, arguments: RawJson) -> Result<RawJson, Error> {
        self.request(Request::new("prompts/get").text("name", name).param("arguments", arguments)).await
    }

    /// Fetches all pages of a list, and returns the entries in the server's own text. Leaves out
    /// tools that must not be called over HTTP. A list that the server does not have is empty.
    ///
    /// # Errors
    /// [`Error`] if the list could not be fetched.
    pub async fn list(&self, list: List) -> Result<Vec<RawJson>, Error> {
        self.inner.list(list).await
    }

    /// Checks that the server answers. Sends `ping`, or `server/discover` to a server of revision
    /// 2026-07-28, which has no ping.
    ///
    /// # Errors
    /// [`Error`] if the server does not answer.
    pub async fn check(&self) -> Result<(), Error> {
        let method = if self.inner.is_modern() { "server/discover" } else { "ping" };
        self.inner.ask(&Request::new(method)).await.map(drop)
    }

    /// Asks a server of an older revision for log messages of at least this level. With revision
    /// 2026-07-28 each request sets its own level, see [`Request::level`].
    ///
    /// # Errors
    /// [`Error`] if the server refuses.
    pub async fn set_level(&self, level: Level) -> Result<(), Error> {
        if self.inner.is_modern() {
            return Ok(());
        }
        self.inner.ask(&Request::new("logging/setLevel").text("level", level.name())).await?;
        self.inner.profile.note_level(level);
        Ok(())
    }

    /// Subscribes to the updates of a resource at a server of an older revision, or unsubscribes.
    /// The updates arrive as [`notices`](Self::notices). For all revisions, see
    /// [`listen`](Self::listen).
    pub(super) async fn subscribe(&self, uri: &str, is_on: bool) -> Result<(), Error> {
        let method = if is_on { "resources/subscribe" } else { "resources/unsubscribe" };
        self.inner.ask(&Request::new(method).text("uri", uri)).await?;
        self.inner.profile.note_subscription(uri, is_on);
        Ok(())
    }

    /// Receives notices that belong to no request, from now on: changed lists, updated resources,
    /// log messages. Servers of revision 2026-07-28 send them only to a subscription, see
    /// [`listen`](Self::listen).
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.inner.router.notices()
    }

    /// Whether the server may ask a question that belongs to no running call. On a shared connection
    /// such a question could reach another user.
    pub(crate) fn may_ask_astray(&self) -> bool {
        self.inner.router.may_stray()
    }

    /// Waits until the connection has ended, and returns the reason: the process of the server has ended, its output was closed, or
    /// this client was closed. A server over HTTP has no connection that could end.
    pub async fn ended(&self) -> Error {
        self.inner.router.ended().await
    }

    /// Ends the connection in order: the session is ended, or the server process stopped and waited for. Running requests fail.
    pub async fn close(self) {
        self.inner.router.close(&Error::Closed);
        if let Link::Http(http) = &self.inner.link {
            http.end().await;
        }
        let process = self.inner.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dropping the last clone closes the pipe, which asks the process to end.
        drop(self);
        if let Some(process) = process {
            process.stop().await;
        }
    }

    /// The last output of a server process on its standard error, as lines: at most 64 KiB.
    pub fn stderr(&self) -> Vec<String> {
        let process = self.inner.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(Process::stderr).unwrap_or_default()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.inner.server).finish_non_exhaustive()
    }
}
