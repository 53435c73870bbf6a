//! Runs every seed, every corpus file that exists, and some thousand mutations of the seeds through
//! the checks.
//!
//! A finding of the fuzzer becomes a seed, and so a test that runs everywhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

#[test]
fn json_seeds_and_mutations_replayed_hold() {
    replay("json", attache_fuzz_replay::json);
}

#[test]
fn arguments_seeds_and_mutations_replayed_hold() {
    replay("arguments", attache_fuzz_replay::arguments);
}

#[test]
fn envelope_seeds_and_mutations_replayed_hold() {
    replay("envelope", attache_fuzz_replay::envelope);
}

#[test]
fn exchange_seeds_and_mutations_replayed_hold() {
    replay("exchange", attache_fuzz_replay::exchange);
}

#[test]
fn lines_seeds_and_mutations_replayed_hold() {
    replay("lines", attache_fuzz_replay::lines);
}

#[test]
fn headers_seeds_and_mutations_replayed_hold() {
    replay("headers", attache_fuzz_replay::headers);
}

#[test]
fn http1_seeds_and_mutations_replayed_hold() {
    replay("http1", attache_fuzz_replay::http1);
}

#[test]
fn state_seeds_and_mutations_replayed_hold() {
    replay("state", attache_fuzz_replay::state);
}

#[test]
fn sessions_seeds_and_mutations_replayed_hold() {
    replay("sessions", attache_fuzz_replay::sessions);
}

#[test]
fn listen_seeds_and_mutations_replayed_hold() {
    replay("listen", attache_fuzz_replay::listen);
}

#[test]
fn token_seeds_and_mutations_replayed_hold() {
    replay("token", attache_fuzz_replay::token);
}

#[test]
fn key_seeds_and_mutations_replayed_hold() {
    replay("key", attache_fuzz_replay::key);
}

#[test]
fn client_seeds_and_mutations_replayed_hold() {
    replay("client", attache_fuzz_replay::client);
}

#[test]
fn auth_json_seeds_and_mutations_replayed_hold() {
    replay("auth_json", attache_fuzz_replay::auth_json);
}

fn replay(target: &str, check: fn(&[u8])) {
    let seeds = inputs("seeds", target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for (path, input) in seeds.iter().chain(&inputs("corpus", target)) {
        told(&path.display().to_string(), input, check);
    }
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for round in 0..ROUNDS {
        told(&format!("{target}, round {round}"), &mutated(&seeds, &mut chance), check);
    }
}

/// Runs a check, and shows the input if the check fails.
fn told(name: &str, input: &[u8], check: fn(&[u8])) {
    if std::panic::catch_unwind(|| check(input)).is_err() {
        panic!("{name}: {}", input.escape_ascii());
    }
}

fn inputs(folder: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder).join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    // Sorted by name, so that the mutations are the same on every machine.
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("a readable file"))).collect()
}

/// Returns a seed with up to four changes.
fn mutated(seeds: &[(PathBuf, Vec<u8>)], chance: &mut Chance) -> Vec<u8> {
    let mut input = seeds[chance.below(seeds.len())].1.clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(input.len() + 1);
        let until = (at + chance.below(8)).min(input.len());
        match chance.below(7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..until)),
            2 => drop(input.splice(at..at, TOKENS[chance.below(TOKENS.len())].bytes())),
            3 => drop(input.splice(at..until, TOKENS[chance.below(TOKENS.len())].bytes())),
            4 => input.extend_from_within(at..),
            5 => {
                let other = &seeds[chance.below(seeds.len())].1;
                input.truncate(at);
                input.extend_from_slice(&other[chance.below(other.len() + 1)..]);
            }
            _ => match input.get_mut(at) {
                Some(byte) => *byte ^= 1 << chance.below(8),
                None => input.push(0xFF),
            },
        }
        input.truncate(LONGEST);
    }
    input
}

/// The xorshift64 generator: the same sequence on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }
}

const ROUNDS: usize = 4_000;
/// The largest size of a mutation in bytes, so that the rounds stay quick.
const LONGEST: usize = 8_192;

/// Texts that are likely to matter to one of the targets.
const TOKENS: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\r",
    "\t",
    "\0",
    "0",
    "1",
    "9",
    "-",
    "+",
    ".",
    "e",
    "E",
    "1e400",
    "-0",
    "01",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "\\u006d",
    "null",
    "true",
    "false",
    "\"id\":",
    "\"method\":",
    "\"params\":",
    "\"jsonrpc\":\"2.0\"",
    "\"result\":{}",
    "\"name\":",
    "\"text\":",
    "\"arguments\":",
    "\"_meta\":",
    "tools/call",
    "tools/list",
    "2025-11-25",
    "2026-07-28",
    "\u{feff}",
    "\u{1f600}",
    "Mcp-Name: echo\n",
    "Mcp-Param-Region: eu\n",
    "Mcp-Param-: eu\n",
    "Mcp-Param-Count: 42.0\n",
    "\"region\":\"eu\",",
    "\"uri\":\"demo://monday-7\"",
    "\"cursor\":\"7.2\"",
    "\"toolsListChanged\":true,",
    "\"resourceSubscriptions\":[\"demo://plain\"]",
    "resources/read",
    "prompts/get",
    "subscriptions/listen",
    "completion/complete",
    "=?base64?ZWNobw==?=",
    "18446744073709551616",
];
