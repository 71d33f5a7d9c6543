//! What the endpoint reads from a socket, tried with arbitrary bytes: for `fuzz/` and the short run below.
//!
//! Upstream: a fuzzer. Downstream: [`super::packet`]. Held: no panic; framing never takes more than it was given, never
//! waits for what exceeds the limit, and gives the same packets however the bytes arrive.

use bytes::BytesMut;

use super::packet::{self, Version};

/// Largest packet that the target takes.
const PACKET_BYTES_MAX: u32 = 4_096;

/// Reads bytes as both versions of the protocol.
pub fn packets(bytes: &[u8]) {
    let at_once = framed(&mut BytesMut::from(bytes));
    let mut trickled = Vec::new();
    let mut buffer = BytesMut::new();
    for byte in bytes {
        buffer.extend_from_slice(&[*byte]);
        match packet::frame(&mut buffer, PACKET_BYTES_MAX) {
            Ok(Some(frame)) => trickled.push(frame),
            Ok(None) => {}
            Err(_) => break,
        }
    }
    assert_eq!(at_once, trickled);
    for frame in at_once {
        // Every frame as a first packet, and as a later one of both versions: each must have an answer.
        let answers = [packet::hello(frame.clone()).is_ok()]
            .into_iter()
            .chain([Version::V4, Version::V5].map(|version| packet::read(version, frame.clone()).is_ok()));
        assert_eq!(answers.count(), 3);
    }
}

fn framed(buffer: &mut BytesMut) -> Vec<BytesMut> {
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = packet::frame(buffer, PACKET_BYTES_MAX) {
        assert!(frame.len() <= PACKET_BYTES_MAX as usize + 5, "{} bytes", frame.len());
        frames.push(frame);
    }
    frames
}

#[cfg(test)]
#[path = "../../../fuzz/src/mutate.rs"]
mod mutate;

#[cfg(test)]
mod tests {
    use super::{mutate, packets};

    #[test]
    fn no_bytes_break_the_packet_parser() {
        const SEED: u64 = 0x5EED_F00D_9AC4_E751;
        println!("seed {SEED}");
        mutate::run("packets", 30_000, SEED, packets);
    }
}
