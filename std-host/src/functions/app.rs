//! A function app as a backend.

use super::context::{self, Unfit};
#[cfg(feature = "proxy")]
use super::custom;
use super::custom::{Handler, Unanswered};
#[cfg(feature = "oauth-client")]
use super::downstream::AppTokens;
use super::endpoint::Endpoint;
use super::function::{Function, Functions, read_all};
#[cfg(feature = "proxy")]
use super::function_json;
use super::headers::OfRequest;
use super::http_trigger::{self, HttpFunction};
use super::limits::{BACK_OFF_FIRST, DRAIN_CHECK, PROCESSES, STATUS_TIME, WAIT_TIME};
use super::lines::CallLog;
use super::link::{Invocation, Link};
use super::messages::{InvocationRequest, InvocationResponse, SUCCESS, TypedData};
use super::pool::Pool;
use super::refused::Refused;
use super::results;
use super::runtime::{Choices, Language, Runtime};
#[cfg(feature = "proxy")]
use super::served::Recipe;
use super::settings::{AppSettings, HostFile, InvalidApp};
use super::start::{Failure, Reported};
use super::{headers, watch};
use crate::backend::{Answer, Backend, Call, Kind, Publisher, Run};
use crate::children::Supervision;
#[cfg(feature = "oauth-client")]
use crate::downstream::Downstream;
use core::fmt;
use core::pin::Pin;
use core::time::Duration;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A function app that is not started yet.
#[derive(Clone, Debug)]
#[must_use]
pub struct AppBuilder {
    directory: PathBuf,
    host: HostFile,
    settings: AppSettings,
    choices: Choices,
    processes: Option<usize>,
    #[cfg(feature = "oauth-client")]
    tokens: Option<AppTokens>,
}

/// Why an app does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The files of the app cannot be used.
    Invalid(InvalidApp),
    /// The endpoint for workers cannot be opened.
    Endpoint(std::io::Error),
    /// The app does not load: its own output and traceback, and a line of advice.
    Load {
        /// The output of the worker and the app.
        output: String,
        /// The advice for the operator.
        advice: String,
    },
    /// The functions of the app conflict with each other, or with this host. Each text names the
    /// function and the key.
    Functions(Vec<String>),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => write!(f, "{invalid}"),
            Self::Endpoint(error) => write!(f, "no port for workers can be opened on this machine: {error}"),
            Self::Load { output, advice } => write!(f, "{output}\n{advice}"),
            Self::Functions(faults) => f.write_str(&faults.join("\n")),
        }
    }
}

impl core::error::Error for StartError {}

impl From<InvalidApp> for StartError {
    fn from(invalid: InvalidApp) -> Self {
        Self::Invalid(invalid)
    }
}

impl AppBuilder {
    /// The settings of `host.json`.
    pub const fn host(&self) -> &HostFile {
        &self.host
    }

    /// Runs the app with the official worker in this directory, which has a `worker.config.json`.
    pub fn worker(mut self, directory: impl Into<PathBuf>) -> Self {
        self.choices.worker = Some(directory.into());
        self
    }

    /// Starts this number of worker processes. Default: the setting `FUNCTIONS_WORKER_PROCESS_COUNT`, else what the
    /// worker needs.
    pub const fn processes(mut self, processes: usize) -> Self {
        self.processes = Some(processes);
        self
    }

    /// Sets an environment variable of the app. Otherwise the app gets the values of `local.settings.json`, the
    /// variables of the platform, and those that a program needs, such as `PATH`.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.choices.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts the worker processes under a supervision, whose watchdog ends them if this program is killed.
    pub fn supervision(mut self, supervision: &Supervision) -> Self {
        self.choices.supervision = Some(supervision.clone());
        self
    }

    /// Shows functions a token of their caller for another server, as the platform does: in the header field
    /// `X-MS-TOKEN-<PROVIDER>-ACCESS-TOKEN`, for the provider `aad`, for example. Functions see header fields inside of
    /// [`WithHeadersLayer`](super::WithHeadersLayer). The server needs
    /// [`ServerBuilder::keep_caller_tokens`](crate::ServerBuilder::keep_caller_tokens). A provider whose name cannot be in a header
    /// field has no tokens.
    #[cfg(feature = "oauth-client")]
    pub fn downstream(mut self, provider: &str, tokens: Downstream) -> Self {
        self.tokens = AppTokens::new(provider, tokens);
        self
    }

    /// Starts the app, and waits until its functions are loaded.
    ///
    /// # Errors
    /// If the app does not load, or has a mistake.
    pub async fn start(self) -> Result<App, StartError> {
        let endpoint = Arc::new(Endpoint::open().await.map_err(StartError::Endpoint)?);
        let loaded = self.load(&endpoint).await?;
        let loaded = RwLock::new(Arc::new(loaded));
        Ok(App(Arc::new(Inner { builder: self, endpoint, loaded, publisher: Mutex::default() })))
    }

    /// Starts workers that load the functions of the app.
    async fn load(&self, endpoint: &Arc<Endpoint>) -> Result<Loaded, StartError> {
        let runtime = Runtime::find(&self.directory, &self.host, &self.settings, &self.choices)?;
        let (engine, reported) =
            self.start_engine(&runtime, endpoint).await.map_err(|failure| load_error(&failure, runtime.language))?;
        match offered(reported, self.host.ignored.clone()) {
            Ok((functions, http, warnings)) => {
                Ok(Loaded { functions, http, warnings, engine, timeout: self.host.timeout, _runtime: runtime })
            }
            Err(faults) => {
                engine.stop().await;
                Err(StartError::Functions(faults))
            }
        }
    }

    async fn start_engine(&self, runtime: &Runtime, endpoint: &Arc<Endpoint>) -> Result<(Engine, Reported), Failure> {
        let (name, launch) = (self.name(), runtime.launch.clone());
        let levels: Arc<[_]> = self.host.log_levels.clone().into();
        if let Some(port) = runtime.custom {
            let (handler, reported) = Handler::start(name, levels, &self.directory, launch, port).await?;
            return Ok((Engine::Handler(handler), reported));
        }
        let processes = self.settings.text("FUNCTIONS_WORKER_PROCESS_COUNT").and_then(|count| count.parse().ok());
        let processes = self.processes.or(processes).unwrap_or(runtime.processes).clamp(1, PROCESSES);
        let (pool, reported) = Pool::start(name, levels, launch, Arc::clone(endpoint), processes).await?;
        Ok((Engine::Workers(pool), reported))
    }

    /// The command of a handler that is a server of its own.
    ///
    /// # Errors
    /// If the app has functions as well, or its program is not set.
    #[cfg(feature = "proxy")]
    pub(crate) fn handler(&self) -> Result<Recipe, StartError> {
        let runtime = Runtime::find(&self.directory, &self.host, &self.settings, &self.choices)?;
        // The platform refuses both together.
        if let [function, ..] = function_json::read(&self.directory)?.as_slice() {
            let what = format!(
                "host.json has routes for the handler, and there is a function.json of {}: remove one of them",
                function.name
            );
            return Err(StartError::Functions(vec![what]));
        }
        let levels = self.host.log_levels.clone().into();
        Ok(custom::recipe(self.name(), levels, &self.directory, runtime.launch.clone(), runtime.custom.flatten()))
    }

    /// The name of the app in the log: that of its directory.
    fn name(&self) -> Arc<str> {
        self.directory.file_name().map_or("app".into(), |name| name.to_string_lossy().into())
    }
}

/// The functions that are offered, and warnings.
type Offered = (HashMap<Key, Function>, Vec<HttpFunction>, Vec<String>);

/// Returns the functions that are offered, and what the operator should know.
///
/// # Errors
/// Returns the faults that prevent the app from being served.
fn offered(reported: Reported, mut warnings: Vec<String>) -> Result<Offered, Vec<String>> {
    let Functions { mcp: functions, http, refused } = read_all(reported);
    let mut faults = Vec::new();
    for reason in refused {
        match reason {
            Refused::Invalid(what) => faults.push(what),
            Refused::Unsupported(what) => warnings.push(what),
        }
    }
    warnings.extend(functions.iter().filter_map(|function| {
        let error = function.unloaded.as_ref()?;
        Some(format!("function {}: it was not loaded, and its calls fail: {error}", function.name))
    }));
    if faults.is_empty() && functions.is_empty() {
        faults.append(&mut warnings);
        faults.push("the app has no function with an MCP trigger (tool, resource or prompt)".to_owned());
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let keyed = functions.into_iter().map(|function| (key(function.entry.kind(), function.entry.key()), function));
    Ok((keyed.collect(), http, warnings))
}

/// Says why the handler of an app has not started.
#[cfg(feature = "proxy")]
pub(crate) fn handler_error(failure: &Failure) -> StartError {
    load_error(failure, Language::Custom)
}

/// Turns the failure of a start into the output of the app and a line of advice.
fn load_error(failure: &Failure, language: Language) -> StartError {
    let output = failure.to_string();
    let says = |text: &str| output.contains(text);
    let advice = match language {
        Language::Python if says("No module named 'azure") => {
            "The app needs its packages: python3 -m venv .venv && .venv/bin/pip install -r requirements.txt (or azure-functions)"
        }
        Language::Python if says("No module named") => {
            "Install the missing package into the app's .venv: .venv/bin/pip install NAME"
        }
        Language::Node
            if says("Cannot find module '@azure/functions") || says("Cannot find package '@azure/functions") =>
        {
            "The app needs its packages: npm install"
        }
        Language::Node if says("No file matches \"main\"") => {
            "If the app is written in TypeScript, compile it first: npm run build"
        }
        Language::Custom => {
            "The handler (customHandler.description in host.json) must start, and answer GET / on FUNCTIONS_CUSTOMHANDLER_PORT"
        }
        _ if matches!(failure, Failure::Spawn { .. }) => "Install the interpreter of the app, or put it on PATH",
        _ => "The app did not load. Correct the error above and start again",
    };
    StartError::Load { output, advice: advice.to_owned() }
}

/// A running function app. Its MCP triggers are the tools, resources and prompts of a server. Clones are the same app.
///
/// Start it, and add it to a server, inside of one Tokio runtime.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    builder: AppBuilder,
    endpoint: Arc<Endpoint>,
    /// Replaced when the app is reloaded. A call keeps those with which it has begun.
    loaded: RwLock<Arc<Loaded>>,
    publisher: Mutex<Option<Publisher>>,
}

/// The kind of an entry, and its name, URI or template.
type Key = (u8, String);

fn key(kind: Kind, name: &str) -> Key {
    (kind as u8, name.to_owned())
}

/// The outcome of a call of a function with an HTTP trigger.
pub(super) enum Called {
    Value(Option<TypedData>),
    Failed,
    Late,
    Lost,
}

/// The engine that runs the functions.
enum Engine {
    Workers(Pool),
    Handler(Handler),
}

impl Engine {
    async fn stop(&self) {
        match self {
            Self::Workers(pool) => pool.stop().await,
            Self::Handler(handler) => handler.stop().await,
        }
    }
}

/// The functions of an app and the workers that have loaded them.
struct Loaded {
    functions: HashMap<Key, Function>,
    http: Vec<HttpFunction>,
    warnings: Vec<String>,
    engine: Engine,
    timeout: Option<Duration>,
    /// Keeps the files of the worker.
    _runtime: Runtime,
}

impl App {
    /// Reads the files of the app in a directory.
    ///
    /// # Errors
    /// If the directory has no app, or its configuration is malformed.
    pub fn at(directory: impl AsRef<Path>) -> Result<AppBuilder, InvalidApp> {
        let directory = directory.as_ref();
        let unreadable = |error| InvalidApp::Unreadable { file: directory.to_owned(), error };
        let directory = directory.canonicalize().map_err(unreadable)?;
        let (host, settings) = (HostFile::read(&directory)?, AppSettings::read(&directory)?);
        Ok(AppBuilder {
            directory,
            host,
            settings,
            choices: Choices::default(),
            processes: None,
            #[cfg(feature = "oauth-client")]
            tokens: None,
        })
    }

    /// Warnings for the operator: functions that are not offered, and settings without effect.
    pub fn warnings(&self) -> Vec<String> {
        self.0.loaded().warnings.clone()
    }

    /// The routes of functions with an HTTP trigger, with the prefix of all routes, sorted.
    pub fn http_routes(&self) -> Vec<String> {
        let prefix = self.0.builder.host.prefix();
        let loaded = self.0.loaded();
        let mut routes: Vec<_> = loaded.http.iter().map(|function| format!("{prefix}/{}", function.route())).collect();
        routes.sort();
        routes
    }

    /// Finds the function with an HTTP trigger for a request, and the parameters of its route.
    pub(super) fn find_http(
        &self,
        method: &http::Method,
        path: &str,
    ) -> Option<(HttpFunction, HashMap<String, String>)> {
        let path = path.strip_prefix(&self.0.builder.host.prefix())?;
        path.is_empty().then_some("/").or(Some(path)).filter(|path| path.starts_with('/'))?;
        let loaded = self.0.loaded();
        let (function, parameters) = http_trigger::find(&loaded.http, method, path)?;
        Some((function.clone(), parameters))
    }

    /// Runs a call of a function with an HTTP trigger.
    pub(super) async fn call_http(&self, function: &str, request: InvocationRequest) -> Called {
        let loaded = self.0.loaded();
        match &loaded.engine {
            Engine::Handler(handler) => match within(loaded.timeout, handler.call(function, request)).await {
                Some(Ok(value)) => Called::Value(value),
                Some(Err(Unanswered::Lost(reason) | Unanswered::Failed(reason))) => {
                    tracing::error!(function, "a function has failed: {reason}");
                    Called::Failed
                }
                None => Called::Late,
            },
            Engine::Workers(pool) => {
                let Some((link, mut invocation)) = invoke(pool, request).await else { return Called::Lost };
                match within(loaded.timeout, invocation.answer.receive()).await {
                    Some(Ok(response)) => match value(response) {
                        Ok(value) => Called::Value(value),
                        Err(error) => {
                            tracing::error!(function, "a function has failed: {error}");
                            Called::Failed
                        }
                    },
                    Some(Err(_)) => Called::Lost,
                    None => {
                        drop(invocation);
                        tokio::spawn(check(link));
                        Called::Late
                    }
                }
            }
        }
    }

    /// Loads the app again, as its files are now. The new workers have loaded it before the old ones end, and calls that
    /// run are not disturbed. Clients are notified of the lists that have changed.
    ///
    /// # Errors
    /// If the app does not load. Then it runs on as it was.
    pub async fn reload(&self) -> Result<(), StartError> {
        let builder = &self.0.builder;
        let mut fresh = Self::at(&builder.directory)?;
        (fresh.choices, fresh.processes) = (builder.choices.clone(), builder.processes);
        let loaded = Arc::new(fresh.load(&self.0.endpoint).await?);
        let old = core::mem::replace(&mut *self.0.loaded.write().unwrap_or_else(PoisonError::into_inner), loaded);
        self.0.publish();
        tokio::spawn(async move {
            // Calls hold the old workers.
            while Arc::strong_count(&old) > 1 {
                tokio::time::sleep(DRAIN_CHECK).await;
            }
            old.engine.stop().await;
        });
        Ok(())
    }

    /// Loads the app again whenever one of its files changes. Runs until it is dropped.
    pub async fn watch(self) {
        let mut files = watch::Files::of(&self.0.builder.directory);
        loop {
            files.changed().await;
            match self.reload().await {
                Ok(()) => {
                    self.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
                    tracing::info!(entries = self.entries().len(), "the app was loaded again");
                }
                Err(error) => tracing::error!("the app was not loaded again, the old one runs on: {error}"),
            }
        }
    }

    /// The entries of the app: kind, and name, URI or template, sorted.
    pub fn entries(&self) -> Vec<(Kind, String)> {
        let loaded = self.0.loaded();
        let mut entries: Vec<_> = loaded.functions.iter().collect();
        entries.sort_by_key(|(key, _)| *key);
        entries.into_iter().map(|(_, function)| (function.entry.kind(), function.entry.key().to_owned())).collect()
    }
}

impl Inner {
    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Publishes the entries of the functions.
    fn publish(&self) {
        let publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let loaded = self.loaded();
        let entries = loaded.functions.values().map(|function| function.entry.clone());
        for taken in publisher.map(|publisher| publisher.publish(entries)).unwrap_or_default() {
            tracing::warn!(app = &*self.builder.name(), %taken, "a function of the app is hidden");
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("directory", &self.0.builder.directory).finish_non_exhaustive()
    }
}

impl Backend for App {
    fn attach(&self, publisher: Publisher) {
        *self.0.publisher.lock().unwrap_or_else(PoisonError::into_inner) = Some(publisher);
        self.0.publish();
    }

    fn start(&self, call: Call) -> Run {
        let loaded = self.0.loaded();
        let origin = headers::of_request();
        #[cfg(feature = "oauth-client")]
        let (mut origin, tokens) = (origin, self.0.builder.tokens.clone());
        Box::pin(async move {
            #[cfg(feature = "oauth-client")]
            if let (Some(tokens), Some(origin)) = (&tokens, &mut origin) {
                tokens.put(&call, origin).await;
            }
            match loaded.functions.get(&key(call.kind(), call.name())) {
                Some(function) => run(&loaded, function, &call, origin).await,
                None => failed("The server is being reloaded: try again"),
            }
        })
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async { self.0.loaded().engine.stop().await })
    }
}

fn failed(text: &str) -> Answer {
    Answer::Failed(text.to_owned())
}

/// Runs a call of a function.
async fn run(loaded: &Loaded, function: &Function, call: &Call, origin: Option<OfRequest>) -> Answer {
    if let Some(error) = &function.unloaded {
        tracing::error!(function = function.name, %error, "a call failed: the function was not loaded");
        return failed(&format!("The function {} was not loaded; the server's log says why", function.name));
    }
    let request = match context::request(function, call, origin.as_ref()) {
        Ok(request) => request,
        // azure.md A.10: a missing argument is an error of the protocol.
        Err(Unfit::Missing(message)) => return Answer::Error { code: -32602, message, data: None },
        Err(Unfit::Invalid(reason)) => return Answer::Failed(reason),
    };
    match &loaded.engine {
        Engine::Workers(pool) => run_in_worker(pool, loaded.timeout, function, call, request).await,
        Engine::Handler(handler) => run_in_handler(handler, loaded.timeout, function, call, request).await,
    }
}

async fn run_in_worker(
    pool: &Pool,
    limit: Option<Duration>,
    function: &Function,
    call: &Call,
    request: InvocationRequest,
) -> Answer {
    let id = request.invocation_id.clone();
    let begun = invoke(pool, request).await;
    let Some((link, mut invocation)) = begun else {
        return failed("The function app is not running at the moment: try again later");
    };
    match within(limit, follow(&mut invocation, call)).await {
        Some(Ok(response)) => answer(function, call, &id, response),
        Some(Err(reason)) => lost(function, &reason),
        None => {
            drop(invocation);
            tokio::spawn(check(link));
            late(function, limit)
        }
    }
}

/// Starts a call in a worker that is up, or comes up soon.
async fn invoke(pool: &Pool, mut request: InvocationRequest) -> Option<(Arc<Link>, Invocation)> {
    let begun = async {
        loop {
            let link = pool.pick().await?;
            match link.invoke(request).await {
                Ok(invocation) => return Some((link, invocation)),
                // The worker has just ended, and its end was not noticed yet.
                Err(unsent) => request = *unsent,
            }
            tokio::time::sleep(BACK_OFF_FIRST / 10).await;
        }
    };
    tokio::time::timeout(WAIT_TIME, begun).await.ok().flatten()
}

async fn run_in_handler(
    handler: &Handler,
    limit: Option<Duration>,
    function: &Function,
    call: &Call,
    request: InvocationRequest,
) -> Answer {
    let id = request.invocation_id.clone();
    let value = match within(limit, handler.call(&function.name, request)).await {
        Some(Ok(value)) => value,
        Some(Err(Unanswered::Lost(reason))) => return lost(function, &reason),
        Some(Err(Unanswered::Failed(reason))) => return threw(function, &id, &reason),
        None => return late(function, limit),
    };
    match results::answer(function, call, value) {
        Ok(answer) => answer,
        Err(reason) => threw(function, &id, &format!("the function has returned what cannot be a result: {reason}")),
    }
}

/// Runs a future within a time limit, if there is one.
async fn within<T>(limit: Option<Duration>, run: impl Future<Output = T>) -> Option<T> {
    match limit {
        None => Some(run.await),
        Some(limit) => tokio::time::timeout(limit, run).await.ok(),
    }
}

fn late(function: &Function, limit: Option<Duration>) -> Answer {
    let seconds = limit.unwrap_or_default().as_secs();
    failed(&format!("The function {} did not end within {seconds} s (functionTimeout)", function.name))
}

/// Kills a worker that does not answer any more.
async fn check(link: Arc<Link>) {
    if !link.is_alive(STATUS_TIME).await {
        link.kill.notify_one();
    }
}

fn lost(function: &Function, reason: &str) -> Answer {
    tracing::error!(function = function.name, reason, "a call was lost with its worker");
    failed("The process that ran the function has ended before its answer; the call may have been carried out")
}

/// Waits for the answer, and passes log messages on.
async fn follow(invocation: &mut Invocation, call: &Call) -> Result<InvocationResponse, Arc<str>> {
    let Invocation { logs, answer, .. } = invocation;
    loop {
        let log = tokio::select! {
            biased;
            Some(log) = logs.recv() => log,
            answer = answer.receive() => return answer,
        };
        forward(call, log).await;
    }
}

/// Passes a log message of a function to the client that has asked for it.
async fn forward(call: &Call, log: CallLog) {
    let message = Some(log.message.as_str()).filter(|message| !message.is_empty());
    if let Some(progress) = log.progress {
        call.progress(progress, log.total, message).await;
    }
    if let Some(message) = message {
        call.log(super::level(log.level), Some(&log.category), &message).await;
    }
}

fn answer(function: &Function, call: &Call, id: &str, response: InvocationResponse) -> Answer {
    let invalid = |reason| format!("the function has returned what cannot be a result: {reason}");
    match value(response).and_then(|value| results::answer(function, call, value).map_err(invalid)) {
        Ok(answer) => answer,
        Err(error) => threw(function, id, &error),
    }
}

/// The value that a function has returned, or its error.
fn value(response: InvocationResponse) -> Result<Option<TypedData>, String> {
    match response.result {
        Some(result) if result.status == SUCCESS => Ok(response.return_value),
        Some(result) => Err(result.describe()),
        None => Err("the worker has answered without a result".to_owned()),
    }
}

/// The answer of a function that has failed.
fn threw(function: &Function, id: &str, error: &str) -> Answer {
    tracing::error!(function = function.name, invocation = id, "a function has failed: {error}");
    // azure.md A.10: a fixed text. The text of the function may hold secrets, and goes to the log.
    failed(&format!(
        "An error occurred invoking '{}'. The server's log has the cause under {id}.",
        function.entry.key()
    ))
}
