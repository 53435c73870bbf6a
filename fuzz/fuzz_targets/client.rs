//! Fuzz target: what a server sends to a client: events, messages and the answers of a negotiation.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::client(input));
