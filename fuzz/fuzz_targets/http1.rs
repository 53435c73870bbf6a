//! Fuzz target: the HTTP/1.1 reader, fed whole and in pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::http1(input));
