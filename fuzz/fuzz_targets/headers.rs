//! Fuzz target: the fields of a head, the gate, and the comparison of headers with the body.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::headers(input));
