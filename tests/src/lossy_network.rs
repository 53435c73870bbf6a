//! The device driver over a network that loses, delays and repeats frames, with clients that crowd,
//! stall and vanish: two stacks of embassy-net and a wire between them. All stacks of this program
//! share one real clock, so the tests use short deadlines.

use crate::device::{Board, SERVER, Topics, entries, topics};
use ::core::cell::RefCell;
use ::core::time::Duration;
use attache_core::auth::{Access, Gate};
use attache_core::embassy::{ConnectionSlots, Deadlines, Endpoint, EndpointConfig, Guard, SocketBuffers, serve};
use attache_core::http::Policy;
use backlog::Backlog;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver_channel::driver::{HardwareAddress, LinkState};
use embassy_net_driver_channel::{Device, RxRunner, State, TxRunner};
use embassy_time::{Duration as Ticks, Instant};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::rc::Rc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

#[path = "../firmware/src/backlog.rs"]
#[expect(unreachable_pub, reason = "the board's own")]
mod backlog;

const MTU: usize = 1514;
const BOARD: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const CLIENTS: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
const SOCKETS: usize = 2;

const IMPATIENT: Deadlines = Deadlines {
    head: Ticks::from_millis(3000),
    body: Ticks::from_millis(3000),
    idle: Ticks::from_millis(4000),
    call: Ticks::from_millis(6000),
    write: Ticks::from_millis(2000),
    comment: Ticks::from_millis(1000),
};

/// The fate of frames, as a number out of a thousand each.
#[derive(Clone, Copy, Default)]
struct Weather {
    lost: u64,
    repeated: u64,
    /// The largest delay of a frame in milliseconds; delayed frames arrive out of order.
    late: u64,
}

/// The wire, and the faults that it injects.
struct Wire {
    weather: Weather,
    chance: RefCell<u64>,
    /// Ports of clients that have vanished: the wire drops all frames from and to them.
    gone: RefCell<HashSet<u16>>,
    backlog: RefCell<Backlog>,
}

impl Wire {
    /// The xorshift64 generator: every run loses the same frames.
    fn below(&self, bound: u64) -> u64 {
        let mut chance = self.chance.borrow_mut();
        *chance ^= *chance << 13;
        *chance ^= *chance >> 7;
        *chance ^= *chance << 17;
        *chance % bound
    }

    /// Takes frames from a stack and sends them with the faults of the weather.
    async fn carry(self: Rc<Self>, mut tx: TxRunner<'static, MTU>, to: UnboundedSender<Vec<u8>>, from_board: bool) {
        loop {
            let frame = tx.tx_buf().await.to_vec();
            tx.tx_done();
            if from_board && !self.backlog.borrow_mut().lets_through(&frame, Instant::now()) {
                continue;
            }
            let port = frame.get(if from_board { 36..38 } else { 34..36 }).and_then(|port| port.try_into().ok());
            let vanished = port.is_some_and(|port| self.gone.borrow().contains(&u16::from_be_bytes(port)));
            if vanished || self.below(1000) < self.weather.lost {
                continue;
            }
            let copies = if self.below(1000) < self.weather.repeated { 2 } else { 1 };
            for _ in 0..copies {
                let late = Duration::from_millis(self.below(self.weather.late + 1));
                let (to, frame) = (to.clone(), frame.clone());
                if late.is_zero() {
                    let _ = to.send(frame);
                } else {
                    spawn_local(async move {
                        sleep(late).await;
                        let _ = to.send(frame);
                    });
                }
            }
        }
    }

    /// Passes frames to the clients' stack.
    async fn to_clients(mut rx: RxRunner<'static, MTU>, mut from: UnboundedReceiver<Vec<u8>>) {
        while let Some(frame) = from.recv().await {
            give(&mut rx, &frame).await;
        }
    }

    /// Passes frames to the board's stack, and passes frames of the backlog to it again.
    async fn to_board(self: Rc<Self>, mut rx: RxRunner<'static, MTU>, mut from: UnboundedReceiver<Vec<u8>>) {
        loop {
            let due = self.backlog.borrow().due();
            let wait = due.map(|due| Duration::from_micros(due.saturating_duration_since(Instant::now()).as_micros()));
            let frame = tokio::select! {
                frame = from.recv() => frame,
                () = sleep(wait.unwrap_or(Duration::from_secs(3600))) => None,
            };
            let offered = match frame {
                Some(frame) => {
                    self.backlog.borrow_mut().note(&frame, Instant::now());
                    Some(frame)
                }
                None => self.backlog.borrow_mut().next(Instant::now()).map(<[u8]>::to_vec),
            };
            if let Some(frame) = offered {
                give(&mut rx, &frame).await;
                // A driver sees the stack's reaction to a frame at once, before it passes on the
                // next frame.
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

async fn give(rx: &mut RxRunner<'static, MTU>, frame: &[u8]) {
    rx.rx_buf().await[..frame.len()].copy_from_slice(frame);
    rx.rx_done(frame.len());
}

fn leaked<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// Makes a stack with this address, and both ends of its wire.
fn stack(address: Ipv4Address) -> (Stack<'static>, TxRunner<'static, MTU>, RxRunner<'static, MTU>) {
    let state = leaked(State::<MTU, 8, 8>::new());
    let [.., last] = address.octets();
    let (runner, device): (_, Device<'static, MTU>) =
        embassy_net_driver_channel::new(state, HardwareAddress::Ethernet([2, 0, 0, 0, 0, last]));
    let config = StaticConfigV4 { address: Ipv4Cidr::new(address, 24), gateway: None, dns_servers: Default::default() };
    let resources = leaked(StackResources::<40>::new());
    let (stack, mut network) = embassy_net::new(device, Config::ipv4_static(config), resources, last.into());
    spawn_local(async move { network.run().await });
    let (link, rx, tx) = runner.split();
    link.set_link_state(LinkState::Up);
    (stack, tx, rx)
}

/// Starts a board with these deadlines, and runs `test` with the clients' stack and the wire.
fn in_weather<F: Future<Output = ()>>(
    weather: Weather,
    deadlines: Deadlines,
    test: impl FnOnce(Stack<'static>, Rc<Wire>) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (board, board_tx, board_rx) = stack(BOARD);
        let (clients, clients_tx, clients_rx) = stack(CLIENTS);
        let wire = Rc::new(Wire {
            weather,
            chance: RefCell::new(0x9E37_79B9_7F4A_7C15),
            gone: RefCell::default(),
            backlog: RefCell::new(Backlog::new()),
        });
        let (to_board, from_clients) = unbounded_channel();
        let (to_clients, from_board) = unbounded_channel();
        spawn_local(Rc::clone(&wire).carry(clients_tx, to_board, false));
        spawn_local(Rc::clone(&wire).carry(board_tx, to_clients, true));
        spawn_local(Rc::clone(&wire).to_board(board_rx, from_clients));
        spawn_local(Wire::to_clients(clients_rx, from_board));
        let topics: &'static Topics = leaked(topics());
        let policy = Policy { hosts: &["10.0.0.1"], origins: &[], access: Gate::Open(Access::Anonymous) };
        let site = EndpointConfig { path: "/mcp", policy, guard: Guard::NONE, deadlines };
        let endpoint: &'static Endpoint<'_, 2> =
            leaked(Endpoint { server: &SERVER, changes: topics, site, room: ConnectionSlots::new(SOCKETS) });
        for _ in 0..SOCKETS {
            let memory = leaked(SocketBuffers::<1024, 2048, 512>::new());
            spawn_local(serve((board, 80), memory, endpoint, async |call, out| Board.answer(call, out).await));
        }
        timeout(Duration::from_secs(120), test(clients, wire)).await.expect("it comes to an end");
    });
}

/// A call for a log of this many lines, as bytes on the wire.
fn request(lines: u32) -> Vec<u8> {
    let params = json!({"name": "log", "arguments": {"lines": lines}});
    let body = json!({"jsonrpc": "2.0", "id": lines, "method": "tools/call", "params": params}).to_string();
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: 10.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2025-11-25\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The behaviour of a client.
#[derive(Clone, Copy)]
struct Manner {
    /// The number of bytes that the client sends and reads at a time; `pause` is the wait in
    /// between.
    piece: usize,
    pause: Duration,
    window: usize,
}

const BRISK: Manner = Manner { piece: 1024, pause: Duration::ZERO, window: 2048 };

/// Opens a connection and sends these bytes.
async fn sent(
    stack: Stack<'static>,
    bytes: &[u8],
    manner: Manner,
) -> Result<TcpSocket<'static>, embassy_net::tcp::ConnectError> {
    let [rx, tx] = [manner.window, 2048].map(|size| Box::leak(vec![0; size].into_boxed_slice()));
    let mut socket = TcpSocket::new(stack, rx, tx);
    socket.set_timeout(Some(Ticks::from_secs(30)));
    socket.connect((BOARD, 80)).await?;
    for piece in bytes.chunks(manner.piece) {
        let mut rest = piece;
        // A write of zero bytes would wait forever.
        while !rest.is_empty()
            && let Ok(length @ 1..) = socket.write(rest).await
        {
            rest = &rest[length..];
        }
        sleep(manner.pause).await;
    }
    Ok(socket)
}

/// Calls for a log, and checks that the whole log arrives.
async fn call(stack: Stack<'static>, lines: u32, manner: Manner) {
    let mut socket = sent(stack, &request(lines), manner).await.expect("a connection");
    let mut came = Vec::new();
    loop {
        let mut piece = vec![0; manner.piece];
        match socket.read(&mut piece).await {
            Ok(0) => break,
            Ok(length) => came.extend_from_slice(&piece[..length]),
            Err(error) => panic!("{error:?} behind {}", String::from_utf8_lossy(&came)),
        }
        sleep(manner.pause).await;
    }
    socket.close();
    let _ = timeout(Duration::from_secs(2), socket.flush()).await;
    let text = String::from_utf8(came).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let body = if head.contains("chunked") { dechunked(body) } else { body.to_owned() };
    let answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(answer["id"], lines, "somebody else's answer");
    assert_eq!(answer["result"]["content"][0]["text"], entries(lines));
}

fn dechunked(mut body: &str) -> String {
    let mut whole = Vec::new();
    loop {
        let (size, rest) = body.split_once("\r\n").expect("a size");
        let size = usize::from_str_radix(size, 16).expect("hexadecimal");
        if size == 0 {
            return String::from_utf8(whole).expect("UTF-8");
        }
        // A character may be split between two chunks.
        whole.extend_from_slice(&rest.as_bytes()[..size]);
        body = rest.get(size + 2..).expect("the end of a chunk");
    }
}

async fn all(clients: impl IntoIterator<Item = impl Future<Output = ()> + 'static>) {
    let clients: Vec<_> = clients.into_iter().map(spawn_local).collect();
    for client in clients {
        client.await.expect("an answer");
    }
}

#[test]
fn frames_that_are_lost_late_or_repeated_change_no_answer() {
    let weather = Weather { lost: 50, repeated: 50, late: 15 };
    in_weather(weather, Deadlines::DEFAULT, async |stack, _| {
        all((0..4u32).map(|client| async move {
            for round in 0..4 {
                call(stack, client * 10 + round, BRISK).await;
            }
        }))
        .await;
    });
}

#[test]
fn twenty_clients_at_once_on_two_sockets_are_served_and_two_hundred_one_after_another() {
    in_weather(Weather::default(), IMPATIENT, async |stack, _| {
        all((0..20).map(|client| call(stack, client, BRISK))).await;
        for number in 0..200 {
            call(stack, number % 20, BRISK).await;
        }
    });
}

#[test]
fn client_that_vanishes_holds_its_socket_until_its_deadline_and_no_longer() {
    in_weather(Weather::default(), IMPATIENT, async |stack, wire| {
        let bytes = request(1);
        let (head, half) = (&bytes[..40], &bytes[..bytes.len() - 5]);
        for part in [head, half] {
            let mut silent = Vec::new();
            for _ in 0..SOCKETS {
                let socket = sent(stack, part, BRISK).await.expect("a connection");
                wire.gone.borrow_mut().insert(socket.local_endpoint().expect("connected").port);
                silent.push(socket);
            }
            let begun = std::time::Instant::now();
            call(stack, 3, BRISK).await;
            let waited = begun.elapsed();
            assert!(waited > Duration::from_millis(500), "it holds one: {waited:?}");
            assert!(waited < Duration::from_secs(20), "and not for ever: {waited:?}");
        }
    });
}

#[test]
fn client_that_resets_in_the_middle_does_not_affect_other_clients() {
    in_weather(Weather::default(), IMPATIENT, async |stack, _| {
        let bytes = request(2);
        for length in [0, 1, 30, 120, bytes.len() - 1, bytes.len()] {
            for _ in 0..SOCKETS {
                let mut socket = sent(stack, &bytes[..length], BRISK).await.expect("a connection");
                socket.abort();
                let _ = timeout(Duration::from_secs(1), socket.flush()).await;
            }
            call(stack, 4, BRISK).await;
        }
    });
}

#[test]
fn client_that_dawdles_gets_its_answer_and_one_that_takes_nothing_is_cut_off() {
    in_weather(Weather::default(), IMPATIENT, async |stack, _| {
        let slow = Manner { piece: 48, pause: Duration::from_millis(2), window: 96 };
        let byte_by_byte = Manner { piece: 1, pause: Duration::from_micros(100), window: 2048 };
        all([call(stack, 30, slow), call(stack, 2, byte_by_byte)]).await;
        // The answers do not fit into the buffers, and the clients read nothing.
        let idle = Manner { window: 64, ..BRISK };
        let mut deaf = Vec::new();
        for _ in 0..SOCKETS {
            deaf.push(sent(stack, &request(200), idle).await.expect("a connection"));
        }
        let begun = std::time::Instant::now();
        call(stack, 5, BRISK).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    });
}
