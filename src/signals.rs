//! `arterial signals`: logs of signal controllers → cycles, arrivals on green, split failures, delay.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use analytics::bus::Schedule;
use analytics::signal::{Cycle, Figures, Signals, Wiring, bins};
use anyhow::{Context, bail};
use events::{Event, TimeMs};
use ingest::batch::Batch;
use ingest::gate::{Gate, GateConfig};
use ingest::pseudonym::Pseudonyms;
use serde_json::json;

use crate::input::InputArgs;
use crate::progress;

/// Turn logs of signal controllers into cycles, arrivals on green, split failures and delay
///
/// Example: arterial signals events.parquet --format atspm --columns zone=America/Los_Angeles --detectors wiring.csv
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// Which detectors belong to which phases: CSV with the columns device, channel, phase, function (advance,
    /// presence, count, `yellow_red`)
    #[arg(long, value_name = "FILE")]
    detectors: Option<PathBuf>,
    /// Where the same goes by phase and bin of the clock: a name that ends in .csv or .json
    #[arg(long, value_name = "FILE")]
    bins: Option<PathBuf>,
    /// Length of a bin, minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    bin_minutes: u32,
    /// Where every cycle goes: a name that ends in .csv
    #[arg(long, value_name = "FILE")]
    cycles: Option<PathBuf>,
    /// Where the points of the Purdue coordination diagram go: a name that ends in .csv
    #[arg(long, value_name = "FILE")]
    points: Option<PathBuf>,
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
}

/// Cycles kept of each phase of a recording: more than two months of 60 s.
const CYCLES_KEPT: usize = 100_000;

/// Rows taken in before they are counted.
const BATCH_ROWS: usize = 50_000;

/// Reads a file of which detectors belong to which phases.
pub(crate) fn wiring(path: &Path) -> anyhow::Result<Wiring> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Wiring::parse(&text).with_context(|| format!("{}", path.display()))
}

/// Reads a file of scheduled headways.
pub(crate) fn schedule(path: &Path) -> anyhow::Result<Schedule> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Schedule::parse(&text).with_context(|| format!("{}", path.display()))
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    for path in [&args.cycles, &args.points].into_iter().flatten() {
        if path.extension().is_none_or(|extension| extension != "csv") {
            bail!("{} does not end in .csv", path.display());
        }
    }
    let wiring = args.detectors.as_deref().map(wiring).transpose()?.unwrap_or_default();
    if wiring.is_empty() {
        tracing::warn!("without --detectors nothing is known of arrivals and splits: only cycles are counted");
    }
    let signals = read(args, wiring)?;
    if signals.is_empty() {
        bail!("there is no change of a signal in the recording");
    }
    let phases: Vec<(String, u16, Vec<Cycle>)> =
        signals.cycles().map(|((signal, phase), cycles)| (signal.to_owned(), phase, cycles)).collect();
    if let Some(path) = &args.bins {
        write(path, &bin_rows(path, &phases, i64::from(args.bin_minutes) * 60_000)?)?;
    }
    if let Some(path) = &args.cycles {
        write(path, &cycle_rows(&phases))?;
    }
    if let Some(path) = &args.points {
        write(path, &point_rows(&phases))?;
    }
    report(&signals, &phases, args.json)
}

fn read(args: &Args, wiring: Wiring) -> anyhow::Result<Signals> {
    let mut signals = Signals::new(wiring, CYCLES_KEPT);
    // Nothing of these pseudonyms is kept: signals have no vehicles.
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([0; 32]));
    let mut batch = Batch::default();
    let bar = progress::bytes(args.input.bytes()?);
    for path in &args.input.files {
        for record in args.input.records(path, &bar)? {
            match record.with_context(|| format!("{}", path.display()))? {
                events::foreign::Record::Event(event @ (Event::Detector(_) | Event::Signal(_))) => {
                    let received = event.time();
                    gate.event(event, received, &mut batch);
                }
                events::foreign::Record::Event(Event::Position(_)) => {}
                events::foreign::Record::Message { topic, payload, received } => {
                    let received = received.unwrap_or(TimeMs(i64::MAX / 2));
                    gate.message(&topic, &payload, received, &mut batch, &mut Vec::new());
                }
                events::foreign::Record::Unreadable { reject, .. } => gate.refuse(&reject),
            }
            if batch.len() >= BATCH_ROWS {
                signals.apply(&batch);
                batch.clear();
            }
        }
    }
    bar.finish_and_clear();
    signals.apply(&batch);
    signals.finish();
    Ok(signals)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn bin_rows(path: &Path, phases: &[(String, u16, Vec<Cycle>)], bin_ms: i64) -> anyhow::Result<String> {
    let rows = phases.iter().flat_map(|(signal, phase, cycles)| {
        bins(cycles, bin_ms).into_iter().map(move |(start_ms, bin)| (signal, phase, start_ms, bin))
    });
    let mean = |sum: f64, n: u32| (n > 0).then(|| sum / f64::from(n));
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => {
            let mut out = String::from(
                "signal,phase,start,arrivals,arrivals_on_green,green_s,delay_s,splits,split_failures,green_occupancy,red_occupancy\n",
            );
            for (signal, phase, start_ms, b) in rows {
                let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.6}"));
                writeln!(
                    out,
                    "{signal},{phase},{},{},{},{:.1},{:.1},{},{},{},{}",
                    TimeMs(start_ms).rfc3339(),
                    b.arrivals,
                    b.arrivals_on_green,
                    b.green_ms as f64 / 1_000.0,
                    b.delay_ms as f64 / 1_000.0,
                    b.splits,
                    b.split_failures,
                    number(mean(b.green_occupancy_sum, b.splits)),
                    number(mean(b.red_occupancy_sum, b.splits)),
                )?;
            }
            Ok(out)
        }
        Some("json") => {
            let rows: Vec<_> = rows
                .map(|(signal, phase, start_ms, b)| {
                    json!({
                        "signal": signal, "phase": phase, "start_ms": start_ms, "arrivals": b.arrivals,
                        "arrivals_on_green": b.arrivals_on_green, "green_s": b.green_ms as f64 / 1_000.0,
                        "delay_s": b.delay_ms as f64 / 1_000.0, "splits": b.splits, "split_failures": b.split_failures,
                        "green_occupancy": mean(b.green_occupancy_sum, b.splits),
                        "red_occupancy": mean(b.red_occupancy_sum, b.splits),
                    })
                })
                .collect();
            Ok(serde_json::to_string_pretty(&rows)?)
        }
        _ => bail!("{} ends in neither .csv nor .json", path.display()),
    }
}

fn cycle_rows(phases: &[(String, u16, Vec<Cycle>)]) -> String {
    let mut out = String::from(
        "signal,phase,start_ms,green_ms,yellow_ms,end_ms,is_whole,on_green,on_yellow,on_red,delay_ms,green_occupancy,red_occupancy\n",
    );
    let ms = |at: Option<i64>| at.map_or(String::new(), |at| at.to_string());
    for (signal, phase, c) in phases.iter().flat_map(|(s, p, cycles)| cycles.iter().map(move |c| (s, p, c))) {
        let split = c.split.map_or(",".to_owned(), |s| format!("{:.6},{:.6}", s.green_occupancy, s.red_occupancy));
        let row = format!(
            "{signal},{phase},{},{},{},{},{},{},{},{},{},{split}\n",
            c.start_ms,
            ms(c.green_ms),
            ms(c.yellow_ms),
            c.end_ms,
            c.is_whole,
            c.on_green,
            c.on_yellow,
            c.on_red,
            c.delay_ms
        );
        out.push_str(&row);
    }
    out
}

fn point_rows(phases: &[(String, u16, Vec<Cycle>)]) -> String {
    let mut out = String::from("signal,phase,time_ms,in_cycle_s,on\n");
    for (signal, phase, c) in phases.iter().flat_map(|(s, p, cycles)| cycles.iter().map(move |c| (s, p, c))) {
        for arrival in &c.arrivals {
            let at_ms = c.start_ms + i64::from(arrival.offset_ms);
            let on = arrival.on.map_or("", analytics::signal::Shown::name);
            out.push_str(&format!("{signal},{phase},{at_ms},{:.1},{on}\n", f64::from(arrival.offset_ms) / 1_000.0));
        }
    }
    out
}

fn report(signals: &Signals, phases: &[(String, u16, Vec<Cycle>)], as_json: bool) -> anyhow::Result<()> {
    let figures: Vec<(&str, u16, Figures)> = phases
        .iter()
        .map(|(signal, phase, cycles)| {
            (signal.as_str(), *phase, Figures::of(cycles, signals.wiring().functions(signal, *phase)))
        })
        .collect();
    let mut out = std::io::stdout().lock();
    if as_json {
        let rows: Vec<_> = figures.iter().map(|(s, p, f)| json!({ "signal": s, "phase": p, "figures": f })).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "phases": rows, "counts": signals.counts() }))?)?;
        return Ok(());
    }
    writeln!(
        out,
        "signal        phase cycles  cycle s green s arrivals on green  share platoon failures of splits delay s/arrival"
    )?;
    let whole = |n: Option<u32>| n.map_or("-".to_owned(), |n| n.to_string());
    let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.3}"));
    for (signal, phase, f) in figures {
        writeln!(
            out,
            "{signal:<13} {phase:>5} {:>6} {:>8.1} {:>7.1} {:>8} {:>8} {:>6} {:>7} {:>8} {:>9} {:>15}",
            f.cycles,
            f.cycle_s,
            f.green_s,
            whole(f.arrivals),
            whole(f.arrivals_on_green),
            number(f.arrivals_on_green_share),
            number(f.platoon_ratio),
            whole(f.split_failures),
            whole(f.splits),
            number(f.delay_per_arrival_s),
        )?;
    }
    let c = signals.counts();
    writeln!(
        out,
        "changes {}, actuations {}, statistics in their place {}, late {}, cycles forgotten {}, stretches cut {}",
        c.changes, c.actuations, c.not_actuations, c.late, c.forgotten, c.cut
    )?;
    Ok(())
}
