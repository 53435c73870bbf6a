//! Fuzz target: public keys (JWK) in the form that issuers publish.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::key(input));
