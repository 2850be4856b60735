//! libFuzzer's entry to `medipeps_fuzz::altered_attachment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::altered_attachment(data));
