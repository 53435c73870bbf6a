//! Streams through a gate: how late an event is, and how much memory many of them take.

use crate::client::Client;
use crate::events::now;
use crate::latency::percentile;
use crate::process::Server;
use core::time::Duration;
use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

const STREAMS: usize = 200;
/// The time during which the streams are read.
const TIME: Duration = Duration::from_secs(10);
const MEMORY: u64 = 64 * 1024 * 1024;
const MEDIAN: Duration = Duration::from_millis(1);
const TAIL: Duration = Duration::from_millis(10);

pub fn measure(attache: &str) -> bool {
    let own = std::env::current_exe().expect("this program");
    let events = Server::start(own.to_str().expect("UTF-8"), &["events"]);
    let url = format!("http://{}{}", events.address, events.path);
    let gate = Server::start(attache, &["gate", "--listen", "127.0.0.1:0", &url]);
    let wait = Instant::now();
    while !Client::modern(&gate.address, &gate.path).lists("ticks") {
        assert!(wait.elapsed() < Duration::from_secs(20), "the tool is not listed");
    }
    println!("Events of a server over HTTP, each sent every 20 ms:\n");
    println!("| | p50 µs | p99 µs |\n|---|--:|--:|");
    let direct = ages(&events);
    let one = ages(&gate);
    for (name, times) in [("one stream, direct", &direct), ("one stream, through attache", &one)] {
        let [median, tail] = [50, 99].map(|percent| percentile(times, percent));
        println!("| {name} | {} | {} |", median.as_micros(), tail.as_micros());
    }
    let before = gate.resident();
    let mut streams: Vec<TcpStream> = (0..STREAMS).map(|_| opened(&gate)).collect();
    let (until, mut most) = (Instant::now() + TIME, 0);
    while Instant::now() < until {
        let mut piece = [0; 4096];
        for stream in &mut streams {
            let read = stream.read(&mut piece).expect("an event");
            assert!(read > 0, "a stream has ended");
        }
        most = most.max(gate.resident());
    }
    println!(
        "\nMemory of attache with {STREAMS} streams: {:.1} MB in all, {:.1} MB before. Bars: {} MB; {} µs and {} µs for one stream.\n",
        most as f64 / 1e6,
        before as f64 / 1e6,
        MEMORY / 1024 / 1024,
        MEDIAN.as_micros(),
        TAIL.as_micros()
    );
    most <= MEMORY && percentile(&one, 50) <= MEDIAN && percentile(&one, 99) <= TAIL
}

fn opened(server: &Server) -> TcpStream {
    Client::modern(&server.address, &server.path).stream("ticks")
}

/// The ages of the events of one stream, sorted.
fn ages(server: &Server) -> Vec<Duration> {
    let mut stream = opened(server);
    let (mut ages, mut piece) = (Vec::new(), [0; 4096]);
    let until = Instant::now() + TIME;
    let mut text = String::new();
    while Instant::now() < until {
        let read = stream.read(&mut piece).expect("an event");
        assert!(read > 0, "the stream has ended");
        let came = now();
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
        while let Some((event, rest)) = text.split_once("\n\n") {
            let sent =
                event.split("\"message\":\"").nth(1).and_then(|sent| sent.split('"').next()?.parse::<u64>().ok());
            ages.extend(sent.map(|sent| Duration::from_micros(came.saturating_sub(sent))));
            text = rest.to_owned();
        }
    }
    ages.sort_unstable();
    assert!(ages.len() > 50, "{}", ages.len());
    ages
}
