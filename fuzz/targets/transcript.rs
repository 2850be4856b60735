//! libFuzzer's entry to `medipeps_fuzz::transcript`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::transcript(data));
