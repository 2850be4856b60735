//! libFuzzer's entry to `medipeps_fuzz::organisation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::organisation(data));
