//! libFuzzer's entry to `medipeps_fuzz::clinical_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::clinical_document(data));
