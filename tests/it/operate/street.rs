//! Traffic of our own on one street of the demo city: two hours of flow, then half an hour with a jam in its middle.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use analytics::area::Areas;
use roads::{Network, SegmentIndex};

/// Monday 2026-01-05 07:00 UTC: in a part of the week of which FHWA's reliability is told.
const BEGIN_S: i64 = 1_767_596_400;
/// Seconds of flow before the recording of the day, which go in at full speed: 22 intervals of five minutes.
const BEFORE_S: i64 = 6_600;
/// Then flow, a jam, and flow again.
const DAY_S: i64 = 2_100;
const JAM_S: std::ops::Range<i64> = BEFORE_S + 900..BEFORE_S + 1_380;

/// One car enters in so many seconds, and reports as often.
const HEADWAY_S: i64 = 15;
const REPORT_S: i64 = 5;
/// Free, and in the jam.
const FAST_MPS: f64 = 9.0;
const SLOW_MPS: f64 = 0.8;
/// How much of the street is driven.
const LENGTH_M: f64 = 900.0;

pub(super) struct Street {
    pub(super) before: PathBuf,
    pub(super) day: PathBuf,
    pub(super) corridors: PathBuf,
    pub(super) rows_before: usize,
    /// Id of the segment with the jam, and the street's name.
    pub(super) jammed: String,
    pub(super) name: String,
}

impl Street {
    /// Writes the tables of positions and the corridor into a folder.
    pub(super) fn lay(folder: &Path) -> Self {
        let network = roads::generate::metropolis(&roads::generate::MetropolisPlan::default()).network;
        let areas = Areas::new(&network, None, None);
        let whole = &areas.corridors()[0];
        let (mut segments, mut length_m) = (Vec::new(), 0.0);
        for &at in &whole.segments {
            if length_m < LENGTH_M {
                segments.push(at);
                length_m += network.segment(at).length_m;
            }
        }
        // The longest but the first and the last, so that cars come from somewhere and go somewhere.
        let inner = &segments[1..segments.len() - 1];
        let longest =
            inner.iter().copied().max_by(|a, b| network.segment(*a).length_m.total_cmp(&network.segment(*b).length_m));
        let jammed = longest.expect("a corridor of 900 m has more than two segments");
        let ids: Vec<String> = segments.iter().map(|at| format!("\"{}\"", network.segment(*at).id)).collect();
        let corridors = folder.join("corridors.toml");
        std::fs::write(&corridors, format!("[[corridor]]\nname = \"the street\"\nsegments = [{}]\n", ids.join(", ")))
            .unwrap();
        let rows = drive(&network, &segments, jammed);
        let table = |name: &str, wanted: &dyn Fn(i64) -> bool| {
            let mut text = String::from("id,time,lon,lat,heading\n");
            let mut n = 0;
            for row in rows.iter().filter(|row| wanted(row.0)) {
                text.push_str(&row.1);
                n += 1;
            }
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            (path, n)
        };
        let (before, rows_before) = table("before.csv", &|time_s| time_s < BEFORE_S);
        let (day, _) = table("day.csv", &|time_s| time_s >= BEFORE_S);
        let segment = network.segment(jammed);
        let name = segment.name.clone().expect("streets of the demo city have names");
        Self { before, day, corridors, rows_before, jammed: segment.id.to_string(), name }
    }
}

/// Every report as a line of the table, with its second, in order of time.
fn drive(network: &Network, segments: &[SegmentIndex], jammed: SegmentIndex) -> Vec<(i64, String)> {
    let mut rows = Vec::new();
    for car in 0..(BEFORE_S + DAY_S) / HEADWAY_S {
        let (mut time_s, mut place, mut offset_m) = (car * HEADWAY_S, 0, 2.0);
        while time_s < BEFORE_S + DAY_S {
            let at = segments[place];
            let (point, heading) = (network.place(at, offset_m), network.heading(at, offset_m).get());
            let mut line = String::new();
            let (lon, lat) = (point.lon_deg(), point.lat_deg());
            writeln!(line, "car-{car},{},{lon:.7},{lat:.7},{heading:.1}", BEGIN_S + time_s).unwrap();
            rows.push((time_s, line));
            let slow = at == jammed && JAM_S.contains(&time_s);
            offset_m += if slow { SLOW_MPS } else { FAST_MPS } * REPORT_S as f64;
            time_s += REPORT_S;
            while place < segments.len() && offset_m >= network.segment(segments[place]).length_m {
                offset_m -= network.segment(segments[place]).length_m;
                place += 1;
            }
            if place == segments.len() {
                break;
            }
        }
    }
    rows.sort_by_key(|row| row.0);
    rows
}
