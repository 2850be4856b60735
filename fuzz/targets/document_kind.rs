//! libFuzzer's entry to `medipeps_fuzz::document_kind`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::document_kind(data));
