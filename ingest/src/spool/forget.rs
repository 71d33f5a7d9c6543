//! Vehicles taken out of a spool whose ingest is stopped: files are written anew without their positions.
//!
//! Upstream: `arterial forget`. A file that holds such positions is written aside, synced and renamed into its place, with
//! the same block numbers; a crash leaves the old file or the new one. Checksums of the changed blocks are other ones, so
//! they are given back: who remembers a block by its checksum has to learn the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::frame::{self, HEAD_BYTES, Head, MAGIC, PAYLOAD_BYTES_MAX};
use super::{BlockNumber, SpoolError, list, lock};
use crate::batch;

/// What was taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub positions: u64,
    pub files: u64,
    /// Checksums of the blocks that are other ones now.
    pub checksums: BTreeMap<BlockNumber, u32>,
}

/// Takes the positions out for which `is_meant` says so, by pseudonym and event time in milliseconds.
///
/// # Errors
/// [`SpoolError`] when an ingest is running, or a file cannot be read or written; those before it are done then.
pub fn forget(dir: &Path, mut is_meant: impl FnMut(u64, i64) -> bool) -> Result<Forgotten, SpoolError> {
    let mut all = Forgotten::default();
    if !dir.is_dir() {
        return Ok(all);
    }
    let _lock = lock(dir)?;
    for first in list(dir)? {
        let path = frame::path(dir, first);
        let bytes = fs::read(&path).map_err(|cause| SpoolError::io("read", &path, cause))?;
        let Some(new) = without(&path, &bytes, first, &mut is_meant, &mut all)? else { continue };
        let aside = path.with_extension("part");
        let written = File::create(&aside).and_then(|mut file| {
            file.write_all(&new)?;
            file.sync_all()
        });
        written.map_err(|cause| SpoolError::io("write", &aside, cause))?;
        fs::rename(&aside, &path).map_err(|cause| SpoolError::io("rename", &aside, cause))?;
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|cause| SpoolError::io("sync", dir, cause))?;
        all.files += 1;
    }
    Ok(all)
}

/// The bytes of a file without what is meant; `None` when nothing is. An unfinished end stays as it is.
fn without(
    path: &Path,
    bytes: &[u8],
    first: BlockNumber,
    is_meant: &mut impl FnMut(u64, i64) -> bool,
    all: &mut Forgotten,
) -> Result<Option<Vec<u8>>, SpoolError> {
    let Some(mut rest) = bytes.strip_prefix(MAGIC.as_slice()) else { return Ok(None) };
    let (mut new, mut number, mut is_other) = (MAGIC.to_vec(), first, false);
    while let Some((head_bytes, behind)) = rest.split_first_chunk::<HEAD_BYTES>() {
        let head = Head::read(head_bytes);
        let Some(payload) =
            behind.get(..head.payload_bytes as usize).filter(|_| head.payload_bytes <= PAYLOAD_BYTES_MAX)
        else {
            break;
        };
        if head.number != number || !head.holds(head_bytes, payload) {
            break;
        }
        let failed = |cause| SpoolError::Batch { path: path.to_owned(), number, cause };
        let mut batch = batch::decode(payload).map_err(failed)?;
        let positions = &batch.positions;
        let meant = |row: &usize| is_meant(positions.vehicle[*row], positions.time_ms[*row]);
        let rows: Vec<usize> = (0..positions.len()).filter(meant).collect();
        if rows.is_empty() {
            new.extend_from_slice(head_bytes);
            new.extend_from_slice(payload);
        } else {
            batch.positions.remove(&rows);
            let mut payload = Vec::new();
            batch::encode(&batch, &mut payload).map_err(failed)?;
            let head_bytes = Head::of(number, batch.len() as u32, &payload);
            all.checksums.insert(number, Head::read(&head_bytes).crc);
            all.positions += rows.len() as u64;
            is_other = true;
            new.extend_from_slice(&head_bytes);
            new.extend_from_slice(&payload);
        }
        rest = &behind[head.payload_bytes as usize..];
        number = number.next();
    }
    new.extend_from_slice(rest);
    Ok(is_other.then_some(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::spool::{Reader, Spool, SpoolConfig};

    fn block(at_ms: i64) -> Batch {
        let mut batch = Batch::default();
        for vehicle in [7, 8] {
            let p = &mut batch.positions;
            p.vehicle.push(vehicle);
            p.seq.push(None);
            p.time_ms.push(at_ms);
            p.lon_deg.push(24.0);
            p.lat_deg.push(60.0);
            p.speed_mps.push(None);
            p.heading_deg.push(None);
            p.edge.push(None);
            p.journey.push(None);
            p.received_ms.push(at_ms);
        }
        batch
    }

    #[test]
    fn a_vehicle_is_gone_from_its_day_on_and_the_rest_stays_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let config = SpoolConfig { file_bytes_max: 3_000, ..SpoolConfig::default() };
        let mut spool = Spool::open(dir.path(), config).unwrap();
        for ms in 0..30 {
            spool.append(&block(ms)).unwrap();
        }
        assert!(matches!(forget(dir.path(), |_, _| true), Err(SpoolError::Locked { .. })), "ingest is running");
        drop(spool);
        let gone = forget(dir.path(), |vehicle, at_ms| vehicle == 7 && at_ms >= 10).unwrap();
        assert_eq!((gone.positions, gone.checksums.len()), (20, 20));
        let mut reader = Reader::open(dir.path(), BlockNumber(0)).unwrap();
        for ms in 0..30_i64 {
            let (number, batch) = reader.next().unwrap().unwrap();
            let expected: &[u64] = if ms < 10 { &[7, 8] } else { &[8] };
            assert_eq!((number.0 as i64, &batch.positions.vehicle[..]), (ms, expected));
            if let Some(checksum) = gone.checksums.get(&number) {
                assert_eq!(reader.checksum(), Some(*checksum));
            }
        }
        assert!(reader.next().unwrap().is_none());
        assert_eq!(forget(dir.path(), |vehicle, _| vehicle == 9).unwrap(), Forgotten::default());
        let mut spool = Spool::open(dir.path(), config).unwrap();
        assert_eq!(spool.append(&block(30)).unwrap(), BlockNumber(30), "ingest goes on where it was");
    }
}
