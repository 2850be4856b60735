//! libFuzzer's entry to `medipeps_fuzz::trust_list`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::trust_list(data));
