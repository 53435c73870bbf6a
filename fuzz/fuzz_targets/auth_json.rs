//! Fuzz target: policy files of a function platform (`auth.json`).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::auth_json(input));
