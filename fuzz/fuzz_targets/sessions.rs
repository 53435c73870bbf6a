//! Fuzz target: sequences of operations on the tables of legacy sessions and their calls.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::sessions(input));
