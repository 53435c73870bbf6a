//! Fuzz target: the JSON reader and writer, against serde_json.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| attache_fuzz_replay::json(input));
