//! libFuzzer's entry to `medipeps_fuzz::linking`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::linking(data));
