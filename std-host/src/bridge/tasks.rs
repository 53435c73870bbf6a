//! Tools that run only as a task (MCP 2025-11-25 basic/utilities/tasks). The gate follows the task,
//! and its client gets the result as that of a plain call.

use super::connection::Lent;
use super::following::followed;
use super::json::text;
use super::limits::{POLL_LEAST, POLL_MOST, TASK_TIME};
use super::requests::{asking, request};
use super::upstream::Upstream;
use crate::backend::Call;
use crate::client::{Client, Error, RawJson, Request};
use core::time::Duration;
use serde_json::json;
use tokio::time::sleep;

/// Whether an upstream runs its tools as tasks. Without it, a tool that needs a task cannot be called.
pub(super) fn are_offered(client: &Client) -> bool {
    !client.version().is_modern() && client.server().has(&["tasks", "requests", "tools", "call"])
}

/// Runs a call as a task, and returns the result of the task.
pub(super) async fn run(upstream: &Upstream, connection: &Lent, call: &Call) -> Result<RawJson, Error> {
    let client = &connection.client;
    let life = RawJson::of(&json!({ "ttl": TASK_TIME.as_millis() })).unwrap_or_else(|_| RawJson::empty_object());
    let created =
        followed(upstream, call, client.attended(request(upstream, call, connection).param("task", life))).await?;
    // The upstream may have answered at once.
    let Some(mut task) = created.member("task") else { return Ok(created) };
    let id = text(&task, "taskId").ok_or_else(|| Error::Invalid("a task without an id".to_owned()))?;
    let mut running = Running { client: client.clone(), id: Some(id.clone()) };
    // In the state `input_required`, the questions come with the request for the result.
    while is_working(&task) {
        sleep(pause(&task)).await;
        task = client.request(Request::new("tasks/get").text("taskId", &id)).await?;
    }
    let result = followed(
        upstream,
        call,
        client.attended(asking(Request::new("tasks/result").text("taskId", &id), upstream, call, connection)),
    );
    let result = result.await;
    running.id = None;
    result
}

fn is_working(task: &RawJson) -> bool {
    text(task, "status").as_deref() == Some("working")
}

/// The pause that the upstream asks for, within limits.
fn pause(task: &RawJson) -> Duration {
    let asked = task.member("pollInterval").and_then(|time| time.read::<f64>().ok()).filter(|time| *time >= 0.0);
    let asked = asked.and_then(|time| Duration::try_from_secs_f64(time / 1000.0).ok()).unwrap_or(POLL_MOST);
    asked.clamp(POLL_LEAST, POLL_MOST)
}

/// A task that runs. Dropping it cancels the task.
struct Running {
    client: Client,
    id: Option<String>,
}

impl Drop for Running {
    // MCP 2025-11-25 basic/utilities/tasks, "Task Cancellation": a task is cancelled by `tasks/cancel`, and not by a notification.
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let client = self.client.clone();
            runtime.spawn(async move { client.request(Request::new("tasks/cancel").text("taskId", &id)).await });
        }
    }
}
