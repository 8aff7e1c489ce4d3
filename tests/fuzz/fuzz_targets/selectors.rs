//! See `apiserver::fuzz::selectors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| apiserver::fuzz::selectors(bytes));
