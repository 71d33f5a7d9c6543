//! Our own file of a network, and opening whatever holds one.
//!
//! Layout: `ARTROADS`, version (u32), length of the rest unpacked (u64), CRC-32 of the rest (u32), all little
//! endian; the rest is zstd of postcard. Indexes are not stored: they are rebuilt in less time than they load.
//!
//! Upstream: the importers. Downstream: every command that takes `--network`.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::import::{self, ImportError};
use crate::network::builder::{NetworkError, check};
use crate::network::{Network, Stored};

const MAGIC: &[u8; 8] = b"ARTROADS";

/// Raised with every change of [`Stored`] or of what it contains.
const VERSION: u32 = 4;

const HEADER_BYTES: usize = 24;

/// Most bytes that a file may unpack to: a damaged length must not take the memory.
const UNPACKED_BYTES_MAX: u64 = 8 << 30;

/// zstd level: 3 packs at 200 MB/s and up, higher ones gained under 10 % on coordinates.
const LEVEL: i32 = 3;

/// Why a network file could not be written or read; each is one sentence with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("{} cannot be read: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{} cannot be written: {error}", path.display())]
    Write { path: PathBuf, error: std::io::Error },
    #[error("{} is not a network file", path.display())]
    NotANetwork { path: PathBuf },
    #[error("{} was made by another version (format {found}, this is {VERSION}): import the network again", path.display())]
    Version { path: PathBuf, found: u32 },
    #[error("{} is damaged: import the network again", path.display())]
    Damaged { path: PathBuf },
    #[error("{} holds no usable network: {error}", path.display())]
    Network { path: PathBuf, error: NetworkError },
}

/// Why no network came out of a file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Opens a network from whatever holds one, told by its content: our own file, or what [`mod@crate::import`] reads.
///
/// # Errors
/// [`OpenError`].
pub fn open(path: impl AsRef<Path>) -> Result<Network, OpenError> {
    let path = path.as_ref();
    let mut head = Vec::with_capacity(MAGIC.len());
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head));
    read.map_err(|error| CacheError::Read { path: path.to_owned(), error })?;
    if head == MAGIC { Ok(load(path)?) } else { Ok(import::import(path)?) }
}

/// Writes a network file: aside first, then in place of an older one, so that a crash leaves either whole.
///
/// # Errors
/// [`CacheError::Write`].
pub fn save(net: &Network, path: impl AsRef<Path>) -> Result<(), CacheError> {
    let path = path.as_ref();
    let failed = |error| CacheError::Write { path: path.to_owned(), error };
    let (unpacked_bytes, packed) = pack(&net.stored).map_err(failed)?;
    let mut name = path.file_name().ok_or_else(|| failed(std::io::ErrorKind::IsADirectory.into()))?.to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let aside = path.with_file_name(name);
    let written = write(&aside, &header(unpacked_bytes, &packed), &packed).and_then(|()| fs::rename(&aside, path));
    if let Err(error) = written {
        // What is left of it would only be in the way; the first error is the one to tell.
        drop(fs::remove_file(&aside));
        return Err(failed(error));
    }
    // The rename itself is on disk once its folder is.
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Reads a network file.
///
/// # Errors
/// [`CacheError`], all but `Write`.
pub fn load(path: impl AsRef<Path>) -> Result<Network, CacheError> {
    let path = path.as_ref();
    let owned = || path.to_owned();
    let bytes = fs::read(path).map_err(|error| CacheError::Read { path: owned(), error })?;
    if !bytes.starts_with(MAGIC) {
        return Err(CacheError::NotANetwork { path: owned() });
    }
    let damaged = || CacheError::Damaged { path: owned() };
    let (header, packed) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(damaged)?;
    let number = |from: usize| u32::from_le_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]]);
    let version = number(8);
    if version != VERSION {
        return Err(CacheError::Version { path: owned(), found: version });
    }
    let unpacked_bytes = u64::from(number(12)) | u64::from(number(16)) << 32;
    if crc32fast::hash(packed) != number(20) || unpacked_bytes > UNPACKED_BYTES_MAX {
        return Err(damaged());
    }
    let mut unpacked = Vec::with_capacity(unpacked_bytes as usize);
    let decoder = zstd::Decoder::new(packed).map_err(|_| damaged())?;
    let got = decoder.take(unpacked_bytes + 1).read_to_end(&mut unpacked).map_err(|_| damaged())?;
    if got as u64 != unpacked_bytes {
        return Err(damaged());
    }
    let stored: Stored = postcard::from_bytes(&unpacked).map_err(|_| damaged())?;
    check(&stored).map_err(|error| CacheError::Network { path: owned(), error })?;
    Ok(Network::assemble(stored))
}

/// Encodes and packs in one go, since the unpacked bytes of a country would double the memory; gives their number too.
fn pack(stored: &Stored) -> std::io::Result<(u64, Vec<u8>)> {
    let packer = zstd::Encoder::new(Vec::new(), LEVEL)?;
    let counting = BufWriter::with_capacity(1 << 16, Counting { inner: packer, bytes: 0 });
    let written = postcard::to_io(stored, counting).expect("plain data in memory always encodes");
    let counting = written.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok((counting.bytes, counting.inner.finish()?))
}

/// Counts what is written through it.
struct Counting<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn header(unpacked_bytes: u64, packed: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&unpacked_bytes.to_le_bytes());
    header[20..].copy_from_slice(&crc32fast::hash(packed).to_le_bytes());
    header
}

fn write(path: &Path, header: &[u8], packed: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(header)?;
    file.write_all(packed)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
