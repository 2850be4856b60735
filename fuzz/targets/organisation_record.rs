//! libFuzzer's entry to `medipeps_fuzz::organisation_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::organisation_record(data));
