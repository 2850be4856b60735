//! libFuzzer's entry to `medipeps_fuzz::group_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::group_record(data));
