//! Fuzz target: access tokens and their claims.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::token(input));
