//! The last two hours of event time as they were published: what replay scrubs through and corridors draw over time.
//!
//! Upstream: the snapshots of one minute and the areas of five minutes, of every tick. Downstream: the dashboard.
//!
//! | path | gives |
//! |---|---|
//! | `/api/v1/recent` | the ends of the frames that are kept, each with a digest |
//! | `/api/v1/recent/frame?end=MS` | the text half of that frame |
//! | `/api/v1/recent/codes?end=MS` | its binary half, as of a live frame |
//! | `/api/v1/recent/spacetime?corridor=NAME` | a byte a segment and frame, in driving order |
//! | `/api/v1/recent/series?kind=corridor&name=NAME` | figures of one area, frame by frame |
//!
//! A frame is kept for every 30 s of event time, so a replay at 60 times speed is kept as finely as life. Frames hold what
//! was published and no more: small groups are left out of them already. Bounded by [`FRAMES_MAX`] and [`BYTES_MAX`]; the
//! oldest goes first. Kept in memory only, so a restart begins anew; what is older is history's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Server, fault, json_bytes};
use crate::area::{Area, AreaKind};
use crate::follow::{Published, Watch};
use crate::metric::window::Window;
use crate::snapshot::{CODE_NO_DATA, Snapshot};

/// Event time between two frames, milliseconds.
const SPACING_MS: i64 = 30_000;

/// Two hours of them.
const FRAMES_MAX: usize = 240;

/// Bytes of all binary halves together.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The window whose codes are kept, and the one of the areas: a corridor is seldom covered in one minute.
const CODES_WINDOW: Window = Window::OneMinute;
const AREAS_WINDOW: Window = Window::FiveMinutes;

/// Figures of one area in one frame; `None` where they may not be told.
type Point = Option<[Option<f32>; 5]>;

struct Frame {
    end_ms: i64,
    text: Bytes,
    codes: Bytes,
    /// In order of [`crate::area::Areas::all`].
    areas: Vec<Point>,
}

/// The frames, oldest first.
#[derive(Default)]
pub(super) struct Recent {
    frames: VecDeque<Frame>,
}

/// Shared between the task that keeps and those that ask.
pub(super) type Shared = Arc<Mutex<Recent>>;

/// Keeps frames until asked to stop.
pub(super) async fn keep(mut watch: Watch, recent: Shared, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = watch.changed() => if changed.is_err() { return },
        }
        let published = watch.borrow_and_update().clone();
        lock(&recent).push(&published);
    }
}

/// A panic while it was held leaves frames that are each whole.
fn lock(recent: &Shared) -> std::sync::MutexGuard<'_, Recent> {
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recent {
    fn push(&mut self, published: &Published) {
        let Some(snapshot) = published.window(CODES_WINDOW) else { return };
        let Some(span) = snapshot.span else { return };
        let is_due = |last: &Frame| span.end_ms >= last.end_ms + SPACING_MS;
        match self.frames.back() {
            // Other data than before: the old frames are of another run.
            Some(last) if span.end_ms < last.end_ms => self.frames.clear(),
            Some(last) if !is_due(last) => return,
            Some(_) | None => {}
        }
        self.frames.push_back(Frame::of(published, snapshot, span.end_ms));
        let room = (BYTES_MAX / snapshot.live_codes.len().max(1)).clamp(1, FRAMES_MAX);
        while self.frames.len() > room {
            self.frames.pop_front();
        }
    }

    fn at(&self, end_ms: i64) -> Option<&Frame> {
        let i = self.frames.binary_search_by_key(&end_ms, |frame| frame.end_ms).ok()?;
        self.frames.get(i)
    }

    fn list(&self) -> Value {
        let digests = self.frames.iter().map(|frame| format!("{:016x}", digest(&frame.codes)));
        json!({
            "spacing_ms": SPACING_MS,
            "window_s": CODES_WINDOW.seconds(),
            "end_ms": self.frames.iter().map(|frame| frame.end_ms).collect::<Vec<_>>(),
            "digest": digests.collect::<Vec<_>>(),
        })
    }

    /// Codes of the segments of a corridor, a row a frame.
    fn codes_of(&self, area: &Area) -> Vec<Vec<u8>> {
        let code = |frame: &Frame, at: usize| frame.codes.get(HEADER_BYTES + at).copied().unwrap_or(CODE_NO_DATA);
        let row = |frame| area.segments.iter().map(|segment| code(frame, segment.at())).collect();
        self.frames.iter().map(row).collect()
    }

    fn column(&self, area: usize, figure: usize) -> Vec<Option<f32>> {
        let point = |frame: &Frame| frame.areas.get(area).copied().flatten();
        self.frames.iter().map(|frame| point(frame).and_then(|figures| figures[figure])).collect()
    }
}

/// Before the codes in the binary half; see [`crate::snapshot`].
const HEADER_BYTES: usize = 20;

impl Frame {
    fn of(published: &Published, snapshot: &Snapshot, end_ms: i64) -> Self {
        let findings = &published.findings;
        let mut areas = vec![None; findings.areas.as_ref().map_or(0, |all| all.all().len())];
        for kind in [AreaKind::Corridor, AreaKind::Zone, AreaKind::City] {
            for (i, _, m) in findings.told(kind, AREAS_WINDOW) {
                areas[i] = Some([
                    m.speed_mps.map(|v| v as f32),
                    m.travel_time_s.filter(|_| kind == AreaKind::Corridor).map(|v| v as f32),
                    m.travel_time_index.map(|v| v as f32),
                    Some(m.delay_veh_h_per_h as f32),
                    Some(m.observed_length_share as f32),
                ]);
            }
        }
        let text = Bytes::from(snapshot.live_json.clone());
        Self { end_ms, text, codes: snapshot.live_codes.clone(), areas }
    }
}

/// FNV-1a over the codes behind the header: two runs that give the same digest coloured every segment the same.
fn digest(codes: &[u8]) -> u64 {
    let body = codes.get(HEADER_BYTES..).unwrap_or_default();
    body.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[derive(Deserialize)]
pub(super) struct EndQuery {
    end: i64,
}

#[derive(Deserialize)]
pub(super) struct CorridorQuery {
    corridor: String,
}

#[derive(Deserialize)]
pub(super) struct SeriesQuery {
    kind: Option<String>,
    name: Option<String>,
}

pub(super) async fn list(State(server): State<Server>) -> Response {
    json_bytes(Bytes::from(lock(&server.recent).list().to_string()))
}

pub(super) async fn frame(State(server): State<Server>, Query(query): Query<EndQuery>) -> Response {
    let text = lock(&server.recent).at(query.end).map(|frame| frame.text.clone());
    text.map_or_else(gone, json_bytes)
}

pub(super) async fn codes(State(server): State<Server>, Query(query): Query<EndQuery>) -> Response {
    match lock(&server.recent).at(query.end).map(|frame| frame.codes.clone()) {
        Some(codes) => ([(header::CONTENT_TYPE, "application/octet-stream")], codes).into_response(),
        None => gone(),
    }
}

fn gone() -> Response {
    fault(StatusCode::NOT_FOUND, "no_frame", "no frame of that end is kept; /api/v1/recent lists those that are")
}

fn no_area() -> Response {
    fault(StatusCode::NOT_FOUND, "unknown_place", "there is no area of that kind and name; see /api/v1/corridors")
}

pub(super) async fn spacetime(State(server): State<Server>, Query(query): Query<CorridorQuery>) -> Response {
    let findings = server.api.watch.borrow().findings.clone();
    let areas = findings.areas.as_ref();
    let Some(area) = areas.and_then(|a| a.corridors().iter().find(|area| area.name == query.corridor)) else {
        return no_area();
    };
    let segments = area.segments.iter().map(|at| server.network.segment(*at));
    let recent = lock(&server.recent);
    let body = json!({
        "corridor": area.name,
        "length_m": (area.length_m * 10.0).round() / 10.0,
        "window_s": CODES_WINDOW.seconds(),
        "segments": segments.clone().map(|s| s.id.to_string()).collect::<Vec<_>>(),
        "segment_length_m": segments.map(|s| (s.length_m * 10.0).round() / 10.0).collect::<Vec<_>>(),
        "end_ms": recent.frames.iter().map(|frame| frame.end_ms).collect::<Vec<_>>(),
        "codes": recent.codes_of(area),
    });
    json_bytes(Bytes::from(body.to_string()))
}

pub(super) async fn series(State(server): State<Server>, Query(query): Query<SeriesQuery>) -> Response {
    let kind = match query.kind.as_deref() {
        None | Some("city") => AreaKind::City,
        Some("corridor") => AreaKind::Corridor,
        Some("zone") => AreaKind::Zone,
        Some(_) => return no_area(),
    };
    let findings = server.api.watch.borrow().findings.clone();
    let all = findings.areas.as_ref().map_or(&[][..], |a| a.all());
    let is_asked = |area: &Area| area.kind == kind && query.name.as_ref().is_none_or(|name| *name == area.name);
    let Some(i) = all.iter().position(is_asked) else { return no_area() };
    let recent = lock(&server.recent);
    let body = json!({
        "name": all[i].name,
        "window_s": AREAS_WINDOW.seconds(),
        "end_ms": recent.frames.iter().map(|frame| frame.end_ms).collect::<Vec<_>>(),
        "speed_mps": recent.column(i, 0),
        "travel_time_s": recent.column(i, 1),
        "travel_time_index": recent.column(i, 2),
        "delay_veh_h_per_h": recent.column(i, 3),
        "observed_length_share": recent.column(i, 4),
    });
    json_bytes(Bytes::from(body.to_string()))
}

#[cfg(test)]
mod tests {
    use roads::SegmentIndex;

    use super::*;
    use crate::metric::traffic::WindowMetrics;
    use crate::snapshot::Told;

    fn tick(end_ms: i64, segments: usize) -> Published {
        let span = Some(CODES_WINDOW.ending(end_ms));
        let none = WindowMetrics::default();
        let snapshot = Snapshot::new(CODES_WINDOW, span, &none, segments, end_ms, None, Told::default());
        Published { windows: vec![Arc::new(snapshot)], ..Published::default() }
    }

    #[test]
    fn a_frame_every_half_minute_and_two_hours_of_them() {
        let mut recent = Recent::default();
        for s in 0..3 * 3_600 {
            recent.push(&tick(s * 1_000, 3));
        }
        assert_eq!(recent.frames.len(), FRAMES_MAX);
        let ends: Vec<i64> = recent.frames.iter().map(|frame| frame.end_ms).collect();
        assert!(ends.windows(2).all(|pair| pair[1] - pair[0] == SPACING_MS));
        assert!(recent.at(ends[7]).is_some() && recent.at(ends[7] + 1).is_none());
        recent.push(&tick(5_000, 3));
        assert_eq!(recent.frames.len(), 1, "time went back: another run");
    }

    #[test]
    fn a_large_city_keeps_fewer_frames() {
        let mut recent = Recent::default();
        let segments = BYTES_MAX / 10;
        (0..20).for_each(|i| recent.push(&tick(i * SPACING_MS, segments)));
        assert_eq!(recent.frames.len(), 9);
    }

    #[test]
    fn codes_of_a_corridor_are_in_driving_order() {
        let mut recent = Recent::default();
        let mut frame = tick(60_000, 4);
        let mut codes = frame.windows[0].live_codes.to_vec();
        codes[HEADER_BYTES..].copy_from_slice(&[10, 20, 30, 40]);
        let snapshot = Snapshot { live_codes: Bytes::from(codes.clone()), ..(*frame.windows[0]).clone() };
        frame.windows = vec![Arc::new(snapshot)];
        recent.push(&frame);
        let segments = vec![SegmentIndex(2), SegmentIndex(0), SegmentIndex(9)];
        let area = Area { kind: AreaKind::Corridor, name: "a".into(), segments, length_m: 1.0 };
        assert_eq!(recent.codes_of(&area), [[30, 10, CODE_NO_DATA]]);
        assert_ne!(digest(&codes), digest(&[0; 24]));
    }
}
