//! `/api/v1/quality`: can these figures be trusted? What came in, what became of it, and how far behind it is.
//!
//! Upstream: what [`crate::follow`] publishes of its own health, the fates at ingest, loops. Downstream: the dashboard.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Server;
use crate::fate::SourceClass;
use crate::follow::{Health, Published};
use crate::metric::window::Window;
use crate::roadside::Roadside;

pub(super) async fn quality(State(server): State<Server>) -> Response {
    let published = server.api.watch.borrow().clone();
    axum::Json(told(&published)).into_response()
}

fn told(published: &Published) -> Value {
    let health = &published.health;
    let newest = published.window(Window::FiveMinutes);
    let fates = newest.and_then(|snapshot| snapshot.fates.as_ref()).map(|fates| {
        let rejected: Map<String, Value> =
            fates.rejected.iter().map(|(reason, n)| (reason.name().to_owned(), json!(n))).collect();
        json!({
            "received": fates.received, "accepted": fates.accepted, "duplicate": fates.duplicate, "rejected": rejected,
        })
    });
    let city = newest.map(|snapshot| {
        json!({
            "window_s": snapshot.window.seconds(),
            "newest_observation_ms": snapshot.span.map(|span| span.end_ms),
            "observed_length_share": (snapshot.city.observed_length_share * 1e4).round() / 1e4,
            "segments_published": snapshot.segments.segment.len(),
            "segments_suppressed": snapshot.suppressed,
        })
    });
    json!({
        "told_ms": health.told_ms,
        "fault": published.fault,
        "caught_up": health.caught_up,
        "watermark_ms": health.watermark_ms,
        "vehicles": health.vehicles,
        "corrections": health.corrections,
        "classes": classes(health),
        "fates": fates,
        "matching": matching(health),
        "city": city,
        "free_flow": published.findings.free_flow,
        "probe_share": published.findings.share.map(|s| json!({ "value": s.value, "source": s.source.name() })),
        "detectors": detectors(&published.roadside),
    })
}

fn classes(health: &Health) -> Vec<Value> {
    let class = |class: SourceClass| {
        let fates: Map<String, Value> =
            health.fates[class as usize].named().into_iter().map(|(name, n)| (name.to_owned(), json!(n))).collect();
        json!({ "class": class.name(), "watermark_ms": health.watermarks_ms[class as usize], "fates": fates })
    };
    SourceClass::ALL.map(class).to_vec()
}

fn matching(health: &Health) -> Value {
    let m = &health.matching;
    json!({
        "placed": m.placed, "off_network": m.off_network, "parked": m.parked, "in_junction": m.in_junction,
        "too_late": m.too_late, "same_moment": m.same_moment, "steps": m.steps, "gaps": m.gaps, "jumps": m.jumps,
        "breaks": m.breaks,
    })
}

/// Loops by the verdict of their newest service day that is over, and how many are unusual now.
fn detectors(roadside: &Roadside) -> Value {
    let mut verdicts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for figures in roadside.detectors.values() {
        *verdicts.entry(figures.verdict.map_or("not_judged", crate::detector::Verdict::name)).or_default() += 1;
    }
    let unusual = roadside.detectors.values().filter(|d| d.is_unusual).count();
    json!({ "total": roadside.detectors.len(), "unusual": unusual, "verdicts": verdicts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_told_also_before_anything_came() {
        let told = told(&Published::default());
        let names: Vec<&str> = told["classes"].as_array().unwrap().iter().filter_map(|c| c["class"].as_str()).collect();
        assert_eq!(names, ["position", "detector", "signal"]);
        assert_eq!(told["fates"], Value::Null, "unknown is not 0");
        assert_eq!(told["classes"][0]["fates"]["late"], json!(0));
    }
}
