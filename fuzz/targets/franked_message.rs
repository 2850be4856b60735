//! libFuzzer's entry to `medipeps_fuzz::franked_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medipeps_fuzz::franked_message(data));
