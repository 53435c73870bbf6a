//! A board on a serial port of this machine: a client of this project, and the gate in front of it.
//! The port is a pseudo terminal, and the driver for devices runs at its other end.

use crate::device::{Board, SERVER, entries, topics};
use crate::gate::text;
use ::core::time::Duration;
use attache_core::embassy::{Line, LineBuffers};
use attache_host::Server;
use attache_host::bridge::Bridge;
use attache_host::client::{Client, List, RawJson, SerialPort};
use attache_host::testing;
use embedded_io_adapters::tokio_1::FromTokio;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;
use std::fs::File;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::timeout;

/// The end of a port where the board is.
struct Plug {
    from_host: Receiver,
    to_host: Sender,
    /// Without a program at the port, the line of a pseudo terminal is broken.
    _port: File,
}

/// Makes a port, and returns it with the board's end.
fn port() -> (SerialPort, Plug) {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&near).and_then(|()| unlockpt(&near)).expect("a usable terminal");
    fcntl_setfl(&near, OFlags::NONBLOCK).expect("a mode");
    let path = ptsname(&near, Vec::new()).expect("a name").into_string().expect("UTF-8");
    let held = File::options().read(true).write(true).open(&path).expect("it opens");
    let (input, output) = (File::from(near.try_clone().expect("a copy")), File::from(near));
    let plug = Plug {
        from_host: Receiver::from_file_unchecked(input).expect("it can be waited for"),
        to_host: Sender::from_file_unchecked(output).expect("it can be waited for"),
        _port: held,
    };
    (SerialPort::new(path), plug)
}

/// Runs a board at its end of the port, until the board is unplugged.
async fn run(plug: Plug) {
    let Plug { from_host, to_host, _port } = plug;
    let (topics, mut buffers) = (topics(), LineBuffers::<2048, 4096, 2>::new());
    let io = (FromTokio::new(from_host), FromTokio::new(to_host));
    let _ = Line::new(&SERVER)
        .changes(&topics)
        .serve(io, &mut buffers, async |call, out| Board.answer(call, out).await)
        .await;
}

/// Runs a test beside a board.
async fn beside<T>(plug: Plug, test: impl Future<Output = T>) -> T {
    tokio::select! {
        () = run(plug) => panic!("the board has stopped"),
        done = timeout(Duration::from_secs(60), test) => done.expect("in time"),
    }
}

#[tokio::test]
async fn client_calls_tools_of_a_board_on_a_port() {
    let (port, mut plug) = port();
    // Lines that a board prints at its start are not messages, and neither is half a line.
    plug.to_host.write_all(b"boot: 1.2.3\r\n{\"jsonrpc\":").await.expect("written");
    let test = async {
        let client = Client::builder("test", "1").serial(&port).await.expect("the board answers");
        assert_eq!(client.version().as_str(), "2026-07-28");
        let tools = client.list(List::Tools).await.expect("a list");
        assert_eq!(tools.len(), 8);
        let lines = RawJson::of(&json!({ "lines": 400 })).expect("JSON");
        let result = client.call("log", lines).await.expect("a result");
        assert_eq!(text(&result), entries(400));
        client.close().await;
    };
    beside(plug, test).await;
}

#[tokio::test]
async fn gate_serves_a_board_on_a_port_until_it_is_unplugged() {
    let (port, plug) = port();
    let bridge = Arc::new(Bridge::serial("board", port));
    let test = async {
        let server = Server::new("gate", "1");
        server.backends().add("board_", Arc::clone(&bridge) as _);
        let mut client = testing::Client::of(server);
        bridge.connected().await;
        let result = client.call("board_log", json!({ "lines": 3 })).await.expect("a result");
        assert_eq!(result["content"][0]["text"], entries(3));
        client
    };
    let mut client = beside(plug, test).await;
    // The board is unplugged: its end of the line is closed.
    let failed =
        timeout(Duration::from_secs(30), client.call("board_log", json!({ "lines": 3 }))).await.expect("in time");
    let failed = failed.unwrap_or_else(|error| error);
    assert!(failed.to_string().contains("board"), "{failed}");
}

#[tokio::test]
async fn port_that_cannot_be_used_is_named_with_the_remedy() {
    for (path, words) in [("/dev/attache-no-such-port", "connect the board"), ("/dev/null", "/dev/null: ")] {
        let error = Client::builder("test", "1").serial(&SerialPort::new(path)).await.expect_err("no port");
        assert!(error.to_string().contains(words), "{error}");
    }
    for wrong in [
        "serial:",
        "serial:ttyACM0",
        "serial:/dev/ttyACM0?baud=",
        "serial:/dev/ttyACM0?baud=fast",
        "serial:/dev/a?rate=1",
    ] {
        let error = SerialPort::parse(wrong).expect("a serial URL").expect_err(wrong);
        assert!(error.to_string().contains("serial:/dev/ttyACM0"), "{error}");
    }
    let slashes = SerialPort::parse("serial:///dev/ttyACM0").expect("a serial URL").expect("a port");
    assert_eq!(slashes, SerialPort::new("/dev/ttyACM0"));
}
