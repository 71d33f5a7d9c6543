//! A file that is read a piece ahead: columns lie apart, so whoever reads rows jumps from one to the other and back, page
//! after page of a few kilobytes. Pieces that were read stay for the pages behind.
//!
//! Upstream: files of history. Downstream: [`super::merge`], [`crate::report::profile::seen`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Least that is read at once where nothing else is said.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that are kept; no table has more columns.
const PIECES_MAX: usize = 16;

/// A file, and what was read of it last: at most 1 MiB where no page is longer than a piece.
#[derive(Clone)]
pub(crate) struct Ahead(Arc<Inner>);

struct Inner {
    length: u64,
    piece_bytes: usize,
    read: Mutex<(File, VecDeque<(u64, Bytes)>)>,
}

/// Reads on from a place.
pub(crate) struct From {
    ahead: Ahead,
    at: u64,
}

impl Ahead {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_by(path, PIECE_BYTES)
    }

    /// The same in pieces of at least so many bytes: small ones where pages that are wanted lie far from each other.
    pub(crate) fn open_by(path: &Path, piece_bytes: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self(Arc::new(Inner { length, piece_bytes, read: Mutex::new((file, VecDeque::new())) })))
    }

    /// Bytes from a place on: so many at least, or all that there are.
    fn piece(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = self.0.length.min(start.saturating_add(length as u64));
        let mut guard = self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, pieces) = &mut *guard;
        let found = pieces.iter().position(|(from, bytes)| *from <= start && end <= from + bytes.len() as u64);
        if let Some((from, bytes)) = found.and_then(|at| pieces.remove(at)) {
            let rest = bytes.slice(usize::try_from(start - from).unwrap_or(bytes.len())..);
            pieces.push_back((from, bytes));
            return Ok(rest);
        }
        let most = length.max(self.0.piece_bytes);
        let mut read = Vec::with_capacity(most);
        file.seek(SeekFrom::Start(start))?;
        file.take(most as u64).read_to_end(&mut read)?;
        let bytes = Bytes::from(read);
        pieces.push_back((start, bytes.clone()));
        if pieces.len() > PIECES_MAX {
            pieces.pop_front();
        }
        Ok(bytes)
    }
}

impl Length for Ahead {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for Ahead {
    type T = From;

    fn get_read(&self, start: u64) -> Result<From> {
        Ok(From { ahead: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.piece(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} on end behind the file")));
        }
        Ok(bytes.slice(..length))
    }
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.ahead.piece(self.at, 1)?;
        let length = bytes.len().min(into.len());
        into[..length].copy_from_slice(&bytes[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let all: Vec<u8> = (0..3 * PIECE_BYTES + 17).map(|at| (at * 31 % 251) as u8).collect();
        std::fs::write(&path, &all).unwrap();
        let ahead = Ahead::open(&path).unwrap();
        assert_eq!(ahead.len(), all.len() as u64);
        // Back and forth, within pieces, over their ends, longer than one.
        for turn in 0..400_usize {
            let (start, length) = (turn * 7_919 % all.len(), [1, 900, 70_000][turn % 3]);
            let found = ahead.get_bytes(start as u64, length);
            match all.get(start..start + length) {
                Some(expected) => assert_eq!(found.unwrap(), expected, "{start} {length}"),
                None => assert!(found.is_err()),
            }
        }
        let mut rest = Vec::new();
        ahead.get_read(100).unwrap().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, all[100..]);
    }
}
