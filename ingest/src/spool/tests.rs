//! Recovery at every truncation, damage, tailing, rolling, retention.

use super::*;
use crate::batch::Positions;
use proptest::prelude::*;

/// A batch of `rows` positions that can be told from any other by `tag`.
fn batch(tag: u64, rows: usize) -> Batch {
    let positions = Positions {
        vehicle: vec![tag; rows],
        seq: vec![None; rows],
        time_ms: (0..rows as i64).collect(),
        lon_deg: vec![11.0; rows],
        lat_deg: vec![44.0; rows],
        speed_mps: vec![Some(1.0); rows],
        heading_deg: vec![None; rows],
        edge: vec![None; rows],
        journey: vec![None; rows],
        received_ms: vec![0; rows],
    };
    Batch { positions, ..Batch::default() }
}

fn read_all(reader: &mut Reader) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    while let Some((number, batch)) = reader.next().unwrap() {
        found.push((number.0, batch.positions.vehicle[0]));
    }
    found
}

fn all_from_zero(dir: &Path) -> Vec<(u64, u64)> {
    read_all(&mut Reader::open(dir, BlockNumber(0)).unwrap())
}

fn only_file(dir: &Path) -> PathBuf {
    frame::path(dir, BlockNumber(0))
}

#[test]
fn what_is_not_read_yet_is_measured_over_several_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = SpoolConfig { file_bytes_max: 2_000, ..SpoolConfig::default() };
    let mut spool = Spool::open(dir.path(), config).unwrap();
    let mut reader = Reader::open(dir.path(), BlockNumber(0)).unwrap();
    assert!(reader.unread_bytes() <= MAGIC.len() as u64, "no block yet");
    let mut ends = vec![];
    for tag in 0..6 {
        spool.append(&batch(tag, 20)).unwrap();
        ends.push(spool.bytes());
    }
    assert!(list(dir.path()).unwrap().len() >= 3, "one file would prove little");
    for end in ends.iter().copied() {
        reader.next().unwrap().unwrap();
        // Magics of files behind the block are unread too, and a file that is read out counts no more.
        let expected = spool.bytes() - end;
        assert!(reader.unread_bytes().abs_diff(expected) <= MAGIC.len() as u64, "{} {expected}", reader.unread_bytes());
    }
}

#[test]
fn a_file_cut_anywhere_keeps_every_whole_block_and_takes_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), SpoolConfig::default()).unwrap();
    let mut ends = vec![spool.bytes()];
    for tag in 0..3 {
        spool.append(&batch(tag, 1 + tag as usize)).unwrap();
        ends.push(spool.bytes());
    }
    drop(spool);
    let whole = fs::read(only_file(dir.path())).unwrap();
    assert_eq!(whole.len() as u64, ends[3]);
    for cut in 0..=whole.len() {
        let kept = ends[1..].iter().filter(|end| **end <= cut as u64).count() as u64;
        let good = if cut < MAGIC.len() { 0 } else { ends[kept as usize] };
        let found = scan(&whole[..cut], BlockNumber(0));
        assert_eq!(found, Found::Good { bytes: good, next: BlockNumber(kept) }, "scan of cut {cut}");
        // On disk, where every step is synced: at all borders, and now and then in between.
        let at_a_border = ends.iter().chain([&0]).any(|end| end.abs_diff(cut as u64) <= HEAD_BYTES as u64 + 1);
        if !at_a_border && cut % 211 != 0 {
            continue;
        }
        let torn = tempfile::tempdir().unwrap();
        fs::write(only_file(torn.path()), &whole[..cut]).unwrap();
        // A reader sees a torn tail as nothing yet.
        let expected: Vec<_> = (0..kept).map(|n| (n, n)).collect();
        assert_eq!(all_from_zero(torn.path()), expected, "read at cut {cut}");
        let mut spool = Spool::open(torn.path(), SpoolConfig::default()).unwrap();
        assert_eq!(spool.next_block(), BlockNumber(kept), "next at cut {cut}");
        assert_eq!(spool.append(&batch(99, 2)).unwrap(), BlockNumber(kept));
        let expected: Vec<_> = (0..kept).map(|n| (n, n)).chain([(kept, 99)]).collect();
        assert_eq!(all_from_zero(torn.path()), expected, "after cut {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// A torn block may be anything, also zeros in front and sense behind. Proptest prints the failing input.
    #[test]
    fn a_torn_tail_of_any_bytes_is_cut(tail in prop::collection::vec(any::<u8>(), 0..200), zeros in 0usize..64) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), SpoolConfig::default()).unwrap();
        spool.append(&batch(0, 3)).unwrap();
        drop(spool);
        let mut bytes = fs::read(only_file(dir.path())).unwrap();
        bytes.extend(std::iter::repeat_n(0, zeros));
        bytes.extend(tail);
        fs::write(only_file(dir.path()), bytes).unwrap();
        let mut spool = Spool::open(dir.path(), SpoolConfig::default()).unwrap();
        prop_assert_eq!(spool.append(&batch(1, 1)).unwrap(), BlockNumber(1));
        prop_assert_eq!(all_from_zero(dir.path()), vec![(0, 0), (1, 1)]);
    }
}

#[test]
fn a_file_that_was_only_begun_is_begun_again() {
    for written in 0..MAGIC.len() {
        for zeros in 0..=MAGIC.len() - written {
            let torn = [&MAGIC[..written], &vec![0; zeros]].concat();
            assert_eq!(scan(&torn, BlockNumber(7)), Found::Good { bytes: 0, next: BlockNumber(7) }, "{torn:?}");
        }
    }
    for strange in [&b"something else"[..], b"arterial spool 2", b"arterial spool 1 ", &[0; 17], b"arterial\0x"] {
        let begun = strange.starts_with(MAGIC);
        assert_eq!(scan(strange, BlockNumber(7)) == Found::Foreign, !begun, "{strange:?}");
    }
}

#[test]
fn damage_with_good_blocks_behind_it_is_an_error_and_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), SpoolConfig::default()).unwrap();
    for tag in 0..3 {
        spool.append(&batch(tag, 5)).unwrap();
    }
    drop(spool);
    let whole = fs::read(only_file(dir.path())).unwrap();
    let second = MAGIC.len() + (whole.len() - MAGIC.len()) / 3;
    // The payload, the block's number, and its length.
    for offset in [second + 60, second + 8, second] {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0x40;
        fs::write(only_file(dir.path()), &bytes).unwrap();
        let error = Spool::open(dir.path(), SpoolConfig::default()).map(|_| ()).unwrap_err();
        assert!(matches!(error, SpoolError::Damaged { number: BlockNumber(1), .. }), "at {offset}: {error}");
        assert_eq!(fs::read(only_file(dir.path())).unwrap(), bytes, "nothing was touched");
    }
    let mut bytes = whole;
    bytes[second + 60] ^= 0x40;
    fs::write(only_file(dir.path()), &bytes).unwrap();
    let mut reader = Reader::open(dir.path(), BlockNumber(0)).unwrap();
    assert!(reader.next().unwrap().is_some());
    let error = reader.next().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("block 1"), "{error}");
}

#[test]
fn a_reader_follows_the_writer_over_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::open(dir.path(), BlockNumber(0)).unwrap();
    assert!(reader.next().unwrap().is_none(), "an absent spool is an empty one");
    let config = SpoolConfig { file_bytes_max: 5_000, file_age_ms_max: 1_000, ..SpoolConfig::default() };
    let mut spool = Spool::open(dir.path(), config).unwrap();
    for tag in 0..40u64 {
        spool.roll_if_old(TimeMs(tag as i64 * 300)).unwrap();
        spool.append(&batch(tag, 4)).unwrap();
        assert_eq!(read_all(&mut reader), [(tag, tag)]);
    }
    let files = list(dir.path()).unwrap();
    assert!(files.len() >= 10, "rolled by age and by size: {files:?}");
    for from in 0..=40 {
        let mut late = Reader::open(dir.path(), BlockNumber(from)).unwrap();
        assert_eq!(read_all(&mut late).len() as u64, 40 - from);
    }
    let error = Reader::open(dir.path(), BlockNumber(41)).map(|_| ()).unwrap_err();
    assert!(matches!(error, SpoolError::Ahead { next: BlockNumber(40), .. }), "{error}");
    assert_eq!(newest_from(dir.path(), u64::MAX).unwrap(), BlockNumber(0));
    for (rows, from) in [(1, 39), (4, 39), (5, 38), (150, 2), (160, 0)] {
        assert_eq!(newest_from(dir.path(), rows).unwrap(), BlockNumber(from), "{rows} rows lie in blocks of 4");
    }
}

#[test]
fn retention_deletes_whole_oldest_files_and_says_so_to_a_slow_reader() {
    let dir = tempfile::tempdir().unwrap();
    let config = SpoolConfig { file_bytes_max: 5_000, retain_bytes: 12_000, ..SpoolConfig::default() };
    let mut spool = Spool::open(dir.path(), config).unwrap();
    let mut slow = Reader::open(dir.path(), BlockNumber(0)).unwrap();
    for tag in 0..60 {
        spool.append(&batch(tag, 4)).unwrap();
        assert!(spool.bytes() <= 12_000 + 5_000);
    }
    let oldest = list(dir.path()).unwrap()[0];
    assert!(oldest > BlockNumber(20));
    // The file that is open stays readable; behind it there is a gap.
    let error = loop {
        match slow.next() {
            Ok(block) => assert!(block.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Gone { oldest: found, .. } if found == oldest), "{error}");
    drop(spool);
    let kept = read_all(&mut Reader::open(dir.path(), oldest).unwrap());
    assert_eq!(kept.last(), Some(&(59, 59)));
    assert_eq!(Spool::open(dir.path(), config).unwrap().next_block(), BlockNumber(60));
}

#[test]
fn retention_spares_what_a_reader_needs_until_the_disk_would_fill() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        SpoolConfig { file_bytes_max: 5_000, retain_bytes: 12_000, held_bytes_max: 40_000, ..SpoolConfig::default() };
    let mut spool = Spool::open(dir.path(), config).unwrap();
    let append = |spool: &mut Spool, blocks: std::ops::Range<u64>| {
        for tag in blocks {
            spool.append(&batch(tag, 4)).unwrap();
        }
        list(dir.path()).unwrap()[0]
    };
    mark(dir.path(), "analytics", BlockNumber(3)).unwrap();
    mark(dir.path(), "archive", BlockNumber(1_000)).unwrap();
    assert!(append(&mut spool, 0..25) <= BlockNumber(3), "block 3 lies in the first files");
    assert!(spool.bytes() > 20_000 && spool.bytes() <= 40_000, "{}", spool.bytes());
    mark(dir.path(), "analytics", BlockNumber(15)).unwrap();
    let oldest = append(&mut spool, 25..32);
    assert!(oldest > BlockNumber(3) && oldest <= BlockNumber(15), "{oldest:?}");
    assert_eq!(read_all(&mut Reader::open(dir.path(), BlockNumber(15)).unwrap()).len(), 17);
    // The reader is dead.
    let oldest = append(&mut spool, 32..100);
    assert!(oldest > BlockNumber(15) && spool.bytes() <= 40_000 + 5_000, "{oldest:?} {}", spool.bytes());
    drop(spool);
    fs::remove_file(dir.path().join("readers/analytics")).unwrap();
    let mut spool = Spool::open(dir.path(), config).unwrap();
    append(&mut spool, 100..101);
    assert!(spool.bytes() <= 12_000, "nobody needs the rest: {}", spool.bytes());
}

#[test]
fn a_block_is_known_by_its_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), SpoolConfig::default()).unwrap();
    spool.append(&batch(1, 3)).unwrap();
    spool.append(&batch(2, 3)).unwrap();
    let checksums = |dir: &Path| {
        let mut reader = Reader::open(dir, BlockNumber(0)).unwrap();
        assert_eq!(reader.checksum(), None);
        [0; 2].map(|_| reader.next().unwrap().and_then(|_| reader.checksum()).unwrap())
    };
    let first = checksums(dir.path());
    assert_ne!(first[0], first[1]);
    assert_eq!(checksums(dir.path()), first);
}

#[test]
fn a_second_writer_and_a_strange_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), SpoolConfig::default()).unwrap();
    let error = Spool::open(dir.path(), SpoolConfig::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, SpoolError::Locked { .. }), "{error}");
    drop(spool);
    fs::write(only_file(dir.path()), b"something else entirely").unwrap();
    let error = Spool::open(dir.path(), SpoolConfig::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, SpoolError::NotASpool { .. }), "{error}");
}
