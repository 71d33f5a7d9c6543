//! Target `hfp`: see `src/bodies.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run("hfp", bytes));
