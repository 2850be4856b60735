//! libFuzzer's entry to `medipeps_fuzz::invitation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::invitation(data));
