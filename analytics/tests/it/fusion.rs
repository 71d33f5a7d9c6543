//! Probes and loops fused, against the simulator's truth: every vehicle on every segment with a loop.

use std::collections::HashMap;
use std::sync::Arc;

use analytics::fusion::{Fused, fuse};
use analytics::metric::traffic::TrafficQuery;
use analytics::metric::window::{Span, Window};
use analytics::{Engine, EngineConfig};
use events::TimeMs;
use ingest::{Batch, Gate, GateConfig, Pseudonyms};
use roads::generate::{CityPlan, city};
use sim::scenario::Scenario;
use sim::sensor::{SensorConfig, Sensors};
use sim::truth::Truth;
use sim::world::World;

/// Relative errors of one way to say the speed of a segment.
#[derive(Default)]
struct Errors(Vec<f64>);

impl Errors {
    fn rms(&self) -> f64 {
        (self.0.iter().map(|e| e * e).sum::<f64>() / self.0.len() as f64).sqrt()
    }
}

/// Millimetres and milliseconds of all vehicles, by segment and beginning of a pane.
type Truths = HashMap<(u32, i64), (i64, i64)>;

/// Three quarters of an hour of a city with probes and loops: what is fused every five minutes, and the truth.
fn drive() -> (Vec<(Span, Fused)>, Truths) {
    let network = Arc::new(city(&CityPlan::default()));
    let start = TimeMs(1_700_000_100_000);
    let scenario = Scenario { seed: 11, vehicles: 1_500, start, ..Scenario::default() };
    let mut world = World::new(Arc::clone(&network), scenario).unwrap();
    let sensing = SensorConfig { probe_share: 0.15, ..SensorConfig::default() };
    let mut sensors = Sensors::new(&world, sensing);
    let mut truth = Truth::new(network.segments().len(), 10_000_000);
    let mut engine = Engine::new(Arc::clone(&network), EngineConfig::live());
    let mut gate = Gate::new(GateConfig::default(), Pseudonyms::new([7; 32]));
    let query = TrafficQuery::new(&network);
    let (mut events, mut batch) = (Vec::new(), Batch::default());
    let mut said = Vec::new();
    for second in 1..=2_700 {
        let step = world.step();
        truth.observe(&step);
        events.clear();
        sensors.observe(&step, &mut events);
        for event in events.drain(..) {
            let received = event.time();
            gate.event(event, received, &mut batch);
        }
        engine.apply(&batch);
        batch.clear();
        // Half an hour teaches the loops how long vehicles are.
        if second > 900 && second % 300 == 0 {
            let span = engine.span(Window::FiveMinutes).unwrap();
            let metrics = query.run(engine.store(), Window::FiveMinutes, span).unwrap();
            for fused in fuse(&metrics.segments, engine.detectors(), span) {
                said.push((span, fused));
            }
        }
    }
    let mut cells = Truths::new();
    for cell in truth.finish() {
        cells.insert((cell.segment.0, cell.pane_start_ms), (cell.distance_mm, cell.time_ms));
    }
    (said, cells)
}

#[test]
fn a_fused_speed_is_nearer_to_the_truth_than_either_input() {
    let (said, cells) = drive();
    let (mut probes, mut loops, mut fused) = (Errors::default(), Errors::default(), Errors::default());
    let mut within = 0;
    // Probes and fused where enough vehicles report to be published.
    let mut published = (Vec::new(), Vec::new());
    for (span, f) in &said {
        let panes = (span.start_ms..span.panes_end_ms()).step_by(10_000);
        let sum =
            panes.filter_map(|pane_ms| cells.get(&(f.segment, pane_ms))).fold((0, 0), |s, c| (s.0 + c.0, s.1 + c.1));
        if sum.0 == 0 || sum.1 == 0 {
            continue;
        }
        let true_mps = sum.0 as f64 / sum.1 as f64;
        for (errors, mps) in
            [(&mut probes, f.probes.speed_mps), (&mut loops, f.loops.speed_mps), (&mut fused, f.speed_mps)]
        {
            // Of the logarithm: twice too fast and half too fast are equally wrong.
            errors.0.push((mps / true_mps).ln());
        }
        let share = f.standard_error_mps / f.speed_mps;
        within += u32::from((f.speed_mps / true_mps).ln().abs() <= 2.0 * share);
        if f.probes.vehicles >= 3 {
            published.0.push((f.probes.speed_mps / true_mps).ln());
            published.1.push((f.speed_mps / true_mps).ln());
        }
    }
    let n = probes.0.len();
    let bias = |errors: &Errors| errors.0.iter().sum::<f64>() / n as f64;
    println!("means: probes {:.3}, loops {:.3}, fused {:.3}", bias(&probes), bias(&loops), bias(&fused));
    println!(
        "{n} segments of 5 min: root mean square of ln(said / true): probes {:.3}, loops {:.3}, fused {:.3}; \
         {within} within two standard errors",
        probes.rms(),
        loops.rms(),
        fused.rms()
    );
    for vehicles in [1, 2, 3, 5, 8] {
        let of: Vec<f64> = said
            .iter()
            .zip(&probes.0)
            .filter(|((_, f), _)| f.probes.vehicles == vehicles)
            .map(|(_, error)| *error)
            .collect();
        println!("  {vehicles} probes: n {}, rms {:.3}", of.len(), Errors(of).rms());
    }
    let (few, both) = (Errors(published.0), Errors(published.1));
    println!("  3 probes and more: n {}, probes {:.3}, fused {:.3}", few.0.len(), few.rms(), both.rms());
    assert!(n > 100, "{n}");
    assert!(fused.rms() < probes.rms() && fused.rms() < loops.rms());
    assert!(within * 10 >= n as u32 * 8, "{within} of {n}");
}
