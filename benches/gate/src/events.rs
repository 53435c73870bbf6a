//! A server over HTTP whose tool `ticks` sends progress until its client leaves. Each message carries
//! the time at which it was sent.

use bytes::Bytes;
use core::convert::Infallible;
use core::time::Duration;
use http::{Request, Response};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

type Body = Either<Full<Bytes>, Channel<Bytes, Infallible>>;

/// The pause between two messages.
pub const PAUSE: Duration = Duration::from_millis(20);

/// The time now in microseconds.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_micros()).expect("a time of our age")
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
        "tools/list" => {
            json!({"resultType": "complete", "tools": [{"name": "ticks", "inputSchema": {"type": "object"}}]})
        }
        "tools/call" => return Ok(ticking(message)),
        _ => {
            let error = json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}});
            return Ok(whole(404, &error));
        }
    };
    Ok(whole(200, &json!({"jsonrpc": "2.0", "id": message["id"], "result": result})))
}

fn whole(status: u16, message: &Value) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::from(message.to_string())));
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

fn ticking(call: Value) -> Response<Body> {
    let (sender, body) = Channel::new(4);
    tokio::spawn(tick(sender, call));
    let mut response = Response::new(Either::Right(body));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/event-stream"));
    response
}

async fn tick(mut sender: Sender<Bytes>, call: Value) {
    for number in 1.. {
        tokio::time::sleep(PAUSE).await;
        let token = &call["params"]["_meta"]["progressToken"];
        let params = json!({"progressToken": token, "progress": number, "message": now().to_string()});
        let message = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
        if sender.send_data(format!("data: {message}\n\n").into()).await.is_err() {
            return;
        }
    }
}

pub async fn serve() {
    let listener = crate::listen().await;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}
