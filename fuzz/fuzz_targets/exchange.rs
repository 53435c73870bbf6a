//! Fuzz target: a whole exchange over each carrier, with a small application.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::exchange(input));
