//! Whether the server lives and is ready, and how to ask it.

use axum::Router;
use axum::routing::get;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use http::StatusCode;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

/// Whether new requests are welcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Ready {
    stopping: Arc<AtomicBool>,
}

impl Ready {
    /// From here on the server is not ready.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// `/healthz` answers as long as the program lives, `/readyz` with 503 and the name of the reason when it is better not asked.
    pub(super) fn routes(&self) -> Router {
        let ready = self.clone();
        Router::new().route("/healthz", get(|| async { "ok\n" })).route(
            "/readyz",
            get(move || async move {
                match ready.stopping.load(Ordering::SeqCst) {
                    false => (StatusCode::OK, "ready\n"),
                    true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
                }
            }),
        )
    }
}

/// Asks the server at `url` whether it is ready; gives what it says.
///
/// # Errors
/// Why it is not, and what to do.
pub(super) fn ask(url: &str) -> Result<String, String> {
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(format!("{url} must begin with http://; where TLS is served, ask with curl"));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let with_port = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let failed = |error: std::io::Error| format!("{url} is not healthy: {error}");
    let mut addresses = with_port.to_socket_addrs().map_err(failed)?;
    let address = addresses.next().ok_or_else(|| format!("{authority} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let said = answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim().to_owned();
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(said),
        false => Err(format!("{url} is not ready: {said}")),
    }
}

/// How long a healthy server takes at most: container runtimes ask that often.
const PATIENCE: Duration = Duration::from_secs(3);
