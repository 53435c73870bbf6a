//! The device driver over HTTP: the board of [`device`](crate::device) behind real sockets.

use crate::bad_input::{self, Answer};
use crate::conversations::check;
use crate::device::{Board, SERVER, Topics, call, entries, listen, read, topics};
use crate::implementations::{Http, core, headers};
use crate::modern::request;
use crate::{demo, device};
use ::core::time::Duration;
use attache_core::auth::{Access, Gate};
use attache_core::embassy::{
    ConnectionSlots, Deadlines, End, Endpoint, EndpointConfig, Guard, HttpBuffers, serve_connection,
};
use attache_core::http::{LOOPBACK, Policy};
use attache_core::mcp::Server;
use attache_core::tool::{Call, Output, ToolResult};
use bytes::Bytes;
use embassy_time::Duration as Ticks;
use embedded_io_adapters::tokio_1::FromTokio;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Starts a board with this many sockets on a free port of the loopback interface; it stops when
/// the test ends.
pub(crate) fn boot<H>(
    server: &'static Server<'static>,
    topics: &'static Topics,
    sockets: usize,
    deadlines: Deadlines,
    handler: H,
) -> Http
where
    H: AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult + Send + 'static,
{
    let open = || (Gate::Open(Access::Anonymous), Guard::NONE);
    guarded(server, topics, sockets, deadlines, open, handler)
}

/// The same with an access policy.
pub(crate) fn guarded<H>(
    server: &'static Server<'static>,
    topics: &'static Topics,
    sockets: usize,
    deadlines: Deadlines,
    callers: impl FnOnce() -> (Gate, Guard<'static>) + Send + 'static,
    handler: H,
) -> Http
where
    H: AsyncFn(Call<'_>, &mut Output<'_>) -> ToolResult + Send + 'static,
{
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let listener = Rc::new(tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
            sender.send(listener.local_addr().expect("an address")).expect("the test waits");
            let (access, guard) = callers();
            let policy = Policy { hosts: LOOPBACK, origins: &[], access };
            let site = EndpointConfig { path: "/mcp", policy, guard, deadlines };
            let endpoint = Rc::new(Endpoint { server, changes: topics, site, room: ConnectionSlots::new(sockets) });
            let handler = Rc::new(handler);
            for _ in 0..sockets {
                let (listener, endpoint, handler) = (Rc::clone(&listener), Rc::clone(&endpoint), Rc::clone(&handler));
                tokio::task::spawn_local(async move {
                    let mut buffers = Box::new(HttpBuffers::<1024, 2048, 512>::new());
                    loop {
                        let (mut socket, client) = listener.accept().await.expect("a client");
                        socket.set_nodelay(true).expect("a socket");
                        endpoint.room.enter();
                        let (rx, tx) = socket.split();
                        let io = (FromTokio::new(rx), FromTokio::new(tx));
                        let from = Some(client.ip());
                        if serve_connection(io, from, &mut buffers, &endpoint, &*handler).await == End::Close {
                            let _ = socket.shutdown().await;
                            // Closing a socket with unread bytes would reset it.
                            let unread =
                                async { while socket.read(&mut [0; 512]).await.is_ok_and(|count| count > 0) {} };
                            let _ = tokio::time::timeout(Duration::from_secs(2), unread).await;
                        }
                        endpoint.room.leave();
                    }
                });
            }
            ::core::future::pending::<()>().await;
        });
    });
    Http::at(receiver.recv().expect("the board boots"))
}

fn board(sockets: usize, deadlines: Deadlines) -> (Http, &'static Topics) {
    let topics: &'static Topics = Box::leak(Box::new(topics()));
    (boot(&SERVER, topics, sockets, deadlines, async |call, out| Board.answer(call, out).await), topics)
}

/// Short deadlines.
pub(crate) const IMPATIENT: Deadlines = Deadlines {
    head: Ticks::from_millis(300),
    body: Ticks::from_millis(300),
    idle: Ticks::from_millis(300),
    call: Ticks::from_millis(300),
    write: Ticks::from_millis(300),
    comment: Ticks::from_millis(100),
};

fn head_of(message: &Value) -> Vec<(&str, &str)> {
    let name = message["params"]["name"].as_str().or(message["params"]["uri"].as_str());
    headers(message["method"].as_str().expect("a method"), name)
}

/// Writes a request as bytes on the wire, for a connection that stays open.
pub(crate) fn wire(message: &Value, fields: &str) -> Vec<u8> {
    let body = message.to_string();
    let mut head = format!("POST /mcp HTTP/1.1\r\ncontent-length: {}\r\n{fields}", body.len());
    for (name, value) in head_of(message) {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n" + &body).into_bytes()
}

/// Returns the answer to a message: the last event, if the answer is a stream.
pub(crate) fn ask(http: &Http, message: &Value) -> Value {
    let answer = http.open(&head_of(message), message.to_string().as_bytes());
    match answer.header("content-type") {
        Some("text/event-stream") => answer.events().pop().expect("an answer"),
        _ => serde_json::from_slice(&answer.rest()).expect("JSON"),
    }
}

/// Reads from the connection until it is closed.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let mut came = Vec::new();
    // A reset also ends the connection.
    let _ = stream.read_to_end(&mut came);
    String::from_utf8(came).expect("UTF-8")
}

/// Reads from the connection until `word` has arrived `times` times.
pub(crate) fn until(stream: &mut TcpStream, word: &str, times: usize) -> String {
    let mut came = Vec::new();
    let mut byte = [0];
    while String::from_utf8_lossy(&came).matches(word).count() < times {
        assert_eq!(stream.read(&mut byte).expect("in time"), 1, "closed behind {:?}", String::from_utf8_lossy(&came));
        came.push(byte[0]);
    }
    String::from_utf8(came).expect("UTF-8")
}

#[test]
fn bad_body_to_a_board_is_answered_like_by_the_engine_byte_for_byte() {
    let topics: &'static Topics = Box::leak(Box::new(topics()));
    let board = boot(&demo::SERVER, topics, 2, Deadlines::DEFAULT, async |call, out| {
        demo::tools::dispatch(&demo::Demo, call, out)
    });
    for case in bad_input::all() {
        let headers = headers(case.method, case.tool);
        let (came, engine) = (board.post(&headers, &case.body), core::post(&headers, &case.body));
        assert_eq!((came.status, came.body.as_slice()), (engine.status, engine.body.as_slice()), "{}", case.name);
        assert_eq!(came.status, case.status, "{}", case.name);
        if !matches!(case.answer, Answer::Silence) {
            check(&case, &came.body);
        }
    }
    for (verb, name, value) in [
        ("GET", "accept", "text/event-stream"),
        ("DELETE", "accept", "*/*"),
        ("POST", "origin", "http://evil.example"),
        ("POST", "host", "evil.example"),
        ("POST", "content-type", "text/plain"),
    ] {
        let mut headers = headers("tools/list", None);
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
        let body = request(1, "tools/list", json!({})).to_string();
        let came = board.send(verb, &headers, body.as_bytes());
        if verb == "POST" {
            let engine = core::post(&headers, body.as_bytes());
            assert_eq!((came.status, came.body), (engine.status, engine.body), "{name}: {value}");
        } else {
            assert_eq!(came.status, 405);
        }
    }
}

// RPC-09
#[test]
fn batch_to_a_board_is_answered_by_one_array_in_its_order() {
    let topics: &'static Topics = Box::leak(Box::new(topics()));
    let board = boot(&demo::SERVER, topics, 2, Deadlines::DEFAULT, async |call, out| {
        demo::tools::dispatch(&demo::Demo, call, out)
    });
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    let post = |messages: Value| {
        let came = board.post(&headers, messages.to_string().as_bytes());
        (came.status, serde_json::from_slice::<Value>(&came.body).unwrap_or_default())
    };
    let ping = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let led = json!({"jsonrpc": "2.0", "id": "led", "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "ok"}}});
    let hello = json!({"jsonrpc": "2.0", "id": 9, "method": "initialize", "params": {}});
    let (status, answers) = post(json!([note, ping(1), led, {"x": 1}, note, hello]));
    let ids: Vec<_> = answers.as_array().expect("an array").iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!((status, ids), (200, vec![json!(1), json!("led"), Value::Null, json!(9)]), "{answers}");
    assert_eq!(answers[1]["result"]["content"][0]["text"], "ok", "{answers}");
    assert_eq!([&answers[2]["error"]["code"], &answers[3]["error"]["code"]], [&json!(-32600); 2]);
    assert_eq!(post(json!([note, note])), (202, Value::Null));
    for bad in [json!([]), json!([[ping(1)]])] {
        let (status, answer) = post(bad);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32600)));
    }
}

#[test]
fn client_of_others_calls_and_reads_on_one_connection() {
    let (board, _) = board(2, Deadlines::DEFAULT);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(board.address()).await.expect("the board listens");
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.expect("a connection");
        tokio::spawn(connection);
        for round in 0..3 {
            for (message, wanted) in [
                (call(round, "log", 1), entries(1)),
                (call(round, "log", 100), entries(100)),
                (read(round, "board://log"), entries(400)),
            ] {
                let mut head = hyper::Request::post("/mcp");
                for (name, value) in head_of(&message) {
                    head = head.header(name, value);
                }
                let request = head.body(Full::new(Bytes::from(message.to_string()))).expect("a request");
                client.ready().await.expect("the connection is kept");
                let response = client.send_request(request).await.expect("an answer");
                assert_eq!(response.status(), 200);
                let chunked = response.headers().contains_key("transfer-encoding");
                assert_eq!(chunked, wanted.len() > 512, "what fits has a length");
                let body = response.into_body().collect().await.expect("a whole body").to_bytes();
                let answer: Value = serde_json::from_slice(&body).expect("JSON");
                let result = &answer["result"];
                let text = if result["content"].is_array() { &result["content"] } else { &result["contents"] };
                assert_eq!(text[0]["text"], wanted);
            }
        }
    });
}

#[test]
fn connection_is_closed_after_its_answer_if_no_socket_is_free_for_other_clients() {
    let (board, _) = board(2, Deadlines::DEFAULT);
    let answer = |stream: &mut TcpStream| {
        stream.write_all(&wire(&call(1, "log", 1), "")).expect("it is taken");
        let mut head = [0; 512];
        let length = stream.read(&mut head).expect("an answer");
        String::from_utf8_lossy(&head[..length]).into_owned()
    };
    let connect = || TcpStream::connect(board.address()).expect("the board listens");
    let mut first = connect();
    assert!(!answer(&mut first).contains("connection: close"), "there is another one");
    let mut second = connect();
    assert!(answer(&mut second).contains("connection: close"));
}

#[test]
fn requests_sent_together_are_answered_in_their_order() {
    let (board, _) = board(2, Deadlines::DEFAULT);
    let mut stream = TcpStream::connect(board.address()).expect("the board listens");
    let mut requests: Vec<u8> = (0..4).flat_map(|id| wire(&call(id, "log", 40 * id), "")).collect();
    requests.extend(wire(&call(4, "log", 1), "connection: close\r\n"));
    stream.write_all(&requests).expect("they are taken");
    let came = rest(&mut stream);
    let at: Vec<usize> = (0..5).map(|id| came.find(&format!("\"id\":{id},")).expect("an answer")).collect();
    assert!(at.is_sorted(), "{at:?}");
    assert_eq!(came.matches("HTTP/1.1 200 ").count(), 5);
}

#[test]
fn call_that_fails_behind_its_first_piece_ends_without_the_last_chunk() {
    let (board, _) = board(1, Deadlines::DEFAULT);
    for tool in ["torn", "endless", "regretted", "rejected", "lump"] {
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.write_all(&wire(&call(1, tool, 100), "")).expect("it is taken");
        let came = rest(&mut stream);
        assert!(came.contains("transfer-encoding: chunked"), "{tool}: {came}");
        assert!(!came.ends_with("0\r\n\r\n"), "{tool}: {came}");
        // Before the first piece has been sent, a failure is a complete answer.
        if tool != "lump" {
            let answer = ask(&board, &call(2, tool, 1));
            assert!(answer["result"]["isError"] == true || answer["error"].is_object(), "{tool}: {answer}");
        }
    }
}

#[test]
fn request_whose_bytes_are_not_understood_is_refused_and_the_connection_closed() {
    let (board, _) = board(1, Deadlines::DEFAULT);
    let good = wire(&call(1, "log", 1), "");
    let with = |fields: &str| wire(&call(1, "log", 1), fields);
    for (bytes, status) in [
        (b"hello\r\n\r\n".to_vec(), 400),
        (with("content-length: 1\r\n"), 400),
        (with("transfer-encoding: chunked\r\n"), 400),
        (with("host: another\r\n"), 400),
        (
            String::from_utf8(with(""))
                .expect("UTF-8")
                .replace("POST /mcp", "POST http://evil.example/mcp")
                .into_bytes(),
            400,
        ),
        (with("x : y\r\n"), 400),
        (with("expect: miracles\r\n"), 417),
        (with(&format!("x: {}\r\n", "y".repeat(1024))), 431),
        (b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9999999\r\n\r\n".to_vec(), 413),
        (b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n".to_vec(), 501),
        (b"POST /mcp HTTP/1.0\r\nhost: localhost\r\n\r\n".to_vec(), 505),
        (
            b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nx\r\n"
                .to_vec(),
            400,
        ),
    ] {
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        // The bytes that follow are never read as a request.
        stream.write_all(&[bytes.as_slice(), &good].concat()).expect("it is taken");
        let came = rest(&mut stream);
        assert!(came.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {came}", String::from_utf8_lossy(&bytes));
        assert_eq!(came.matches("content-length: ").count(), 1, "{came}");
        assert!(came.contains("connection: close\r\n") && came.contains(r#""error":{"code":-32"#), "{came}");
    }
}

#[test]
fn target_in_absolute_form_is_taken_where_its_authority_is_the_host() {
    let (board, _) = board(1, Deadlines::DEFAULT);
    for (target, status) in
        [("http://localhost/mcp", 200), ("HTTP://LOCALHOST/mcp?x", 200), ("http://localhost", 404), ("http:/mcp", 404)]
    {
        let request = wire(&call(1, "log", 1), "connection: close\r\n");
        let request = String::from_utf8(request).expect("UTF-8").replacen("/mcp", target, 1);
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.write_all(request.as_bytes()).expect("it is taken");
        let came = rest(&mut stream);
        assert!(came.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {came}");
    }
}

#[test]
fn connection_survives_a_body_that_is_too_large_and_a_refused_request_without_a_body() {
    // With one socket, a connection that waits for its next request would be closed for the next
    // client.
    let (board, _) = board(2, Deadlines::DEFAULT);
    let mut stream = TcpStream::connect(board.address()).expect("the board listens");
    let large = json!({"x": "y".repeat(9000), "method": "tools/list"});
    stream.write_all(&wire(&large, "")).expect("it is taken");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it is taken");
    stream.write_all(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it is taken");
    stream.write_all(&wire(&call(7, "log", 1), "connection: close\r\n")).expect("it is taken");
    let came = rest(&mut stream);
    let statuses: Vec<&str> = came.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["413", "404", "405", "200"], "{came}");
    assert!(came.contains(r#""data":{"limit":2048}"#) && came.contains(r#""id":7,"result""#), "{came}");
}

#[test]
fn refused_request_is_answered_before_its_body_comes() {
    let (board, _) = board(1, Deadlines::DEFAULT);
    let message = call(1, "log", 1);
    let whole = String::from_utf8(wire(&message, "")).expect("UTF-8");
    let head = &whole[..whole.len() - message.to_string().len()];
    let good = ("localhost", "localhost");
    for (change, coding, status) in [
        (("host: localhost", "host: evil.example"), good, 403),
        (("/mcp", "/other"), good, 404),
        (("/mcp", "/other"), ("content-length: ", "transfer-encoding: chunked\r\nx: "), 404),
        (("application/json", "text/plain"), good, 415),
    ] {
        let head = head.replacen(change.0, change.1, 1).replacen(coding.0, coding.1, 1);
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        stream.write_all(head.as_bytes()).expect("it is taken");
        let came = until(&mut stream, "\r\n\r\n", 1);
        assert!(came.starts_with(&format!("HTTP/1.1 {status} ")) && came.contains("connection: close\r\n"), "{came}");
        // The server does not read the bytes that the client still sends as a request.
        let _ = stream.write_all(whole.as_bytes());
        assert!(!rest(&mut stream).contains("HTTP/1.1 "));
    }
}

#[test]
fn client_that_expects_100_continue_gets_it_before_its_body_or_a_refusal() {
    let (board, _) = board(1, Deadlines::DEFAULT);
    let message = call(1, "log", 1);
    let request = wire(&message, "expect: 100-continue\r\nconnection: close\r\n");
    let (head, body) = request.split_at(request.len() - message.to_string().len());
    let mut stream = TcpStream::connect(board.address()).expect("the board listens");
    stream.write_all(head).expect("it is taken");
    assert_eq!(until(&mut stream, "\r\n\r\n", 1), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body).expect("it is taken");
    assert!(rest(&mut stream).starts_with("HTTP/1.1 200 "));

    for (change, status) in [(("localhost", "evil.example"), 403), (("content-length: ", "content-length: 9"), 413)] {
        let head = String::from_utf8(head.to_vec()).expect("UTF-8").replacen(change.0, change.1, 1);
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.write_all(head.as_bytes()).expect("it is taken");
        assert!(rest(&mut stream).starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[test]
fn subscription_gets_changes_over_http_and_leaves_a_socket_for_calls() {
    let (board, topics) = board(2, IMPATIENT);
    let listening = listen(7, &["board://led"]);
    let mut stream = TcpStream::connect(board.address()).expect("the board listens");
    stream.write_all(&wire(&listening, "")).expect("it is taken");
    let came = until(&mut stream, "event: message\n", 1);
    assert!(came.starts_with("HTTP/1.1 200 ") && came.contains("content-type: text/event-stream\r\n"), "{came}");
    // All sockets but one may hold subscriptions.
    let refused = ask(&board, &listen(8, &["board://led"]));
    assert!(refused["error"]["message"].as_str().is_some_and(|said| said.contains("Too many")), "{refused}");
    topics.updated("board://led");
    topics.updated("board://log");
    let came = until(&mut stream, "\n\n\r\n", 2);
    assert!(came.contains(
        r#"data: {"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"board://led","#
    ));
    assert!(came.contains(r#""io.modelcontextprotocol/subscriptionId":7"#) && !came.contains("board://log"), "{came}");
    // Comments keep the subscription open longer than any deadline.
    let came = until(&mut stream, "\r\n:\n\n\r\n", 6);
    assert!(!came.contains("data:"), "{came}");
    assert_eq!(ask(&board, &call(9, "log", 1))["id"], 9);
    drop(stream);
    let started = Instant::now();
    loop {
        let mut again = TcpStream::connect(board.address()).expect("the board listens");
        again.write_all(&wire(&listening, "")).expect("it is taken");
        if until(&mut again, "\n", 1).starts_with("HTTP/1.1 200") && until(&mut again, "\"", 4).contains("jsonrpc") {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "the place of one that has gone is free");
    }
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn modern_client_that_goes_stops_its_call_and_a_legacy_one_does_not() {
    use ::core::sync::atomic::{AtomicUsize, Ordering};
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    struct Alive;
    impl Drop for Alive {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::SeqCst);
        }
    }
    let topics: &'static Topics = Box::leak(Box::new(device::topics()));
    let board = boot(&SERVER, topics, 1, Deadlines::DEFAULT, async |_, out| {
        STARTED.fetch_add(1, Ordering::SeqCst);
        let alive = Alive;
        tokio::time::sleep(Duration::from_millis(500)).await;
        ::core::mem::forget(alive);
        ENDED.fetch_add(1, Ordering::SeqCst);
        out.text("done")
    });
    let wait = |counter: &AtomicUsize, count: usize| {
        let started = Instant::now();
        while counter.load(Ordering::SeqCst) < count {
            assert!(started.elapsed() < PATIENCE, "it never comes");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let legacy = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "log", "arguments": {"lines": 1}}});
    for (message, fields, ended, dropped) in [(call(1, "log", 1), "", 0, 1), (legacy, "x: y\r\n", 1, 1)] {
        let mut request = String::from_utf8(wire(&message, fields)).expect("UTF-8");
        if ended == 1 {
            request = request.replace("2026-07-28", "2025-11-25");
        }
        let before = STARTED.load(Ordering::SeqCst);
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.write_all(request.as_bytes()).expect("it is taken");
        wait(&STARTED, before + 1);
        stream.shutdown(Shutdown::Both).expect("it closes");
        wait(&ENDED, ended);
        wait(&DROPPED, dropped);
        assert_eq!((ENDED.load(Ordering::SeqCst), DROPPED.load(Ordering::SeqCst)), (ended, dropped));
    }
}

#[test]
fn client_that_keeps_the_board_waiting_loses_its_connection_and_no_other_client_does() {
    let (board, _) = board(2, Deadlines { call: Ticks::from_secs(60), ..IMPATIENT });
    let request = wire(&call(1, "log", 1), "");
    // Nothing at all; a part of a head; a part of a body.
    for sent in [&b""[..], &request[..30], &request[..request.len() - 1]] {
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.write_all(sent).expect("it is taken");
        let started = Instant::now();
        assert_eq!(ask(&board, &call(2, "log", 1))["id"], 2);
        assert_eq!(rest(&mut stream), "");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    // No further request after an answer.
    let mut stream = TcpStream::connect(board.address()).expect("the board listens");
    stream.write_all(&request).expect("it is taken");
    let came = rest(&mut stream);
    assert_eq!(came.matches("HTTP/1.1 200 ").count(), 1, "{came}");
    assert!(!came.contains("connection: close"), "it was kept for a while");
}

/// Serves `request` over a pipe that holds `pipe` bytes. The client reads `piece` bytes of the
/// answers every 50 ms.
fn served_slowly(
    request: &[u8],
    pipe: usize,
    piece: usize,
    handler: impl AsyncFn(&mut Output<'_>) -> ToolResult,
) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(pipe);
        let (mut answers, mut requests) = tokio::io::split(near);
        let (rx, tx) = tokio::io::split(far);
        let client = async {
            requests.write_all(request).await.expect("it is taken");
            while answers.read(&mut vec![0; piece]).await.is_ok_and(|count| count > 0) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let topics = topics();
        let policy = Policy { hosts: LOOPBACK, origins: &[], access: Gate::Open(Access::Anonymous) };
        let deadlines = Deadlines { write: Ticks::from_secs(1), call: Ticks::from_secs(60), ..IMPATIENT };
        let site = EndpointConfig { path: "/mcp", policy, guard: Guard::NONE, deadlines };
        let endpoint = Endpoint { server: &SERVER, changes: &topics, site, room: ConnectionSlots::new(1) };
        let server = async {
            let mut buffers = HttpBuffers::<1024, 2048, 2048>::new();
            let io = (FromTokio::new(rx), FromTokio::new(tx));
            let handler = async |_: Call<'_>, out: &mut Output<'_>| handler(out).await;
            serve_connection(io, None, &mut buffers, &endpoint, handler).await
        };
        let (end, ()) = tokio::join!(server, client);
        end
    })
}

#[test]
fn client_that_takes_its_answer_a_few_bytes_at_a_time_is_cut_off() {
    let request = wire(&call(1, "log", 1), "connection: close\r\n");
    let text = "x".repeat(1500);
    // Each single wait is shorter than the deadline of a second, but the whole answer takes almost
    // three seconds.
    for (piece, end) in [(30, End::Abort), (2000, End::Close)] {
        assert_eq!(served_slowly(&request, piece, piece, async |out| out.text(&text)), end, "{piece} bytes at a time");
    }
}

#[test]
fn time_of_the_handler_does_not_count_as_time_of_the_client() {
    let request = wire(&call(1, "log", 1), "connection: close\r\n");
    let slow = async |out: &mut Output<'_>| {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        out.text("done")
    };
    assert_eq!(served_slowly(&request, 2000, 2000, slow), End::Close);
}

#[test]
fn client_that_takes_nothing_of_its_answer_is_cut_off() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (mut near, far) = tokio::io::duplex(4096);
        near.write_all(&wire(&call(1, "log", 1000), "")).await.expect("it is taken");
        let (rx, tx) = tokio::io::split(far);
        let policy = Policy { hosts: LOOPBACK, origins: &[], access: Gate::Open(Access::Anonymous) };
        let site = EndpointConfig { path: "/mcp", policy, guard: Guard::NONE, deadlines: IMPATIENT };
        let mut buffers = HttpBuffers::<1024, 2048, 512>::new();
        let topics = topics();
        let endpoint = Endpoint { server: &SERVER, changes: &topics, site, room: ConnectionSlots::new(1) };
        let io = (FromTokio::new(rx), FromTokio::new(tx));
        let handler = async |call: Call<'_>, out: &mut Output<'_>| Board.answer(call, out).await;
        let end = serve_connection(io, None, &mut buffers, &endpoint, handler).await;
        assert_eq!(end, End::Abort, "what has gone out is no answer");
    });
}

#[test]
fn call_that_takes_too_long_is_answered_with_an_error() {
    let topics: &'static Topics = Box::leak(Box::new(device::topics()));
    let board = boot(&SERVER, topics, 1, IMPATIENT, async |_, out| {
        out.text("so far")?;
        ::core::future::pending().await
    });
    let answer = ask(&board, &call(3, "log", 1));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(
        answer["result"]["content"],
        json!([{"type": "text", "text": "The call took longer than this server allows"}])
    );
}

#[test]
fn idle_connection_makes_room_for_the_next_client() {
    let (board, _) = board(2, Deadlines::DEFAULT);
    let mut kept: Vec<TcpStream> = Vec::new();
    for id in 0..10 {
        let mut stream = TcpStream::connect(board.address()).expect("the board listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(&wire(&call(id, "log", 1), "")).expect("it is taken");
        let came = until(&mut stream, "}}}}", 1);
        assert!(came.contains(&format!("\"id\":{id},")), "{came}");
        kept.push(stream);
    }
}
