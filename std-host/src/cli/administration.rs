//! API keys, made and removed over HTTP by the holder of the master key (learn.microsoft.com, "Work with access keys in Azure
//! Functions"; docs/authorization.md, "Keys").

use super::key_file::{Entry, Kind, Ring, Unchanged, change, made, remove};
use attache_core::auth::digest;
use attache_host::limits;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The endpoints, to be merged into the program's.
pub(super) fn routes(ring: Arc<Ring>) -> Router {
    let host = async |State(ring): State<Arc<Ring>>, Path(path): Path<Vec<String>>, request: Request| {
        let mut path = path.into_iter();
        let (collection, name) = (path.next().unwrap_or_default(), path.next());
        let kind = match (collection.as_str(), name.as_deref()) {
            ("systemkeys", Some(MASTER)) => Some(Kind::Master),
            ("systemkeys", _) => Some(Kind::System),
            ("keys" | "functionkeys", _) => Some(Kind::Host),
            _ => None,
        };
        answer(&ring, kind, name, request).await
    };
    let function = async |State(ring): State<Arc<Ring>>, Path(path): Path<Vec<String>>, request: Request| {
        let mut path = path.into_iter();
        let kind = path.next().map(|function| Kind::Function(format!("/{function}")));
        answer(&ring, kind, path.next(), request).await
    };
    Router::new()
        .route("/admin/host/{collection}", any(host))
        .route("/admin/host/{collection}/{name}", any(host))
        .route("/admin/functions/{function}/keys", any(function))
        .route("/admin/functions/{function}/keys/{name}", any(function))
        .with_state(ring)
}

/// The name of the master key.
const MASTER: &str = "_master";

async fn answer(ring: &Ring, kind: Option<Kind>, name: Option<String>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut shown = head.headers.get_all("x-functions-key").iter();
    let value = match (shown.next(), shown.next()) {
        (Some(value), None) => value.as_bytes(),
        _ => return refused(StatusCode::UNAUTHORIZED, "show the master key, once, in X-Functions-Key"),
    };
    match ring.is_master(value) {
        Ok(true) => {}
        Ok(false) => return refused(StatusCode::FORBIDDEN, "this takes the master key"),
        Err(denied) => {
            tracing::info!(reason = %denied, "keys were not administered");
            return refused(StatusCode::UNAUTHORIZED, "this takes the master key");
        }
    }
    let Some(kind) = kind else {
        return refused(StatusCode::NOT_FOUND, "there are keys, functionkeys and systemkeys");
    };
    let Ok(body) = to_bytes(body, MOST).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 4 KiB");
    };
    granted(ring, kind, name, head.method, &body)
}

/// Bytes of a body.
const MOST: usize = 4096;

/// A key whose value its holder chooses.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Chosen {
    name: Option<String>,
    value: Option<String>,
}

fn granted(ring: &Ring, kind: Kind, name: Option<String>, method: Method, body: &[u8]) -> Response {
    let keys = ring.keys();
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
        (Method::POST, Some(name)) => set(ring, kind, name, None),
        (Method::PUT, Some(name)) => {
            let chosen = if body.is_empty() { Ok(Chosen::default()) } else { serde_json::from_slice::<Chosen>(body) };
            match chosen {
                Ok(chosen) if chosen.name.as_ref().is_some_and(|other| *other != name) => {
                    refused(StatusCode::BAD_REQUEST, "the name in the body is another than that in the path")
                }
                Ok(Chosen { value: Some(value), .. }) if value.len() < limits::KEY => {
                    refused(StatusCode::BAD_REQUEST, "the value is so short that it could be guessed")
                }
                Ok(chosen) => set(ring, kind, name, chosen.value),
                Err(_) => refused(StatusCode::BAD_REQUEST, "the body must be {\"name\":…,\"value\":…}, or nothing"),
            }
        }
        (Method::DELETE, Some(_)) if kind == Kind::Master => {
            refused(StatusCode::FORBIDDEN, "the master key is renewed and never removed: nobody could undo it")
        }
        (Method::DELETE, Some(name)) => match change(ring.file(), |keys| Ok(remove(keys, &name, &kind))) {
            Ok((fresh, true)) => {
                ring.take(fresh);
                tracing::info!(name, %kind, "a key was removed");
                StatusCode::NO_CONTENT.into_response()
            }
            Ok((fresh, false)) => {
                ring.take(fresh);
                refused(StatusCode::NOT_FOUND, "there is no such key")
            }
            Err(unchanged) => unmade(unchanged),
        },
        (_, None) => other("GET"),
        (_, Some(_)) => other("GET, PUT, POST, DELETE"),
    }
}

/// Sets the value of a key, or makes one; the key may be new.
fn set(ring: &Ring, kind: Kind, name: String, value: Option<String>) -> Response {
    let changed = change(ring.file(), |keys| {
        let value = value.map_or_else(made, Ok)?;
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
            ring.take(fresh);
            tracing::info!(name, %kind, is_new, "a key was set");
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
            tracing::warn!(what, "keys were not changed");
            refused(StatusCode::SERVICE_UNAVAILABLE, "somebody else changes the keys: try again")
        }
        Unchanged::Broken(fault) => {
            tracing::error!(%fault, "keys were not changed");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "the file of keys cannot be changed: the log says why")
        }
    }
}

fn other(allowed: &'static str) -> Response {
    let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, "this method means nothing here");
    response.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static(allowed));
    response
}

fn refused(status: StatusCode, reason: &str) -> Response {
    answered(status, &json!({"error": reason}))
}

/// Answers have secrets in them, so nobody keeps them.
fn answered(status: StatusCode, body: &Value) -> Response {
    let fields = [(http::header::CONTENT_TYPE, "application/json"), (http::header::CACHE_CONTROL, "no-store")];
    (status, fields, body.to_string()).into_response()
}
