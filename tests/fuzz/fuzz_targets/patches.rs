//! See `apiserver::fuzz::patches`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| apiserver::fuzz::patches(bytes));
