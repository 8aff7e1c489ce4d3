//! See `apiserver::fuzz::expressions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| apiserver::fuzz::expressions(bytes));
