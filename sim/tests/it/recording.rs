//! A run as Parquet: what is read back is what happened, and the same command gives the same files.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sim::{Progress, Record, Recorded, SensorConfig, record_city};
use tokio_util::sync::CancellationToken;

use crate::city::small_city;

fn rows(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

fn count(path: &Path) -> u64 {
    rows(path).iter().map(|batch| batch.num_rows() as u64).sum()
}

fn wholes(batches: &[RecordBatch], name: &str) -> Vec<i64> {
    let of = |b: &RecordBatch| b.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(of).collect()
}

fn texts(batches: &[RecordBatch], name: &str) -> Vec<Option<String>> {
    let of = |b: &RecordBatch| {
        let column = b.column_by_name(name).unwrap().as_string::<i32>().clone();
        (0..column.len()).map(|i| column.is_valid(i).then(|| column.value(i).to_owned())).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

fn record(folder: &Path, seed: u64, seconds: u64) -> Recorded {
    let mut city = small_city(seed, 300, SensorConfig::lifelike());
    let record = Record::create(folder, &city.world, &city.sensors).unwrap();
    record_city(&mut city, record, seconds, &Progress::default(), &CancellationToken::new()).unwrap()
}

#[test]
fn the_tables_hold_what_happened() {
    let (folder, seed, seconds) = (tempfile::tempdir().unwrap(), 51, 400);
    let at = |name: &str| folder.path().join(name);
    let recorded = record(folder.path(), seed, seconds);
    println!("seed {seed}: {recorded:?}");
    for (name, expected) in [
        ("positions.parquet", recorded.positions),
        ("truth/fixes.parquet", recorded.positions),
        ("detectors.parquet", recorded.detectors),
        ("signals.parquet", recorded.signals),
        ("truth/cells.parquet", recorded.cells),
        ("truth/trips.parquet", recorded.trips),
        ("truth/forced.parquet", recorded.forced),
        ("truth/faults.parquet", recorded.faults),
    ] {
        assert_eq!(count(&at(name)), expected, "{name}");
    }
    // The same city again, counted by hand.
    let mut city = small_city(seed, 300, SensorConfig::lifelike());
    let (mut millimetres, mut shown) = (0, 0);
    for _ in 0..seconds {
        let step = city.world.step();
        millimetres += step.moves.iter().map(|m| m.to_mm - m.from_mm).sum::<i64>();
        shown += step.signals.len();
    }
    let counters = city.world.counters();
    let cells = rows(&at("truth/cells.parquet"));
    let trips = rows(&at("truth/trips.parquet"));
    assert_eq!(wholes(&cells, "distance_mm").iter().sum::<i64>(), millimetres);
    assert_eq!(wholes(&trips, "distance_mm").iter().sum::<i64>(), millimetres, "every trip, whole");
    let mut outcomes: BTreeMap<Option<String>, u64> = BTreeMap::new();
    texts(&trips, "outcome").into_iter().for_each(|o| *outcomes.entry(o).or_default() += 1);
    // Who arrived in the very last second was still among its moves.
    let named = |name: Option<&str>| outcomes.get(&name.map(str::to_owned)).copied().unwrap_or(0);
    let in_the_last = named(None) - city.world.vehicles_on_road() as u64;
    assert_eq!((named(Some("arrived")) + in_the_last, named(Some("removed"))), (counters.arrived, counters.gave_up));
    assert!(counters.arrived > 100 && in_the_last < 20, "{in_the_last} of {counters:?}");
    assert_eq!((recorded.trips, recorded.forced), (counters.departed, counters.rerouted + counters.gave_up));
    assert_eq!(count(&at("truth/phases.parquet")), shown as u64);
    assert!(wholes(&trips, "end_ms").iter().zip(wholes(&trips, "begin_ms")).all(|(end, begin)| *end > begin));
    let vehicles = rows(&at("positions.parquet"));
    assert!(vehicles.iter().all(|b| !b.column_by_name("vehicle").unwrap().as_primitive::<UInt64Type>().is_empty()));
    let kinds = texts(&rows(&at("truth/faults.parquet")), "kind");
    for kind in ["lost", "duplicate", "canyon", "clock"] {
        assert!(kinds.iter().any(|k| k.as_deref() == Some(kind)), "no {kind} was written down");
    }
    let unfinished = std::fs::read_dir(folder.path()).unwrap().flatten();
    assert!(unfinished.map(|f| f.file_name()).all(|name| !name.to_string_lossy().ends_with(".unfinished")));
}

#[test]
fn the_same_run_gives_the_same_bytes_and_another_seed_does_not() {
    let bytes = |seed| {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), seed, 120);
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        ["positions.parquet", "truth/cells.parquet", "truth/trips.parquet", "truth/faults.parquet"].map(read)
    };
    let (first, second, other) = (bytes(52), bytes(52), bytes(53));
    assert!(first == second, "two runs of seed 52 differ");
    assert!(first[0] != other[0], "seeds 52 and 53 are the same");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taken");
    std::fs::write(&file, "x").unwrap();
    let city = small_city(1, 10, SensorConfig::default());
    let Err(error) = Record::create(&file, &city.world, &city.sensors) else { panic!("a file is no folder") };
    assert!(error.to_string().contains("taken"), "{error}");
}
