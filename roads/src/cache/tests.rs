//! Tests of the network file.

use super::*;
use crate::{CityPlan, city};

fn sentence(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city.roads");
    fs::write(&path, bytes).unwrap();
    load(&path).unwrap_err().to_string()
}

#[test]
fn what_is_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city.roads");
    let net = city(&CityPlan::default());
    save(&city(&CityPlan { seed: 9, ..CityPlan::default() }), &path).unwrap();
    save(&net, &path).unwrap();
    assert_eq!(load(&path).unwrap(), net);
    assert_eq!(open(&path).unwrap(), net);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    eprintln!("{} segments in {} bytes", net.segments().len(), fs::metadata(&path).unwrap().len());
}

#[test]
fn any_damaged_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city.roads");
    save(&city(&CityPlan { blocks_x: 3, blocks_y: 3, ..CityPlan::default() }), &path).unwrap();
    let whole = fs::read(&path).unwrap();
    for i in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[i] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        assert!(load(&path).is_err(), "byte {i} of {}", whole.len());
    }
    for end in [0, 7, 8, 20, HEADER_BYTES, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..end]).unwrap();
        assert!(load(&path).is_err(), "cut at {end}");
    }
}

#[test]
fn errors_are_sentences() {
    assert!(sentence(b"hello, this is a letter").ends_with("city.roads is not a network file"));
    let mut later = header(0, &[]).to_vec();
    later[8] = 99;
    assert!(sentence(&later).ends_with("(format 99, this is 4): import the network again"));
    assert!(sentence(&header(1, &[2, 3])).ends_with("city.roads is damaged: import the network again"));
    let missing = load("no/such/file").unwrap_err();
    assert!(missing.to_string().starts_with("no/such/file cannot be read: "));
    let net = city(&CityPlan { blocks_x: 2, blocks_y: 2, ..CityPlan::default() });
    assert!(matches!(save(&net, "no/such/folder/x"), Err(CacheError::Write { .. })));
}

#[test]
fn a_file_with_tables_that_disagree_is_refused() {
    let mut net = city(&CityPlan { blocks_x: 2, blocks_y: 2, ..CityPlan::default() });
    net.stored.turns.items[0] = crate::SegmentIndex(u32::MAX);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city.roads");
    save(&net, &path).unwrap();
    assert!(matches!(load(&path), Err(CacheError::Network { error: NetworkError::Inconsistent, .. })));
}
