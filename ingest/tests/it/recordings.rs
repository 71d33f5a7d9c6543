//! What the recorded messages of Helsinki's buses become, held against a count that knows nothing of our codec.

use std::path::PathBuf;

use events::{Reason, TimeMs};
use ingest::{Batch, Gate, GateConfig, Pseudonyms};

/// The recordings, or `None` (and a word about it) if they are not on this machine.
fn recordings() -> Option<PathBuf> {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let dir = std::env::var_os("ARTERIAL_DATA").map_or_else(default, PathBuf::from).join("helsinki-hfp");
    if !dir.is_dir() {
        eprintln!("skipped: no recordings in {}", dir.display());
        return None;
    }
    Some(dir)
}

#[test]
fn every_recorded_hfp_message_has_a_fate() {
    let Some(dir) = recordings() else { return };
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([1; 32]));
    let (mut out, mut refused) = (Batch::default(), Vec::new());
    let (mut lines, mut nowhere) = (0, 0);
    let mut distinct = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".hfp.dump") {
            continue;
        }
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let (received, rest) = line.split_once(' ').unwrap();
            let (topic, payload) = rest.split_at(rest.find(" {").unwrap());
            let received = TimeMs::parse(received).unwrap();
            gate.message(topic, payload.trim_start().as_bytes(), received, &mut out, &mut refused);
            lines += 1;
            let object: serde_json::Value = serde_json::from_str(payload).unwrap();
            let fields = object.as_object().unwrap().values().next().unwrap();
            if fields["lat"].is_null() || fields["long"].is_null() {
                nowhere += 1;
            } else {
                let vehicle: Vec<_> = topic.split('/').skip(7).take(2).map(str::to_owned).collect();
                distinct.insert((vehicle, fields["tst"].as_str().unwrap().to_owned()));
            }
        }
    }
    let fates = gate.fates();
    eprintln!("{lines} lines: {fates:?}");
    assert_eq!(fates.received, lines);
    assert_eq!(fates.received, fates.accepted + fates.duplicate + fates.rejected_total());
    assert_eq!(fates.rejected[&Reason::NoPosition], nowhere);
    assert_eq!(fates.rejected_total(), nowhere, "{refused:?}");
    assert_eq!(fates.accepted as usize, distinct.len());
    assert!(lines > 1_000 && fates.accepted > 100);
}
