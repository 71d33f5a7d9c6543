//! Every file that is not whole is refused, the one before it is used, and state of another city never is.

use ingest::Batch;
use roads::generate::{CityPlan, city};

use super::*;

fn network(blocks: u32) -> Arc<Network> {
    Arc::new(city(&CityPlan { blocks_x: blocks as _, blocks_y: 3, ..CityPlan::default() }))
}

/// Positions of one vehicle that drives to the east, one a second.
fn batch(from_s: i64, seconds: i64, network: &Network) -> Batch {
    let [west, south, east, north] = network.bbox();
    let mut batch = Batch::default();
    let p = &mut batch.positions;
    for s in from_s..from_s + seconds {
        p.vehicle.push(7);
        p.seq.push(None);
        p.time_ms.push(s * 1_000);
        p.lon_deg.push(west + (east - west) * s as f64 / 600.0);
        p.lat_deg.push((south + north) / 2.0);
        p.speed_mps.push(Some(8.0));
        p.heading_deg.push(Some(90.0));
        p.edge.push(None);
        p.journey.push(None);
        p.received_ms.push(s * 1_000 + 200);
    }
    batch
}

struct Case {
    dir: tempfile::TempDir,
    network: Arc<Network>,
    config: EngineConfig,
    engine: Engine,
}

impl Case {
    fn new() -> Self {
        let (network, config) = (network(4), EngineConfig::live());
        let engine = Engine::new(Arc::clone(&network), config.clone());
        Self { dir: tempfile::tempdir().unwrap(), network, config, engine }
    }

    fn open(&self) -> Checkpoints {
        Checkpoints::open(self.dir.path(), Identity::new(&self.network, &self.config)).unwrap()
    }

    fn write(&mut self, checkpoints: &mut Checkpoints, next: u64) -> Written {
        self.engine.apply(&batch(next as i64 * 10, 10, &self.network));
        let position = Position { next: BlockNumber(next), last_checksum: next as u32 };
        checkpoints.write(&self.engine, position).unwrap()
    }

    /// The next block of the checkpoint that is found, and the files that are left.
    fn restored(&self) -> (Option<u64>, usize) {
        let restored = self.open().restore(&self.network, &self.config);
        (restored.map(|r| r.position.next.0), list(self.dir.path()).unwrap().len())
    }

    fn path(&self, next: u64) -> PathBuf {
        self.dir.path().join(format!("{next:020}{SUFFIX}"))
    }
}

#[test]
fn the_newest_of_two_is_taken_up_byte_for_byte() {
    let mut case = Case::new();
    let mut checkpoints = case.open();
    assert!(checkpoints.restore(&case.network, &case.config).is_none());
    let needed: Vec<_> = [3, 5, 9].map(|next| case.write(&mut checkpoints, next).needed.0).to_vec();
    assert_eq!(needed, [2, 2, 4], "the block before the oldest that is kept");
    assert!(matches!(
        Checkpoints::open(case.dir.path(), Identity::new(&case.network, &case.config)),
        Err(CheckpointError::Locked { .. })
    ));
    drop(checkpoints);
    // What a crash leaves aside.
    fs::write(case.dir.path().join("00000000000000000011.part"), b"half").unwrap();
    let restored = case.open().restore(&case.network, &case.config).unwrap();
    assert_eq!(restored.position, Position { next: BlockNumber(9), last_checksum: 9 });
    assert_eq!(restored.engine.save().unwrap(), case.engine.save().unwrap());
    assert_eq!(restored.engine.store().sorted_rows(), case.engine.store().sorted_rows());
    assert!(!restored.engine.store().sorted_rows().is_empty());
    assert_eq!(fs::read_dir(case.dir.path()).unwrap().count(), 3, "two checkpoints and the lock");
}

#[test]
fn a_checkpoint_cut_or_changed_anywhere_is_refused_and_the_older_one_used() {
    let mut case = Case::new();
    let mut checkpoints = case.open();
    case.write(&mut checkpoints, 1);
    case.write(&mut checkpoints, 2);
    let good = fs::read(case.path(2)).unwrap();
    for cut in (0..good.len()).step_by(17) {
        assert!(checkpoints.read(&good[..cut], &case.network, &case.config).is_err(), "cut at {cut}");
    }
    for at in (0..good.len()).step_by(13).chain(0..FIXED_BYTES) {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        assert!(checkpoints.read(&bad, &case.network, &case.config).is_err(), "changed at {at}");
    }
    assert!(checkpoints.read(&good, &case.network, &case.config).is_ok());
    drop(checkpoints);
    fs::write(case.path(2), &good[..good.len() / 2]).unwrap();
    assert_eq!(case.restored(), (Some(1), 1), "the torn one is removed");
    fs::write(case.path(1), []).unwrap();
    assert_eq!(case.restored(), (None, 0));
}

#[test]
fn another_network_or_other_settings_begin_anew_with_a_sentence() {
    let mut case = Case::new();
    case.write(&mut case.open(), 4);
    let bytes = fs::read(case.path(4)).unwrap();
    let read = |network: &Arc<Network>, config: &EngineConfig| {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(dir.path(), Identity::new(network, config)).unwrap();
        checkpoints.read(&bytes, network, config).map(|_| ()).map_err(|why| why.to_string())
    };
    assert_eq!(read(&case.network, &case.config), Ok(()));
    let other = read(&network(5), &case.config).unwrap_err();
    assert!(other.starts_with("it was made on the network `") && other.contains("segments"), "{other}");
    let config = EngineConfig { lateness_ms: Some(7), ..case.config.clone() };
    let other = read(&case.network, &config).unwrap_err();
    assert!(other.contains("other settings") && other.contains("lateness Some(7)"), "{other}");
    case.config = config;
    assert_eq!(case.restored(), (None, 0), "it does not come back before the new ones");
}
