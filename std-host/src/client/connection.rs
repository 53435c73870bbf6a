//! A connection to a server.

use super::call::Call;
use super::error::Error;
use super::handshake::ServerInfo;
use super::limits::{ClientLimits, LIST_BYTES, PAGES};
use super::link::{Head, Link, Outgoing, Sending};
use super::mailbox::Mailbox;
use super::mirror::{self, Mirrored};
use super::process::Process;
use super::profile::OwnProfile;
use super::raw::RawJson;
use super::request::Request;
use super::router::{Notice, Router};
use crate::sink::Growing;
use attache_core::client::{self, Param};
use attache_core::era::Version;
use attache_core::tool::Level;
use core::fmt;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// A connection to a server. It is cheap to clone; the connection ends with the last clone.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) router: Arc<Router>,
    pub(super) link: Link,
    pub(super) limits: ClientLimits,
    profile: Arc<OwnProfile>,
    server: ServerInfo,
    /// The mirrored arguments of the tools that were listed.
    tools: Mutex<HashMap<String, Arc<Vec<Mirrored>>>>,
    process: Mutex<Option<Process>>,
}

/// The lists of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum List {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
}

impl List {
    const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
        }
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }
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

    /// What the server says of itself.
    pub fn server(&self) -> &ServerInfo {
        &self.inner.server
    }

    /// The revision that is spoken now. A new session of an older revision may have agreed on another one.
    pub fn version(&self) -> Version {
        self.inner.version()
    }

    /// Starts a request, and gives its events.
    pub fn start(&self, request: Request) -> Call {
        Call::new(Arc::clone(&self.inner), request)
    }

    /// Sends a request, and gives its result as the server wrote it.
    ///
    /// # Errors
    /// [`Error`] with the reason why there is none.
    pub async fn request(&self, request: Request) -> Result<RawJson, Error> {
        self.start(request).result().await
    }

    /// Calls a tool. The result may say that the tool has failed (`isError`).
    ///
    /// # Errors
    /// [`Error`] with the reason why there is no result.
    pub async fn call(&self, tool: &str, arguments: RawJson) -> Result<RawJson, Error> {
        self.request(Request::call(tool, arguments)).await
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// [`Error`] with the reason why there is no result.
    pub async fn read(&self, uri: &str) -> Result<RawJson, Error> {
        self.request(Request::new("resources/read").text("uri", uri)).await
    }

    /// Gets a prompt.
    ///
    /// # Errors
    /// [`Error`] with the reason why there is no result.
    pub async fn prompt(&self, name: &str, arguments: RawJson) -> Result<RawJson, Error> {
        self.request(Request::new("prompts/get").text("name", name).param("arguments", arguments)).await
    }

    /// All entries of a list, page by page, as the server wrote them. Tools that must not be called over HTTP are left out.
    ///
    /// # Errors
    /// [`Error`] with the reason why there is no list. A list that the server does not have is empty.
    pub async fn list(&self, list: List) -> Result<Vec<RawJson>, Error> {
        self.inner.list(list).await
    }

    /// Checks that the server answers: `ping`, or `server/discover` of revision 2026-07-28, which has no ping.
    ///
    /// # Errors
    /// [`Error`] with the reason why it does not.
    pub async fn check(&self) -> Result<(), Error> {
        let method = if self.inner.is_modern() { "server/discover" } else { "ping" };
        self.request(Request::new(method)).await.map(drop)
    }

    /// Asks a server of an older revision for log messages of at least this level. Of revision 2026-07-28 each request asks for
    /// itself, by [`Request::level`].
    ///
    /// # Errors
    /// [`Error`] if the server refuses.
    pub async fn set_level(&self, level: Level) -> Result<(), Error> {
        if self.inner.is_modern() {
            return Ok(());
        }
        self.request(Request::new("logging/setLevel").text("level", level.name())).await?;
        self.inner.profile.note_level(level);
        Ok(())
    }

    /// Subscribes to the updates of a resource, or ends that, at a server of an older revision. They come as
    /// [`notices`](Self::notices). For all revisions see [`listen`](Self::listen).
    pub(super) async fn subscribe(&self, uri: &str, is_on: bool) -> Result<(), Error> {
        let method = if is_on { "resources/subscribe" } else { "resources/unsubscribe" };
        self.request(Request::new(method).text("uri", uri)).await?;
        self.inner.profile.note_subscription(uri, is_on);
        Ok(())
    }

    /// What the server tells of itself from here on: changed lists, updated resources, log messages. Servers of revision
    /// 2026-07-28 tell it only to a [`listen`](Self::listen).
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.inner.router.notices()
    }

    /// Ends the connection in order: the session is ended, or the server process stopped and waited for. Running requests fail.
    pub async fn close(self) {
        self.inner.router.close(&Error::Closed);
        if let Link::Http(http) = &self.inner.link {
            http.end().await;
        }
        let process = self.inner.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        // With the last clone the pipe is closed, which asks the process to end.
        drop(self);
        if let Some(process) = process {
            process.stop().await;
        }
    }

    /// The last lines that a server process has written to its standard error.
    pub fn stderr(&self) -> Vec<String> {
        let process = self.inner.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(Process::stderr).unwrap_or_default()
    }
}

impl Inner {
    pub(super) fn version(&self) -> Version {
        self.router.version().unwrap_or(self.server.version)
    }

    pub(super) fn is_modern(&self) -> bool {
        self.version().is_modern()
    }

    /// Sends a request. What comes back arrives in the mailbox, a failure to send as well.
    pub(super) fn send(&self, request: &Request, further: &[(&str, RawJson)]) -> (u64, Arc<Mailbox>, Sending) {
        let listens = request.method == "subscriptions/listen";
        let (id, mailbox) = match self.router.open(request.asks, listens) {
            Ok(opened) => opened,
            Err(error) => {
                let mailbox = Arc::new(Mailbox::default());
                mailbox.end(Err(error));
                return (0, mailbox, Sending::default());
            }
        };
        let version = self.version();
        let head = Head {
            version,
            method: request.method.to_string(),
            name: request.mirrored_name().filter(|_| version.is_modern()),
            mirrored: self.mirrored(request, version),
        };
        let body = request.body(id, version, self.profile.borrowed(), further);
        (id, mailbox, self.link.start(Outgoing { id, body, head }))
    }

    fn mirrored(&self, request: &Request, version: Version) -> Vec<(http::HeaderName, http::HeaderValue)> {
        if !self.link.is_http() || !version.is_modern() || request.method != "tools/call" {
            return Vec::new();
        }
        let tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let known = request.param_named("name").and_then(|name| name.string()).and_then(|name| tools.get(&name));
        known.map(|known| mirror::fields(known, request.param_named("arguments"))).unwrap_or_default()
    }

    /// Gives a request up, and tells the server by the means of the transport.
    // MCP 2026-07-28 streamable-http: closing the stream is the signal. Everywhere else it is a notification, and over HTTP of
    // older revisions closing the stream says nothing.
    pub(super) fn cancel(&self, id: u64, reason: &str) {
        if !self.router.forget(id) || (self.link.is_http() && self.is_modern()) {
            return;
        }
        let mut out = Growing::unlimited();
        let digits = id.to_string();
        let params = [Param::json("requestId", digits.as_bytes()), Param::text("reason", reason)];
        // The buffer grows, so nothing is too large for it.
        let _ = client::notification(&mut out, "notifications/cancelled", &params);
        self.link.notify_later(out.bytes.into());
    }

    /// Fetches the list of tools for its mirrored arguments.
    pub(super) async fn refresh_tools(self: &Arc<Self>) -> Result<(), Error> {
        self.list(List::Tools).await.map(drop)
    }

    async fn list(self: &Arc<Self>, list: List) -> Result<Vec<RawJson>, Error> {
        let mut entries = Vec::new();
        let (mut cursor, mut seen, mut bytes) = (None, HashSet::new(), 0);
        for _ in 0..PAGES {
            let mut request = Request::new(list.method());
            if let Some(cursor) = cursor {
                request = request.param("cursor", cursor);
            }
            let result = match Box::pin(Call::new(Arc::clone(self), request).result()).await {
                // MCP 2025-11-25 basic/lifecycle: what was not declared need not be served.
                Err(Error::Rpc(error)) if error.code == METHOD_NOT_FOUND && entries.is_empty() => return Ok(entries),
                result => result?,
            };
            bytes += result.as_bytes().len();
            if bytes > LIST_BYTES {
                return Err(Error::EndlessList(format!("it has more than {LIST_BYTES} bytes")));
            }
            let page = result.member(list.member()).unwrap_or_else(RawJson::empty_object);
            entries.extend(page.elements());
            // MCP server/utilities/pagination: an empty string is a cursor, too. Some servers write null at the end.
            match result.member("nextCursor").filter(|cursor| cursor.string().is_some()) {
                None => return Ok(self.listed(list, entries)),
                Some(next) if !seen.insert(next.clone()) => {
                    return Err(Error::EndlessList(format!("the server gave cursor {next} twice")));
                }
                Some(next) => cursor = Some(next),
            }
        }
        Err(Error::EndlessList(format!("it has more than {PAGES} pages")))
    }

    /// Judges the entries of a list one by one: a bad one does not spoil the others.
    fn listed(&self, list: List, entries: Vec<RawJson>) -> Vec<RawJson> {
        let name = if matches!(list, List::Resources) { "uri" } else { "name" };
        let mut known = HashMap::new();
        let judged = entries.into_iter().filter(|entry| {
            let Some(name) = entry.member(name).and_then(|name| name.string()) else {
                tracing::warn!(list = list.method(), "an entry without a name was left out");
                return false;
            };
            if list != List::Tools {
                return true;
            }
            match mirror::mirrored(entry) {
                Ok(mirrored) => {
                    known.insert(name, Arc::new(mirrored));
                    true
                }
                // MCP 2026-07-28 server/tools: excluded over HTTP; a pipe has no headers to mirror into.
                Err(why) if self.link.is_http() && self.is_modern() => {
                    tracing::warn!(tool = name, why, "a tool was left out");
                    false
                }
                Err(_) => true,
            }
        });
        let entries = judged.collect();
        if list == List::Tools {
            *self.tools.lock().unwrap_or_else(PoisonError::into_inner) = known;
        }
        entries
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let (Link::Http(http), Ok(runtime)) = (&self.link, tokio::runtime::Handle::try_current()) {
            let http = Arc::clone(http);
            runtime.spawn(async move { http.end().await });
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.inner.server).finish_non_exhaustive()
    }
}

const METHOD_NOT_FOUND: i64 = -32601;
