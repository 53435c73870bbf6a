//! The time that a gate adds to a call of a server on standard input and output.

use crate::client::Client;
use crate::process::Server;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Calls of each way.
const CALLS: usize = 2000;

/// The bar for what ours adds at the median.
const MOST: Duration = Duration::from_micros(500);

/// A server that is called directly.
struct Direct {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Direct {
    fn start(own: &str) -> Self {
        let mut child =
            Command::new(own).arg("child").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { child, input, output: BufReader::new(output), id: 0 }
    }

    fn echo(&mut self) {
        self.id += 1;
        let id = self.id;
        let call = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"arguments\":{{\"text\":\"hello\"}}}}}}\n"
        );
        self.input.write_all(call.as_bytes()).expect("it is taken");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        assert!(line.contains("hello"), "{line}");
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures each gate in turn with a direct call of a child of the same program, call by call.
pub fn measure(attache: &str, peers: &[&str]) -> bool {
    let own = std::env::current_exe().expect("this program");
    let own = own.to_str().expect("UTF-8").to_owned();
    let mut direct = Direct::start(&own);
    let mut gates =
        vec![("attache".to_owned(), Server::start(attache, &["gate", "--listen", "127.0.0.1:0", "--", &own, "child"]))];
    for peer in peers {
        let (name, command) = peer.split_once('=').expect("NAME=COMMAND");
        let words: Vec<String> = command.split(' ').map(|word| word.replace("{child}", &own)).collect();
        gates.push((name.to_owned(), Server::on_port(&words, "/mcp")));
    }
    let mut clients: Vec<Client> = gates.iter().map(|(_, gate)| Client::connect(&gate.address, &gate.path)).collect();
    clients.iter_mut().for_each(Client::ready);
    let mut times = vec![Vec::with_capacity(CALLS); clients.len() + 1];
    for round in 0..CALLS + CALLS / 10 {
        let mut took = vec![timed(|| direct.echo())];
        took.extend(clients.iter_mut().map(|client| timed(|| client.echo())));
        // The first tenth is a warm-up.
        if round >= CALLS / 10 {
            took.into_iter().zip(&mut times).for_each(|(time, times)| times.push(time));
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let [base, tail] = [50, 99].map(|percent| percentile(&times[0], percent));
    println!("A call of a server on standard input and output, {CALLS} calls of each, interleaved:\n");
    println!("| | p50 µs | p99 µs | added at p50, µs |\n|---|--:|--:|--:|");
    println!("| direct | {} | {} | |", base.as_micros(), tail.as_micros());
    for ((name, _), times) in gates.iter().zip(&times[1..]) {
        let [median, tail] = [50, 99].map(|percent| percentile(times, percent));
        println!(
            "| {name} | {} | {} | {} |",
            median.as_micros(),
            tail.as_micros(),
            median.saturating_sub(base).as_micros()
        );
    }
    let added = percentile(&times[1], 50).saturating_sub(base);
    println!("\nBar: attache adds {} µs at most.\n", MOST.as_micros());
    added <= MOST
}

fn timed(call: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    call();
    begun.elapsed()
}

/// The percentile of sorted times.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
