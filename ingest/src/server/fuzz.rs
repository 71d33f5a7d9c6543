//! What the endpoint reads from a socket, tried with arbitrary bytes: for `fuzz/` and the short run below.
//!
//! Upstream: a fuzzer. Downstream: [`super::packet`]. Held: no panic; framing never takes more than it was given, never
//! waits for what exceeds the limit, and gives the same packets however the bytes arrive.

use super::packet::{self, Packet, Version};

/// Largest packet that the target takes.
const PACKET_BYTES_MAX: u32 = 4_096;

/// Reads bytes as both versions of the protocol.
pub fn packets(bytes: &[u8]) {
    let at_once = framed(bytes);
    let (mut trickled, mut begin) = (Vec::new(), 0);
    for end in 1..=bytes.len() {
        match packet::frame(&bytes[begin..end], PACKET_BYTES_MAX) {
            Ok(Some(whole)) => {
                trickled.push(&bytes[begin..begin + whole]);
                begin += whole;
            }
            Ok(None) => {}
            Err(_) => break,
        }
    }
    assert_eq!(at_once, trickled);
    for frame in at_once {
        // Every frame as a first packet, and as a later one of both versions: each must have an answer.
        let mut answers = usize::from(packet::hello(frame).is_ok());
        for version in [Version::V4, Version::V5] {
            let read = packet::read(version, frame);
            answers += usize::from(read.is_ok());
            // The short way reads the same or declines.
            if let Some(short) = packet::plain(version, frame) {
                assert!(
                    matches!(&read, Ok(Packet::Publish(long)) if long.payload == short.payload && long.id == short.id)
                        || str::from_utf8(short.topic).is_err()
                        || read.is_err(),
                    "{frame:?}"
                );
            }
        }
        assert!(answers <= 3);
    }
}

fn framed(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let Ok(Some(whole)) = packet::frame(rest, PACKET_BYTES_MAX) {
        assert!(whole <= rest.len() && whole <= PACKET_BYTES_MAX as usize + 5, "{whole} bytes");
        frames.push(&rest[..whole]);
        rest = &rest[whole..];
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
