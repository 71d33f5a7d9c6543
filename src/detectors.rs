//! `arterial detectors`: recordings of loops → whether each can be believed, what was odd, and what was unusual.

use std::fmt::Write as _;
use std::io::Write;

use analytics::detector::{Detectors, History, Oddity, Reading, Site, Verdict};
use anyhow::{Context, bail};
use events::foreign::Record;
use events::{Event, TimeMs};
use ingest::batch::Batch;
use ingest::gate::{Gate, GateConfig};
use ingest::pseudonym::Pseudonyms;
use serde_json::json;

use crate::input::InputArgs;
use crate::progress;

/// Judge recordings of loops: health by day, holes, oddities, unusual hours
///
/// Example: arterial detectors flow.csv --format pems --columns id==402365 --utc-offset-minutes -480
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// How far the city's clock is ahead of UTC, minutes: when a service day (05:00 to 22:00) begins
    #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_hyphen_values = true)]
    utc_offset_minutes: i32,
    /// Free-flow speed at the detectors, m/s, for those that measure no speed themselves
    #[arg(long, value_name = "MPS", default_value_t = 26.8)]
    free_flow_mps: f64,
    /// Print JSON in place of text
    #[arg(long)]
    json: bool,
}

/// Rows taken in before they are counted.
const BATCH_ROWS: usize = 50_000;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut detectors = Detectors::new(args.utc_offset_minutes * 60);
    // Nothing of these pseudonyms is kept: detectors have no vehicles.
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([0; 32]));
    let mut batch = Batch::default();
    let site = Site { free_mps: args.free_flow_mps, segment: None };
    let bar = progress::bytes(args.input.bytes()?);
    for path in &args.input.files {
        for record in args.input.records(path, &bar)? {
            match record.with_context(|| format!("{}", path.display()))? {
                Record::Event(Event::Position(_) | Event::Signal(_)) => {}
                Record::Event(event) => {
                    let received = event.time();
                    gate.event(event, received, &mut batch);
                }
                Record::Message { topic, payload, received } => {
                    let received = received.unwrap_or(TimeMs(i64::MAX / 2));
                    gate.message(&topic, &payload, received, &mut batch, &mut Vec::new());
                }
                Record::Unreadable { reject, .. } => gate.refuse(&reject),
            }
            if batch.len() >= BATCH_ROWS {
                count(&mut detectors, &mut batch, site);
            }
        }
    }
    bar.finish_and_clear();
    count(&mut detectors, &mut batch, site);
    detectors.finish();
    report(&detectors, &gate, args.json)
}

fn count(detectors: &mut Detectors, batch: &mut Batch, site: Site) {
    let rows = &batch.detectors;
    for row in 0..rows.len() {
        let reading = Reading {
            start_ms: rows.start_ms[row],
            end_ms: rows.end_ms[row],
            count: rows.count[row],
            occupancy: rows.occupancy[row],
            speed_mps: rows.speed_mps[row],
        };
        detectors.apply(&rows.source[row], reading, || site);
    }
    batch.clear();
}

fn report(detectors: &Detectors, gate: &Gate, as_json: bool) -> anyhow::Result<()> {
    let fates = gate.fates();
    let mut out = std::io::stdout().lock();
    if detectors.histories().next().is_none() {
        bail!("there is no interval of a detector in the recording (shorter than 5 s are single vehicles)");
    }
    if as_json {
        let rows: Vec<_> = detectors.histories().map(|(name, history)| history_json(name, &history)).collect();
        let fates = json!({ "received": fates.received, "accepted": fates.accepted, "duplicate": fates.duplicate,
            "rejected": fates.rejected_total() });
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "fates": fates, "detectors": rows }))?)?;
        return Ok(());
    }
    writeln!(
        out,
        "received {} = accepted {} + duplicate {} + rejected {}",
        fates.received,
        fates.accepted,
        fates.duplicate,
        fates.rejected_total()
    )?;
    for (name, history) in detectors.histories() {
        write!(out, "{}", history_text(name, &history)?)?;
    }
    Ok(())
}

fn history_text(name: &str, history: &History) -> anyhow::Result<String> {
    let mut text = format!("{name}\n  days      ");
    let days: Vec<String> = Verdict::ALL
        .iter()
        .zip(history.days)
        .filter(|(_, n)| *n > 0)
        .map(|(verdict, n)| format!("{} {n}", verdict.name()))
        .collect();
    writeln!(text, "{}; the last: {}", days.join(", "), history.last_day.map_or("none", Verdict::name))?;
    let odd = &history.figures.oddities;
    let seen: Vec<String> =
        odd.iter().filter(|(_, n)| *n > 0).map(|(oddity, n)| format!("{} {n}", oddity.name())).collect();
    writeln!(text, "  odd       {}", if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") })?;
    if odd.intervals_missing > 0 {
        let holes = odd.of(Oddity::Hole) + odd.of(Oddity::HoleOfDays);
        writeln!(text, "  missing   {} intervals in {holes} holes", odd.intervals_missing)?;
    }
    for alarm in &history.alarms {
        writeln!(text, "  unusual   {} to {}", TimeMs(alarm.from_ms).rfc3339(), TimeMs(alarm.to_ms).rfc3339())?;
    }
    Ok(text)
}

fn history_json(name: &str, history: &History) -> serde_json::Value {
    let named = |counts: Vec<(&'static str, u64)>| {
        counts.into_iter().map(|(name, n)| (name.to_owned(), n.into())).collect::<serde_json::Map<_, _>>()
    };
    let f = &history.figures;
    let odd = f.oddities;
    json!({
        "detector": name,
        "days": named(Verdict::ALL.iter().zip(history.days).map(|(v, n)| (v.name(), u64::from(n))).collect()),
        "last_day": history.last_day.map(Verdict::name),
        "oddities": named(odd.iter().map(|(oddity, n)| (oddity.name(), n)).collect()),
        "intervals_missing": odd.intervals_missing,
        "alarms": history.alarms.iter().map(|a| json!({ "from_ms": a.from_ms, "to_ms": a.to_ms })).collect::<Vec<_>>(),
        "effective_length_m": f.effective_length_m,
        "is_length_learnt": f.is_length_learnt,
    })
}
