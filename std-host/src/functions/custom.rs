//! Custom handlers: an executable of the app that gets each call as an HTTP request.

use super::function_json;
use super::limits::{READY_CHECK, WAIT_TIME};
use super::lines::Lines;
use super::messages::{
    Data, InvocationRequest, NullableBool, NullableDouble, NullableString, RpcHttp, RpcHttpCookie, TypedData,
};
use super::process::Launch;
use super::results;
use super::served::{Address, Recipe, Served, Told, send};
use super::settings::{AppSettings, CustomHandler, InvalidApp};
use super::start::{Failure, Reported};
use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The process of a custom handler, started again when it ends. Dropping it kills the process.
pub(super) struct Handler {
    lines: Lines,
    served: Served,
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
        ..Launch::default()
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
        let (served, lines) = recipe(app, levels, directory, launch, port).serve(Address::new(None)).await?;
        Ok((Self { lines, served }, functions.into_iter().map(|function| (function, None)).collect()))
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
            let up = *self.served.address().borrow();
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
        self.served.stop().await;
    }
}

/// The command of the handler of an app.
pub(super) fn recipe(
    app: Arc<str>,
    levels: Arc<[(String, i32)]>,
    directory: &Path,
    launch: Launch,
    port: Option<u16>,
) -> Recipe {
    let told = Told::Platform { root: directory.to_string_lossy().into_owned() };
    Recipe { app, levels, launch, port, told }
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
