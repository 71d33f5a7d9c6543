//! A run as Parquet: what is read back is what happened, and the same command gives the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use roads::SegmentIndex;
use sim::{City, Disruption, Incident, Progress, Record, Recorded, Scenario, SensorConfig, World, record_city};
use tokio_util::sync::CancellationToken;

use crate::city::{small_city, small_network};

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
        ("truth/incidents.parquet", recorded.incidents),
        ("truth/faults.parquet", recorded.faults),
    ] {
        assert_eq!(count(&at(name)), expected, "{name}");
    }
    // The same city again, counted by hand.
    let mut city = small_city(seed, 300, SensorConfig::lifelike());
    let (mut millimetres, mut shown, mut moved) = (0, 0, BTreeSet::new());
    for _ in 0..seconds {
        let step = city.world.step();
        millimetres += step.moves().map(|m| m.to_mm - m.from_mm).sum::<i64>();
        shown += step.signals.len();
        moved = step.moves().map(|m| m.vehicle.0).collect();
    }
    let counters = city.world.counters();
    let cells = rows(&at("truth/cells.parquet"));
    let trips = rows(&at("truth/trips.parquet"));
    assert_eq!(wholes(&cells, "distance_mm").iter().sum::<i64>(), millimetres);
    assert_eq!(wholes(&trips, "distance_mm").iter().sum::<i64>(), millimetres, "every trip, whole");
    let mut outcomes: BTreeMap<Option<String>, u64> = BTreeMap::new();
    texts(&trips, "outcome").into_iter().for_each(|o| *outcomes.entry(o).or_default() += 1);
    // Who arrived in the very last second was still among its moves; who departed at its end was not yet.
    let named = |name: Option<&str>| outcomes.get(&name.map(str::to_owned)).copied().unwrap_or(0);
    let on_road: BTreeSet<u64> = city.world.odometers().map(|(id, _)| id.0).collect();
    let fresh = on_road.difference(&moved).count() as u64;
    let in_the_last = named(None) + fresh - on_road.len() as u64;
    assert_eq!(named(Some("arrived")) + in_the_last, counters.arrived);
    assert!(counters.arrived > 100 && in_the_last < 20, "{in_the_last} of {counters:?}");
    assert_eq!(
        (recorded.trips + fresh, recorded.forced),
        (counters.departed, counters.rerouted + counters.released + counters.turned)
    );
    assert_eq!(count(&at("truth/phases.parquet")), shown as u64);
    assert!(wholes(&trips, "end_ms").iter().zip(wholes(&trips, "begin_ms")).all(|(end, begin)| *end >= begin));
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
fn incidents_stand_in_the_truth_from_when_to_when() {
    let (folder, network) = (tempfile::tempdir().unwrap(), small_network());
    let (a, b) = (SegmentIndex(3), SegmentIndex(4));
    let node = network.segment(a).to;
    let scenario = Scenario {
        seed: 54,
        vehicles: 100,
        incidents: [
            (10, 40, Disruption::LaneClosed { segment: a, lane: 0, from_m: 20.0, to_m: 30.0 }),
            (20, 60, Disruption::SlowZone { segments: vec![a, b], speed_mps: 5.0 }),
            (50, 900, Disruption::JunctionBlocked { node }),
            (500, 900, Disruption::SignalOff { node }),
        ]
        .into_iter()
        .enumerate()
        .map(|(i, (begin_s, end_s, what))| Incident { id: format!("i{i}"), begin_s, end_s, what })
        .collect(),
        ..Scenario::default()
    };
    let start = scenario.start.0;
    let mut city = City::new(World::new(network.clone(), scenario).unwrap(), SensorConfig::default());
    let record = Record::create(folder.path(), &city.world, &city.sensors).unwrap();
    let recorded = record_city(&mut city, record, 100, &Progress::default(), &CancellationToken::new()).unwrap();
    assert_eq!(recorded.incidents, 4, "what begins after the run is not of the run");
    let table = rows(&folder.path().join("truth/incidents.parquet"));
    let named = |id: &str| Some(network.segment(SegmentIndex(id.parse().unwrap())).id.to_string());
    assert_eq!(texts(&table, "incident"), ["i0", "i1", "i1", "i2"].map(|id| Some(id.to_owned())));
    let kinds = ["lane closed", "slow zone", "slow zone", "junction blocked"];
    assert_eq!(texts(&table, "kind"), kinds.map(|kind| Some(kind.to_owned())));
    assert_eq!(texts(&table, "segment"), [named("3"), named("3"), named("4"), None]);
    assert_eq!(wholes(&table, "begin_ms"), [10, 20, 20, 50].map(|s| start + 1_000 * s));
    let ends = table[0].column_by_name("end_ms").unwrap().as_primitive::<Int64Type>();
    let ends: Vec<Option<i64>> = ends.iter().collect();
    assert_eq!(ends, [Some(40), Some(60), Some(60), None].map(|s| s.map(|s| start + 1_000 * s)));
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
