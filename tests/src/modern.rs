//! A client of revision 2026-07-28 with the features that the tests need: over a socket, over
//! lines, and in this process.

use crate::implementations::{Answering, Http, headers};
use ::core::time::Duration;
use attache_host::http::McpService;
use attache_host::{ServerBuilder, stdio};
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinHandle;
use tower_service::Service;

/// Makes a request. The members of `_meta` in `params` are added to the required ones, or replace
/// them.
pub(crate) fn request(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    if let Some(Value::Object(said)) = params.as_object_mut().and_then(|params| params.remove("_meta")) {
        meta.as_object_mut().expect("an object").extend(said);
    }
    params["_meta"] = meta;
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

/// The `_meta` of a request that declares these capabilities of its client.
pub(crate) fn able(capabilities: Value) -> Value {
    json!({"io.modelcontextprotocol/clientCapabilities": capabilities})
}

/// A client over a socket.
pub(crate) struct Client(pub(crate) Http);

impl Client {
    pub(crate) fn of(server: ServerBuilder) -> Self {
        Self(Http::start(server))
    }

    /// Sends a request on a new connection.
    pub(crate) fn open(&self, method: &str, params: Value) -> Answering {
        self.send(&request(1, method, params))
    }

    /// Sends a message with the headers that match it.
    pub(crate) fn send(&self, message: &Value) -> Answering {
        let params = &message["params"];
        let name = params["name"].as_str().or(params["uri"].as_str());
        let method = message["method"].as_str().expect("a method");
        self.0.open(&headers(method, name), message.to_string().as_bytes())
    }

    /// Returns the status and body of a plain answer.
    pub(crate) fn ask(&self, method: &str, params: Value) -> (u16, Value) {
        let answer = self.open(method, params);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method}");
        let status = answer.status;
        let answer: Value = serde_json::from_slice(&answer.rest()).expect("JSON");
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)), "{answer}");
        (status, answer)
    }

    pub(crate) fn result(&self, method: &str, params: Value) -> Value {
        let (status, mut answer) = self.ask(method, params);
        assert_eq!((status, answer.get("error")), (200, None), "{method}: {answer}");
        answer["result"].take()
    }

    /// Returns the status and error of a refused request.
    pub(crate) fn error(&self, method: &str, params: Value) -> (u16, Value) {
        let (status, mut answer) = self.ask(method, params);
        assert_eq!(answer.get("result"), None, "{method}: {answer}");
        (status, answer["error"].take())
    }

    /// Returns the status and code of a refused request.
    pub(crate) fn refusal(&self, method: &str, params: Value) -> (u16, i64) {
        let (status, error) = self.error(method, params);
        (status, error["code"].as_i64().expect("a code"))
    }
}

/// A client over lines.
pub(crate) struct Pipe {
    out: WriteHalf<DuplexStream>,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Pipe {
    pub(crate) fn to(server: ServerBuilder) -> Self {
        let (here, there) = duplex(1024 * 1024);
        let (input, output) = split(there);
        let serving = tokio::spawn(stdio::serve(server.build(), input, output));
        let (answers, out) = split(here);
        Self { out, lines: BufReader::new(answers).lines(), serving }
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.say_all(&format!("{message}\n")).await;
    }

    /// Writes several lines in one write.
    pub(crate) async fn say_all(&mut self, lines: &str) {
        self.out.write_all(lines.as_bytes()).await.expect("the lines are taken");
    }

    pub(crate) async fn ask(&mut self, id: impl Into<Value>, method: &str, params: Value) {
        self.say(&request(id, method, params)).await;
    }

    pub(crate) async fn hear(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        serde_json::from_str(&line.expect("readable").expect("a line")).expect("JSON")
    }

    /// Closes the input, and returns the remaining lines.
    pub(crate) async fn end(mut self) -> Vec<Value> {
        self.out.shutdown().await.expect("closed");
        let mut rest = Vec::new();
        while let Some(line) = self.lines.next_line().await.expect("readable") {
            rest.push(serde_json::from_str(&line).expect("JSON"));
        }
        self.serving.await.expect("no panic").expect("no failure");
        rest
    }
}

/// A client that calls the service itself.
pub(crate) struct Local(pub(crate) McpService);

impl Local {
    pub(crate) fn of(server: ServerBuilder) -> Self {
        Self(McpService::new(server.build()))
    }

    pub(crate) async fn open(&mut self, message: &Value) -> Response<Body> {
        let mut post = Request::post("/mcp");
        for (name, value) in headers(message["method"].as_str().expect("a method"), message["params"]["name"].as_str())
        {
            post = post.header(name, value);
        }
        let Ok(response) = self.0.call(post.body(Body::from(message.to_string())).expect("a request")).await;
        response.map(Body::new)
    }
}

/// Returns the next frame of a stream, or `None` at its end.
pub(crate) async fn frame(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.expect("it does not fail").into_data().expect("data");
    Some(String::from_utf8(frame.to_vec()).expect("UTF-8"))
}

/// Returns the message in a frame that is one event.
pub(crate) async fn event(body: &mut Body) -> Option<Value> {
    let frame = frame(body).await?;
    let data = frame.strip_prefix("event: message\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
    Some(serde_json::from_str(data.expect("one event")).expect("JSON"))
}

/// Far longer than any answer takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
