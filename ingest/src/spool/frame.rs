//! How blocks lie in a spool file.
//!
//! A file begins with 16 bytes that name the format, then come blocks without gaps:
//!
//! | bytes | what (little-endian) |
//! |---|---|
//! | 4 | length of the payload |
//! | 4 | rows in it |
//! | 8 | block number, one more than the block before |
//! | 4 | CRC-32 of these 16 bytes and the payload |
//! | … | payload: [`crate::batch::encode`] |
//!
//! The number of a file's first block is its name, in 20 digits. Upstream: [`crate::spool`]. Downstream: the
//! reader and the recovery.

use std::path::{Path, PathBuf};

use super::BlockNumber;

/// The first bytes of every spool file, with the version of the format.
pub(super) const MAGIC: &[u8; 16] = b"arterial spool 1";

/// Bytes before a payload.
pub(super) const HEAD_BYTES: usize = 20;

/// Longest payload that is believed, bytes: a block closes at 1 MiB of messages, so more is a damaged length.
pub(super) const PAYLOAD_BYTES_MAX: u32 = 256 << 20;

const SUFFIX: &str = ".blocks";

/// The bytes before a payload, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) payload_bytes: u32,
    pub(super) rows: u32,
    pub(super) number: BlockNumber,
    pub(super) crc: u32,
}

impl Head {
    /// Makes the head of a payload.
    pub(super) fn of(number: BlockNumber, rows: u32, payload: &[u8]) -> [u8; HEAD_BYTES] {
        let payload_bytes = u32::try_from(payload.len()).expect("a payload is at most PAYLOAD_BYTES_MAX");
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&payload_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&rows.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.0.to_le_bytes());
        let crc = checksum(&bytes, payload);
        bytes[16..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8; HEAD_BYTES]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (low, high) = (u64::from(u32_at(8)), u64::from(u32_at(12)));
        Self { payload_bytes: u32_at(0), rows: u32_at(4), number: BlockNumber(high << 32 | low), crc: u32_at(16) }
    }

    /// Whether head and payload are what was written.
    pub(super) fn holds(&self, bytes: &[u8; HEAD_BYTES], payload: &[u8]) -> bool {
        self.crc == checksum(bytes, payload)
    }

    /// Bytes of the whole block.
    pub(super) fn block_bytes(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.payload_bytes)
    }
}

/// The path of the file that begins with block `first`.
pub(super) fn path(dir: &Path, first: BlockNumber) -> PathBuf {
    dir.join(format!("{:020}{SUFFIX}", first.0))
}

/// The first block of a file by its name; `None` if it is no spool file.
pub(super) fn first_block(name: &str) -> Option<BlockNumber> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
    digits.parse().ok().map(BlockNumber)
}

fn checksum(head: &[u8; HEAD_BYTES], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..16]);
    hasher.update(payload);
    hasher.finalize()
}
