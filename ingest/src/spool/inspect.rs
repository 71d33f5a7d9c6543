//! What lies in a spool, for a person who looks: file by file, without changing anything.
//!
//! Upstream: `arterial spool`. It may look while an ingest writes: the newest file's unfinished end is then normal.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{self, HEAD_BYTES, Head, MAGIC, PAYLOAD_BYTES_MAX};
use super::{BlockNumber, SpoolError, list};
use crate::batch::{self, Batch};

/// How thoroughly to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The heads of all blocks, and the times in the first and the last one of each file.
    Heads,
    /// Every byte: checksums, and whether each block can be decoded.
    Full,
}

/// One file.
#[derive(Debug)]
pub struct FileState {
    pub path: PathBuf,
    /// Its first block by its name.
    pub first: BlockNumber,
    /// The block after its last good one.
    pub next: BlockNumber,
    pub bytes: u64,
    pub rows: u64,
    /// Most rows of one block.
    pub block_rows_max: u64,
    /// Earliest and latest event time that were looked at, ms.
    pub event_ms: Option<(i64, i64)>,
    /// Earliest and latest receive time that were looked at, ms.
    pub received_ms: Option<(i64, i64)>,
    pub fault: Option<Fault>,
}

impl FileState {
    /// Good blocks.
    pub fn blocks(&self) -> u64 {
        self.next.0 - self.first.0
    }
}

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("is not a spool file of this version")]
    Foreign,
    #[error(
        "ends in the middle of block {}: {bytes} bytes from byte {offset}, never acknowledged, which the next start of ingest cuts",
        number.0
    )]
    Torn { offset: u64, bytes: u64, number: BlockNumber },
    #[error("is damaged at byte {offset}, in block {}", number.0)]
    Damaged { offset: u64, number: BlockNumber },
    #[error("holds block {}, which cannot be decoded: {detail}", number.0)]
    Undecodable { number: BlockNumber, detail: String },
    #[error("says {said} rows in block {}, but there are {found}", number.0)]
    Rows { number: BlockNumber, said: u64, found: u64 },
    #[error("begins with block {}, but the file before it ends before block {}", first.0, expected.0)]
    Gap { first: BlockNumber, expected: BlockNumber },
}

impl Fault {
    /// Whether it is what a crash leaves, and nothing was lost.
    pub fn is_harmless(&self) -> bool {
        match self {
            Self::Torn { .. } => true,
            Self::Foreign | Self::Damaged { .. } | Self::Undecodable { .. } | Self::Rows { .. } | Self::Gap { .. } => {
                false
            }
        }
    }
}

/// The files of a spool, oldest first. Memory: one block.
///
/// # Errors
/// What the operating system says, with the path. What is wrong inside of a file is in its [`FileState::fault`].
pub fn inspect(dir: &Path, depth: Depth) -> Result<Vec<FileState>, SpoolError> {
    let firsts = list(dir)?;
    let mut files: Vec<FileState> = Vec::with_capacity(firsts.len());
    for (i, first) in firsts.iter().enumerate() {
        let mut state = look(frame::path(dir, *first), *first, depth)?;
        let is_newest = i + 1 == firsts.len();
        // Only the newest file is ever written, so in another one a torn end is damage.
        if let (false, Some(Fault::Torn { offset, number, .. })) = (is_newest, &state.fault) {
            state.fault = Some(Fault::Damaged { offset: *offset, number: *number });
        }
        if let Some(before) = files.last()
            && before.fault.is_none()
            && before.next != *first
        {
            state.fault.get_or_insert(Fault::Gap { first: *first, expected: before.next });
        }
        files.push(state);
    }
    Ok(files)
}

fn look(path: PathBuf, first: BlockNumber, depth: Depth) -> Result<FileState, SpoolError> {
    let file = File::open(&path).map_err(|cause| SpoolError::io("open", &path, cause))?;
    let bytes = file.metadata().map_err(|cause| SpoolError::io("look at", &path, cause))?.len();
    let mut state = FileState {
        path,
        first,
        next: first,
        bytes,
        rows: 0,
        block_rows_max: 0,
        event_ms: None,
        received_ms: None,
        fault: None,
    };
    let mut magic = [0; MAGIC.len()];
    if bytes < magic.len() as u64 {
        state.fault = Some(Fault::Torn { offset: 0, bytes, number: first });
        return Ok(state);
    }
    read_at(&file, &mut magic, 0, &state.path)?;
    if magic != *MAGIC {
        state.fault = Some(Fault::Foreign);
        return Ok(state);
    }
    let mut at = magic.len() as u64;
    while at < bytes && state.fault.is_none() {
        at += block(&file, at, &mut state, depth)?;
    }
    Ok(state)
}

/// Looks at the block at a place; gives its length, or leaves a fault.
fn block(file: &File, at: u64, state: &mut FileState, depth: Depth) -> Result<u64, SpoolError> {
    let (number, total) = (state.next, state.bytes);
    let torn = Fault::Torn { offset: at, bytes: total - at, number };
    if at + HEAD_BYTES as u64 > total {
        state.fault = Some(torn);
        return Ok(0);
    }
    let mut head_bytes = [0; HEAD_BYTES];
    read_at(file, &mut head_bytes, at, &state.path)?;
    let head = Head::read(&head_bytes);
    let end = at + head.block_bytes();
    if end > total && head.number == number && head.payload_bytes <= PAYLOAD_BYTES_MAX {
        state.fault = Some(torn);
        return Ok(0);
    }
    if head.number != number || head.payload_bytes > PAYLOAD_BYTES_MAX {
        state.fault = Some(Fault::Damaged { offset: at, number });
        return Ok(0);
    }
    if depth == Depth::Full || state.next == state.first || end == total {
        let mut payload = vec![0; head.payload_bytes as usize];
        read_at(file, &mut payload, at + HEAD_BYTES as u64, &state.path)?;
        if !head.holds(&head_bytes, &payload) {
            let damaged = Fault::Damaged { offset: at, number };
            state.fault = Some(if end == total { torn } else { damaged });
            return Ok(0);
        }
        match batch::decode(&payload) {
            Ok(batch) if batch.len() as u64 == u64::from(head.rows) => state.see(&batch),
            Ok(batch) => {
                let (said, found) = (u64::from(head.rows), batch.len() as u64);
                state.fault = Some(Fault::Rows { number, said, found });
            }
            Err(cause) => state.fault = Some(Fault::Undecodable { number, detail: cause.to_string() }),
        }
    }
    state.rows += u64::from(head.rows);
    state.block_rows_max = state.block_rows_max.max(u64::from(head.rows));
    state.next = number.next();
    Ok(head.block_bytes())
}

impl FileState {
    fn see(&mut self, batch: &Batch) {
        let (p, d, s) = (&batch.positions, &batch.detectors, &batch.signals);
        let widen = |span: &mut Option<(i64, i64)>, times: [&[i64]; 3]| {
            for ms in times.into_iter().flatten() {
                let (from, to) = span.unwrap_or((*ms, *ms));
                *span = Some((from.min(*ms), to.max(*ms)));
            }
        };
        widen(&mut self.event_ms, [&p.time_ms, &d.end_ms, &s.time_ms]);
        widen(&mut self.received_ms, [&p.received_ms, &d.received_ms, &s.received_ms]);
    }
}

fn read_at(file: &File, bytes: &mut [u8], at: u64, path: &Path) -> Result<(), SpoolError> {
    file.read_exact_at(bytes, at).map_err(|cause| SpoolError::io("read", path, cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Spool, SpoolConfig};
    use std::fs;

    fn spool(dir: &Path, blocks: i64) {
        let config = SpoolConfig { file_bytes_max: 4_000, ..SpoolConfig::default() };
        let mut spool = Spool::open(dir, config).unwrap();
        for ms in 0..blocks {
            let mut batch = Batch::default();
            batch.signals.source = vec!["j".into(), "k".into()];
            batch.signals.seq = vec![None, Some(1)];
            batch.signals.time_ms = vec![ms, ms + 1];
            batch.signals.phase = vec![1, 2];
            batch.signals.state = vec![events::SignalState::Red; 2];
            batch.signals.received_ms = vec![ms + 100; 2];
            spool.append(&batch).unwrap();
        }
    }

    #[test]
    fn every_kind_of_damage_is_named_and_a_torn_end_is_no_loss() {
        let dir = tempfile::tempdir().unwrap();
        spool(dir.path(), 20);
        let whole = inspect(dir.path(), Depth::Full).unwrap();
        assert!(whole.len() > 2, "{whole:?}");
        assert!(whole.iter().all(|file| file.fault.is_none()), "{whole:?}");
        assert_eq!(whole.iter().map(FileState::blocks).sum::<u64>(), 20);
        assert_eq!(whole.iter().map(|file| file.rows).sum::<u64>(), 40);
        assert_eq!((whole[0].event_ms.unwrap().0, whole.last().unwrap().received_ms.unwrap().1), (0, 119));
        let heads = inspect(dir.path(), Depth::Heads).unwrap();
        assert!(heads.iter().zip(&whole).all(|(a, b)| (a.rows, a.next, a.event_ms) == (b.rows, b.next, b.event_ms)));

        let fault = |file: usize, change: &dyn Fn(&mut Vec<u8>)| {
            let path = &whole[file].path;
            let good = fs::read(path).unwrap();
            let mut bytes = good.clone();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
            let found = inspect(dir.path(), Depth::Full).unwrap();
            fs::write(path, good).unwrap();
            found.into_iter().filter_map(|file| file.fault).collect::<Vec<_>>()
        };
        let (last, end) = (whole.len() - 1, whole.last().unwrap().bytes);
        let torn = fault(last, &|bytes| bytes.truncate(bytes.len() - 1));
        assert!(matches!(&torn[..], [torn @ Fault::Torn { .. }] if torn.is_harmless()), "{torn:?}");
        let torn = fault(last, &|bytes| bytes.extend([7, 0, 0]));
        assert!(matches!(torn[..], [Fault::Torn { offset, bytes: 3, .. }] if offset == end), "{torn:?}");
        assert_eq!(fault(1, &|bytes| bytes[0] = b'?'), [Fault::Foreign]);
        let flipped = fault(0, &|bytes| bytes[MAGIC.len() + HEAD_BYTES + 3] ^= 1);
        assert_eq!(flipped, [Fault::Damaged { offset: MAGIC.len() as u64, number: BlockNumber(0) }]);
        let cut = fault(0, &|bytes| bytes.truncate(bytes.len() - 1));
        assert!(matches!(cut[..], [Fault::Damaged { .. }]), "{cut:?}");
        fs::remove_file(&whole[1].path).unwrap();
        let gap = inspect(dir.path(), Depth::Heads).unwrap().into_iter().filter_map(|file| file.fault);
        assert_eq!(gap.collect::<Vec<_>>(), [Fault::Gap { first: whole[2].first, expected: whole[1].first }]);
        assert!(inspect(&dir.path().join("absent"), Depth::Full).unwrap().is_empty());
    }
}
