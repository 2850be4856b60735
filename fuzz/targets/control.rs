//! libFuzzer's entry to `medipeps_fuzz::control`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::control(data));
