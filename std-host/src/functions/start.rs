//! Starts a worker: its process, its stream, the first requests, and the functions of the app.

use super::endpoint::{Endpoint, Expected};
use super::function_json;
use super::limits::{FUNCTIONS, INIT_TIME, LOAD_TIME, START_TIME, STOP_TIME};
use super::lines::Lines;
use super::link::Link;
use super::messages::{
    Content, FunctionLoadRequest, FunctionsMetadataRequest, RpcFunctionMetadata, SUCCESS, StatusResult,
    WorkerInitRequest,
};
use super::process::{Launch, Process};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::process::ExitStatus;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A worker that has loaded the functions of the app.
pub(super) struct Worker {
    pub(super) link: Arc<Link>,
    pub(super) process: Process,
    /// Reserves the id of the worker.
    _expected: Expected,
}

/// Why a worker does not start.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The program cannot be started.
    Spawn { program: String, error: std::io::Error },
    /// The process has ended, and its last lines.
    Exited { status: ExitStatus, lines: Vec<String> },
    /// A step has reached its timeout.
    Timeout { step: &'static str, limit: Duration, lines: Vec<String> },
    /// The stream has ended.
    Lost { reason: Arc<str>, lines: Vec<String> },
    /// The app does not load: the message of the worker.
    App { text: String, lines: Vec<String> },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut after = |lines: &[String]| lines.iter().try_for_each(|line| writeln!(f, "{line}"));
        match self {
            Self::Spawn { program, error } => write!(f, "{program} cannot be started: {error}"),
            Self::Exited { status, lines } => {
                after(lines)?;
                write!(f, "the worker has ended ({status}) before it was ready")
            }
            Self::Timeout { step, limit, lines } => {
                after(lines)?;
                write!(f, "the worker {step} within {} s", limit.as_secs())
            }
            Self::Lost { reason, lines } => {
                after(lines)?;
                write!(f, "the worker was lost: {reason}")
            }
            Self::App { text, lines } => {
                after(lines)?;
                f.write_str(text)
            }
        }
    }
}

/// The functions that a worker reports, each with the error of its load if it has failed.
pub(super) type Reported = Vec<(RpcFunctionMetadata, Option<String>)>;

/// Starts a worker. If the functions of the app are `known`, the worker is not asked for them.
pub(super) async fn start(
    launch: &Launch,
    endpoint: &Endpoint,
    lines: &Lines,
    known: Option<&[RpcFunctionMetadata]>,
) -> Result<(Worker, Reported), Failure> {
    let id = fresh_id();
    let mut expected = endpoint.expect(&id);
    let arguments = arguments(endpoint.address(), &id);
    let mut process = Process::start(launch, &arguments, lines)
        .map_err(|error| Failure::Spawn { program: launch.program.to_string_lossy().into_owned(), error })?;
    let opened = tokio::select! {
        opened = expected.opened() => opened,
        status = process.ended() => return Err(exited(status, lines).await),
    };
    let kept = || lines.started();
    let Some(opened) = opened else {
        return Err(Failure::Timeout { step: "did not open its stream", limit: START_TIME, lines: kept() });
    };
    let (link, mut answers) = Link::open(opened, lines.clone());
    let loaded = tokio::select! {
        loaded = load(launch, &link, &mut answers, known) => loaded,
        status = process.ended() => return Err(exited(status, lines).await),
    };
    match loaded {
        Ok(reported) => Ok((Worker { link, process, _expected: expected }, reported)),
        Err(Unloaded::App(text)) => {
            let _ = link.terminate(STOP_TIME).await;
            Err(Failure::App { text, lines: kept() })
        }
        Err(Unloaded::Late { step, limit }) => Err(Failure::Timeout { step, limit, lines: kept() }),
        Err(Unloaded::Lost) => {
            // The exit status says more, and follows at once if there is one.
            match timeout(Duration::from_millis(500), process.ended()).await {
                Ok(status) => Err(exited(status, lines).await),
                Err(_) => Err(Failure::Lost { reason: link.reason(), lines: kept() }),
            }
        }
    }
}

pub(super) async fn exited(status: std::io::Result<ExitStatus>, lines: &Lines) -> Failure {
    // The last output may still be in the pipe.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let lines = lines.started();
    match status {
        Ok(status) => Failure::Exited { status, lines },
        Err(error) => Failure::Lost { reason: error.to_string().into(), lines },
    }
}

/// The arguments that tell a worker its host and its id.
// FunctionRpc: Node.js and .NET workers read the new names only, Python workers the old ones only.
fn arguments(address: SocketAddr, id: &str) -> Vec<String> {
    let (host, port, request) = (address.ip().to_string(), address.port().to_string(), fresh_id());
    let most = i32::MAX.to_string();
    let uri = format!("http://{address}/");
    let pairs = [
        ("--host", host.as_str()),
        ("--port", &port),
        ("--workerId", id),
        ("--requestId", &request),
        ("--grpcMaxMessageLength", &most),
        ("--functions-uri", &uri),
        ("--functions-worker-id", id),
        ("--functions-request-id", &request),
        ("--functions-grpc-max-message-length", &most),
    ];
    pairs.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
}

/// Returns a random id in the form of a UUID (RFC 9562 §5.4).
pub(crate) fn fresh_id() -> String {
    let mut bytes = [0; 16];
    // Without random numbers of the system, ids would not be secret. The process cannot go on then.
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    let number = u128::from_be_bytes(bytes) & !(0xF << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{number:032x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts.iter().filter_map(|(from, to)| hex.get(*from..*to)).collect::<Vec<_>>().join("-")
}

enum Unloaded {
    App(String),
    Late { step: &'static str, limit: Duration },
    Lost,
}

/// Makes the first requests. Each waits for its answer, because workers handle requests concurrently.
async fn load(
    launch: &Launch,
    link: &Link,
    answers: &mut mpsc::Receiver<Content>,
    known: Option<&[RpcFunctionMetadata]>,
) -> Result<Reported, Unloaded> {
    initialize(launch, link, answers).await?;
    let functions = match known {
        Some(known) => known.to_vec(),
        None => functions(launch, link, answers).await?,
    };
    // FunctionRpc: workers silently ignore a collection of load requests.
    let sending = async {
        for function in &functions {
            let metadata = Some(function.clone());
            link.send(Content::Load(FunctionLoadRequest { function_id: function.function_id.clone(), metadata })).await;
        }
        core::future::pending::<core::convert::Infallible>().await
    };
    let waiting = async {
        let mut results = HashMap::new();
        while results.len() < functions.len() {
            match answers.recv().await {
                Some(Content::Loaded(loaded)) => drop(results.insert(loaded.function_id, error(loaded.result))),
                Some(_) => {}
                None => return Err(Unloaded::Lost),
            }
        }
        Ok(results)
    };
    let mut results = timeout(LOAD_TIME, async {
        tokio::select! {
            results = waiting => results,
            never = sending => match never {},
        }
    })
    .await
    .map_err(|_| Unloaded::Late { step: "did not load the functions", limit: LOAD_TIME })??;
    Ok(functions
        .into_iter()
        .map(|function| {
            let error = results.remove(&function.function_id).flatten();
            (function, error)
        })
        .collect())
}

async fn initialize(launch: &Launch, link: &Link, answers: &mut mpsc::Receiver<Content>) -> Result<(), Unloaded> {
    let request = WorkerInitRequest {
        host_version: HOST_VERSION.to_owned(),
        worker_directory: launch.worker_directory.to_string_lossy().into_owned(),
        function_app_directory: launch.directory.to_string_lossy().into_owned(),
    };
    link.send(Content::Initialize(request)).await;
    let initialized = async {
        loop {
            match answers.recv().await {
                Some(Content::Initialized(response)) => return Ok(response),
                Some(_) => {}
                None => return Err(Unloaded::Lost),
            }
        }
    };
    let late = |_| Unloaded::Late { step: "did not answer the first request", limit: INIT_TIME };
    let response = timeout(INIT_TIME, initialized).await.map_err(late)??;
    if let Some(text) = error(response.result) {
        return Err(Unloaded::App(text));
    }
    let set = response.capabilities.into_iter().filter(|(_, value)| !value.is_empty());
    let _ = link.capabilities.set(set.map(|(name, _)| name).collect::<HashSet<_>>());
    if let Some(worker) = response.worker {
        let (runtime, version) = (worker.runtime_name, worker.runtime_version);
        tracing::debug!(runtime, version, worker = worker.worker_version, "a worker has connected");
    }
    Ok(())
}

/// The version of the platform's host whose behaviour this module follows. Workers compare it.
pub(super) const HOST_VERSION: &str = "4.1046.100";

/// Asks the worker for the functions of the app.
async fn functions(
    launch: &Launch,
    link: &Link,
    answers: &mut mpsc::Receiver<Content>,
) -> Result<Vec<RpcFunctionMetadata>, Unloaded> {
    let directory = launch.directory.to_string_lossy().into_owned();
    link.send(Content::ListFunctions(FunctionsMetadataRequest { function_app_directory: directory })).await;
    let listed = async {
        loop {
            match answers.recv().await {
                Some(Content::Functions(response)) => return Ok(response),
                Some(_) => {}
                None => return Err(Unloaded::Lost),
            }
        }
    };
    let late = |_| Unloaded::Late { step: "did not list its functions", limit: LOAD_TIME };
    let response = timeout(LOAD_TIME, listed).await.map_err(late)??;
    if let Some(text) = error(response.result) {
        return Err(Unloaded::App(text));
    }
    // FunctionRpc: a Node.js worker answers so if no file of the app could be loaded. Its log has the reason.
    if response.use_default_metadata_indexing {
        // Apps of older models and of Java describe their functions in files.
        let described = function_json::read(&launch.directory).map_err(|error| Unloaded::App(error.to_string()))?;
        if !described.is_empty() {
            return Ok(described);
        }
        return Err(Unloaded::App("the worker has found no function in the app".to_owned()));
    }
    if response.functions.len() > FUNCTIONS {
        return Err(Unloaded::App(format!(
            "the app has {} functions; the limit is {FUNCTIONS}",
            response.functions.len()
        )));
    }
    Ok(response.functions)
}

/// Returns the text of a result that is a failure. A missing result is one.
fn error(result: Option<StatusResult>) -> Option<String> {
    match result {
        Some(result) if result.status == SUCCESS => None,
        Some(result) => Some(result.describe()).map(|text| match text.is_empty() {
            true => "the worker reports a failure without a reason".to_owned(),
            false => text,
        }),
        None => Some("the worker has answered without a result".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_a_random_uuid() {
        let [first, second] = [fresh_id(), fresh_id()];
        assert_ne!(first, second);
        let parts: Vec<&str> = first.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts.get(2).is_some_and(|part| part.starts_with('4')), "{first}");
        assert!(parts.get(3).is_some_and(|part| part.starts_with(['8', '9', 'a', 'b'])), "{first}");
    }
}
