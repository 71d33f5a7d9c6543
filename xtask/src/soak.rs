//! `cargo xtask soak`: the real binary under a steady load for an hour, watched from outside: does memory grow?
//!
//! Three processes, as an operator runs them: `arterial ingest` (MQTT server, fdatasync before each acknowledgement),
//! `arterial analytics` on its spool with checkpoints, and `arterial sim`, whose vehicles report every second. Every 10 s
//! the pages of metrics and the newest figures are fetched, as Prometheus and a dashboard would, and `/proc` is read;
//! each look is one row of a CSV. At the end: the slope of memory after the warm-up, and a verdict.
//!
//! Upstream: `main`. Downstream: the release binary, the CSV for `docs/benchmarks/`.

mod figures;
mod process;

use crate::failure::Failure;
use crate::live::{Scratch, free_ports};
use crate::report::{now, say};
use crate::{arterial_path, http};
use figures::{Series, slope_per_hour};
use process::Process;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Between two rows.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Analytics keeps cells this long, so that the panes have filled up within the warm-up, minutes.
const KEEP_MINUTES: u32 = 20;

/// Memory may grow by less than this after the warm-up, MB/h: the bound that the project sets itself.
const SLOPE_MB_PER_H_MAX: f64 = 1.0;

/// A run whose load was below this share of what was asked for says nothing.
const RATE_SHARE_MIN: f64 = 0.9;

/// The shortest time after the warm-up from which a slope per hour can be told at all.
const JUDGED_MIN: Duration = Duration::from_secs(20 * 60);

/// One request may take this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked for on the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    minutes: u64,
    /// Events a second.
    rate: u64,
    /// Not looked at: caches, panes and the duplicate memory fill up.
    warm_up_minutes: u64,
    out: Option<PathBuf>,
}

impl Plan {
    /// Reads `--minutes 60 --rate 5000 --warm-up-minutes 25 --out FILE`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, Failure> {
        let (mut minutes, mut rate, mut warm_up, mut out) = (60, 5_000, None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| Failure::Usage(format!("{word} needs a value")))?;
            let number = || value.parse::<u64>().ok().filter(|n| *n > 0);
            let number = || number().ok_or_else(|| Failure::Usage(format!("{word} {value}: a number from 1 on")));
            match word.as_str() {
                "--minutes" => minutes = number()?,
                "--rate" => rate = number()?,
                "--warm-up-minutes" => warm_up = Some(number()?),
                "--out" => out = Some(PathBuf::from(value)),
                _ => return Err(Failure::Usage(format!("soak knows no {word}"))),
            }
        }
        // Five minutes longer than panes are kept, if there is time for that.
        let warm_up_minutes = warm_up.unwrap_or_else(|| (minutes / 3).clamp(1, u64::from(KEEP_MINUTES) + 5));
        if warm_up_minutes >= minutes {
            return Err(Failure::Usage(format!("a warm-up of {warm_up_minutes} min leaves nothing of {minutes} min")));
        }
        Ok(Self { minutes, rate, warm_up_minutes, out })
    }
}

/// What runs, in the order in which it is started.
struct City {
    ingest: Process,
    analytics: Process,
    sim: Process,
    ingest_http: SocketAddr,
    analytics_http: SocketAddr,
}

/// Runs, watches, judges.
pub(crate) fn soak(plan: &Plan) -> Result<(), Failure> {
    let scratch = Scratch::new("soak").map_err(|source| Failure::io("make a folder", source))?;
    let out = plan.out.clone().unwrap_or_else(|| scratch.path().with_file_name("soak.csv"));
    let mut csv = File::create(&out).map_err(|source| Failure::io(format!("write {}", out.display()), source))?;
    let mut city = City::start(plan, scratch.path())?;
    let mut series = Series::default();
    write_line(&mut csv, &format!("# {}", head(plan)))?;
    write_line(&mut csv, Series::HEADER)?;
    let begun = now();
    let watched = city.watch(plan, begun, &scratch.path().join("data"), &mut csv, &mut series);
    if watched.is_err() {
        [&city.ingest, &city.analytics, &city.sim].into_iter().for_each(Process::show_log);
    }
    watched?;
    city.end()?;
    say(&format!("the rows are in {}", out.display()));
    judge(plan, &series)
}

fn head(plan: &Plan) -> String {
    format!(
        "cargo xtask soak --minutes {} --rate {} --warm-up-minutes {}; memory is RssAnon + RssShmem + VmSwap, without \
         files and their page cache; analytics keeps {KEEP_MINUTES} min",
        plan.minutes, plan.rate, plan.warm_up_minutes
    )
}

impl City {
    fn start(plan: &Plan, folder: &Path) -> Result<Self, Failure> {
        let binary = arterial_path()?;
        if !binary.is_file() {
            return Err(Failure::Missing(format!("there is no {}: `cargo xtask build` makes it", binary.display())));
        }
        let (network, data) = (folder.join("city.roads"), folder.join("data"));
        let (network, data) = (network.display().to_string(), data.display().to_string());
        // About a vehicle a segment: dense traffic that still flows.
        let segments = plan.rate.max(500).to_string();
        Process::to_end(&binary, folder, &["network", "generate", "--segments", &segments, "--out", &network])?;
        let ports = || free_ports().map_err(|source| Failure::io("find free ports", source));
        let ((mqtt, ingest_http), (analytics_http, _)) = (ports()?, ports()?);
        let (listen, ingest_page, analytics_page) =
            (mqtt.to_string(), ingest_http.to_string(), analytics_http.to_string());
        let start = |name, arguments: &[&str]| Process::start(name, &binary, folder, arguments);
        let arguments = ["ingest", "--listen", &listen, "--http-listen", &ingest_page, "--data", &data];
        let mut ingest = start("ingest", &arguments)?;
        ingest.wait_ready(ingest_http)?;
        let keep = KEEP_MINUTES.to_string();
        let arguments = ["analytics", "--network", &network, "--http-listen", &analytics_page, "--data", &data];
        let mut analytics = start("analytics", &[&arguments[..], &["--keep-minutes", &keep]].concat())?;
        analytics.wait_ready(analytics_http)?;
        // Each reports every second, so there are as many events a second as vehicles, and loops and signals besides.
        let vehicles = plan.rate.to_string();
        let arguments = ["sim", "--broker", &listen, "--network", &network, "--vehicles", &vehicles, "--seed", "7"];
        let sim = start("sim", &[&arguments[..], &["--sensors", "exact", "--interval-s", "1"]].concat())?;
        Ok(Self { ingest, analytics, sim, ingest_http, analytics_http })
    }

    fn watch(
        &mut self,
        plan: &Plan,
        begun: Instant,
        data: &Path,
        csv: &mut File,
        series: &mut Series,
    ) -> Result<(), Failure> {
        let mut next = begun;
        while begun.elapsed() < Duration::from_secs(plan.minutes * 60) {
            next += LOOK_EVERY;
            thread::sleep(next.saturating_duration_since(now()));
            for process in [&mut self.ingest, &mut self.analytics, &mut self.sim] {
                process.check()?;
            }
            let pages = (self.page(self.ingest_http, "/metrics")?, self.page(self.analytics_http, "/metrics")?);
            self.page(self.analytics_http, "/api/v1/snapshot?window=60")?;
            let processes = [self.ingest.look()?, self.analytics.look()?, self.sim.look()?];
            let spool_bytes = bytes_in(&data.join("spool"));
            let row = series.add(now().duration_since(begun), (&pages.0, &pages.1), processes, spool_bytes);
            write_line(csv, &row)?;
            if series.rows.len().is_multiple_of(6) {
                say(&series.last_in_words());
            }
        }
        Ok(())
    }

    fn page(&self, server: SocketAddr, path: &str) -> Result<String, Failure> {
        let reply = http::get(server, path, PATIENCE).map_err(|source| Failure::io(format!("get {path}"), source))?;
        match reply.status {
            200 => Ok(String::from_utf8_lossy(&reply.body).into_owned()),
            // The first figures come after a second or two.
            503 if path.starts_with("/api") => Ok(String::new()),
            status => Err(Failure::Check(format!("{path} answers with status {status}"))),
        }
    }

    /// In the order of the data; everybody has to end well.
    fn end(self) -> Result<(), Failure> {
        for process in [self.sim, self.ingest, self.analytics] {
            process.stop()?;
        }
        Ok(())
    }
}

fn write_line(csv: &mut File, line: &str) -> Result<(), Failure> {
    writeln!(csv, "{line}").map_err(|source| Failure::io("write the rows", source))
}

/// Bytes of all files in a folder, 0 while it is not there.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).filter(|data| data.is_file()).map(|d| d.len()).sum()
}

/// Says the slopes after the warm-up, and whether they are within the bound.
fn judge(plan: &Plan, series: &Series) -> Result<(), Failure> {
    let warm_up_s = (plan.warm_up_minutes * 60) as f64;
    let rows: Vec<_> = series.rows.iter().filter(|row| row.second >= warm_up_s).collect();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Err(Failure::Check("there is no row after the warm-up".into()));
    };
    let judged_s = last.second - first.second;
    let rate = (last.received - first.received) / judged_s.max(1.0);
    let mut text =
        format!("after {} min of warm-up, over {:.0} min at {rate:.0} events/s:", warm_up_s / 60.0, judged_s / 60.0);
    let mut grows = Vec::new();
    for (at, name) in Series::PROCESSES.into_iter().enumerate() {
        let of = |value: &dyn Fn(&figures::Row) -> f64| {
            slope_per_hour(&rows.iter().map(|row| (row.second, value(row))).collect::<Vec<_>>())
        };
        let memory = of(&|row| row.processes[at].memory_kib as f64 / 1e3 * 1.024);
        let files = of(&|row| row.processes[at].files as f64);
        let now_mb = last.processes[at].memory_kib as f64 * 1.024 / 1e3;
        write!(
            text,
            "\n  {name:<9} {now_mb:8.1} MB, {memory:+8.3} MB/h; {} files, {files:+.2} files/h",
            last.processes[at].files
        )
        .map_err(|_| Failure::Check("the report cannot be written".into()))?;
        // The simulator is the load, not what is judged.
        if name != "sim" && (memory >= SLOPE_MB_PER_H_MAX || files >= 1.0) {
            grows.push(name);
        }
    }
    say(&text);
    if rate < RATE_SHARE_MIN * plan.rate as f64 {
        return Err(Failure::Check(format!("only {rate:.0} of {} events/s came: too busy a machine", plan.rate)));
    }
    if Duration::from_secs_f64(judged_s) < JUDGED_MIN {
        say(&format!("too short for a verdict: {} min after the warm-up are needed", JUDGED_MIN.as_secs() / 60));
        return Ok(());
    }
    match grows.as_slice() {
        [] => {
            say(&format!("flat: below {SLOPE_MB_PER_H_MAX} MB/h"));
            Ok(())
        }
        some => {
            Err(Failure::Check(format!("{} grows by {SLOPE_MB_PER_H_MAX} MB/h or a file an hour", some.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Plan::parse(&words).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_warm_up_is_longer_than_panes_are_kept_where_there_is_time() {
        let check = |line: &str, minutes: u64, warm_up: u64| {
            let plan = plan(line).expect(line);
            assert_eq!((plan.minutes, plan.warm_up_minutes), (minutes, warm_up), "{line}");
        };
        check("", 60, 20);
        check("--minutes 90", 90, 25);
        check("--minutes 3 --rate 10", 3, 1);
        check("--minutes 60 --warm-up-minutes 25", 60, 25);
        for (bad, says) in [
            ("--minutes", "a value"),
            ("--minutes 0", "from 1"),
            ("--hours 2", "--hours"),
            ("--minutes 1", "nothing of 1"),
        ] {
            let sentence = plan(bad).expect_err(bad);
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
