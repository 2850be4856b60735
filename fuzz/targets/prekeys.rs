//! libFuzzer's entry to `medipeps_fuzz::prekeys`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::prekeys(data));
