//! What of the newest file holds after a crash.
//!
//! Only one block at a time is ever unsynced, so a crash leaves at most one torn block, at the end of the newest
//! file: it was never acknowledged and is cut. A bad block with a good one behind it is another matter: that was
//! durable once, and something else damaged it. Upstream: [`crate::spool::Spool::open`].

use super::BlockNumber;
use super::frame::{HEAD_BYTES, Head, MAGIC, PAYLOAD_BYTES_MAX};

/// What was found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Not a spool file at all.
    Foreign,
    /// Good up to `bytes`; the next block is `next`. `bytes` is 0 if not even the name of the format is whole.
    Good { bytes: u64, next: BlockNumber },
    /// A damaged block at `offset` with good ones behind it.
    Damaged { offset: u64, number: BlockNumber },
}

/// Reads the whole file that begins with block `first`.
pub(super) fn scan(bytes: &[u8], first: BlockNumber) -> Found {
    if is_unfinished_magic(bytes) {
        return Found::Good { bytes: 0, next: first };
    }
    if !bytes.starts_with(MAGIC) {
        return Found::Foreign;
    }
    let (mut at, mut next) = (MAGIC.len(), first);
    while let Some(block_bytes) = good_block(&bytes[at..], next) {
        at += block_bytes;
        next = next.next();
    }
    if any_later_block(&bytes[at..], next) {
        return Found::Damaged { offset: at as u64, number: next };
    }
    Found::Good { bytes: at as u64, next }
}

/// Whether a file was begun and nothing more: a loss of power leaves zeros where the length was durable before the
/// bytes were. Blocks come only after the name of the format was synced.
pub(super) fn is_unfinished_magic(bytes: &[u8]) -> bool {
    let written = bytes.iter().zip(MAGIC).take_while(|(found, wanted)| found == wanted).count();
    written < MAGIC.len() && bytes.len() <= MAGIC.len() && bytes[written..].iter().all(|byte| *byte == 0)
}

/// Length of the good block `number` at the beginning of `bytes`, if there is one.
fn good_block(bytes: &[u8], number: BlockNumber) -> Option<usize> {
    let (head_bytes, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let head = Head::read(head_bytes);
    if head.number != number || head.payload_bytes > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload = rest.get(..head.payload_bytes as usize)?;
    head.holds(head_bytes, payload).then_some(HEAD_BYTES + payload.len())
}

/// Whether a good block with a number after `bad` begins anywhere in `bytes`. The length of the bad block cannot
/// be trusted, so every offset is tried; the number rules out nearly all of them at once.
fn any_later_block(bytes: &[u8], bad: BlockNumber) -> bool {
    let blocks_max = (bytes.len() / HEAD_BYTES) as u64;
    (1..bytes.len().saturating_sub(HEAD_BYTES)).any(|at| {
        let number = bytes[at..].first_chunk::<HEAD_BYTES>().map(|head| Head::read(head).number);
        number.is_some_and(|n| n > bad && n.0 - bad.0 <= blocks_max && good_block(&bytes[at..], n).is_some())
    })
}
