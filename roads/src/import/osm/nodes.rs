//! The nodes that streets use: ids, places and junctions in flat sorted arrays.
//!
//! Upstream: the ways of an extract, then its nodes. Downstream: the maker of segments.
//! A whole country has hundreds of millions of nodes, of which streets use a tenth: only those are held, 21 bytes
//! each, where a hash map would take about 60.

use crate::segment::NodeIndex;

/// Nodes by ascending id; a position in this table is a `u32`.
#[derive(Debug)]
pub(super) struct Nodes {
    ids: Ids,
    /// Lon, lat in 1e-7 degrees, OpenStreetMap's own resolution; [`NOWHERE`] until the node is read.
    places: Vec<[i32; 2]>,
    /// Twice for an end of a way: from 2 on it is a junction. Stops at 255.
    uses: Vec<u8>,
    /// The node of the network that was made of it, or [`NOT_MADE`].
    made: Vec<u32>,
}

/// Ids of nodes, ascending.
#[derive(Debug)]
pub(super) struct Ids(Vec<i64>);

const NOWHERE: [i32; 2] = [i32::MIN; 2];

const NOT_MADE: u32 = u32::MAX;

impl Nodes {
    /// The nodes of ways, each given by its references; equal neighbours count once.
    pub(super) fn of_ways<'a>(ways: impl Iterator<Item = &'a [i64]> + Clone) -> Self {
        let total: usize = ways.clone().map(|refs| refs.len() + 2).sum();
        let mut all = Vec::with_capacity(total);
        for refs in ways {
            all.extend_from_slice(refs);
            // Once more for both ends, so that the count below is 2 there.
            all.extend(refs.first());
            all.extend(refs.last());
        }
        all.sort_unstable();
        let mut uses: Vec<u8> = Vec::new();
        // Counted in place: the ids move to the front of the array that they were sorted in.
        let mut distinct = 0;
        for i in 0..all.len() {
            if distinct > 0 && all[distinct - 1] == all[i] {
                uses[distinct - 1] = uses[distinct - 1].saturating_add(1);
            } else {
                all[distinct] = all[i];
                distinct += 1;
                uses.push(1);
            }
        }
        all.truncate(distinct);
        all.shrink_to_fit();
        uses.shrink_to_fit();
        Self { ids: Ids(all), places: vec![NOWHERE; distinct], uses, made: vec![NOT_MADE; distinct] }
    }

    /// See [`Ids::find`].
    pub(super) fn find(&self, id: i64, near: &mut usize) -> Option<u32> {
        self.ids.find(id, near)
    }

    /// The ids, and beside them the places to be filled in, 1e-7 degrees.
    pub(super) fn places(&mut self) -> (&Ids, &mut [[i32; 2]]) {
        (&self.ids, &mut self.places)
    }

    pub(super) fn id(&self, at: u32) -> i64 {
        self.ids.0[at as usize]
    }

    /// Lon, lat in degrees; `None` for a node that the extract left out.
    pub(super) fn place(&self, at: u32) -> Option<[f64; 2]> {
        let [lon, lat] = self.places[at as usize];
        ([lon, lat] != NOWHERE).then(|| [f64::from(lon) / 1e7, f64::from(lat) / 1e7])
    }

    pub(super) fn is_junction(&self, at: u32) -> bool {
        self.uses[at as usize] >= 2
    }

    /// The node of the network, made at its first use.
    pub(super) fn made(&mut self, at: u32, make: impl FnOnce() -> NodeIndex) -> NodeIndex {
        let made = &mut self.made[at as usize];
        if *made == NOT_MADE {
            *made = make().0;
        }
        NodeIndex(*made)
    }

    /// The node of the network, if it was made.
    pub(super) fn known(&self, at: u32) -> Option<NodeIndex> {
        let made = self.made[at as usize];
        (made != NOT_MADE).then_some(NodeIndex(made))
    }

    pub(super) fn len(&self) -> usize {
        self.ids.0.len()
    }

    /// How many known places lie within a box (west, south, east, north; degrees), how many if longitude and latitude
    /// are exchanged, and how many there are.
    pub(super) fn within(&self, [west, south, east, north]: [f64; 4]) -> [usize; 3] {
        let mut counts = [0; 3];
        for place in (0..self.ids.0.len() as u32).filter_map(|at| self.place(at)) {
            let inside = |x: f64, y: f64| x >= west && x <= east && y >= south && y <= north;
            counts[0] += usize::from(inside(place[0], place[1]));
            counts[1] += usize::from(inside(place[1], place[0]));
            counts[2] += 1;
        }
        counts
    }

    /// Bytes held.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.ids.0.capacity() * 8 + self.places.capacity() * 8 + self.uses.capacity() + self.made.capacity() * 4
    }
}

impl Ids {
    /// The position of an id, if streets use it. `near` is where the last one was found: ids come in ascending order
    /// in almost every file, so the search gallops from there.
    pub(super) fn find(&self, id: i64, near: &mut usize) -> Option<u32> {
        let from = if self.0.get(*near).is_some_and(|&at| at <= id) { *near } else { 0 };
        let rest = &self.0[from..];
        let mut step = 1;
        while step < rest.len() && rest[step] < id {
            step *= 2;
        }
        let within = &rest[..rest.len().min(step + 1)];
        let at = from + within.partition_point(|&known| known < id);
        *near = at;
        (self.0.get(at) == Some(&id)).then_some(at as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_in_any_order_and_cost_21_bytes() {
        let ways: Vec<Vec<i64>> =
            (0..1_000_i64).map(|way| (0..10).map(|i| (way * 9 + i) * 7 - 5_000).collect()).collect();
        let mut nodes = Nodes::of_ways(ways.iter().map(Vec::as_slice));
        assert_eq!(nodes.len(), 9_001);
        let each = nodes.bytes() as f64 / nodes.len() as f64;
        eprintln!("{each:.2} bytes a node");
        assert!(each <= 21.01);
        let mut near = 0;
        for id in (-5_010..58_010).chain([3, -5_000, 57_999, i64::MIN, i64::MAX]).chain((0..100).rev()) {
            let expected = ways.iter().any(|refs| refs.contains(&id));
            assert_eq!(nodes.find(id, &mut near).is_some(), expected, "{id}");
        }
        let at = nodes.find(2 * 7 - 5_000, &mut near).unwrap();
        assert_eq!((nodes.place(at), nodes.is_junction(at), nodes.known(at)), (None, false, None));
        nodes.places().1[at as usize] = [110_000_000, 440_000_001];
        assert_eq!(nodes.place(at), Some([11.0, 44.000_000_1]));
        assert_eq!(nodes.made(at, || NodeIndex(3)), NodeIndex(3));
        assert_eq!(nodes.made(at, || NodeIndex(4)), NodeIndex(3));
        let joint = nodes.find(9 * 7 - 5_000, &mut near).unwrap();
        assert!(nodes.is_junction(joint), "where one way ends and the next begins");
        assert_eq!(nodes.within([10.0, 43.0, 12.0, 45.0]), [1, 0, 1]);
        assert_eq!(nodes.within([43.0, 10.0, 45.0, 12.0]), [0, 1, 1]);
    }
}
