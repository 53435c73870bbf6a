//! The processor time of a call that is bridged over HTTP, against a call that is served and an
//! exchange of bare hyper.

use crate::client::Client;
use crate::process::Server;

const ROUNDS: usize = 5;
const CALLS: usize = 4000;
const CONNECTIONS: usize = 4;

/// A bridged call takes at most so many times a served call, and one exchange of bare hyper.
const SERVED: f64 = 1.6;

pub fn measure(attache: &str) -> bool {
    let own = std::env::current_exe().expect("this program");
    let own = own.to_str().expect("UTF-8");
    let mut rounds: Vec<[f64; 3]> = (0..ROUNDS).map(|_| round(attache, own)).collect();
    rounds.sort_by(|a, b| (a[2] / bar(a)).total_cmp(&(b[2] / bar(b))));
    let median = rounds[ROUNDS / 2];
    println!("Processor time of a call over HTTP, median of {ROUNDS} rounds of {CALLS} calls:\n");
    println!("| | µs |\n|---|--:|");
    for (name, time) in
        ["exchange of bare hyper", "call served by attache", "call bridged by attache"].iter().zip(median)
    {
        println!("| {name} | {time:.1} |");
    }
    println!("| bar: {SERVED} served calls and 1 exchange | {:.1} |\n", bar(&median));
    median[2] <= bar(&median)
}

fn bar([bare, served, _]: &[f64; 3]) -> f64 {
    SERVED * served + bare
}

fn round(attache: &str, own: &str) -> [f64; 3] {
    let bare = cost(&Server::start(own, &["bare"]));
    let served = Server::start(attache, &["serve", "--demo", "--listen", "127.0.0.1:0"]);
    let served_cost = cost(&served);
    let url = format!("http://{}{}", served.address, served.path);
    let bridged = cost(&Server::start(attache, &["gate", "--listen", "127.0.0.1:0", &url]));
    [bare, served_cost, bridged]
}

/// The microseconds of each call.
fn cost(server: &Server) -> f64 {
    send(server, CALLS / 10);
    let before = server.time();
    send(server, CALLS);
    (server.time() - before) as f64 / 1000.0 / CALLS as f64
}

fn send(server: &Server, calls: usize) {
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = Client::modern(&server.address, &server.path);
                (0..calls / CONNECTIONS).for_each(|_| client.echo());
            });
        }
    });
}
