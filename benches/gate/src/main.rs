//! Measures what a gate adds to a call of an MCP server.
//!
//! `attache-gate-bench child` is a server on standard input and output with one tool, `attache-gate-bench events`
//! one over HTTP that streams, `attache-gate-bench bare` answers each request with prepared bytes.
//! `attache-gate-bench measure ATTACHE [NAME=COMMAND]...` starts the program ATTACHE and other gates in
//! front of the same servers, and prints tables. `benches/gate/run` builds and runs all of it.

#[path = "../../peers/src/bare.rs"]
mod bare;
mod child;
mod client;
mod events;
mod latency;
mod load;
mod process;
mod streams;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["child"] => child::serve(),
        ["bare"] => blocking(bare::serve()),
        ["events"] => blocking(events::serve()),
        ["measure", attache, peers @ ..] => return measure(attache, peers),
        _ => {
            eprintln!("usage: attache-gate-bench child | bare | events | measure ATTACHE [NAME=COMMAND]...");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn blocking(serving: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serving);
}

fn measure(attache: &str, peers: &[&str]) -> ExitCode {
    let checks = [latency::measure(attache, peers), load::measure(attache), streams::measure(attache)];
    if checks.iter().all(|met| *met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Binds a free port of the loopback interface and prints its address as the program does.
async fn listen() -> tokio::net::TcpListener {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}/mcp", listener.local_addr().expect("an address"));
    listener
}
