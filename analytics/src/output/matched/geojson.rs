//! Matched rows as GeoJSON (RFC 7946): a line for each unbroken drive, or a point for each position.
//!
//! Upstream: [`super::Matched`]. Downstream: maps.

use std::io::{self, Write};
use std::sync::Arc;

use roads::Network;
use rustc_hash::FxHashMap;
use serde_json::json;

use super::Names;
use crate::matching::Break;
use crate::matching::drive::{Row, Traversed};

/// Most traversals of one line; a longer drive goes on in a further line.
const LINE_TRAVERSALS_MAX: usize = 10_000;

/// GeoJSON that is being written. Holds the drives that go on.
pub(super) struct GeoJson<W> {
    out: W,
    network: Arc<Network>,
    open: FxHashMap<u64, Vec<Traversed>>,
    first: bool,
}

impl<W: Write> GeoJson<W> {
    pub(super) fn new(mut out: W, network: Arc<Network>) -> io::Result<Self> {
        out.write_all(b"{\"type\":\"FeatureCollection\",\"features\":[")?;
        Ok(Self { out, network, open: FxHashMap::default(), first: true })
    }

    /// Writes one row; `true` if a feature was written.
    pub(super) fn write(&mut self, names: &Names, row: &Row) -> io::Result<bool> {
        match row {
            Row::Fix { vehicle, time_ms, place: Ok(p) } => {
                let (segment, at) = (self.network.segment(p.segment), self.network.place(p.segment, p.offset_m));
                let feature = json!({
                    "type": "Feature",
                    "geometry": { "type": "Point", "coordinates": [degrees(at.lon_deg()), degrees(at.lat_deg())] },
                    "properties": {
                        "id": names.name(*vehicle), "time_ms": time_ms, "segment": segment.id.to_string(),
                        "source_id": segment.source_id, "offset_m": centimetres(p.offset_m),
                        "distance_m": centimetres(p.distance_m), "confidence": p.confidence,
                    },
                });
                self.feature(&feature)?;
                Ok(true)
            }
            Row::Fix { vehicle, time_ms, place: Err(reason) } => {
                let properties = json!({ "id": names.name(*vehicle), "time_ms": time_ms, "no_match": reason.name() });
                self.feature(&json!({ "type": "Feature", "geometry": null, "properties": properties }))?;
                Ok(true)
            }
            Row::Traversal(t) => {
                let line = self.open.entry(t.vehicle).or_default();
                line.push(*t);
                if line.len() < LINE_TRAVERSALS_MAX {
                    return Ok(false);
                }
                let line = std::mem::take(line);
                self.line(names, &line, "goes on")
            }
            Row::End { vehicle, reason } => match self.open.remove(vehicle) {
                Some(line) => self.line(names, &line, reason.map_or("end", Break::name)),
                None => Ok(false),
            },
        }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }

    fn line(&mut self, names: &Names, line: &[Traversed], ended_by: &str) -> io::Result<bool> {
        let (Some(first), Some(last)) = (line.first(), line.last()) else { return Ok(false) };
        let mut points: Vec<[f64; 2]> = Vec::new();
        for t in line {
            self.part(t, &mut points);
        }
        if points.len() < 2 {
            // Standing in one place is a line too (RFC 7946 asks for two positions).
            points.push(points[0]);
        }
        let confidence = line.iter().map(|t| t.confidence).fold(1.0, f32::min);
        let feature = json!({
            "type": "Feature",
            "geometry": { "type": "LineString", "coordinates": points },
            "properties": {
                "id": names.name(first.vehicle), "enter_ms": first.enter_ms, "leave_ms": last.leave_ms,
                "distance_m": centimetres(line.iter().map(|t| t.distance_m).sum()),
                "segments": line.len(), "confidence": confidence, "ended_by": ended_by,
            },
        });
        self.feature(&feature)?;
        Ok(true)
    }

    /// The driven part of one segment's line.
    fn part(&self, t: &Traversed, points: &mut Vec<[f64; 2]>) {
        let mut push = |[lon, lat]: [f64; 2]| {
            let point = [degrees(lon), degrees(lat)];
            if points.last() != Some(&point) {
                points.push(point);
            }
        };
        let (begin_m, end_m) = (t.from_m, t.from_m + t.distance_m);
        let at = |m| self.network.place(t.segment, m);
        push([at(begin_m).lon_deg(), at(begin_m).lat_deg()]);
        let mut along_m = 0.0;
        let line = self.network.points(t.segment);
        for pair in line.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|[lon, lat]| events::LonLat::new(lon, lat).ok());
            along_m += a.zip(b).map_or(0.0, |(a, b)| a.distance_m(b));
            if along_m > begin_m && along_m < end_m {
                push(pair[1]);
            }
        }
        push([at(end_m).lon_deg(), at(end_m).lat_deg()]);
    }

    fn feature(&mut self, feature: &serde_json::Value) -> io::Result<()> {
        self.out.write_all(if self.first { b"\n" } else { b",\n" })?;
        self.first = false;
        serde_json::to_writer(&mut self.out, feature).map_err(io::Error::from)
    }
}

/// Seven decimals: a centimetre.
fn degrees(deg: f64) -> f64 {
    (deg * 1e7).round() / 1e7
}

fn centimetres(m: f64) -> f64 {
    (m * 100.0).round() / 100.0
}
