//! The network as the step wants it: lanes in the order in which they are driven, the links between them, and for every
//! junction who crosses whom, as bits.
//!
//! Lanes lie in the order of the junctions that they lead to, and junctions in the order of a space-filling curve, cut
//! into parts that can be stepped at the same time: all that is decided at a junction is decided within one part.
//! Junctions that a short segment joins ([`CLOSE_M`]) are looked after together, so that leave can be given over several
//! of them at once. The parts depend on the network alone, never on threads. Upstream: the network. Downstream: the world.

mod ahead;

use roads::{LinkState, Network, NodeIndex, SegmentIndex, SignalPlan};

use self::ahead::Ahead;
pub(crate) use self::ahead::{LANES_MAX, Way};
use crate::vehicle::Driver;
use crate::world::SQUEEZED_GAP_MM;

/// Nothing: no link, no signal, no vehicle.
pub(crate) const NONE: u32 = u32::MAX;

/// Lanes of a part that are worth a thread's while, and the most parts of a world.
const PART_LANES: usize = 200;
const PARTS_MAX: usize = 32;

/// Junctions that a shorter segment joins are looked after together, m: from 50 km/h one stops within 35 m, and who must
/// be ready to stop on each short piece creeps along it.
const CLOSE_M: f64 = 35.0;

/// Junctions that are looked after together, at most; segments between two such groups are driven as any other.
const CLOSE_MAX: u32 = 16;

/// Links of a node that are told apart; at a larger one some share a bit and so exclude each other needlessly.
const BITS: u32 = 64;

/// One lane, as it never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub(crate) segment: SegmentIndex,
    /// The first lane of the segment, the one at the kerb.
    pub(crate) first: u32,
    /// 0 at the kerb.
    pub(crate) number: u8,
    /// Lanes of the segment.
    pub(crate) beside: u8,
    /// Length of the lane before it, if the link onto it is free (see [`Link::is_free`]), so that who comes onto that one
    /// looks through to here; `i32::MAX` where everybody needs leave.
    pub(crate) open_behind_mm: i32,
    pub(crate) length_mm: i32,
    pub(crate) limit_mm_s: i32,
    /// Its first place in the columns of its part, and how many it has.
    pub(crate) base: u32,
    pub(crate) places: u16,
    pub(crate) links: u16,
    pub(crate) first_link: u32,
    /// Who comes onto it is listed here, in the part of the junction at its begin.
    pub(crate) entry: u32,
    /// Its node among those of its junction.
    pub(crate) node: u8,
    /// The junction at its begin is looked after together with that at its end.
    pub(crate) is_inner: bool,
}

/// A way from a lane to a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) length_mm: i32,
    pub(crate) limit_mm_s: i32,
    /// Its place among what all signals show; [`NONE`] without a signal.
    pub(crate) shown: u32,
    pub(crate) bit: u64,
    pub(crate) conflicts: u64,
    pub(crate) yields: u64,
    /// Nobody crosses it, nobody else ends on its lane, and no signal holds it: no leave is needed.
    pub(crate) is_free: bool,
}

/// Everything that never changes during a run.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) lanes: Vec<Lane>,
    /// By segment.
    pub(crate) first_lane: Vec<u32>,
    pub(crate) links: Vec<Link>,
    pub(crate) junctions: Vec<Junction>,
    /// By node.
    pub(crate) junction_of: Vec<u32>,
    pub(crate) nodes: Vec<NodeIndex>,
    pub(crate) parts: Vec<Part>,
    pub(crate) part_of_lane: Vec<u8>,
    pub(crate) ahead: Ahead,
    /// Links by what they are shown.
    shown_to: Vec<Vec<u32>>,
}

/// One node of the network, or several that are close.
#[derive(Clone, Debug)]
pub(crate) struct Junction {
    /// Lanes that lead to it.
    pub(crate) lanes: std::ops::Range<u32>,
    /// Positions in [`Map::nodes`].
    pub(crate) nodes: std::ops::Range<u32>,
    /// Some lane is inner.
    pub(crate) has_inner: bool,
}

/// What one part owns, as ranges.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) lanes: std::ops::Range<u32>,
    pub(crate) junctions: std::ops::Range<u32>,
    pub(crate) entries: std::ops::Range<u32>,
    /// Places in its columns.
    pub(crate) places: u32,
}

impl Map {
    /// `spacing_mm` is the least room that a standing vehicle takes.
    pub(crate) fn new(network: &Network, plans: &[SignalPlan], shown: &Shown, spacing_mm: i32) -> Self {
        let order = node_order(network);
        let mut coming_in: Vec<Vec<SegmentIndex>> = vec![Vec::new(); network.nodes().len()];
        for at in network.indices() {
            coming_in[network.segment(at).to.at()].push(at);
        }
        let total: usize = network.segments().iter().map(|s| usize::from(s.lanes.max(1))).sum();
        let count = (total / PART_LANES).clamp(1, PARTS_MAX);
        let mut map = Self {
            lanes: Vec::with_capacity(total),
            first_lane: vec![0; network.segments().len()],
            links: Vec::new(),
            junctions: Vec::new(),
            junction_of: vec![NONE; network.nodes().len()],
            nodes: Vec::new(),
            parts: vec![Part::default()],
            part_of_lane: Vec::with_capacity(total),
            ahead: Ahead::new(network),
            shown_to: Vec::new(),
        };
        for close in order.chunk_by(|a, b| a.0 == b.0) {
            if close.iter().all(|(_, node)| coming_in[node.at()].is_empty()) {
                continue;
            }
            if map.lanes.len() * count >= map.parts.len() * total && map.parts.len() < count {
                map.begin_part();
            }
            map.begin_junction();
            for &(_, node) in close {
                map.add_node(network, node, &coming_in[node.at()], spacing_mm);
            }
        }
        map.end_part();
        map.add_entries(network);
        map.add_links(network, plans, shown);
        for (at, link) in map.links.iter().enumerate().filter(|(_, link)| link.shown != NONE) {
            let place = link.shown as usize;
            if map.shown_to.len() <= place {
                map.shown_to.resize(place + 1, Vec::new());
            }
            map.shown_to[place].push(at as u32);
        }
        map
    }

    /// The lanes of a segment.
    pub(crate) fn lanes_of(&self, at: SegmentIndex) -> std::ops::Range<u32> {
        let first = self.first_lane[at.at()];
        first..first + u32::from(self.lanes[first as usize].beside)
    }

    /// The nodes of a junction, as positions in [`Map::nodes`].
    pub(crate) fn nodes_of(&self, junction: u32) -> std::ops::Range<usize> {
        let nodes = &self.junctions[junction as usize].nodes;
        nodes.start as usize..nodes.end as usize
    }

    pub(crate) fn links_from(&self, lane: u32) -> &[Link] {
        let lane = &self.lanes[lane as usize];
        &self.links[lane.first_link as usize..lane.first_link as usize + usize::from(lane.links)]
    }

    /// The links that are shown what stands at a place.
    pub(crate) fn links_shown(&self, place: u32) -> &[u32] {
        self.shown_to.get(place as usize).map_or(&[], Vec::as_slice)
    }

    fn begin_part(&mut self) {
        self.end_part();
        let (lanes, junctions) = (self.lanes.len() as u32, self.junctions.len() as u32);
        self.parts.push(Part { lanes: lanes..lanes, junctions: junctions..junctions, entries: 0..0, places: 0 });
    }

    fn end_part(&mut self) {
        let part = self.parts.last_mut().expect("there is a first part");
        part.lanes.end = self.lanes.len() as u32;
        part.junctions.end = self.junctions.len() as u32;
    }

    fn begin_junction(&mut self) {
        let (lanes, nodes) = (self.lanes.len() as u32, self.nodes.len() as u32);
        self.junctions.push(Junction { lanes: lanes..lanes, nodes: nodes..nodes, has_inner: false });
    }

    /// Adds a node and the lanes that lead to it to the last junction.
    fn add_node(&mut self, network: &Network, node: NodeIndex, coming_in: &[SegmentIndex], spacing_mm: i32) {
        self.junction_of[node.at()] = self.junctions.len() as u32 - 1;
        let first_node = self.junctions.last().map_or(0, |junction| junction.nodes.start);
        let number_of_node = (self.nodes.len() as u32 - first_node) as u8;
        self.nodes.push(node);
        let number_of_part = (self.parts.len() - 1) as u8;
        for &at in coming_in {
            let segment = network.segment(at);
            let across_m =
                network.movements()[network.movements_from(at)].iter().map(|m| m.length_m).fold(0.0, f32::max);
            let length_mm = ((segment.length_m * 1_000.0).round() as i32).max(1);
            let places = (length_mm + (across_m * 1_000.0) as i32) / spacing_mm + 3;
            self.first_lane[at.at()] = self.lanes.len() as u32;
            for number in 0..segment.lanes.max(1) {
                let part = self.parts.last_mut().expect("there is a first part");
                self.lanes.push(Lane {
                    segment: at,
                    first: self.first_lane[at.at()],
                    number,
                    beside: segment.lanes.max(1),
                    open_behind_mm: i32::MAX,
                    length_mm,
                    limit_mm_s: (f64::from(segment.speed_limit_mps) * 1_000.0) as i32,
                    base: part.places,
                    places: places.min(i32::from(u16::MAX)) as u16,
                    links: 0,
                    first_link: 0,
                    entry: NONE,
                    node: number_of_node,
                    is_inner: false,
                });
                part.places += places.min(i32::from(u16::MAX)) as u32;
                self.part_of_lane.push(number_of_part);
            }
        }
        let (lanes, nodes) = (self.lanes.len() as u32, self.nodes.len() as u32);
        let junction = self.junctions.last_mut().expect("a junction has begun");
        (junction.lanes.end, junction.nodes.end) = (lanes, nodes);
    }

    /// Numbers the begins of lanes in the order of the junctions that they begin at.
    fn add_entries(&mut self, network: &Network) {
        let mut next = 0;
        for part in 0..self.parts.len() {
            let begin = next;
            for junction in self.parts[part].junctions.clone() {
                for node in self.nodes_of(junction) {
                    for &at in network.outgoing(self.nodes[node]) {
                        for lane in self.lanes_of(at) {
                            let is_inner = self.junction_of[network.segment(at).to.at()] == junction;
                            (self.lanes[lane as usize].entry, self.lanes[lane as usize].is_inner) = (next, is_inner);
                            self.junctions[junction as usize].has_inner |= is_inner;
                            next += 1;
                        }
                    }
                }
            }
            self.parts[part].entries = begin..next;
        }
    }

    fn add_links(&mut self, network: &Network, plans: &[SignalPlan], shown: &Shown) {
        let movements = network.movements();
        // The links of every movement, and of every link its movement.
        let mut links_of: Vec<Vec<u32>> = vec![Vec::new(); movements.len()];
        let mut movement_of = Vec::new();
        let mut onto = vec![0_u16; self.lanes.len()];
        let mut used = vec![0_u32; network.nodes().len()];
        for lane in 0..self.lanes.len() {
            let Lane { segment, number, .. } = self.lanes[lane];
            self.lanes[lane].first_link = self.links.len() as u32;
            for at in network.movements_from(segment) {
                let movement = &movements[at];
                for (nth, &(_, to)) in movement.lanes.iter().enumerate().filter(|(_, (from, _))| *from == number) {
                    let to = self.first_lane[movement.to.at()] + u32::from(to);
                    onto[to as usize] += 1;
                    links_of[at].push(self.links.len() as u32);
                    movement_of.push(at);
                    let next = &mut used[network.segment(segment).to.at()];
                    *next += 1;
                    self.links.push(Link {
                        from: lane as u32,
                        to,
                        length_mm: (movement.length_m * 1_000.0).round() as i32,
                        limit_mm_s: (movement.speed_mps * 1_000.0) as i32,
                        shown: shown.place(plans, at, nth),
                        bit: 1 << ((*next - 1) % BITS),
                        conflicts: 0,
                        yields: 0,
                        is_free: false,
                    });
                }
            }
            self.lanes[lane].links = (self.links.len() as u32 - self.lanes[lane].first_link) as u16;
        }
        let to_right: Vec<f32> = movements.iter().map(|movement| to_right_deg(network, movement)).collect();
        for (link, &at) in movement_of.iter().enumerate() {
            let mask = |list: &[u32]| {
                let others = list.iter().flat_map(|other| links_of[*other as usize].iter());
                let crossing = others.filter(|other| {
                    let bend = to_right[at] - to_right[movement_of[**other as usize]];
                    self.do_meet(&self.links[link], &self.links[**other as usize], bend)
                });
                crossing.fold(0, |mask, other| mask | self.links[*other as usize].bit)
            };
            let (conflicts, yields) = (mask(&movements[at].conflicts), mask(&movements[at].yields_to));
            (self.links[link].conflicts, self.links[link].yields) = (conflicts, yields);
        }
        for link in &mut self.links {
            link.is_free = link.shown == NONE && link.conflicts == 0 && onto[link.to as usize] == 1;
            if link.is_free {
                self.lanes[link.to as usize].open_behind_mm = self.lanes[link.from as usize].length_mm;
            }
        }
    }

    /// Whether two ways of movements that cross or merge meet: onto different lanes of one segment they do only if the
    /// one that bends more to the right, by `bend_deg`, ends farther left.
    fn do_meet(&self, one: &Link, other: &Link, bend_deg: f32) -> bool {
        let [a, b] = [one, other].map(|link| &self.lanes[link.to as usize]);
        a.segment != b.segment
            || match a.number.cmp(&b.number) {
                std::cmp::Ordering::Less => bend_deg < 0.0,
                std::cmp::Ordering::Equal => true,
                std::cmp::Ordering::Greater => bend_deg > 0.0,
            }
    }
}

/// How far a movement bends to the right, degrees, below 0 to the left.
fn to_right_deg(network: &Network, movement: &roads::Movement) -> f32 {
    let from = network.heading(movement.from, network.segment(movement.from).length_m).get();
    let to = network.heading(movement.to, 0.0).get();
    (to - from + 540.0).rem_euclid(360.0) - 180.0
}

/// All nodes along a curve that keeps neighbours together (Morton, A computer oriented geodetic data base, 1966), each
/// with the place on it of the first that is close to it.
fn node_order(network: &Network) -> Vec<((u64, NodeIndex), NodeIndex)> {
    let [west, south, east, north] = network.bbox();
    let side = |x: f64, from: f64, to: f64| (((x - from) / (to - from).max(1e-12)).clamp(0.0, 1.0) * 65_535.0) as u32;
    let spread = |x: u32| (0..16).fold(0_u64, |code, bit| code | u64::from(x >> bit & 1) << (2 * bit));
    let close = close_nodes(network);
    let mut order: Vec<((u64, NodeIndex), NodeIndex)> = (0..network.nodes().len())
        .map(|i| {
            let first = close[i];
            let at = network.nodes()[first as usize];
            let code = spread(side(at[0], west, east)) | spread(side(at[1], south, north)) << 1;
            ((code, NodeIndex(first)), NodeIndex(i as u32))
        })
        .collect();
    order.sort_unstable();
    order
}

/// For every node the one that stands for all that are close to it: the shortest segments join first, and no more than
/// [`CLOSE_MAX`] nodes come together.
fn close_nodes(network: &Network) -> Vec<u32> {
    let mut short: Vec<(i64, SegmentIndex)> = network
        .indices()
        .map(|at| ((network.segment(at).length_m * 1_000.0) as i64, at))
        .filter(|(length_mm, _)| *length_mm < (CLOSE_M * 1_000.0) as i64)
        .collect();
    short.sort_unstable();
    let mut stands: Vec<u32> = (0..network.nodes().len() as u32).collect();
    let mut size = vec![1_u32; stands.len()];
    let root = |stands: &[u32], mut at: u32| {
        while stands[at as usize] != at {
            at = stands[at as usize];
        }
        at
    };
    for (_, at) in short {
        let ends = [network.segment(at).from, network.segment(at).to].map(|node| root(&stands, node.0));
        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        if low != high && size[low as usize] + size[high as usize] <= CLOSE_MAX {
            stands[high as usize] = low;
            size[low as usize] += size[high as usize];
        }
    }
    (0..stands.len() as u32).map(|at| root(&stands, at)).collect()
}

/// Where each link of each signal stands among what all signals show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// First place by signal.
    pub(crate) first: Vec<u32>,
    /// (signal, link) by movement and pair of lanes, where they are signalled.
    pub(crate) of_movement: Vec<Option<(u32, Vec<u16>)>>,
}

impl Shown {
    fn place(&self, plans: &[SignalPlan], movement: usize, nth: usize) -> u32 {
        let Some((signal, links)) = &self.of_movement[movement] else { return NONE };
        debug_assert!((*signal as usize) < plans.len());
        self.first[*signal as usize] + u32::from(links[nth.min(links.len() - 1)])
    }
}

/// Least room that a standing vehicle takes, mm.
pub(crate) fn spacing_mm(drivers: &[Driver]) -> i32 {
    drivers.iter().map(|d| d.length_mm + d.min_gap_mm.min(SQUEEZED_GAP_MM)).min().unwrap_or(5_000)
}

/// What a link shows that no signal holds.
pub(crate) const UNSIGNALLED: LinkState = LinkState::Off;
