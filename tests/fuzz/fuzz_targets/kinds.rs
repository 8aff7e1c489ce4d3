//! See `apiserver::fuzz::kinds`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| apiserver::fuzz::kinds(bytes));
