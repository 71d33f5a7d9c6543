//! OpenStreetMap extracts (.osm.pbf): from ways, relations and nodes to segments.
//!
//! Two passes, so that only the places of nodes that streets use are held and the order of the file does not matter:
//! the first takes the drivable ways and the turn restrictions, the second fetches the places. A file that is sorted,
//! as most are, is read once: the first pass begins where the nodes end. Blocks are decoded several at once; ways are
//! then put in the order of their ids, so that the same map gives the same network however its file is laid out.
//!
//! Upstream: an extract of Geofabrik, Overpass or osmium. Downstream: the builder.
//! In reading order: [`tags`], `blocks`, `nodes`, `restriction`, `make`. Format: OSM wiki, "PBF Format".

mod blocks;
mod make;
mod nodes;
mod restriction;
pub mod tags;

use std::path::Path;

use osmpbf::{Element, PrimitiveBlock};
use rustc_hash::FxHashMap;

use super::{ImportError, ImportOptions, ImportReport, Progress, Stage};
use crate::network::Network;
use crate::network::builder::{NetworkBuilder, NetworkError, POINTS_MAX, SEGMENTS_MAX};
use blocks::Blocks;
use make::Maker;
use nodes::Nodes;
use restriction::{Read, Restriction, Restrictions};
use tags::Street;
use tags::country::Country;

/// Imports an extract; what was kept and left out is in [`Network::import_report`].
///
/// # Errors
/// [`ImportError`].
pub fn import(
    path: &Path,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Network, ImportError> {
    let mut blocks = Blocks::open(path)?;
    let beyond_nodes = blocks.first_beyond_nodes()?;
    let read = match read(path, &mut blocks, beyond_nodes, progress)? {
        Some(read) => read,
        // It says that it is sorted and is not: all of it is read for ways.
        None => read(path, &mut blocks, 0, progress)?.expect("no block before the first is left unread"),
    };
    let Gathered { ways, restrictions, nodes, votes, mut report } = read;
    if let Some(bbox) = blocks.bbox {
        check_box(path, &nodes, bbox, &mut report)?;
    }
    let country = country(options, &votes, &mut report)?;
    let mut builder = NetworkBuilder::new(super::name_of(path));
    builder.source_hash(super::hash_of(path, options.country.as_deref().unwrap_or_default())?);
    report.add("nodes used by streets", nodes.len() as u64);
    let restrictions = Restrictions::new(restrictions, &mut report);
    let mut maker = Maker::new(builder, nodes, restrictions, country, report);
    let total = ways.len() as u64;
    for (done, way) in ways.iter().enumerate() {
        maker.way(way);
        if done % 65_536 == 0 {
            progress(Progress { stage: Stage::Segments, done: done as u64, total });
        }
    }
    progress(Progress { stage: Stage::Segments, done: total, total });
    drop(ways);
    maker.finish().build().map_err(|error| ImportError::Network { path: path.to_owned(), error })
}

/// A drivable way.
struct Way {
    id: i64,
    street: Street,
    /// Neighbours differ.
    refs: Box<[i64]>,
}

/// What both passes gathered.
struct Gathered {
    /// By ascending id.
    ways: Vec<Way>,
    restrictions: Vec<Restriction>,
    nodes: Nodes,
    votes: Votes,
    report: ImportReport,
}

/// What an extract says of the country it lies in.
#[derive(Default)]
struct Votes {
    /// Codes of the countries whose border relation is in it; up to [`Votes::BORDERS_MAX`].
    borders: Vec<[u8; 2]>,
    /// How many ways name a country in the tags of their limit.
    limits: FxHashMap<[u8; 2], u64>,
}

impl Votes {
    const BORDERS_MAX: usize = 16;
}

/// What one block gives to the first pass.
struct FromBlock {
    ways: Vec<Way>,
    relations: Vec<Read>,
    borders: Vec<[u8; 2]>,
    left_out: [(&'static str, u64); LEFT_OUT.len()],
    has_nodes: bool,
}

const LEFT_OUT: [tags::LeftOut; 5] = [
    tags::LeftOut::NotAHighway,
    tags::LeftOut::NotForCars,
    tags::LeftOut::Yard,
    tags::LeftOut::Area,
    tags::LeftOut::Closed,
];

/// Both passes; `None` if there are ways before the block at which they were to begin.
fn read(
    path: &Path,
    blocks: &mut Blocks<'_>,
    beyond_nodes: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Gathered>, ImportError> {
    let mut report = ImportReport::default();
    let mut votes = Votes::default();
    let (mut ways, mut restrictions, mut refs_total) = (Vec::new(), Vec::new(), 0);
    let mut with_nodes: Vec<usize> = (0..beyond_nodes).collect();
    blocks.each(beyond_nodes..blocks.len(), Stage::Ways, progress, ways_of, |block, mut from: FromBlock| {
        if from.has_nodes {
            with_nodes.push(block);
        }
        report.add("ways kept", from.ways.len() as u64);
        for (why, count) in from.left_out.into_iter().filter(|(_, count)| *count > 0) {
            report.add(why, count);
        }
        refs_total += from.ways.iter().map(|way| way.refs.len()).sum::<usize>();
        if ways.len() <= SEGMENTS_MAX && refs_total <= POINTS_MAX {
            ways.append(&mut from.ways);
        }
        for relation in from.relations {
            match relation {
                Read::Restriction(one) => restrictions.push(one),
                Read::LeftOut(why) => report.add(why, 1),
                Read::Other => {}
            }
        }
        votes.borders.extend(from.borders);
        votes.borders.truncate(Votes::BORDERS_MAX);
    })?;
    if ways.len() > SEGMENTS_MAX || refs_total > POINTS_MAX {
        return Err(ImportError::Network { path: path.to_owned(), error: NetworkError::TooLarge });
    }
    ways.sort_by_key(|way: &Way| way.id);
    let before = ways.len();
    ways.dedup_by_key(|way| way.id);
    if ways.len() < before {
        report.add("ways that the file holds twice", (before - ways.len()) as u64);
    }
    for way in &ways {
        report_tags(way, &mut votes, &mut report);
    }
    let mut nodes = Nodes::of_ways(ways.iter().map(|way| &*way.refs));
    let is_whole = read_nodes(blocks, &with_nodes, beyond_nodes, &mut nodes, progress)?;
    Ok(is_whole.then_some(Gathered { ways, restrictions, nodes, votes, report }))
}

fn report_tags(way: &Way, votes: &mut Votes, report: &mut ImportReport) {
    let street = &way.street;
    if street.conditional_tags > 0 {
        report.add("conditional tags not applied", u64::from(street.conditional_tags));
    }
    if let Some(code) = street.country_named {
        *votes.limits.entry(code).or_default() += 1;
    }
}

/// The first pass over one block.
fn ways_of(block: &PrimitiveBlock) -> FromBlock {
    let mut from = FromBlock {
        ways: Vec::new(),
        relations: Vec::new(),
        borders: Vec::new(),
        left_out: LEFT_OUT.map(|why| (why.name(), 0)),
        has_nodes: blocks::has_nodes(block),
    };
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for group in block.groups() {
        for way in group.ways() {
            tags.clear();
            tags.extend(way.tags());
            match Street::from_tags(&tags) {
                Ok(street) => {
                    let mut refs: Vec<i64> = way.refs().collect();
                    refs.dedup();
                    from.ways.push(Way { id: way.id(), street, refs: refs.into_boxed_slice() });
                }
                Err(why) => {
                    let slot = LEFT_OUT.iter().position(|&one| one == why).expect("all reasons are listed");
                    from.left_out[slot].1 += 1;
                }
            }
        }
    }
    block.for_each_element(|element| {
        let Element::Relation(relation) = element else { return };
        from.borders.extend(border(relation.tags()));
        match restriction::read(&relation) {
            Read::Other => {}
            read @ (Read::Restriction(_) | Read::LeftOut(_)) => from.relations.push(read),
        }
    });
    from
}

/// The country whose border a relation is (OSM wiki, Tag:boundary=administrative, Key:ISO3166-1).
fn border<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> Option<[u8; 2]> {
    let (mut is_country, mut code) = (false, None);
    for (key, value) in tags {
        match key {
            "admin_level" => is_country = value == "2",
            "ISO3166-1:alpha2" | "ISO3166-1" => code = value.as_bytes().try_into().ok(),
            _ => {}
        }
    }
    code.filter(|_| is_country)
}

/// The second pass: the places of the nodes that streets use. False if a block that was taken for nodes only holds
/// more.
fn read_nodes(
    blocks: &mut Blocks<'_>,
    with_nodes: &[usize],
    beyond_nodes: usize,
    nodes: &mut Nodes,
    progress: &mut dyn FnMut(Progress),
) -> Result<bool, ImportError> {
    let mut is_sorted = true;
    let (ids, places) = nodes.places();
    let found = |block: &PrimitiveBlock| {
        let (mut near, mut found) = (0, Vec::new());
        blocks::each_node(block, |id, place| found.extend(ids.find(id, &mut near).map(|at| (at, place))));
        (blocks::has_more_than_nodes(block), found)
    };
    blocks.each(with_nodes.iter().copied(), Stage::Nodes, progress, found, |block, (has_more, found)| {
        is_sorted &= block >= beyond_nodes || !has_more;
        for (at, place) in found {
            places[at as usize] = place;
        }
    })?;
    Ok(is_sorted)
}

/// Refuses places that only fit the header's box with longitude and latitude exchanged, or not at all. Some outside are
/// usual: most tools keep streets whole that leave the box.
fn check_box(path: &Path, nodes: &Nodes, bbox: [f64; 4], report: &mut ImportReport) -> Result<(), ImportError> {
    let [inside, exchanged, all] = nodes.within(bbox);
    if inside * 10 < all && exchanged * 2 > all {
        return Err(ImportError::Swapped { path: path.to_owned(), exchanged, all });
    }
    if inside == 0 && all > 0 {
        return Err(ImportError::Elsewhere { path: path.to_owned(), outside: all - inside, all, bbox });
    }
    if inside < all {
        report.add("nodes outside of the box that the extract states", (all - inside) as u64);
    }
    Ok(())
}

/// The country whose default limits hold: the one asked for, else the only one whose border is in the extract, else
/// the one that its speed tags name most; `None` for generic values.
fn country(
    options: &ImportOptions,
    votes: &Votes,
    report: &mut ImportReport,
) -> Result<Option<&'static Country>, ImportError> {
    if let Some(code) = &options.country {
        let code = code.to_ascii_uppercase();
        return match Country::of(&code) {
            Some(country) => {
                report.add(&format!("default limits of {} (asked for)", country.code), 1);
                Ok(Some(country))
            }
            None => Err(ImportError::Country { code, known: Country::codes().collect::<Vec<_>>().join(", ") }),
        };
    }
    let of = |code: &[u8; 2]| std::str::from_utf8(code).ok().and_then(Country::of);
    let mut borders = votes.borders.clone();
    borders.sort_unstable();
    borders.dedup();
    // Ties go to the first code of the alphabet, so that the same extract is always in the same country.
    let named = votes.limits.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).map(|(code, _)| code);
    let (found, how) = match borders.as_slice() {
        [only] => (of(only), "its border is in the extract"),
        [] | [_, _, ..] => (named.and_then(of), "its name is in most speed tags"),
    };
    if let Some(country) = found {
        report.add(&format!("default limits of {} ({how})", country.code), 1);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
