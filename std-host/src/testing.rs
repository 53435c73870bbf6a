//! A client in memory, for tests of a server's tools: no socket, no port, no handshake.
//!
//! ```
//! use attache_host::testing::Client;
//! use attache_host::{Ctx, NoArgs, Server};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let server = Server::new("t", "1").tool("pi", "Pi, roughly", |_: NoArgs, _: Ctx| async { "3.14" });
//! let result = Client::of(server).call("pi", json!({})).await.expect("a result");
//! assert_eq!(result["content"][0]["text"], "3.14");
//! # }
//! ```

use crate::admission::Place;
use crate::engine::{Answer, Pending, Server, Step};
use crate::observe::Transport;
use crate::{ServerBuilder, stdio};
use attache_core::exchange::{Carrier, open};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// A client of revision 2026-07-28. It sends the messages of a real client, and gets the answers of
/// standard input and output.
#[derive(Clone, Debug)]
pub struct Client {
    server: Arc<Server>,
    capabilities: Value,
    told: Vec<Value>,
}

impl Client {
    /// Creates a client of this server, without capabilities. Declare them with
    /// [`capable`](Client::capable).
    pub fn of(server: ServerBuilder) -> Self {
        Self { server: server.build(), capabilities: json!({}), told: Vec::new() }
    }

    /// Declares these capabilities, such as `{"elicitation": {"form": {}}}`.
    #[must_use]
    pub fn capable(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Calls a tool and returns its result, which may be a failure (`isError`) or a question
    /// (`inputRequests`).
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
    /// If `params` is not an object, or if the request opens a subscription, which does not end.
    pub async fn request(&mut self, method: &str, mut params: Value) -> Result<Value, Value> {
        let meta = &mut params["_meta"];
        meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = Bytes::from(message.to_string());
        let who = stdio::who();
        let moment = self.server.now();
        let opened = open(&moment.server(), &who, Carrier::Line(None), &body);
        let mut watch = self.server.watch(Transport::Line);
        moment.opened(&opened, &who, &body, &mut watch);
        let answer = match moment
            .start(opened.next, &who, body, Place::default(), None, watch)
            .expect("a request has an answer")
        {
            Pending::Ready(answer) => answer.bytes.to_vec(),
            Pending::Running(mut running) => {
                let mut answer = Vec::new();
                loop {
                    match running.step().await {
                        Step::Told(message) => self.told.push(read(&message)),
                        Step::Piece(piece) => answer.extend_from_slice(&piece),
                        Step::Last(Answer { bytes, .. }) => {
                            answer.extend_from_slice(&bytes);
                            break answer;
                        }
                        Step::Broken | Step::Gone => panic!("the answer of {method} broke off"),
                    }
                }
            }
            Pending::Listening(_) => panic!("a subscription has no end to wait for"),
        };
        let mut answer = read(&answer);
        match answer.get("error") {
            Some(_) => Err(answer["error"].take()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Takes the notifications that arrived with the answers so far: progress and log messages.
    pub fn told(&mut self) -> Vec<Value> {
        core::mem::take(&mut self.told)
    }
}

fn read(message: &[u8]) -> Value {
    serde_json::from_slice(message).expect("the server writes JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ctx, Elicited, NoArgs, ToolError};

    #[tokio::test]
    async fn client_sees_results_failures_errors_and_what_is_told_meanwhile() {
        let server = Server::new("t", "1")
            .tool("fine", "d", |_: NoArgs, ctx: Ctx| async move {
                ctx.progress(1.0, None, None).await;
                "done"
            })
            .tool("fails", "d", |_: NoArgs, _: Ctx| async { Err::<(), _>(ToolError::user("no")) });
        let mut client = Client::of(server);
        let params = json!({"name": "fine", "_meta": {"progressToken": 7}});
        let result = client.request("tools/call", params).await.unwrap();
        assert_eq!(result["content"][0]["text"], "done");
        assert_eq!(client.told()[0]["params"]["progressToken"], 7);
        assert!(client.told().is_empty());
        assert_eq!(client.call("fails", json!({})).await.unwrap()["isError"], true);
        assert_eq!(client.call("none", json!({})).await.unwrap_err()["code"], -32602);
    }

    #[tokio::test]
    async fn client_that_declares_it_is_asked() {
        let server = Server::new("t", "1").tool("asks", "d", |_: NoArgs, ctx: Ctx| async move {
            let schema = json!({"type": "object", "properties": {"sure": {"type": "boolean"}}});
            match ctx.elicit("sure", "Sure?", schema)? {
                Elicited::Accepted(_) => Ok("yes"),
                _ => Err(ToolError::user("no")),
            }
        });
        let mut client = Client::of(server).capable(json!({"elicitation": {"form": {}}}));
        let asked = client.call("asks", json!({})).await.unwrap();
        assert_eq!(asked["resultType"], "input_required");
        let answers = json!({"sure": {"action": "accept", "content": {"sure": true}}});
        let again = json!({"name": "asks", "arguments": {}, "inputResponses": answers});
        assert_eq!(client.request("tools/call", again).await.unwrap()["content"][0]["text"], "yes");
    }
}
