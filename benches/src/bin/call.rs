//! Runs one of the cases a number of times, under a tool that counts instructions.
//!
//! `call CASE RUNS` prints the bytes of the request and of the answer, and the total number of
//! allocations, which must be zero. `call --list` prints the names of the cases.

use attache_benches::{Buffers, CASES, Case, Counting, allocations, case};
use std::hint::black_box;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (case, runs) = match words[..] {
        ["--list"] => {
            CASES.iter().for_each(|case| println!("{}", case.name));
            return ExitCode::SUCCESS;
        }
        [name, runs] => (case(name), runs.parse().ok()),
        _ => (None, None),
    };
    let (Some(case), Some(runs)) = (case, runs) else {
        eprintln!("usage: call CASE RUNS | call --list");
        return ExitCode::from(2);
    };
    measure(case, runs);
    ExitCode::SUCCESS
}

fn measure(case: &'static Case, runs: u64) {
    let ready = case.ready();
    let mut buffers = Buffers::new();
    let mut answer = Vec::new();
    ready.run(&mut buffers, |piece| answer.extend_from_slice(piece));
    case.check(&answer);

    let before = allocations();
    for _ in 0..runs {
        black_box(&ready).run(&mut buffers, |piece| {
            black_box(piece);
        });
    }
    let allocated = allocations() - before;

    println!("{} {} {allocated}", case.request_len(), answer.len());
    assert_eq!(allocated, 0, "{}: allocations in {runs} runs", case.name);
}
