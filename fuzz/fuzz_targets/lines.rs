//! Fuzz target: the line splitter, against a split of the whole stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::lines(input));
