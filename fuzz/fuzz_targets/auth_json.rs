//! Policies in the form of a function platform.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::auth_json(input));
