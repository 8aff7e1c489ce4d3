//! See `apiserver::fuzz::applies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| apiserver::fuzz::applies(bytes));
