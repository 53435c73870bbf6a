//! Keys as issuers publish them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::key(input));
