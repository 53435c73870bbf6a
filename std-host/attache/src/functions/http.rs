//! The routes of functions with an HTTP trigger, next to the MCP endpoint.

use crate::config::{Config, ServerConfig};
use crate::fault::Fault;
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
use std::sync::Arc;
use tower_service::Service;

/// The access checks for functions of each level. `None` for a level that no key opens here.
#[derive(Debug)]
pub(super) struct Doors {
    anonymous: Door,
    function: Option<Door>,
    admin: Option<Door>,
}

impl Doors {
    /// Makes the checks from the configuration of the server. A loopback address asks for no keys without a key file.
    pub(super) fn new(config: &Config, server: &ServerConfig) -> Result<Self, Fault> {
        let is_local = config.listen.is_local();
        let own: &[&str] = if is_local { attache_core::http::LOOPBACK } else { &[] };
        let hosts: Vec<String> = own.iter().map(ToString::to_string).chain(server.hosts.clone()).collect();
        let checked = |door: Door| {
            door.name("functions").hosts(hosts.clone()).origins(server.origins.clone()).limits(&config.limits)
        };
        let keys = server.protection.keys_file.as_deref().map(KeyFile::open).transpose()?;
        let of = |level: Level| match &keys {
            Some(keys) => Some(checked(Door::new(Auth::keys(keys.keys_for(level, "/api"))))),
            None => is_local.then(|| checked(Door::open())),
        };
        Ok(Self { anonymous: checked(Door::open()), function: of(Level::Function), admin: of(Level::Admin) })
    }

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
