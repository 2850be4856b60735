//! libFuzzer's entry to `medipeps_fuzz::content`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::content(data));
