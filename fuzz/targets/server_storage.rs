//! libFuzzer's entry to `medipeps_fuzz::server_storage`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::server_storage(data));
