//! The routes of functions with an HTTP trigger, next to the MCP endpoint.

use crate::config::Config;
use crate::fault::Fault;
use attache_host::Limits;
use attache_host::auth::Auth;
use attache_host::auth::key_file::{KeyFile, Level};
use attache_host::functions::{App, HttpCall, HttpLevel};
use attache_host::http::Door;
use attache_host::serve::not_found;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::path::PathBuf;
use std::sync::Arc;
use tower_service::Service;

/// The access checks for functions of each level. `None` for a level that no key opens here.
#[derive(Debug)]
pub(super) struct Doors {
    anonymous: Door,
    function: Option<Door>,
    admin: Option<Door>,
}

/// The settings of the server about access.
#[derive(Debug, Default)]
pub(super) struct Access {
    is_local: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
    limits: Limits,
    keys_file: Option<PathBuf>,
}

impl Access {
    pub(super) fn of(config: &Config) -> Self {
        let Some(server) = config.servers.first() else { return Self::default() };
        let is_local = config.listen.is_local();
        let own: &[&str] = if is_local { attache_core::http::LOOPBACK } else { &[] };
        Self {
            is_local,
            hosts: own.iter().map(ToString::to_string).chain(server.hosts.clone()).collect(),
            origins: server.origins.clone(),
            limits: config.limits.clone(),
            keys_file: server.protection.keys_file.clone(),
        }
    }

    /// Makes the checks. A loopback address asks for no keys without a file of keys. Call it in a Tokio runtime.
    pub(super) fn doors(&self) -> Result<Doors, Fault> {
        let checked = |door: Door| {
            door.name("functions").hosts(self.hosts.clone()).origins(self.origins.clone()).limits(&self.limits)
        };
        let keys = self.keys_file.as_deref().map(KeyFile::open).transpose()?;
        let of = |level: Level| match &keys {
            Some(keys) => Some(checked(Door::new(Auth::keys(keys.keys_for(level, "/api"))))),
            None => self.is_local.then(|| checked(Door::open())),
        };
        Ok(Doors { anonymous: checked(Door::open()), function: of(Level::Function), admin: of(Level::Admin) })
    }
}

impl Doors {
    const fn of(&self, level: HttpLevel) -> Option<&Door> {
        match level {
            HttpLevel::Anonymous => Some(&self.anonymous),
            HttpLevel::Function => self.function.as_ref(),
            HttpLevel::Admin => self.admin.as_ref(),
        }
    }
}

/// Adds the functions with HTTP triggers of an app to a router. They get the requests that no other route takes.
pub(super) fn add(router: Router, app: &App, doors: Doors, limit: usize) -> Router {
    let (app, doors) = (app.clone(), Arc::new(doors));
    router.fallback(move |request| answer(app.clone(), Arc::clone(&doors), request, limit))
}

async fn answer(app: App, doors: Arc<Doors>, request: Request, limit: usize) -> Response {
    let Some(call) = app.http_call(request.method(), request.uri().path()) else {
        return not_found(request.version()).await;
    };
    let Some(door) = doors.of(call.level()) else { return StatusCode::UNAUTHORIZED.into_response() };
    let behind = Router::new().fallback(move |request| run(call.clone(), request, limit));
    let answered = door.layer(behind).call(request).await;
    answered.map_or_else(|never| match never {}, |response| response.map(Body::new))
}

async fn run(call: HttpCall, request: Request, limit: usize) -> Response {
    let (head, body) = request.into_parts();
    match to_bytes(body, limit).await {
        Ok(body) => call.run(Request::from_parts(head, body)).await.map(Body::from),
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}
