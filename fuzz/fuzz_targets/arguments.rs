//! Declared arguments of each type against serde.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::arguments(input));
