//! Subscriptions: filters and what is sent for them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::listen(input));
