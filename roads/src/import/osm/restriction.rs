//! Turn restrictions: relations of OpenStreetMap that take turns away.
//!
//! Upstream: the relations of an extract. Downstream: `forbid_turn` of the builder.
//! Source: OSM wiki, Relation:restriction. Read are `no_*` and `only_*` over one via node, in the plain key
//! `restriction` and in those for cars and motor vehicles. Counted and left out are: over ways (they forbid a path of
//! three streets, which a table of turns cannot say), conditional ones, those for lorries or others only, and those
//! from which cars or buses are excepted, since buses are seen as well and must be free to go where they may.

use osmpbf::{RelMemberType, Relation};
use rustc_hash::{FxHashMap, FxHashSet};

use super::nodes::Nodes;
use crate::import::ImportReport;
use crate::network::builder::NetworkBuilder;
use crate::segment::{NodeIndex, SegmentIndex};

/// Most restrictions of one extract; more are counted as left out.
const RESTRICTIONS_MAX: usize = 1 << 23;

/// One restriction that we can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restriction {
    from_way: i64,
    via_node: i64,
    to_way: i64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Not from one way to the other.
    No,
    /// Not back into the street one comes from.
    NoUTurn,
    /// From one way to the other, and nowhere else.
    Only,
}

/// What a relation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Restriction(Restriction),
    /// Left out, and why, as it stands in the import report.
    LeftOut(&'static str),
    /// Something else altogether.
    Other,
}

/// Reads a relation.
pub(super) fn read(relation: &Relation<'_>) -> Read {
    let tag = |wanted: &str| relation.tags().find(|(key, _)| *key == wanted).map(|(_, value)| value.trim());
    if tag("type") != Some("restriction") {
        return Read::Other;
    }
    let members = relation.members().filter_map(|member| Some((member.role().ok()?, member)));
    let mut roles = Roles::default();
    for (role, member) in members {
        match (role, member.member_type) {
            ("from", RelMemberType::Way) => roles.from.push(member.member_id),
            ("to", RelMemberType::Way) => roles.to.push(member.member_id),
            ("via", RelMemberType::Node) => roles.via_nodes.push(member.member_id),
            ("via", RelMemberType::Way) => roles.via_ways += 1,
            _ => {}
        }
    }
    let has_conditional =
        relation.tags().any(|(key, _)| key.starts_with("restriction") && key.ends_with("conditional"));
    classify(&tag, has_conditional, &roles)
}

#[derive(Default)]
struct Roles {
    from: Vec<i64>,
    via_nodes: Vec<i64>,
    via_ways: usize,
    to: Vec<i64>,
}

fn classify<'a>(tag: &impl Fn(&str) -> Option<&'a str>, has_conditional: bool, roles: &Roles) -> Read {
    let keys = ["restriction:motorcar", "restriction:motor_vehicle", "restriction"];
    let Some(value) = keys.into_iter().find_map(tag) else {
        return Read::LeftOut(if has_conditional {
            "turn restrictions left out: conditional"
        } else {
            "turn restrictions left out: not for cars"
        });
    };
    let is_free = |kind: &str| matches!(kind, "motorcar" | "motor_vehicle" | "vehicle" | "bus" | "psv");
    if tag("except").is_some_and(|kinds| kinds.split(';').any(|kind| is_free(kind.trim()))) {
        return Read::LeftOut("turn restrictions left out: cars or buses are excepted");
    }
    let kind = match value {
        "no_u_turn" => Kind::NoUTurn,
        "no_left_turn" | "no_right_turn" | "no_straight_on" | "no_entry" | "no_exit" => Kind::No,
        _ if value.starts_with("only_") => Kind::Only,
        _ => return Read::LeftOut("turn restrictions left out: not understood"),
    };
    match (&roles.from[..], &roles.via_nodes[..], roles.via_ways, &roles.to[..]) {
        (&[from_way], &[via_node], 0, &[to_way]) => Read::Restriction(Restriction { from_way, via_node, to_way, kind }),
        (_, _, 1.., _) => Read::LeftOut("turn restrictions left out: over ways"),
        _ => Read::LeftOut("turn restrictions left out: members missing or too many"),
    }
}

/// Keeps restrictions while segments are made, then applies them.
pub(super) struct Restrictions {
    all: Vec<Restriction>,
    ways: FxHashSet<i64>,
    /// Segments of the ways that restrictions name, by way.
    segments: FxHashMap<i64, Vec<SegmentIndex>>,
}

impl Restrictions {
    pub(super) fn new(mut all: Vec<Restriction>, report: &mut ImportReport) -> Self {
        if all.len() > RESTRICTIONS_MAX {
            report.add("turn restrictions left out: too many", (all.len() - RESTRICTIONS_MAX) as u64);
            all.truncate(RESTRICTIONS_MAX);
        }
        let ways = all.iter().flat_map(|one| [one.from_way, one.to_way]).collect();
        Self { all, ways, segments: FxHashMap::default() }
    }

    /// Remembers a segment if a restriction names its way.
    pub(super) fn made(&mut self, way: i64, at: SegmentIndex) {
        if self.ways.contains(&way) {
            self.segments.entry(way).or_default().push(at);
        }
    }

    /// Takes the turns away that restrictions forbid.
    pub(super) fn apply(&self, nodes: &Nodes, builder: &mut NetworkBuilder, report: &mut ImportReport) {
        let vias: Vec<Option<NodeIndex>> = self
            .all
            .iter()
            .map(|one| {
                nodes.find(one.via_node, &mut 0).filter(|&at| nodes.is_junction(at)).and_then(|at| nodes.known(at))
            })
            .collect();
        let mut leaving: FxHashMap<NodeIndex, Vec<SegmentIndex>> =
            vias.iter().flatten().map(|&via| (via, Vec::new())).collect();
        for (i, segment) in builder.segments().iter().enumerate() {
            if let Some(list) = leaving.get_mut(&segment.from) {
                list.push(SegmentIndex(i as u32));
            }
        }
        for (one, via) in self.all.iter().zip(&vias) {
            let forbidden = via.map(|via| self.forbidden(one, via, &leaving[&via], builder)).unwrap_or_default();
            if forbidden.is_empty() {
                // One of its ways is closed, one-way the other way, or outside of the extract.
                report.add("turn restrictions without effect", 1);
                continue;
            }
            report.add("turn restrictions applied", 1);
            for (from, to) in forbidden {
                builder.forbid_turn(from, to);
            }
        }
    }

    fn forbidden(
        &self,
        one: &Restriction,
        via: NodeIndex,
        leaving: &[SegmentIndex],
        builder: &NetworkBuilder,
    ) -> Vec<(SegmentIndex, SegmentIndex)> {
        let segments = builder.segments();
        let of = |way: i64| self.segments.get(&way).map_or(&[][..], Vec::as_slice);
        let arriving = of(one.from_way).iter().copied().filter(|at| segments[at.at()].to == via);
        let targets: Vec<SegmentIndex> =
            of(one.to_way).iter().copied().filter(|at| segments[at.at()].from == via).collect();
        if targets.is_empty() {
            // "Only into a street that is closed" would close everything: not believed.
            return Vec::new();
        }
        let mut forbidden = Vec::new();
        for from in arriving {
            let is_back = |to: &SegmentIndex| is_way_back(builder, from, *to);
            match one.kind {
                Kind::Only => forbidden.extend(leaving.iter().filter(|to| !targets.contains(to)).map(|&to| (from, to))),
                // A way that runs on through the node is no way back: only its own piece is.
                Kind::NoUTurn if one.from_way == one.to_way => {
                    forbidden.extend(targets.iter().filter(|to| is_back(to)).map(|&to| (from, to)));
                }
                Kind::No if one.from_way == one.to_way => {
                    forbidden.extend(targets.iter().filter(|to| !is_back(to)).map(|&to| (from, to)));
                }
                Kind::No | Kind::NoUTurn => forbidden.extend(targets.iter().map(|&to| (from, to))),
            }
        }
        forbidden
    }
}

fn is_way_back(builder: &NetworkBuilder, from: SegmentIndex, to: SegmentIndex) -> bool {
    let (a, b) = (&builder.segments()[from.at()], &builder.segments()[to.at()]);
    a.from == b.to && a.to == b.from && (a.length_m - b.length_m).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_and_what_is_left_out() {
        let plain = || Roles { from: vec![1], via_nodes: vec![2], via_ways: 0, to: vec![3] };
        let check = |tags: &[(&str, &str)], has_conditional: bool, roles: &Roles, expected: Result<Kind, &str>| {
            let tag = |key: &str| tags.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
            let read = match classify(&tag, has_conditional, roles) {
                Read::Restriction(one) => Ok(one.kind),
                Read::LeftOut(why) => Err(why.strip_prefix("turn restrictions left out: ").unwrap()),
                Read::Other => Err("other"),
            };
            assert_eq!(read, expected, "{tags:?}");
        };
        check(&[("restriction", "no_left_turn")], false, &plain(), Ok(Kind::No));
        check(&[("restriction", "no_u_turn")], false, &plain(), Ok(Kind::NoUTurn));
        check(&[("restriction", "only_straight_on")], false, &plain(), Ok(Kind::Only));
        check(&[("restriction:motorcar", "no_entry")], false, &plain(), Ok(Kind::No));
        check(&[("restriction", "no_left_turn"), ("except", "bicycle;hgv")], false, &plain(), Ok(Kind::No));
        let excepted = Err("cars or buses are excepted");
        check(&[("restriction", "no_left_turn"), ("except", "bicycle; motorcar")], false, &plain(), excepted);
        check(&[("restriction", "only_left_turn"), ("except", "psv")], false, &plain(), excepted);
        check(&[("restriction:hgv", "no_left_turn")], false, &plain(), Err("not for cars"));
        check(&[], true, &plain(), Err("conditional"));
        check(&[("restriction", "no_dancing")], false, &plain(), Err("not understood"));
        let over = Roles { via_nodes: Vec::new(), via_ways: 1, ..plain() };
        check(&[("restriction", "no_u_turn")], false, &over, Err("over ways"));
        let torn = Roles { to: Vec::new(), ..plain() };
        check(&[("restriction", "no_u_turn")], false, &torn, Err("members missing or too many"));
    }
}
