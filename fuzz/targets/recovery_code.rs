//! libFuzzer's entry to `medipeps_fuzz::recovery_code`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::recovery_code(data));
