//! libFuzzer's entry to `medipeps_fuzz::backup`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::backup(data));
