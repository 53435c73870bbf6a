//! What a server is made of, and the engine that answers for it.

use crate::limits;
use crate::tools::{AsyncTool, IntoToolOutput, Registry, Run, ToolOutput, escaped};
use attache_core::auth::{Access, Authenticated};
use attache_core::exchange::{Next, Reply, Ticket};
use attache_core::http::{LOOPBACK, Policy};
use attache_core::json::{Escaped, Full, Sink};
use attache_core::mcp;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// An MCP server in the making: a name, a version, and tools.
#[derive(Debug)]
pub struct Server {
    path: String,
    engine: Engine,
}

impl Server {
    /// A server with a name and a version of its own. It answers on `/mcp`, to the names of this machine alone
    /// (`localhost`, `127.0.0.1`, `[::1]`), until [`hosts`](Server::hosts) says otherwise.
    pub fn new(name: &str, version: &str) -> Self {
        let engine = Engine {
            name: escaped(name),
            version: escaped(version),
            instructions: None,
            tools: Registry::default(),
            hosts: LOOPBACK.iter().map(ToString::to_string).collect(),
            origins: Vec::new(),
            access: Access::Anonymous,
        };
        Self { path: "/mcp".to_owned(), engine }
    }

    /// Words for the model on how to use this server.
    #[must_use]
    pub fn instructions(mut self, text: &str) -> Self {
        self.engine.instructions = Some(escaped(text));
        self
    }

    /// Adds a tool: `description` is for the model, the schema of the arguments comes from their type.
    ///
    /// Arguments that do not fit the type never reach `handler`; the model is told what to mend. Arguments that the type
    /// does not name are refused, unless the type takes them (`#[serde(flatten)]` into a map).
    ///
    /// # Panics
    /// If the name is taken, or is not 1 to 128 characters of `A-Z a-z 0-9 _ - .`, or if the schema of the arguments is
    /// not that of an object. Each is a mistake in the program, found at its start.
    #[must_use]
    pub fn tool<A, R, F>(mut self, name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        F: AsyncTool<A, R>,
    {
        self.engine.tools.add(name, description, handler);
        self
    }

    /// Answers on this path instead of `/mcp`.
    ///
    /// # Panics
    /// If the path does not begin with a slash.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        assert!(path.starts_with('/'), "path {path:?} must begin with a slash");
        path.clone_into(&mut self.path);
        self
    }

    /// The names, without port, by which clients call this server; they replace those of the machine itself. With no
    /// name at all any `Host` is served: do that only where something in front has checked it.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.engine.hosts = names.into_iter().collect();
        self
    }

    /// Origins of web pages that may call, such as `https://app.example`, besides pages of this server's own hosts.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.engine.origins = origins.into_iter().collect();
        self
    }

    /// The finished server.
    pub fn build(self) -> Arc<Engine> {
        Arc::new(self.engine)
    }

    /// The endpoint, to be merged into a router.
    #[cfg(feature = "axum")]
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> axum::Router<S> {
        let path = self.path.clone();
        axum::Router::new().route_service(&path, crate::http::McpService::new(self.build()))
    }
}

/// A finished server. It is shared by all connections and never changes.
#[derive(Debug)]
pub struct Engine {
    name: String,
    version: String,
    instructions: Option<String>,
    tools: Registry,
    hosts: Vec<String>,
    origins: Vec<String>,
    access: Access,
}

impl Engine {
    /// The server as the protocol engine sees it.
    pub(crate) fn view(&self) -> mcp::Server<'_> {
        let text = Escaped::from_escaped;
        let server = mcp::Server::new(text(&self.name), text(&self.version), &self.tools);
        match &self.instructions {
            Some(instructions) => server.with_instructions(text(instructions)),
            None => server,
        }
    }

    pub(crate) fn policy(&self) -> Policy<'_, String> {
        Policy { hosts: &self.hosts, origins: &self.origins, access: self.access }
    }

    /// Starts what `next` asks for; `None` if there is nothing to answer.
    pub(crate) fn start(&self, next: Next, who: &Authenticated<'_>, body: Bytes) -> Option<Pending> {
        match next {
            Next::Ack => None,
            Next::Reply(reply) => Some(Pending::Ready(Answer::emitted(&reply, self, &body))),
            Next::Call(ticket) => {
                let run = self.tools.start(ticket.call(&body, who));
                Some(Pending::Running { ticket, body, run })
            }
        }
    }
}

/// An answer on its way. It needs nothing of the request any more but the body it holds.
pub(crate) enum Pending {
    Ready(Answer),
    Running { ticket: Ticket, body: Bytes, run: Run },
}

impl Pending {
    /// The answer, when the tool has ended.
    pub(crate) async fn answer(self, engine: &Engine) -> Answer {
        match self {
            Self::Ready(answer) => answer,
            Self::Running { ticket, body, run } => Answer::of_call(ticket, engine, &body, &run.await),
        }
    }
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn emitted(reply: &Reply, engine: &Engine, body: &[u8]) -> Self {
        let server = engine.view();
        let mut emission = reply.emit(&server, body, b"");
        let mut bytes = vec![0; emission.len()];
        emission.fill(&mut bytes);
        Self { status: reply.status(), bytes: bytes.into() }
    }

    fn of_call(mut ticket: Ticket, engine: &Engine, body: &[u8], output: &ToolOutput) -> Self {
        let mut sink = Growing(Vec::with_capacity(output.size_hint()));
        let reply = match ticket.begin(body, &mut sink) {
            Err(reply) => reply,
            Ok(mut out) => {
                let written = output.write(&mut out);
                ticket.finish(&engine.view(), out, written)
            }
        };
        match reply.error_reported() {
            Some(_) => Self::emitted(&reply, engine, body),
            None => Self { status: reply.status(), bytes: sink.0.into() },
        }
    }
}

/// A sink that grows, up to the largest result.
struct Growing(Vec<u8>);

impl Sink for Growing {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > limits::RESULT - self.0.len() {
            return Err(Full);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}
