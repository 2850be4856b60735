//! libFuzzer's entry to `medipeps_fuzz::envelope`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::envelope(data));
