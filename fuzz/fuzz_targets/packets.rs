//! Target `packets`: what ingest's own MQTT server reads from a socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ingest::server::fuzz::packets(bytes));
