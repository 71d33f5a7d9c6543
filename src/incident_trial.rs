//! `arterial incidents`: how well each algorithm finds simulated closures, and how often it is wrong.
//!
//! The generated city of tests lives through one long day without an incident, from which the algorithms learn. Then for every seed
//! another traffic of the same demand, in which one street is closed in one direction, on all of its lanes: where, is drawn
//! by vehicle-kilometres, since incidents happen where people drive. Probes report exactly, once a second, and loops every
//! minute; both go through the gate, the matcher and the pane store like everything else.
//! Upstream: `sim`. Downstream: a table, or JSON; `arterial verify` calls [`trial`].

use std::io::Write;
use std::sync::Arc;

use analytics::area::Areas;
use analytics::incident::score::{Happened, Score};
use analytics::incident::{Alarm, Algorithm};
use analytics::matching::MatchConfig;
use analytics::study::{Learnt, Study, StudyConfig};
use analytics::upstream::Upstream;
use analytics::{Engine, EngineConfig};
use anyhow::Context;
use events::TimeMs;
use ingest::Batch;
use ingest::gate::{Gate, GateConfig, Outcome};
use ingest::pseudonym::Pseudonyms;
use roads::generate::{CityPlan, city};
use roads::{Network, RoadClass, SegmentIndex};
use serde_json::json;
use sim::{Disruption, Incident, Scenario, SensorConfig, Sensors, World};

/// Measure how well incidents are found, on simulated closures
///
/// Example: arterial incidents --seeds 30 --probes 20%
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Simulated closures, each with a traffic of its own
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// Share of the vehicles that report
    #[arg(long, value_name = "SHARE", default_value = "100%", value_parser = probes)]
    probes: f64,
    /// Vehicles on the road
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=5_000))]
    vehicles: u32,
    /// Hours without an incident from which the algorithms learn
    #[arg(long, value_name = "HOURS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=72))]
    learn_hours: u32,
    /// Further runs of four hours without an incident, in which every alarm is false
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    quiet_runs: u64,
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
}

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seeds: u64,
    pub(crate) probe_share: f64,
    pub(crate) vehicles: u32,
    pub(crate) learn_hours: u32,
    pub(crate) quiet_runs: u64,
}

/// The score of one algorithm over all closures, over those of busy streets alone, and over runs without any.
pub(crate) struct Result {
    pub(crate) all: Score,
    pub(crate) quiet: Score,
    pub(crate) busy: Score,
}

/// Monday 2026-01-05 09:00 UTC, after the morning peak.
const START_MS: i64 = 1_767_603_600_000;

/// The city fills for so long before anything counts, seconds.
const FILL_S: u32 = 15 * 60;

/// When the closure begins and how long it lasts, seconds.
const CLOSURE_S: (u32, u32) = (30 * 60, 20 * 60);

/// From so many vehicles an hour a street is busy: one every 18 s. On others too few come within three minutes.
const BUSY_VEH_PER_H: f64 = 200.0;

/// The seed of the day from which is learnt; those of the closures begin at 1, those of the other
/// days without one after this. Thresholds were chosen on 1001 to 1060 and 2001 to 2006.
const LEARN_SEED: u64 = 1_000_000;

/// Length of each further run without an incident, hours.
const QUIET_HOURS: u32 = 4;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Args { seeds, probes, vehicles, learn_hours, quiet_runs, json } = *args;
    let plan = Plan { seeds, probe_share: probes, vehicles, learn_hours, quiet_runs };
    let results = trial(&plan, |done| tracing::info!("{done} of {seeds} closures"))?;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(
            out,
            "{}",
            json!({ "seeds": seeds, "probe_share": probes, "vehicles": vehicles, "learn_hours": learn_hours,
                "quiet_runs": quiet_runs, "algorithms": in_json(&results) })
        )?;
        return Ok(());
    }
    writeln!(
        out,
        "{seeds} closures, {vehicles} vehicles, {} % of them report, learnt from {learn_hours} h",
        probes * 100.0
    )?;
    writeln!(out, "busy: on streets with at least {BUSY_VEH_PER_H} vehicles an hour")?;
    writeln!(out, "false: in {quiet_runs} runs of {QUIET_HOURS} h without an incident\n")?;
    table(&mut out, &results)?;
    Ok(())
}

/// The results as rows of JSON.
pub(crate) fn in_json(results: &[Result]) -> Vec<serde_json::Value> {
    let row = |r: &Result| json!({ "all": row_json(&r.all), "busy": row_json(&r.busy), "quiet": row_json(&r.quiet) });
    results.iter().map(row).collect()
}

/// The results as a person reads them.
pub(crate) fn table(out: &mut impl Write, results: &[Result]) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<18}{:>9}{:>13}{:>13}{:>9}{:>8}{:>22}",
        "algorithm", "detected", "within 3 min", "busy, 3 min", "delay s", "false", "per day, 100 segments"
    )?;
    for Result { all, quiet, busy } in results {
        writeln!(
            out,
            "{:<18}{:>9}{:>13}{:>13}{:>9}{:>8}{:>22}",
            all.algorithm.name(),
            format!("{}/{}", all.detected, all.incidents),
            format!("{}/{}", all.in_time, all.incidents),
            format!("{}/{}", busy.in_time, busy.incidents),
            all.mean_delay_s().map_or_else(|| "-".into(), |s| format!("{s:.0}")),
            quiet.false_alarms,
            quiet.false_per_day_and_100().map_or_else(|| "-".into(), |f| format!("{f:.2}")),
        )?;
    }
    Ok(())
}

/// Learns once, then closes a street for every seed; `done` hears how many are over.
pub(crate) fn trial(plan: &Plan, mut done: impl FnMut(u64)) -> anyhow::Result<Vec<Result>> {
    let network = Arc::new(city(&CityPlan::default()));
    let upstream = Upstream::new(&network);
    let areas = Arc::new(Areas::new(&network, None, None));
    let study = StudyConfig { areas, probe_share: None, utc_offset_s: 0 };
    let quiet = |seed| Scenario { seed, vehicles: plan.vehicles, start: TimeMs(START_MS), ..Scenario::default() };
    let (learnt, driven_m) = drive(
        &network,
        quiet(LEARN_SEED),
        plan.probe_share,
        plan.learn_hours * 3_600,
        Study::new(Arc::clone(&network), study.clone()),
    )?;
    let mut results: Vec<Result> =
        Algorithm::ALL.map(|a| Result { all: Score::new(a), quiet: Score::new(a), busy: Score::new(a) }).into();
    for seed in 1..=plan.seeds {
        let (closed, begin_s) = draw(&network, &driven_m, seed);
        let scenario = closure(&network, plan.vehicles, closed, begin_s, seed);
        let end_s = begin_s + CLOSURE_S.1;
        let resumed = Study::resumed(Arc::clone(&network), study.clone(), learnt.clone().on_another_day());
        let (after, _) = drive(&network, scenario, plan.probe_share, end_s, resumed)?;
        let at_ms = |second: u32| START_MS + i64::from(second) * 1_000;
        let happened = [Happened { segment: closed, begin_ms: at_ms(begin_s), end_ms: at_ms(end_s) }];
        let alarms: Vec<Alarm> = after.alarms.open().chain(after.alarms.ended()).copied().collect();
        let flow_veh_per_h = driven_m[closed.at()] / network.segment(closed).length_m / f64::from(plan.learn_hours);
        for result in &mut results {
            let watched = (at_ms(FILL_S), at_ms(end_s));
            result.all.add(&network, &upstream, &alarms, &happened, watched);
            if flow_veh_per_h >= BUSY_VEH_PER_H {
                result.busy.add(&network, &upstream, &alarms, &happened, watched);
            }
        }
        done(seed);
    }
    for run in 1..=plan.quiet_runs {
        let resumed = Study::resumed(Arc::clone(&network), study.clone(), learnt.clone().on_another_day());
        let seconds = QUIET_HOURS * 3_600;
        let (after, _) = drive(&network, quiet(LEARN_SEED + run), plan.probe_share, seconds, resumed)?;
        let alarms: Vec<Alarm> = after.alarms.open().chain(after.alarms.ended()).copied().collect();
        let watched = (START_MS + i64::from(FILL_S) * 1_000, START_MS + i64::from(seconds) * 1_000);
        results.iter_mut().for_each(|r| r.quiet.add(&network, &upstream, &alarms, &[], watched));
    }
    Ok(results)
}

/// Simulates and studies for so many seconds; gives what was learnt, and the metres that all vehicles drove on each segment.
fn drive(
    network: &Arc<Network>,
    scenario: Scenario,
    probe_share: f64,
    seconds: u32,
    study: Study,
) -> anyhow::Result<(Learnt, Vec<f64>)> {
    let mut world = World::new(Arc::clone(network), scenario)?;
    let mut sensors =
        Sensors::new(&world, SensorConfig { probe_share, with_signals: false, ..SensorConfig::default() });
    let mut engine =
        Engine::new(Arc::clone(network), EngineConfig { matching: MatchConfig::default(), ..EngineConfig::live() })
            .with_study(study);
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([7; 32]));
    let (mut events, mut batch) = (Vec::new(), Batch::default());
    let mut driven_m = vec![0.0; network.segments().len()];
    for _ in 0..seconds {
        let step = world.step();
        step.moves().for_each(|m| driven_m[m.segment.at()] += (m.to_mm - m.from_mm) as f64 / 1_000.0);
        events.clear();
        sensors.observe(&step, &mut events);
        for event in events.drain(..) {
            let received = event.time();
            let outcome = gate.event(event, received, &mut batch);
            anyhow::ensure!(!matches!(outcome, Outcome::Rejected(_)), "the simulator's events are sound: {outcome:?}");
        }
        engine.apply(&batch);
        batch.clear();
    }
    let study = engine.into_study().context("an engine keeps its study")?;
    Ok((study.into_learnt(), driven_m))
}

/// The street that is closed, drawn by vehicle-kilometres on streets of class tertiary or higher, and when.
fn draw(network: &Network, driven_m: &[f64], seed: u64) -> (SegmentIndex, u32) {
    let random = |stream: u64| sim::random::unit(seed, stream, 0, sim::random::Stream::Loss);
    let is_main = |at: &SegmentIndex| network.segment(*at).class <= RoadClass::Tertiary;
    let main: Vec<SegmentIndex> = network.indices().filter(is_main).collect();
    let mut left = random(1) * main.iter().map(|at| driven_m[at.at()]).sum::<f64>();
    let drawn = main.iter().copied().find(|at| {
        left -= driven_m[at.at()];
        left < 0.0
    });
    let begin_s = CLOSURE_S.0 + (random(2) * 600.0) as u32;
    (drawn.or(main.last().copied()).unwrap_or_default(), begin_s)
}

/// Traffic in which all lanes of a street are closed over ten metres.
fn closure(network: &Network, vehicles: u32, segment: SegmentIndex, begin_s: u32, seed: u64) -> Scenario {
    let meta = network.segment(segment);
    let from_m = (meta.length_m * 0.4) as f32;
    let lane = |lane: u8| Incident {
        id: format!("lane {lane}"),
        begin_s,
        end_s: begin_s + CLOSURE_S.1,
        what: Disruption::LaneClosed { segment, lane, from_m, to_m: from_m + 10.0 },
    };
    let incidents = (0..meta.lanes).map(lane).collect();
    Scenario { seed, vehicles, start: TimeMs(START_MS), incidents, ..Scenario::default() }
}

fn row_json(score: &Score) -> serde_json::Value {
    json!({
        "algorithm": score.algorithm.name(),
        "incidents": score.incidents,
        "detected": score.detected,
        "in_time": score.in_time,
        "mean_delay_s": score.mean_delay_s(),
        "false_alarms": score.false_alarms,
        "false_per_day_and_100_segments": score.false_per_day_and_100(),
    })
}

fn probes(text: &str) -> std::result::Result<f64, String> {
    let value = text.strip_suffix('%').map_or_else(|| text.parse(), |p| p.trim().parse::<f64>().map(|p| p / 100.0));
    value
        .ok()
        .filter(|v: &f64| *v > 0.0 && *v <= 1.0)
        .ok_or_else(|| format!("`{text}` is no share: above 0 and at most 100%"))
}
