//! Custom handlers: an executable of the app that gets each call as an HTTP request.

use super::function_json;
use super::limits::{BACK_OFF_FIRST, BACK_OFF_MOST, MESSAGE, READY_CHECK, READY_TIME, SUSTAINED, WAIT_TIME};
use super::lines::Lines;
use super::messages::{
    Data, InvocationRequest, NullableBool, NullableDouble, NullableString, RpcHttp, RpcHttpCookie, TypedData,
};
use super::process::{Launch, Process};
use super::results;
use super::settings::{AppSettings, CustomHandler, InvalidApp};
use super::start::{Failure, Reported, fresh_id};
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// The process of a custom handler, started again when it ends. Dropping it kills the process.
pub(super) struct Handler {
    lines: Lines,
    address: watch::Receiver<Option<SocketAddr>>,
    stop: watch::Sender<bool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// Why a call of a handler has no value.
pub(super) enum Unanswered {
    /// The handler has ended, or was not started.
    Lost(String),
    /// The function has failed.
    Failed(String),
}

/// Returns the command that starts the handler of an app, with these environment variables.
pub(super) fn launch(
    directory: &Path,
    custom: &CustomHandler,
    settings: &AppSettings,
    environment: Vec<(OsString, OsString)>,
) -> Launch {
    let program = settings.expand(&custom.program);
    let own = directory.join(&program);
    let program = if own.is_file() { own.into_os_string() } else { program.into() };
    let working = directory.join(settings.expand(&custom.directory));
    Launch {
        program,
        arguments: custom.arguments.iter().map(|argument| settings.expand(argument).into()).collect(),
        environment,
        directory: working,
        worker_directory: directory.to_owned(),
        supervision: None,
    }
}

impl Handler {
    /// Starts the handler, and reads the functions of the app.
    ///
    /// # Errors
    /// If the handler does not answer, or a function cannot be read.
    pub(super) async fn start(
        app: Arc<str>,
        levels: Arc<[(String, i32)]>,
        directory: &Path,
        launch: Launch,
        port: Option<u16>,
    ) -> Result<(Self, Reported), Failure> {
        let unread = |error: InvalidApp| Failure::App { text: error.to_string(), lines: Vec::new() };
        let functions = function_json::read(directory).map_err(unread)?;
        let recipe = Recipe { app, levels, launch, root: directory.to_string_lossy().into_owned(), port };
        let (process, address, lines) = recipe.start().await?;
        let (sender, watched) = watch::channel(Some(address));
        let stop = watch::Sender::new(false);
        let keeper = tokio::spawn(recipe.keep(process, sender, stop.subscribe()));
        let handler = Self { lines, address: watched, stop, keeper: Mutex::new(Some(keeper)) };
        Ok((handler, functions.into_iter().map(|function| (function, None)).collect()))
    }

    /// Runs a call of a function.
    pub(super) async fn call(
        &self,
        function: &str,
        request: InvocationRequest,
    ) -> Result<Option<TypedData>, Unanswered> {
        let id = request.invocation_id.clone();
        let body = Bytes::from(body(request).to_string());
        let stream = timeout(WAIT_TIME, self.connect()).await;
        let stream = stream.map_err(|_| Unanswered::Lost("the handler is not running".to_owned()))?;
        let (status, body) = send(stream, Method::POST, &format!("/{function}"), body, &id)
            .await
            .map_err(|error| Unanswered::Lost(error.to_string()))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body).into_owned();
            return Err(Unanswered::Failed(format!("the handler has answered with {status}: {text}")));
        }
        self.value(&body).map_err(Unanswered::Failed)
    }

    /// Connects to the handler, as soon as it runs.
    async fn connect(&self) -> TcpStream {
        loop {
            let up = *self.address.borrow();
            // A handler that has just ended refuses connections.
            if let Some(address) = up
                && let Ok(stream) = TcpStream::connect(address).await
            {
                return stream;
            }
            sleep(READY_CHECK).await;
        }
    }

    /// Reads the value out of an answer, and logs its lines.
    // azure.md B.3: `{"Outputs": {}, "Logs": [], "ReturnValue": …}`.
    fn value(&self, body: &[u8]) -> Result<Option<TypedData>, String> {
        let answer: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| format!("the answer of the handler is not a JSON object: {error}"))?;
        let of = |name: &str| answer.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        for line in of("Logs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            self.lines.console(line, false);
        }
        // The response of an HTTP trigger is the output of its binding of type http, or the value.
        let outputs = of("Outputs").and_then(Value::as_object).into_iter().flat_map(Map::values);
        let is_response = |output: &&Value| output.get("statusCode").or(output.get("body")).is_some();
        if let Some(output) = outputs.chain(of("ReturnValue")).find(is_response) {
            return Ok(Some(Data::Http(Box::new(http_response(output))).into()));
        }
        Ok(match of("ReturnValue") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(Data::String(text.clone()).into()),
            Some(value) => Some(Data::Json(value.to_string()).into()),
        })
    }

    /// Ends the handler.
    pub(super) async fn stop(&self) {
        let _ = self.stop.send(true);
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            let _ = keeper.await;
        }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        keeper.iter().for_each(JoinHandle::abort);
    }
}

struct Recipe {
    app: Arc<str>,
    levels: Arc<[(String, i32)]>,
    launch: Launch,
    root: String,
    /// The port that host.json sets, if the handler does not read it from a variable.
    port: Option<u16>,
}

impl Recipe {
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
        let id = fresh_id();
        // azure.md B.2.
        for (name, value) in [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()),
            ("FUNCTIONS_HTTPWORKER_PORT", port.to_string()),
            ("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", id.clone()),
            ("FUNCTIONS_HTTPWORKER_ID", id),
            ("FUNCTIONS_APP_ROOT_PATH", self.root.clone()),
        ] {
            launch.environment.push((name.into(), value.into()));
        }
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
            status = process.ended() => Err(match status {
                Ok(status) => Failure::Exited { status, lines: lines.started() },
                Err(error) => failed(error),
            }),
        }
    }

    /// Starts the process again when it ends.
    async fn keep(self, process: Process, address: watch::Sender<Option<SocketAddr>>, mut stop: watch::Receiver<bool>) {
        let (mut process, mut begun, mut wait) = (Some(process), Instant::now(), Duration::ZERO);
        loop {
            if let Some(running) = &mut process {
                let ended = tokio::select! {
                    ended = running.ended() => Some(ended),
                    _ = stop.changed() => None,
                };
                let Some(ended) = ended else { return };
                tracing::warn!(app = &*self.app, ?ended, "the handler has ended and is started again");
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
            process = match self.start().await {
                Ok((started, at, _)) => {
                    address.send_replace(Some(at));
                    Some(started)
                }
                Err(failure) => {
                    tracing::error!(app = &*self.app, "the handler does not start: {failure}");
                    None
                }
            };
        }
    }
}

/// The response of an HTTP trigger, as custom handlers write it.
fn http_response(output: &Value) -> RpcHttp {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let headers = output.get("headers").and_then(Value::as_object).into_iter().flatten();
    let status = output.get("statusCode").or(output.get("status")).map(text).unwrap_or_default();
    let body = output.get("body").map(|body| Box::new(Data::String(text(body)).into()));
    let headers = headers.map(|(name, value)| (name.clone(), text(value))).collect();
    let cookies = output.get("cookies").and_then(Value::as_array).into_iter().flatten().map(http_cookie).collect();
    RpcHttp { status_code: status, headers, body, cookies, ..RpcHttp::default() }
}

fn http_cookie(cookie: &Value) -> RpcHttpCookie {
    let text = |key: &str| cookie[key].as_str().map(str::to_owned);
    let nullable = |key: &str| text(key).map(|text| NullableString { value: Some(text) });
    let switch = |key: &str| cookie[key].as_bool().map(|switch| NullableBool { value: Some(switch) });
    let same_site = match text("sameSite").unwrap_or_default().to_ascii_lowercase().as_str() {
        "lax" => 1,
        "strict" => 2,
        "none" => 3,
        _ => 0,
    };
    RpcHttpCookie {
        name: text("name").unwrap_or_default(),
        value: text("value").unwrap_or_default(),
        domain: nullable("domain"),
        path: nullable("path"),
        secure: switch("secure"),
        http_only: switch("httpOnly"),
        same_site,
        max_age: cookie["maxAge"].as_f64().map(|age| NullableDouble { value: Some(age) }),
        ..RpcHttpCookie::default()
    }
}

/// A request of an HTTP trigger, as custom handlers get it.
fn http_request(http: RpcHttp) -> Value {
    let headers: Map<String, Value> = http.headers.into_iter().map(|(name, value)| (name, json!([value]))).collect();
    let body = match http.body.and_then(|body| body.data) {
        Some(Data::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    };
    json!({
        "Url": http.url, "Method": http.method, "Query": http.query, "Headers": headers, "Params": http.params, "Body": body,
    })
}

/// Returns a port that is free at the moment.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The body of a call.
// azure.md B.3: strings in `Data` are encoded as JSON once more. Metadata keys that end in `trigger` are left out.
fn body(request: InvocationRequest) -> Value {
    let value = |data: Option<Data>| match data {
        None => Value::Null,
        Some(Data::String(text)) => Value::from(Value::from(text).to_string()),
        Some(Data::Json(text)) => Value::from(text),
        Some(Data::Bytes(bytes) | Data::Stream(bytes)) => String::from_utf8_lossy(&bytes).into_owned().into(),
        Some(Data::Int(number)) => number.into(),
        Some(Data::Double(number)) => number.into(),
        Some(Data::Http(http)) => http_request(*http),
        Some(list) => results::text(list).map_or(Value::Null, Value::from),
    };
    let data = request.input_data.into_iter().map(|item| (item.name, value(item.data.and_then(|data| data.data))));
    let data: Map<String, Value> = data.collect();
    let metadata = request
        .trigger_metadata
        .into_iter()
        .filter(|(name, _)| !name.to_ascii_lowercase().ends_with("trigger") && !data.contains_key(name));
    let metadata: Map<String, Value> = metadata.map(|(name, item)| (name, value(item.data))).collect();
    json!({ "Data": data, "Metadata": metadata })
}

/// Sends a request on a fresh connection.
async fn send(
    stream: TcpStream,
    method: Method,
    path: &str,
    body: Bytes,
    id: &str,
) -> Result<(StatusCode, Bytes), Box<dyn core::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let address = stream.peer_addr()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The connection is closed when the answer is read, or when the call is cancelled.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-azure-functions-invocationid", id)
        .body(Full::new(body))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MESSAGE).collect().await?.to_bytes();
    Ok((head.status, body))
}
