//! Analytics killed again and again while a recording is replayed: in the end the cells are those of a run that was
//! never killed, byte for byte. A few kills here; `cargo xtask crash` has the long run, with its report.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use roads::generate::{MetropolisPlan, metropolis};
use sim::City;
use sim::scenario::Scenario;
use sim::sensor::SensorConfig;
use sim::world::World;

use crate::support::{Running, arterial, free_port, get, metric, wait_for, wait_ready};

/// Kills for the short run.
const KILLS: usize = 8;

/// Event time that is replayed in a second: with it every life sees new blocks.
const SPEED: usize = 12;

/// A life with its start and its look at a page takes about so long, seconds.
const LIFE_S: usize = 2;

/// What vehicles of the demo city say within some seconds, as in life: late, lost, doubled, wrong.
fn recording(path: &Path, seconds: usize) {
    let network = Arc::new(metropolis(&MetropolisPlan::default()).network);
    let scenario = Scenario { seed: 9, vehicles: 400, ..Scenario::default() };
    let sensors = SensorConfig { probe_share: 1.0, ..SensorConfig::lifelike() };
    let mut city = City::new(World::new(network, scenario).unwrap(), sensors);
    let mut csv = String::from("id,time,lon,lat,speed,heading\n");
    let mut events = Vec::new();
    for _ in 0..seconds {
        city.step(&mut events);
        for event in events.drain(..) {
            let events::Event::Position(p) = event else { continue };
            let speed = p.speed.map_or_else(String::new, |v| v.get().to_string());
            let heading = p.heading.map_or_else(String::new, |h| h.get().to_string());
            let (lon, lat) = (p.at.lon_deg(), p.at.lat_deg());
            csv += &format!("{},{},{lon:.7},{lat:.7},{speed},{heading}\n", p.source, p.time.rfc3339());
        }
    }
    std::fs::write(path, csv).unwrap();
}

struct Analytics {
    service: Running,
    http: u16,
}

impl Analytics {
    fn start(data: &Path, checkpoints: &Path, cells: &Path) -> Self {
        let http = free_port();
        let mut command = arterial();
        command
            .args(["analytics", "--network", "demo", "--keep-minutes", "600", "--http-listen"])
            .arg(format!("127.0.0.1:{http}"))
            .args(["--checkpoint-seconds", "0", "--checkpoint-blocks", "16", "--data"])
            .arg(data)
            .arg("--checkpoint-dir")
            .arg(checkpoints)
            .arg("--cells")
            .arg(cells)
            .env("ARTERIAL_LOG", "warn");
        Self { service: Running::start(&mut command), http }
    }

    /// A figure on its page; `None` while it does not answer.
    fn says(&mut self, name: &str) -> Option<f64> {
        self.service.check();
        metric(&get(self.http, "/metrics")?.1, name, "")
    }

    /// Waits until so many positions are counted in, asks it to stop, and gives its cells.
    fn finish(mut self, positions: f64, cells: &Path) -> String {
        wait_for("every position", || (self.says("arterial_analytics_positions_total")? >= positions).then_some(()));
        let received = self.says("arterial_analytics_positions_total");
        assert_eq!(received, Some(positions), "none is counted twice");
        assert_eq!(self.says("arterial_analytics_events_total"), self.says("arterial_analytics_events_received_total"));
        assert_eq!(self.service.stop(), Some(0));
        std::fs::read_to_string(cells).unwrap()
    }
}

fn checkpoints_in(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "checkpoint")).count()
}

/// Says a line of the report: on standard error, and in the file of the long run.
fn report(line: &str) {
    eprintln!("{line}");
    if let Ok(path) = std::env::var("ARTERIAL_CRASH_REPORT") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

#[test]
fn analytics_killed_during_a_replay_leaves_the_cells_of_a_run_without() {
    let kills = std::env::var("ARTERIAL_ANALYTICS_KILLS").map_or(KILLS, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let (data, csv) = (folder.path().join("data"), folder.path().join("city.csv"));
    recording(&csv, (kills + 1) * LIFE_S * SPEED);
    let (mqtt, http) = (free_port(), free_port());
    let mut ingest = Running::start(
        arterial()
            .args(["ingest", "--listen", &format!("127.0.0.1:{mqtt}"), "--http-listen", &format!("127.0.0.1:{http}")])
            .arg("--data")
            .arg(&data),
    );
    wait_ready(&mut ingest, http);
    let mut replay = arterial();
    replay.arg("replay").arg(&csv).args(["--format", "csv", "--speed", &SPEED.to_string()]);
    replay.args(["--columns", "id=id,time=time,lon=lon,lat=lat,speed=speed:mps,heading=heading"]);
    replay.args(["--broker", &format!("127.0.0.1:{mqtt}")]).env("ARTERIAL_LOG", "warn");
    let mut replay = Running::start(&mut replay);

    let (own, cells) = (data.join("analytics"), folder.path().join("cells.csv"));
    let (mut random, mut resumed, mut under_way) = (0x2545_F491_4F6C_DD1D_u64, 0, 0);
    let mut reached = 0.0_f64;
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        resumed += usize::from(checkpoints_in(&own) > 0);
        let mut life = Analytics::start(&data, &own, &cells);
        // After some more looks at it, once it has gone beyond where the last one was seen.
        let mut looks = random % 12;
        let at = wait_for("it to go on", || {
            let at = life.says("arterial_analytics_next_block")?;
            let is_beyond = at > reached || replay.has_ended();
            looks -= u64::from(is_beyond && looks > 0);
            (is_beyond && looks == 0).then_some(at)
        });
        under_way += usize::from(!replay.has_ended());
        reached = reached.max(at);
        drop(life);
    }
    assert!(replay.wait().success());
    let accepted = wait_for("everything to be stored", || {
        let (_, page) = get(http, "/metrics")?;
        let waiting = metric(&page, "arterial_ingest_waiting_messages", "")?;
        metric(&page, "arterial_ingest_events_total", "accepted").filter(|_| waiting == 0.0)
    });
    assert_eq!(ingest.stop(), Some(0));

    let survived = Analytics::start(&data, &own, &cells).finish(accepted, &cells);
    let (fresh, whole) = (folder.path().join("fresh"), folder.path().join("whole.csv"));
    let expected = Analytics::start(&data, &fresh, &whole).finish(accepted, &whole);
    let is_same = survived == expected;
    report(&format!(
        "analytics: {kills} kills ({under_way} while the replay went on, {resumed} starts from a checkpoint, up to \
         block {reached}): {accepted} positions, {} cells, {}",
        expected.lines().count() - 1,
        if is_same { "byte-identical to the run without" } else { "NOT those of the run without" },
    ));
    assert!(is_same, "the cells differ");
    assert!(expected.lines().count() > 1_000 && resumed * 2 >= kills && under_way * 2 >= kills);
}
