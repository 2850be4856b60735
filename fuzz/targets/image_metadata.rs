//! libFuzzer's entry to `medipeps_fuzz::image_metadata`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::image_metadata(data));
