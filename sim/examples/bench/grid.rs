//! The grid on which simulators are compared: n by n corners 300 m apart, three lanes a direction, a signal everywhere.
//!
//! The same plan as the comparison's generator for SUMO: 27 s straight on and right, 3 s yellow, 12 s protected left,
//! 3 s yellow, for each axis; 15,000 flows of 1.5 to 4.5 km, 150 vehicles a second on 40 by 40.

use std::sync::Arc;

use roads::{
    LinkState, Movement, Network, NetworkBuilder, NewSegment, NodeIndex, RoadClass, Search, SegmentId, SegmentIndex,
    SignalLinks, SignalPhase, SignalPlan, Turn,
};
use sim::random::{Stream, below};
use sim::{Demand, Route, Scenario, Trip};

const SPACING_M: f64 = 300.0;
const SPEED_MPS: f32 = 13.89;

/// The grid and its demand for so many seconds.
pub(super) fn scenario(side: u32, seconds: u32) -> (Network, Scenario) {
    let plain = builder(side).build().expect("a grid is a network");
    let network = with_signals(side, &plain);
    let trips = trips(&network, side, seconds);
    let scenario = Scenario { demand: Demand::Trips(Arc::new(trips)), ..Scenario::default() };
    (network, scenario)
}

fn builder(side: u32) -> NetworkBuilder {
    let mut builder = NetworkBuilder::new("grid");
    let degrees = |i: u32| f64::from(i) * SPACING_M / 111_195.0;
    let place = |x: u32, y: u32| [degrees(x) + 1e-6, degrees(y) + 1e-6];
    let node = |x: u32, y: u32| NodeIndex(x * side + y);
    for x in 0..side {
        for y in 0..side {
            let [lon, lat] = place(x, y);
            builder.node(lon, lat);
        }
    }
    for x in 0..side {
        for y in 0..side {
            for (dx, dy) in [(0, 1), (1, 0), (0, -1), (-1, 0)] {
                let to = (x.checked_add_signed(dx), y.checked_add_signed(dy));
                let (Some(to_x), Some(to_y)) = to else { continue };
                if to_x >= side || to_y >= side {
                    continue;
                }
                let source_id = format!("{x}/{y} to {to_x}/{to_y}");
                builder.segment(NewSegment {
                    id: SegmentId::of(&source_id),
                    source_id,
                    source_offset_m: 0.0,
                    name: None,
                    class: RoadClass::Primary,
                    from: node(x, y),
                    to: node(to_x, to_y),
                    length_m: Some(SPACING_M - 20.0),
                    speed_limit_mps: SPEED_MPS,
                    lanes: 3,
                    line: vec![place(x, y), place(to_x, to_y)],
                });
            }
        }
    }
    builder
}

fn turn(network: &Network, movement: &Movement) -> Turn {
    let heading = |at, offset| network.heading(at, offset).get();
    Turn::of(heading(movement.from, f64::INFINITY), heading(movement.to, 0.0))
}

fn with_signals(side: u32, plain: &Network) -> Network {
    let mut builder = builder(side);
    for node in 0..plain.nodes().len() as u32 {
        let node = NodeIndex(node);
        let movements: Vec<usize> = plain
            .indices()
            .filter(|at| plain.segment(*at).to == node)
            .flat_map(|at| plain.movements_from(at))
            .collect();
        let mut phases = Vec::new();
        for axis in 0..2_u32 {
            for left in [false, true] {
                let green = |at: &usize| {
                    let movement = &plain.movements()[*at];
                    let heading = plain.heading(movement.from, 0.0).get();
                    let on_axis = ((heading + 45.0) / 90.0) as u32 % 2 == axis;
                    on_axis && (turn(plain, movement) == Turn::Left) == left
                };
                let show = |state| -> Vec<LinkState> {
                    movements.iter().map(|at| if green(at) { state } else { LinkState::Red }).collect()
                };
                for (duration_s, state) in
                    [(if left { 12.0 } else { 27.0 }, LinkState::Protected), (3.0, LinkState::Yellow)]
                {
                    phases.push(SignalPhase { duration_s, min_s: duration_s, max_s: duration_s, links: show(state) });
                }
            }
        }
        let (x, y) = (node.0 / side, node.0 % side);
        let offset_s = ((x * 31 + y * 17) % 90) as f32;
        let id = format!("{x}/{y}");
        let signal = builder.signal_plan(SignalPlan { id, node, offset_s, actuated: false, phases });
        for (link, at) in movements.iter().enumerate() {
            let movement = plain.movements()[*at].clone();
            // As long as the way through a junction of this width, so that a street and a junction are 300 m.
            builder.movement(Movement {
                length_m: 20.0,
                signal: Some(SignalLinks { signal, links: vec![link as u16] }),
                yields_to: Vec::new(),
                conflicts: Vec::new(),
                ..movement
            });
        }
    }
    builder.build().expect("a grid with signals is a network")
}

/// Flows between random streets, each at even intervals.
fn trips(network: &Network, side: u32, seconds: u32) -> Vec<Trip> {
    let share = f64::from(side * side) / 1_600.0;
    let (flows, per_s) = ((15_000.0 * share) as u64, (150.0 * share).max(1.0));
    let period_s = (flows as f64 / per_s) as u32;
    let free: Vec<f32> = network.segments().iter().map(|s| s.length_m as f32 / s.speed_limit_mps).collect();
    let count = network.segments().len() as u64;
    let mut search = Search::new();
    let mut trips = Vec::new();
    let (mut flow, mut attempt) = (0, 0_u64);
    while flow < flows && attempt < 40 * flows {
        attempt += 1;
        let draw = |stream| SegmentIndex(below(count, 1, attempt, 0, stream) as u32);
        let (from, to) = (draw(Stream::Origin), draw(Stream::Destination));
        let distance = network.place(from, 0.0).distance_m(network.place(to, 0.0));
        if !(1_500.0..=4_500.0).contains(&distance) {
            continue;
        }

        let Some(route) = search.fastest(network, from, to, &free) else { continue };
        let route: Arc<[SegmentIndex]> = route.into();
        let mut depart = below(u64::from(period_s), 1, attempt, 0, Stream::Departure) as u32;
        while depart < seconds {
            trips.push(Trip::new(depart as f32, Route::Fixed(route.clone())));
            depart += period_s;
        }
        flow += 1;
    }
    trips.sort_by(|a, b| a.depart_s.total_cmp(&b.depart_s));
    trips
}
