//! libFuzzer's entry to `medipeps_fuzz::tokens`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::tokens(data));
