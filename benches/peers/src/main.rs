//! Compares the processor time of the same tool call on the host of this repository, on bare hyper,
//! and on the official SDK.
//!
//! `peers bare` and `peers sdk [PUBLIC_KEY]` serve and print their address. `peers measure ATTACHE`
//! starts them and the program ATTACHE in turn, puts the same load on each, and prints a table.
//! `benches/peers/run` builds both and runs the measurement.

mod bare;
mod load;
mod measure;
mod sdk;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bare"] => bare::serve().await,
        ["sdk"] => sdk::serve(None).await,
        ["sdk", key] => sdk::serve(Some(&std::fs::read(key).expect("a public key in PEM"))).await,
        ["measure", attache] => return measure::run(attache, 8000),
        ["measure", attache, "--quick"] => return measure::run(attache, 2000),
        _ => {
            eprintln!("usage: peers bare | peers sdk [PUBLIC_KEY] | peers measure ATTACHE [--quick]");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Binds a free port of the loopback interface and prints its address as the program does.
async fn listen() -> tokio::net::TcpListener {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}/mcp", listener.local_addr().expect("an address"));
    listener
}
