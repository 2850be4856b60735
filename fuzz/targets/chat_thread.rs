//! libFuzzer's entry to `medipeps_fuzz::chat_thread`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::chat_thread(data));
