//! The client in memory.

use super::pipe::Pipe;
use super::question::{Answer, Question};
use crate::auth::Caller;
use crate::engine::Server;
use crate::visitor::Visitor;
use crate::{ServerBuilder, Version};
use core::fmt;
use http::Extensions;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A client in memory. It sends the messages of a real client over a pipe, and reads the answers.
///
/// By default it speaks revision 2026-07-28, declares no capabilities, and may use everything, like
/// a client on standard input and output. A clone is another client of the same server.
pub struct Client {
    server: Arc<Server>,
    revision: Version,
    caller: Option<Caller>,
    capabilities: Option<Value>,
    answers: Option<Arc<Answers>>,
    extensions: Extensions,
    pipe: Option<Pipe>,
    /// The id of the last request.
    last: u64,
    told: Vec<Value>,
}

/// The function that answers questions.
type Answers = dyn Fn(&Question) -> Answer + Send + Sync;

impl Client {
    /// Creates a client of this server.
    pub fn of(server: ServerBuilder) -> Self {
        Self {
            server: server.build(),
            revision: Version::V2026_07_28,
            caller: None,
            capabilities: None,
            answers: None,
            extensions: Extensions::new(),
            pipe: None,
            last: 0,
            told: Vec::new(),
        }
    }

    /// Declares these capabilities, such as `{"elicitation": {"form": {}}}`.
    #[must_use]
    pub fn capable(mut self, capabilities: Value) -> Self {
        self.capabilities = Some(capabilities);
        self.disconnected()
    }

    /// Calls as this caller, as if the server had authenticated it. The scopes and roles of the
    /// caller decide which tools it may use.
    #[must_use]
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = Some(caller);
        self.disconnected()
    }

    /// Speaks this revision of the protocol. The client makes the handshake of older revisions
    /// itself.
    #[must_use]
    pub fn revision(mut self, revision: Version) -> Self {
        self.revision = revision;
        self.disconnected()
    }

    /// Sets an extension of each request, as a layer in front of an HTTP endpoint does:
    /// [`Ctx::request_extension`](crate::Ctx::request_extension).
    #[must_use]
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self.disconnected()
    }

    /// Answers the questions of handlers, and declares all capabilities for it unless
    /// [`capable`](Client::capable) declares some. Without this, [`call`](Client::call) returns the
    /// question (`inputRequests`).
    #[must_use]
    pub fn answers(mut self, answer: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> Self {
        self.answers = Some(Arc::new(answer));
        self.disconnected()
    }

    /// Calls a tool and returns its result, which may be a failure (`isError`) or a question
    /// (`inputRequests`). The call asks for progress: see [`told`](Client::told).
    ///
    /// # Errors
    /// The protocol error.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, Value> {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Sends any request and returns its result.
    ///
    /// # Errors
    /// The protocol error.
    ///
    /// # Panics
    /// If `params` is not an object, or if the request opens a subscription, which does not end; or
    /// if [`answers`](Client::answers) has answered 16 questions of the call and it asks again.
    pub async fn request(&mut self, method: &str, mut params: Value) -> Result<Value, Value> {
        assert_ne!(method, "subscriptions/listen", "a subscription has no end to wait for");
        if self.pipe.is_none() {
            self.connect().await;
        }
        for _ in 0..QUESTIONS {
            let mut result = self.exchange(method, params.clone()).await?;
            let asked = result["inputRequests"].as_object();
            let (Some(asked), Some(answer)) = (asked, &self.answers) else { return Ok(result) };
            // MCP 2026-07-28 basic/patterns/mrtr: the client repeats the request with the answers.
            let answer = |(key, request): (&String, &Value)| {
                let question = Question { key: Some(key.clone()), request: request.clone() };
                (key.clone(), answer(&question).0)
            };
            params["inputResponses"] = asked.iter().map(answer).collect::<Map<_, _>>().into();
            match result["requestState"].take() {
                Value::Null => {}
                state => params["requestState"] = state,
            }
        }
        panic!("{method} asks again and again");
    }

    /// Takes the notifications that arrived with the answers so far: progress and log messages.
    pub fn told(&mut self) -> Vec<Value> {
        core::mem::take(&mut self.told)
    }

    /// Ends the connection, so that the next request begins another one with the current settings.
    fn disconnected(mut self) -> Self {
        self.pipe = None;
        self
    }

    fn capabilities(&self) -> Value {
        let all = || json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}});
        let unset = || if self.answers.is_some() { all() } else { json!({}) };
        self.capabilities.clone().unwrap_or_else(unset)
    }

    /// Connects, and makes the handshake of an older revision.
    async fn connect(&mut self) {
        let visitor = self.caller.as_ref().map_or(Ok(Visitor::anonymous()), Visitor::of);
        let mut visitor = visitor.expect("the claims of the caller have the types of the protocol");
        visitor.request = self.server.passed.of(&self.extensions);
        self.pipe = Some(Pipe::to(Arc::clone(&self.server), visitor));
        if self.revision.is_modern() {
            return;
        }
        let params = json!({
            "protocolVersion": self.revision.as_str(),
            "capabilities": self.capabilities(),
            "clientInfo": {"name": "attache-testing", "version": env!("CARGO_PKG_VERSION")},
        });
        self.exchange("initialize", params).await.expect("the server accepts the handshake");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    }

    /// Sends a request, answers what the server asks meanwhile, and returns the result.
    async fn exchange(&mut self, method: &str, mut params: Value) -> Result<Value, Value> {
        self.last += 1;
        let id = self.last;
        let is_call = matches!(method, "tools/call" | "prompts/get" | "resources/read");
        if is_call && params["_meta"]["progressToken"].is_null() {
            params["_meta"]["progressToken"] = id.into();
        }
        if self.revision.is_modern() {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = self.revision.as_str().into();
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities();
        }
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        loop {
            let mut message = self.pipe.as_mut().expect("the client is connected").receive().await;
            match (message.get("method").is_some(), message.get("id").is_some()) {
                (true, true) => self.reply(message).await,
                (true, false) => self.told.push(message),
                // The answer to an earlier request that was dropped.
                (false, _) if message["id"] != id => {}
                (false, _) if message.get("error").is_some() => return Err(message["error"].take()),
                (false, _) => return Ok(message["result"].take()),
            }
        }
    }

    /// Answers a question of a handler before revision 2026-07-28.
    async fn reply(&mut self, mut request: Value) {
        let id = request["id"].take();
        let answer = match &self.answers {
            Some(answer) => json!({"jsonrpc": "2.0", "id": id, "result": answer(&Question { key: None, request }).0}),
            None => json!({"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": "The test gives no answers"}}),
        };
        self.send(&answer).await;
    }

    async fn send(&mut self, message: &Value) {
        self.pipe.as_mut().expect("the client is connected").send(message).await;
    }
}

impl Clone for Client {
    fn clone(&self) -> Self {
        Self {
            server: Arc::clone(&self.server),
            revision: self.revision,
            caller: self.caller.clone(),
            capabilities: self.capabilities.clone(),
            answers: self.answers.clone(),
            extensions: self.extensions.clone(),
            pipe: None,
            last: 0,
            told: Vec::new(),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, revision, caller, .. } = self;
        f.debug_struct("Client")
            .field("server", server)
            .field("revision", revision)
            .field("caller", caller)
            .finish_non_exhaustive()
    }
}

/// The number of times that one call may ask.
const QUESTIONS: usize = 16;
