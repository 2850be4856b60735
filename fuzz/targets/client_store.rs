//! libFuzzer's entry to `medipeps_fuzz::client_store`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::client_store(data));
