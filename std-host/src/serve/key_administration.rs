//! Administration of API keys over HTTP by the holder of the master key (learn.microsoft.com, "Work
//! with access keys in Azure Functions"; docs/authorization.md, "Keys").

use crate::auth::Auth;
use crate::auth::key_file::{Entry, KeyFile, Kind, Level, Unchanged, change, new_value, remove};
use crate::door::Door;
use crate::limits::{self, Limits};
use attache_core::auth::digest;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use core::time::Duration;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;

/// The shared state of the key administration routes.
#[derive(Debug)]
struct Administration {
    key_file: Arc<KeyFile>,
    door: Door,
    /// The deadline for a request body.
    body_time: Duration,
}

/// Returns the routes of key administration, below `/admin`, for the holder of the master key. They are behind a [`Door`] with
/// the allow-list `hosts` for `Host`, and with the rate limits of `limits`.
pub fn key_administration(key_file: Arc<KeyFile>, hosts: Vec<String>, limits: &Limits) -> Router {
    type Shared = State<Arc<Administration>>;
    let host = async |State(shared): Shared, Path(path): Path<Vec<String>>, request: Request| {
        let mut path = path.into_iter();
        let (collection, name) = (path.next().unwrap_or_default(), path.next());
        let kind = match (collection.as_str(), name.as_deref()) {
            ("systemkeys", Some(MASTER)) => Some(Kind::Master),
            ("systemkeys", _) => Some(Kind::System),
            ("keys" | "functionkeys", _) => Some(Kind::Host),
            _ => None,
        };
        shared.answer(kind, name, request).await
    };
    let function = async |State(shared): Shared, Path(path): Path<Vec<String>>, request: Request| {
        let mut path = path.into_iter();
        let kind = path.next().map(|function| Kind::Function(format!("/{function}")));
        shared.answer(kind, path.next(), request).await
    };
    let master = Auth::keys(key_file.keys_for(Level::Administration, ""));
    let door = Door::new(master).name("key administration").hosts(hosts).limits(limits);
    Router::new()
        .route("/admin/host/{collection}", any(host))
        .route("/admin/host/{collection}/{name}", any(host))
        .route("/admin/functions/{function}/keys", any(function))
        .route("/admin/functions/{function}/keys/{name}", any(function))
        .with_state(Arc::new(Administration { key_file, door: door.clone(), body_time: limits.body_time }))
        .layer(door)
}

/// The name of the master key.
const MASTER: &str = "_master";

impl Administration {
    async fn answer(&self, kind: Option<Kind>, name: Option<String>, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let response = self.done(kind, name, head.method.clone(), body).await;
        let status = response.status().as_u16();
        if status >= 400 {
            self.door.log_refused(&head, status);
        }
        response
    }

    async fn done(&self, kind: Option<Kind>, name: Option<String>, method: Method, body: Body) -> Response {
        let Some(kind) = kind else {
            return refused(StatusCode::NOT_FOUND, "there are keys, functionkeys and systemkeys");
        };
        let body = match timeout(self.body_time, to_bytes(body, MOST)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return refused(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 4 KiB"),
            Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"),
        };
        let key_file = Arc::clone(&self.key_file);
        // File I/O runs on the threads for blocking work.
        let done = tokio::task::spawn_blocking(move || granted(&key_file, kind, name, method, &body)).await;
        done.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

/// Most bytes of a request body.
const MOST: usize = 4096;

/// The body of a request that sets the value of a key.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Chosen {
    name: Option<String>,
    value: Option<String>,
}

fn granted(key_file: &KeyFile, kind: Kind, name: Option<String>, method: Method, body: &[u8]) -> Response {
    let keys = key_file.keys();
    match (method, name) {
        (Method::GET, None) => {
            let of_kind = keys.iter().filter(|key| key.kind == kind);
            let list: Vec<Value> = of_kind.map(|key| json!({"name": key.name, "value": null})).collect();
            answered(StatusCode::OK, &json!({"keys": list, "links": []}))
        }
        (Method::GET, Some(name)) => match keys.iter().any(|key| key.is(&name, &kind)) {
            true => answered(StatusCode::OK, &json!({"name": name, "value": null, "links": []})),
            false => refused(StatusCode::NOT_FOUND, "there is no such key"),
        },
        (Method::POST, Some(name)) => set(key_file, kind, name, None),
        (Method::PUT, Some(name)) => {
            let chosen = if body.is_empty() { Ok(Chosen::default()) } else { serde_json::from_slice::<Chosen>(body) };
            match chosen {
                Ok(chosen) if chosen.name.as_ref().is_some_and(|other| *other != name) => {
                    refused(StatusCode::BAD_REQUEST, "the name in the body differs from the name in the path")
                }
                Ok(Chosen { value: Some(value), .. }) if value.len() < limits::KEY => refused(
                    StatusCode::BAD_REQUEST,
                    "the value is so short that it could be guessed: at least 32 bytes",
                ),
                Ok(chosen) => set(key_file, kind, name, chosen.value),
                Err(_) => refused(StatusCode::BAD_REQUEST, "the body must be {\"name\":…,\"value\":…}, or nothing"),
            }
        }
        (Method::DELETE, Some(_)) if kind == Kind::Master => refused(
            StatusCode::FORBIDDEN,
            "the master key can be renewed but not removed: without it no other could be made",
        ),
        (Method::DELETE, Some(name)) => match change(key_file.file(), |keys| Ok(remove(keys, &name, &kind))) {
            Ok((fresh, true)) => {
                key_file.replace(fresh);
                tracing::info!(name, %kind, "API key removed");
                StatusCode::NO_CONTENT.into_response()
            }
            Ok((fresh, false)) => {
                key_file.replace(fresh);
                refused(StatusCode::NOT_FOUND, "there is no such key")
            }
            Err(unchanged) => unmade(unchanged),
        },
        (_, None) => other("GET"),
        (_, Some(_)) => other("GET, PUT, POST, DELETE"),
    }
}

/// Sets the value of a key, or generates one. Creates the key if it does not exist.
fn set(key_file: &KeyFile, kind: Kind, name: String, value: Option<String>) -> Response {
    let changed = change(key_file.file(), |keys| {
        let value = value.map_or_else(new_value, Ok)?;
        let digest = digest(value.as_bytes());
        let known = keys.iter_mut().find(|key| key.is(&name, &kind));
        let is_new = known.is_none();
        match known {
            Some(key) => key.digest = digest,
            None => keys.push(Entry { name: name.clone(), kind: kind.clone(), digest }),
        }
        Ok((value, is_new))
    });
    match changed {
        Ok((fresh, (value, is_new))) => {
            key_file.replace(fresh);
            tracing::info!(name, %kind, is_new, "API key set");
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            answered(status, &json!({"name": name, "value": value, "links": []}))
        }
        Err(unchanged) => unmade(unchanged),
    }
}

fn unmade(unchanged: Unchanged) -> Response {
    match unchanged {
        Unchanged::Refused(what) => refused(StatusCode::BAD_REQUEST, &what),
        Unchanged::Busy(what) => {
            tracing::warn!(what, "API keys not changed");
            refused(StatusCode::SERVICE_UNAVAILABLE, "another change of the keys is under way: try again")
        }
        Unchanged::Broken(fault) => {
            tracing::error!(%fault, "API keys not changed");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "the key file cannot be changed: the log says why")
        }
    }
}

fn other(allowed: &'static str) -> Response {
    let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, "this method is not served here");
    response.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static(allowed));
    response
}

fn refused(status: StatusCode, reason: &str) -> Response {
    answered(status, &json!({"error": reason}))
}

/// Answers hold secrets, so no cache may keep them.
fn answered(status: StatusCode, body: &Value) -> Response {
    let fields = [(http::header::CONTENT_TYPE, "application/json"), (http::header::CACHE_CONTROL, "no-store")];
    (status, fields, body.to_string()).into_response()
}
