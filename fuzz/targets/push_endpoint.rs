//! libFuzzer's entry to `medipeps_fuzz::push_endpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::push_endpoint(data));
