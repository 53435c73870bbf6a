//! Fuzz target: subscriptions, that is filters and the messages sent for them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::listen(input));
