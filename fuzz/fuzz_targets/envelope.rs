//! Fuzz target: the JSON-RPC envelope, against a model of its rules.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::envelope(input));
