//! libFuzzer's entry to `medipeps_fuzz::statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::statement(data));
