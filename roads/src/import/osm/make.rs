//! From ways to segments: where a street is cut, and what each piece is called.
//!
//! A street is cut where ways meet or end, and into equal parts above 500 m. Ids are made of the OSM nodes at the two
//! ends, in driving direction, and of nothing else, so they survive new tags, moved nodes, another clipping, a way that
//! was turned round, and a way that was split or joined at a junction, which is what mappers do most. An id changes
//! with a new junction within the piece (both halves get new ones), with another node at one end, and with a length
//! that needs another number of parts. Where several streets join the same two nodes, the oldest way has the plain
//! name, and the others add their way's id.
//!
//! Upstream: [`super`]. Downstream: the builder.

use rustc_hash::FxHashSet;

use super::Way;
use super::nodes::Nodes;
use super::restriction::Restrictions;
use super::tags::country::Country;
use crate::import::ImportReport;
use crate::line::{Part, cut, measure};
use crate::network::builder::{NetworkBuilder, NewSegment};
use crate::segment::{NodeIndex, SegmentId};

/// Turns ways into segments.
pub(super) struct Maker {
    builder: NetworkBuilder,
    nodes: Nodes,
    restrictions: Restrictions,
    country: Option<&'static Country>,
    taken: FxHashSet<SegmentId>,
    /// Segments without a posted limit.
    by_law: u64,
    report: ImportReport,
}

/// A stretch of a way between two junctions.
struct Stretch<'a> {
    way: &'a Way,
    /// Positions in the table of nodes.
    first: u32,
    last: u32,
    /// OSM ids of the second and of the last but one node, which tell two loops at one junction apart.
    inner: [i64; 2],
    line: Vec<[f64; 2]>,
    begin_m: f64,
    way_length_m: f64,
}

impl Maker {
    pub(super) fn new(
        builder: NetworkBuilder,
        nodes: Nodes,
        restrictions: Restrictions,
        country: Option<&'static Country>,
        report: ImportReport,
    ) -> Self {
        Self { builder, nodes, restrictions, country, taken: FxHashSet::default(), by_law: 0, report }
    }

    /// Applies the turn restrictions and gives the builder back.
    pub(super) fn finish(mut self) -> NetworkBuilder {
        self.report.add("segments", self.builder.segments().len() as u64);
        self.report.add("segments with a default limit", self.by_law);
        self.restrictions.apply(&self.nodes, &mut self.builder, &mut self.report);
        self.builder.report(self.report);
        self.builder
    }

    pub(super) fn way(&mut self, way: &Way) {
        let mut near = 0;
        let at: Vec<u32> = way.refs.iter().filter_map(|&id| self.nodes.find(id, &mut near)).collect();
        let missing = at.iter().filter(|&&node| self.nodes.place(node).is_none()).count();
        if missing > 0 {
            self.report.add("ways cut where the extract lacks their nodes", 1);
            self.report.add("nodes missing from the extract", missing as u64);
        }
        let mut stretches: Vec<Stretch<'_>> = Vec::new();
        let mut along_m = 0.0;
        for run in at.split(|&node| self.nodes.place(node).is_none()) {
            let mut first = 0;
            for i in 1..run.len() {
                if i + 1 < run.len() && !self.nodes.is_junction(run[i]) {
                    continue;
                }
                let line: Vec<_> = run[first..=i].iter().filter_map(|&node| self.nodes.place(node)).collect();
                let length_m = measure(&line).last().copied().unwrap_or(0.0);
                let (from, inner) = (run[first], [run[first + 1], run[i - 1]].map(|node| self.nodes.id(node)));
                first = i;
                if length_m <= 0.0 {
                    self.report.add("stretches of no length", 1);
                    continue;
                }
                stretches.push(Stretch {
                    way,
                    first: from,
                    last: run[i],
                    inner,
                    line,
                    begin_m: along_m,
                    way_length_m: 0.0,
                });
                along_m += length_m;
            }
        }
        for stretch in &mut stretches {
            stretch.way_length_m = along_m;
            self.stretch(stretch);
        }
    }

    fn stretch(&mut self, stretch: &Stretch<'_>) {
        let parts = cut(&stretch.line, &measure(&stretch.line));
        let mut from = self.junction(stretch.first);
        for (number, part) in parts.iter().enumerate() {
            let end = part.line[part.line.len() - 1];
            let is_last = number + 1 == parts.len();
            let to = if is_last { self.junction(stretch.last) } else { self.builder.node(end[0], end[1]) };
            for is_forward in [true, false] {
                // In driving direction the last part comes first on the way back.
                let number = if is_forward { number } else { parts.len() - 1 - number };
                let ends = if is_forward { (from, to) } else { (to, from) };
                self.segment(stretch, part, is_forward, (number, parts.len()), ends);
            }
            from = to;
        }
    }

    fn segment(
        &mut self,
        stretch: &Stretch<'_>,
        part: &Part,
        is_forward: bool,
        number: (usize, usize),
        (from, to): (NodeIndex, NodeIndex),
    ) {
        let street = &stretch.way.street;
        let Some(direction) = (if is_forward { street.forward } else { street.backward }) else { return };
        let begin_m = stretch.begin_m + part.begin_m;
        let left_m = (stretch.way_length_m - begin_m - part.length_m).max(0.0);
        let mut line = part.line.clone();
        if !is_forward {
            line.reverse();
        }
        let id = self.id(stretch, is_forward, number);
        let at = self.builder.segment(NewSegment {
            id,
            source_id: format!("{}{}", if is_forward { "" } else { "-" }, stretch.way.id),
            source_offset_m: if is_forward { begin_m } else { left_m },
            name: street.name.as_deref().map(str::to_owned),
            class: street.class,
            from,
            to,
            length_m: None,
            speed_limit_mps: street.limit_mps(&direction, self.country),
            lanes: direction.lanes,
            line,
        });
        self.builder.structure(at, street.structure);
        self.restrictions.made(stretch.way.id, at);
        if direction.posted_kmh.is_none() {
            self.builder.limit_is_assumed(at);
            self.by_law += 1;
        }
    }

    fn junction(&mut self, node: u32) -> NodeIndex {
        let [lon, lat] = self.nodes.place(node).expect("a stretch has nodes with places only");
        self.nodes.made(node, || self.builder.node(lon, lat))
    }

    /// The id of a part of a stretch, in driving direction; see the head of this file.
    fn id(&mut self, stretch: &Stretch<'_>, is_forward: bool, (number, parts): (usize, usize)) -> SegmentId {
        let (first, last) = (self.nodes.id(stretch.first), self.nodes.id(stretch.last));
        let (from, to) = if is_forward { (first, last) } else { (last, first) };
        let mut name = format!("osm {from} {to}");
        if from == to {
            name.push_str(&format!(" by {}", stretch.inner[usize::from(!is_forward)]));
        }
        if parts > 1 {
            name.push_str(&format!(" part {number} of {parts}"));
        }
        // Ways come by ascending id, so the oldest has the plain name. What is taken grows with every try, so a free
        // name is found.
        let other = (0_u64..).map(|again| match again {
            0 => SegmentId::of(&name),
            1 => SegmentId::of(&format!("{name} way {}", stretch.way.id)),
            _ => SegmentId::of(&format!("{name} way {} again {}", stretch.way.id, again - 1)),
        });
        let free = { other }.find(|id| self.taken.insert(*id));
        free.expect("there are more names than segments")
    }
}
