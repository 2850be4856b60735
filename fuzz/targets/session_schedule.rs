//! libFuzzer's entry to `medipeps_fuzz::session_schedule`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::session_schedule(data));
