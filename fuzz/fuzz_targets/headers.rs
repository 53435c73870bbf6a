//! The facts of a head, the door, and the comparison with the body.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::headers(input));
