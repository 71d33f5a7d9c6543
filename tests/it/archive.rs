//! History from outside: killed during writing and compaction, read by DuckDB, put into object storage, handed to
//! Prometheus, and a vehicle taken out of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use analytics::archive::manifest::Manifest;
use analytics::archive::merge::Rows;
use analytics::archive::table::Table;
use roads::generate::{MetropolisPlan, metropolis};
use sim::City;
use sim::scenario::Scenario;
use sim::sensor::SensorConfig;
use sim::world::World;

use crate::support::{PATIENCE, Running, arterial, free_port, get, metric, run, wait_for, wait_ready};

/// Kills for the short run; `ARTERIAL_ARCHIVE_KILLS` asks for more.
const KILLS: usize = 12;

/// Event time of the recording, seconds: an hour becomes one file, and some minutes stay open.
const SECONDS: usize = 5_400;

/// The columns of what the simulated city says.
const COLUMNS: &str = "id=id,time=time,lon=lon,lat=lat,speed=speed:mps,heading=heading";

/// Vehicles of the demo city, a report every ten seconds or so, from 08:00 on.
fn recording(path: &Path) {
    let network = Arc::new(metropolis(&MetropolisPlan::default()).network);
    let scenario = Scenario { seed: 4, vehicles: 150, ..Scenario::default() };
    let mut city = City::new(World::new(network, scenario).unwrap(), SensorConfig::default());
    let mut csv = String::from("id,time,lon,lat,speed,heading\n");
    let (mut events, mut first_ms) = (Vec::new(), None);
    for second in 0..SECONDS {
        city.step(&mut events);
        for event in events.drain(..) {
            let events::Event::Position(p) = event else { continue };
            let name = p.source.to_string();
            if (second + name.len() * 3 + usize::from(name.as_bytes()[name.len() - 1])) % 10 != 0 {
                continue;
            }
            let first_ms = *first_ms.get_or_insert(p.time.0);
            let at = events::TimeMs(1_792_915_200_000 + p.time.0 - first_ms);
            let speed = p.speed.map_or_else(String::new, |v| v.get().to_string());
            let heading = p.heading.map_or_else(String::new, |h| h.get().to_string());
            csv += &format!("{name},{},{:.7},{:.7},{speed},{heading}\n", at.rfc3339(), p.at.lon_deg(), p.at.lat_deg());
        }
    }
    fs::write(path, csv).unwrap();
}

/// A spool with the recording in it, as ingest left it; gives how many positions were accepted.
fn ingested(csv: &Path, data: &Path) -> f64 {
    let (mqtt, http) = (free_port(), free_port());
    let mut ingest = Running::start(
        arterial()
            .args(["ingest", "--listen", &format!("127.0.0.1:{mqtt}"), "--http-listen", &format!("127.0.0.1:{http}")])
            .arg("--data")
            .arg(data),
    );
    wait_ready(&mut ingest, http);
    let mut replay = arterial();
    replay.arg("replay").arg(csv).args(["--format", "csv", "--speed", "max", "--columns", COLUMNS]);
    run(replay.args(["--broker", &format!("127.0.0.1:{mqtt}")]));
    let accepted = wait_for("everything to be stored", || {
        let (_, page) = get(http, "/metrics")?;
        let waiting = metric(&page, "arterial_ingest_waiting_messages", "")?;
        metric(&page, "arterial_ingest_events_total", "accepted").filter(|n| waiting == 0.0 && *n > 0.0)
    });
    assert_eq!(ingest.stop(), Some(0));
    accepted
}

/// Says a line of the report: on standard error, and in the file of the long run.
fn report(line: &str) {
    eprintln!("{line}");
    if let Ok(path) = std::env::var("ARTERIAL_CRASH_REPORT") {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// Analytics over a spool with an archive.
struct Analytics {
    service: Running,
    http: u16,
}

impl Analytics {
    fn start(data: &Path, checkpoints: &Path, archive: &str, change: impl FnOnce(&mut Command)) -> Self {
        let http = free_port();
        let mut command = arterial();
        command
            .args(["analytics", "--network", "demo", "--archive-minutes", "1", "--http-listen"])
            .arg(format!("127.0.0.1:{http}"))
            .args(["--checkpoint-seconds", "0", "--checkpoint-blocks", "4", "--archive", archive, "--data"])
            .arg(data)
            .arg("--checkpoint-dir")
            .arg(checkpoints)
            .env("ARTERIAL_LOG", "warn");
        change(&mut command);
        Self { service: Running::start(&mut command), http }
    }

    fn says(&mut self, name: &str, label: &str) -> Option<f64> {
        self.service.check();
        metric(&get(self.http, "/metrics")?.1, name, label)
    }

    /// Waits until all is counted in, and asks it to stop: what is closed is written then.
    fn finish(mut self, positions: f64) {
        wait_for("every position", || {
            (self.says("arterial_analytics_positions_total", "")? >= positions).then_some(())
        });
        assert_eq!(self.service.stop(), Some(0));
    }
}

/// Figures of every row of a table: metres, seconds, delay, reports, vehicle-minutes, minutes, free flow.
type Cells = BTreeMap<(i64, i64), Vec<i64>>;

fn cells(archive: &Path, table: Table) -> Cells {
    let mut cells = Cells::new();
    for file in Manifest::read(archive).unwrap().files(table, "demo") {
        let rows = Rows::open(&archive.join(&file.path), table).unwrap();
        for frame in rows {
            let frame = frame.unwrap();
            for row in 0..frame.len() {
                let ints = (2..5).map(|column| frame.ints(column)[row]);
                let figures = ints.chain((5..9).map(|column| i64::from(frame.smalls(column)[row]))).collect();
                let before = cells.insert((frame.ints(0)[row], frame.times(1)[row]), figures);
                assert_eq!(before, None, "a row is twice");
            }
        }
    }
    cells
}

fn check(archive: &Path) {
    run(arterial().args(["archive", "check", "--archive"]).arg(archive));
}

/// The files of an archive, and those that are being written.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else { return found };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn history_that_is_killed_while_it_is_written_holds_what_was_counted() {
    let kills = std::env::var("ARTERIAL_ARCHIVE_KILLS").map_or(KILLS, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let (data, csv) = (folder.path().join("data"), folder.path().join("city.csv"));
    recording(&csv);
    let accepted = ingested(&csv, &data);
    let (archive, checkpoints) = (folder.path().join("archive"), folder.path().join("checkpoints"));
    let (mut random, mut in_between) = (0x9E37_79B9_7F4A_7C15_u64, 0);
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut life = Analytics::start(&data, &checkpoints, archive.to_str().unwrap(), |_| {});
        // Killed once its files have changed some times: in the middle of a flush, a compaction, a manifest.
        let (mut seen, mut changes, begun) = (files(&archive), random % 40, Instant::now());
        while changes > 0 && begun.elapsed() < PATIENCE {
            let now = files(&archive);
            if now != seen {
                changes -= 1;
                seen = now;
            } else if life.says("arterial_analytics_positions_total", "").is_some_and(|n| n >= accepted) {
                break;
            }
        }
        drop(life);
        in_between += usize::from(files(&archive).iter().any(|path| path.extension().is_some_and(|e| e == "part")));
    }
    let finish = |checkpoints: &Path, archive: &Path| {
        Analytics::start(&data, checkpoints, archive.to_str().unwrap(), |_| {}).finish(accepted);
        check(archive);
        (cells(archive, Table::Cells1Min), files(&archive.join("quality")).len())
    };
    let (survived, _) = finish(&checkpoints, &archive);
    let whole = folder.path().join("whole");
    let (expected, quality) = finish(&folder.path().join("fresh"), &whole);
    assert!(expected.len() > 1_000 && quality > 0, "{} rows, {quality} files of quality", expected.len());
    assert_eq!(survived, expected, "after {kills} kills");

    // The same events straight from the recording, as far as the live minutes are closed.
    let direct = folder.path().join("direct");
    let mut analyze = arterial();
    analyze.arg("analyze").arg(&csv).args(["--format", "csv", "--network", "demo", "--columns", COLUMNS]);
    analyze.arg("--archive").arg(&direct);
    run(&mut analyze);
    check(&direct);
    let last = expected.keys().map(|key| key.1).max().unwrap();
    let (mut closed, fives) = (cells(&direct, Table::Cells1Min), cells(&direct, Table::Cells5Min));
    let sum = |cells: &Cells, at: usize| cells.values().map(|figures| figures[at]).sum::<i64>();
    (0..6).for_each(|at| assert_eq!(sum(&closed, at), sum(&fives, at), "figure {at} of five minutes"));
    closed.retain(|key, _| key.1 <= last);
    // What is free flow was learnt live and is of the map in a recording, so delays may differ.
    let counted =
        |cells: &Cells| -> Cells { cells.iter().map(|(key, f)| (*key, vec![f[0], f[1], f[3], f[4], f[5]])).collect() };
    assert_eq!(counted(&closed), counted(&expected), "live and recorded minutes are the same");

    // A day that is added twice changes nothing.
    let before = fs::read(direct.join("manifest.json")).unwrap();
    let said = String::from_utf8(run(&mut analyze).stdout).unwrap();
    assert!(said.contains("history has those minutes already"), "{said}");
    assert_eq!(fs::read(direct.join("manifest.json")).unwrap(), before);
    report(&format!(
        "archive: {kills} kills ({in_between} left a file half written): {} rows, those of the run without",
        survived.len()
    ));

    as_duckdb_reads_it(&direct);
    as_prometheus_reads_it(&direct, folder.path());
    without_a_vehicle(&csv, &data, &whole);
}

/// The Python that `cargo xtask test` made, with DuckDB and an object storage in it.
fn python() -> Option<Command> {
    let named = std::env::var_os("ARTERIAL_PYTHON");
    if named.is_none() {
        eprintln!("skipped: no Python with DuckDB and moto (set ARTERIAL_PYTHON, see tests/it/requirements.txt)");
    }
    named.map(Command::new)
}

fn as_duckdb_reads_it(archive: &Path) {
    let Some(mut python) = python() else { return };
    let script = r#"
import duckdb, sys
root = sys.argv[1]
for table in ("cells_1min", "cells_5min"):
    print(*duckdb.sql(f"""
        SELECT count(*), sum(distance_mm), sum(time_ms), sum(delay_ms), sum(reports), sum(vehicle_minutes), sum(minutes),
               count(*) FILTER (strftime(start_utc, '%Y-%m-%d') <> CAST(date AS VARCHAR)),
               min(city)
        FROM read_parquet('{root}/{table}/**/*.parquet', hive_partitioning = true)""").fetchall()[0])
print(*duckdb.sql(f"""
    SELECT count(*) FILTER (s.id IS NULL), count(*) FILTER (CAST(hour AS INT) <> extract(hour FROM start_utc))
    FROM read_parquet('{root}/cells_1min/**/*.parquet', hive_partitioning = true) c
    LEFT JOIN read_parquet('{root}/segments/**/*.parquet') s USING (segment)""").fetchall()[0])
"#;
    let said = String::from_utf8(run(python.args(["-c", script]).arg(archive)).stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    for (table, line) in [Table::Cells1Min, Table::Cells5Min].into_iter().zip(&lines) {
        let ours = cells(archive, table);
        let sums = (0..6).map(|at| ours.values().map(|f| f[at]).sum::<i64>().to_string());
        let expected: Vec<String> = std::iter::once(ours.len().to_string()).chain(sums).collect();
        assert_eq!(*line, format!("{} 0 demo", expected.join(" ")), "{}", table.name());
    }
    assert_eq!(lines[2], "0 0", "every segment has a name, and every row stands in its hour");
}

fn as_prometheus_reads_it(archive: &Path, folder: &Path) {
    let (text, blocks) = (folder.join("history.om"), folder.join("blocks"));
    let mut backfill = arterial();
    backfill.args(["backfill", "--from", "2026-10-25", "--to", "2026-10-27", "--step", "5", "--k", "1", "--top", "20"]);
    run(backfill.args(["--network", "demo", "--archive"]).arg(archive).arg("--out").arg(&text));
    run(Command::new("promtool").args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&text).arg(&blocks));
    // It looks for a log beside the blocks.
    fs::create_dir_all(blocks.join("wal")).unwrap();
    let dumped = String::from_utf8(run(Command::new("promtool").args(["tsdb", "dump"]).arg(&blocks)).stdout).unwrap();
    let text = fs::read_to_string(&text).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(samples > 500, "{samples} samples");
    assert_eq!(
        dumped.lines().filter(|line| line.starts_with('{')).count(),
        samples,
        "each sample is in the blocks once"
    );
    let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(families.len(), 6);
    for family in families {
        let name = family.split(' ').next().unwrap();
        assert!(dumped.contains(&format!("__name__=\"{name}\"")), "{name} is not in the blocks");
    }
    // One speed, from the cells themselves.
    let five = cells(archive, Table::Cells5Min);
    let line = text.lines().find(|line| line.starts_with("arterial_segment_speed_meters_per_second{")).unwrap();
    let id = line.split("segment=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut words = line.split(' ').skip(1);
    let (value, end_s): (f64, i64) = (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
    let segment = id.parse::<roads::SegmentId>().unwrap().0 as i64;
    let figures = &five[&(segment, (end_s - 300) * 1_000)];
    assert_eq!(value, figures[0] as f64 / figures[1] as f64);
    let too_few = arterial()
        .args(["backfill", "--from", "2026-10-25", "--to", "2026-10-27", "--k", "1000", "--archive"])
        .arg(archive)
        .output()
        .unwrap();
    let said = String::from_utf8(too_few.stdout).unwrap();
    assert!(said.lines().all(|line| line.starts_with('#')) && said.ends_with("# EOF\n"), "nothing of small groups");
}

/// Positions of the spool by vehicle cannot be told from outside, so they are counted.
fn rows_in_spool(data: &Path) -> u64 {
    let said = run(arterial().args(["spool", "check", "--data"]).arg(data)).stdout;
    let said = String::from_utf8(said).unwrap();
    let line = said.lines().find(|line| line.contains(" blocks, ")).unwrap();
    line.split(" rows").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

fn without_a_vehicle(csv: &Path, data: &Path, archive: &Path) {
    let text = fs::read_to_string(csv).unwrap();
    let vehicle = text.lines().nth(1).unwrap().split(',').next().unwrap();
    let (start, accepted) = (format!("{vehicle},"), rows_in_spool(data));
    let reports = text.lines().filter(|line| line.starts_with(&start)).count() as u64;
    let figures = cells(archive, Table::Cells1Min);
    let forget = || {
        let mut forget = arterial();
        forget.args(["forget", "--vehicle", vehicle, "--since", "2026-10-25", "--data"]).arg(data);
        String::from_utf8(run(forget.arg("--archive").arg(archive)).stdout).unwrap()
    };
    let said = forget();
    assert!(said.contains(&format!("spool         {reports} positions removed")), "{said}");
    assert_eq!(rows_in_spool(data), accepted - reports);
    assert!(forget().contains("spool         0 positions removed"));
    assert_eq!(cells(archive, Table::Cells1Min), figures, "sums stay");
    // Analytics goes on with the spool that was changed, and counts nothing twice.
    Analytics::start(data, &data.join("other-checkpoints"), archive.to_str().unwrap(), |_| {})
        .finish((accepted - reports) as f64);
    assert_eq!(cells(archive, Table::Cells1Min), figures, "minutes of history do not change afterwards");
    let other =
        arterial().args(["forget", "--vehicle", vehicle, "--since", "2026-10-25", "--data"]).arg(archive).output();
    assert!(String::from_utf8(other.unwrap().stderr).unwrap().contains("no secret"));
}
