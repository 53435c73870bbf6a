//! The service without a socket: bodies that arrive in pieces, late, or incomplete.

use attache_host::Server;
use attache_host::http::McpService;
use bytes::Bytes;
use core::convert::Infallible;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use http::{Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::Arc;
use tower_service::Service;

/// Posts a body as a legacy client, and returns the status and body of the answer.
async fn post<B>(body: B) -> (StatusCode, Value)
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    let request = Request::post("/")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2025-11-25")
        .body(body)
        .expect("a request");
    let Ok(response) = McpService::new(Server::new("t", "1").build()).call(request).await;
    let status = response.status();
    let body = response.into_body().collect().await.expect("a whole body");
    (status, serde_json::from_slice(&body.to_bytes()).unwrap_or_default())
}

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A body whose pieces come from a closure, which is not polled again after its end.
struct Pieces<F>(F);

impl<F, D: bytes::Buf, E> Body for Pieces<F>
where
    F: FnMut() -> Poll<Option<Result<D, E>>> + Unpin,
{
    type Data = D;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<D>, E>>> {
        (self.0)().map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// The buffer of a piece, counted as long as it lives.
struct Counted(Arc<AtomicUsize>, [u8; 1]);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn body_of_many_pieces_is_answered_and_holds_none_of_their_buffers() {
    let alive = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let mut rest = PING.iter();
    let seen = Arc::clone(&most);
    let pieces = Pieces(move || {
        let piece = rest.next().map(|&byte| {
            seen.fetch_max(alive.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from_owner(Counted(Arc::clone(&alive), [byte])))
        });
        Poll::Ready(piece)
    });
    let (status, answer) = post(pieces).await;
    assert_eq!((status, &answer["id"]), (StatusCode::OK, &Value::from(1)));
    assert_eq!(most.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn body_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let limit = attache_host::limits::BODY;
    let mut body = PING.to_vec();
    body.resize(limit, b' ');
    assert_eq!(post(http_body_util::Full::new(Bytes::from(body.clone()))).await.0, StatusCode::OK);
    body.push(b' ');
    // With pieces, the length is not known in advance.
    let mut rest = Bytes::from(body);
    let pieces = Pieces(move || {
        let piece = rest.split_to(rest.len().min(1000));
        Poll::Ready((!piece.is_empty()).then_some(Ok::<_, Infallible>(piece)))
    });
    let (status, answer) = post(pieces).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &Value::from(-32600)));
}

#[tokio::test(start_paused = true)]
async fn body_that_does_not_end_in_time_is_answered_with_408() {
    let started = tokio::time::Instant::now();
    let mut first = Some(Ok::<_, Infallible>(Bytes::from_static(b"{")));
    let stalled = Pieces(move || first.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(piece))));
    let (status, answer) = tokio::time::timeout(Duration::from_secs(3600), post(stalled)).await.expect("an answer");
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::REQUEST_TIMEOUT, &Value::from(-32700)));
    assert_eq!(started.elapsed().as_secs(), attache_host::limits::BODY_TIME.as_secs());
}

#[tokio::test]
async fn body_that_breaks_off_is_answered_as_no_json_whatever_came_before() {
    let mut pieces = [Ok(Bytes::from_static(PING)), Err("framing")].into_iter();
    let (status, answer) = post(Pieces(move || Poll::Ready(pieces.next()))).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &Value::from(-32700)));
}

/// Tests over a real socket.
#[cfg(feature = "axum")]
mod disconnected {
    use super::*;

    /// Reports when it is dropped, and whether the tool had run to its end.
    struct Witness {
        ended: bool,
        tell: tokio::sync::mpsc::UnboundedSender<bool>,
    }

    impl Witness {
        fn end(&mut self) {
            self.ended = true;
        }
    }

    impl Drop for Witness {
        fn drop(&mut self) {
            let _ = self.tell.send(self.ended);
        }
    }

    /// Returns whether a waiting tool runs to its end although its client disconnects during the
    /// call.
    async fn tool_ends_without_its_client(head: &str, meta: &str) -> bool {
        use tokio::io::AsyncWriteExt;
        use tokio::sync::{Semaphore, mpsc};

        let (tell, mut told) = mpsc::unbounded_channel();
        let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (begins, waits) = (Arc::clone(&begun), Arc::clone(&go_on));
        let router: axum::Router = Server::new("t", "1")
            .tool("slow", "d", move |_: attache_host::NoArgs, _: attache_host::Ctx| {
                let mut witness = Witness { ended: false, tell: tell.clone() };
                let (begun, go_on) = (Arc::clone(&begins), Arc::clone(&waits));
                async move {
                    begun.add_permits(1);
                    let _ = go_on.acquire().await;
                    witness.end();
                }
            })
            .routes();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"slow"{meta}}}}}"#);
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{head}\r\n{body}",
            body.len()
        );
        let mut client = tokio::net::TcpStream::connect(address).await.expect("it listens");
        client.write_all(request.as_bytes()).await.expect("taken");
        tokio::time::timeout(Duration::from_secs(10), begun.acquire())
            .await
            .expect("the tool starts")
            .expect("open")
            .forget();
        drop(client);
        // A call that is dropped with its client reports that by itself; any other call waits for a
        // permit.
        let cancelled = tokio::time::timeout(Duration::from_millis(500), told.recv()).await;
        go_on.add_permits(1);
        let ended = match cancelled {
            Ok(ended) => ended,
            Err(_) => told.recv().await,
        };
        serving.abort();
        ended.expect("the tool was dropped or ended")
    }

    #[tokio::test]
    async fn legacy_call_whose_client_disconnects_runs_to_its_end() {
        assert!(tool_ends_without_its_client("mcp-protocol-version: 2025-11-25\r\n", "").await);
    }

    #[tokio::test]
    async fn modern_call_whose_client_disconnects_is_dropped() {
        let head = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: slow\r\n";
        let meta = r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        assert!(!tool_ends_without_its_client(head, meta).await);
    }
}

#[cfg(all(feature = "axum", feature = "discovery"))]
#[tokio::test]
async fn nested_endpoint_is_found_by_the_metadata_that_its_challenge_names() {
    use attache_host::auth::{Auth, Issuer, Tokens};
    let tokens = Tokens::of("https://api.example/v1/mcp", Issuer::discovered("https://id.example").expect("an issuer"))
        .expect("a resource");
    let server = Server::new("t", "1").auth(Auth::tokens(tokens));
    let metadata: axum::Router = server.metadata();
    let mut router = metadata.nest("/v1", server.endpoint());
    let request = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        request.header("content-type", "application/json").body(axum::body::Body::from(PING)).expect("a request")
    };
    let Ok(refused) = router.call(request("POST", "/v1/mcp")).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let challenge = refused.headers()["www-authenticate"].to_str().expect("text");
    let url = challenge.split('"').find(|part| part.starts_with("https://api.example/")).expect("a URL").to_owned();
    let path = url.strip_prefix("https://api.example").expect("the origin");
    let Ok(found) = router.call(request("GET", path)).await;
    assert_eq!(found.status(), StatusCode::OK, "{path}");
    let body = found.into_body().collect().await.expect("a whole body").to_bytes();
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["resource"], "https://api.example/v1/mcp");
}
