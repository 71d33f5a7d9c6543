//! What a tick says beyond segments: corridors, zones, the city, queues, bottlenecks, incidents. Small groups left out.
//!
//! Upstream: [`crate::study`] and the figures of the windows. Downstream: [`crate::http`] as JSON, [`crate::export`].
//!
//! Every figure of an area stands beside what it rests on: vehicles and reports, the share of its length that was driven, the
//! time that was observed, the standard error, the free-flow basis, and k. An area, a bottleneck or a probe's alarm of
//! fewer than k vehicles is not told at all; alarms of loops are, since a loop knows nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use roads::{FreeFlowBasis, Network, SegmentIndex};
use serde_json::{Value, json};

use crate::area::{Area, AreaKind, Areas};
use crate::bottleneck::{self, Bottleneck};
use crate::incident::{Alarm, Algorithm};
use crate::metric::area::{AreaMetrics, COVERAGE_MIN};
use crate::metric::probe_share::ProbeShare;
use crate::metric::queue::{Queue, queues};
use crate::metric::traffic::WindowMetrics;
use crate::metric::window::{Span, Window};
use crate::reliability::Reliable;
use crate::snapshot::K_LIVE;
use crate::study::Study;

/// Figures of all areas in one window.
#[derive(Clone, Debug, Default)]
pub struct AreaWindow {
    pub span: Option<Span>,
    /// In order of [`Areas::all`]; empty when nothing is fresh.
    pub areas: Vec<AreaMetrics>,
}

/// Everything that one tick finds.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// `None` where nothing is studied.
    pub areas: Option<Arc<Areas>>,
    pub windows: Vec<(Window, AreaWindow)>,
    /// By corridor.
    pub reliability: Vec<Option<Reliable>>,
    /// Over the last minute, longest first.
    pub queues: Vec<Queue>,
    pub bottlenecks: Vec<Bottleneck>,
    /// Alarms that stand, then those that ended, newest last.
    pub alarms: Vec<Alarm>,
    /// Alarms raised since the start.
    pub raised: BTreeMap<Algorithm, u64>,
    pub share: Option<ProbeShare>,
    /// Segments by what their free-flow speed rests on.
    pub free_flow: BTreeMap<&'static str, usize>,
}

impl Findings {
    /// What a study says now, and what the windows say of its areas. Nothing stands in it when the figures are stale.
    pub fn new(
        study: &Study,
        network: &Network,
        windows: &[(Window, Option<Span>, WindowMetrics)],
        stale: bool,
    ) -> Self {
        let learnt = study.learnt();
        let mut free_flow = BTreeMap::new();
        for basis in [FreeFlowBasis::Observed, FreeFlowBasis::Limit, FreeFlowBasis::Class] {
            free_flow.insert(basis.name(), learnt.free_flow.basis().iter().filter(|b| **b == basis).count());
        }
        let areas = study.areas();
        let free_s = |area: &Area| {
            area.segments.iter().map(|at| network.segment(*at).length_m / learnt.free_flow.mps()[at.at()]).sum()
        };
        let reliable = |(i, area): (usize, &Area)| learnt.reliability.of(i, free_s(area));
        let minute = windows.iter().find(|w| w.0 == Window::OneMinute).and_then(|w| Some((w.1?, &w.2)));
        let share = study.probe_share();
        let queues = minute.filter(|_| !stale).map_or_else(Vec::new, |(span, metrics)| {
            queues(network, study.upstream(), &metrics.totals, learnt.free_flow.mps(), share, span)
        });
        let of_window = |(window, span, metrics): &(Window, Option<Span>, WindowMetrics)| {
            (*window, AreaWindow { span: *span, areas: metrics.areas.clone() })
        };
        let is_told = |a: &&Alarm| match a.algorithm {
            Algorithm::ProbeBlock | Algorithm::ProbeSpeedDrop | Algorithm::ProbeHead | Algorithm::ProbeFused => {
                a.vehicles >= K_LIVE
            }
            Algorithm::California7 | Algorithm::California8 => true,
        };
        let standing = learnt.alarms.open().filter(|_| !stale);
        Self {
            areas: Some(Arc::clone(areas)),
            windows: windows.iter().map(of_window).collect(),
            reliability: areas.corridors().iter().enumerate().map(reliable).collect(),
            queues: queues.into_iter().filter(|q| q.vehicles >= K_LIVE).collect(),
            bottlenecks: learnt
                .bottlenecks
                .sustained()
                .iter()
                .filter(|b| !stale && b.vehicles >= K_LIVE)
                .cloned()
                .collect(),
            alarms: standing.chain(learnt.alarms.ended()).filter(is_told).copied().collect(),
            raised: Algorithm::ALL.into_iter().map(|a| (a, learnt.alarms.raised(a))).collect(),
            share: Some(share),
            free_flow,
        }
    }

    /// The areas of a kind in a window that may be told: place among all, area, figures.
    pub fn told(&self, kind: AreaKind, window: Window) -> impl Iterator<Item = (usize, &Area, &AreaMetrics)> {
        let areas = self.areas.as_ref().map_or(&[][..], |a| a.all());
        let figures = self.windows.iter().find(|w| w.0 == window).map_or(&[][..], |w| &w.1.areas);
        let all = areas.iter().zip(figures).enumerate().map(|(i, (area, m))| (i, area, m));
        all.filter(move |(_, area, m)| area.kind == kind && m.vehicles >= K_LIVE)
    }

    /// Areas of a kind in a window, as JSON; those that may not be told have a name and `null`.
    pub fn areas_json(&self, kind: AreaKind, window: Window, network: &Network) -> Value {
        let told: BTreeMap<usize, &AreaMetrics> = self.told(kind, window).map(|(i, _, m)| (i, m)).collect();
        let all = self.areas.as_ref().map_or(&[][..], |a| a.all()).iter().enumerate();
        let rows = all.filter(|(_, area)| area.kind == kind).map(|(i, area)| {
            let ids: Option<Vec<String>> =
                (kind == AreaKind::Corridor).then(|| area.segments.iter().map(|at| id(network, *at)).collect());
            json!({
                "name": area.name,
                "segments": ids,
                "segments_count": area.segments.len(),
                "length_m": rounded(area.length_m, 10.0),
                "figures": told.get(&i).map(|m| figures_json(kind, m)),
                "reliability": self.reliability.get(i).copied().flatten().filter(|_| kind == AreaKind::Corridor).map(reliable_json),
            })
        });
        let span = self.windows.iter().find(|w| w.0 == window).and_then(|w| w.1.span);
        json!({
            "window_s": window.seconds(),
            "window_start_ms": span.map(|s| s.start_ms),
            "window_end_ms": span.map(|s| s.end_ms),
            "observed_window_share": span.map(|s| rounded((s.seconds() / f64::from(window.seconds())).min(1.0), 1e3)),
            "newest_observation_ms": span.map(|s| s.end_ms),
            "k": K_LIVE,
            "coverage_min": COVERAGE_MIN,
            "probe_share": self.share.map(share_json),
            "areas": rows.collect::<Vec<_>>(),
        })
    }

    /// Bottlenecks and queues as JSON.
    pub fn bottlenecks_json(&self, network: &Network) -> Value {
        let scale = 1.0 / self.share.map_or(1.0, |s| s.value);
        let rows = self.bottlenecks.iter().map(|b| {
            json!({
                "head": id(network, b.head),
                "street": network.segment(b.head).name,
                "downstream": id(network, b.downstream),
                "since_ms": b.since_ms,
                "active_intervals": b.active_intervals,
                "of_intervals": bottleneck::INTERVALS,
                "speed_ratio": rounded(b.ratio, 1e3),
                "downstream_speed_ratio": rounded(b.downstream_ratio, 1e3),
                "extent": b.extent.iter().map(|at| id(network, *at)).collect::<Vec<_>>(),
                "extent_m": rounded(b.extent_m, 1.0),
                "delay_veh_h": rounded(b.delay_veh_h * scale, 1e3),
                "vehicles": b.vehicles,
            })
        });
        let queues = self.queues.iter().map(|q| {
            json!({
                "segment": id(network, q.segment),
                "street": network.segment(q.segment).name,
                "queued_vehicles": rounded(q.queued, 10.0),
                "length_m": rounded(q.length_m, 1.0),
                "storage_ratio": rounded(q.storage_ratio, 1e2),
                "spillback": q.is_spillback,
                "speed_mps": rounded(q.speed_mps, 1e3),
                "vehicles": q.vehicles,
            })
        });
        json!({
            "k": K_LIVE,
            "probe_share": self.share.map(share_json),
            "bottlenecks": rows.collect::<Vec<_>>(),
            "queues": queues.collect::<Vec<_>>(),
        })
    }

    /// Alarms as JSON: those that stand first.
    pub fn incidents_json(&self, network: &Network) -> Value {
        let rows = self.alarms.iter().map(|a| {
            let middle = network.place(a.segment, network.segment(a.segment).length_m / 2.0);
            json!({
                "algorithm": a.algorithm.name(),
                "segment": id(network, a.segment),
                "street": network.segment(a.segment).name,
                "at": [middle.lon_deg(), middle.lat_deg()],
                "begin_ms": a.begin_ms,
                "end_ms": a.end_ms,
                "speed_mps": a.speed_mps.map(|v| rounded(v, 1e3)),
                "vehicles": (a.vehicles > 0).then_some(a.vehicles),
            })
        });
        let raised = self.raised.iter().map(|(algorithm, n)| (algorithm.name().to_owned(), json!(n)));
        json!({
            "k": K_LIVE,
            "raised": raised.collect::<serde_json::Map<_, _>>(),
            "incidents": rows.collect::<Vec<_>>(),
        })
    }
}

fn figures_json(kind: AreaKind, m: &AreaMetrics) -> Value {
    let mut figures = json!({
        "vehicles_at_least": m.vehicles,
        "reports": m.reports,
        "observed_length_share": rounded(m.observed_length_share, 1e4),
        "free_flow_observed_share": rounded(m.free_flow_observed_share, 1e4),
        "vehicle_km": rounded(m.vehicle_km, 1e3),
        "vehicle_h": rounded(m.vehicle_h, 1e4),
        "delay_veh_h_per_h": rounded(m.delay_veh_h_per_h, 1e3),
        "speed_mps": m.speed_mps.map(|v| rounded(v, 1e3)),
        "speed_stderr_mps": m.speed_stderr_mps.map(|v| rounded(v, 1e3)),
        "travel_time_index": m.travel_time_index.map(|v| rounded(v, 1e3)),
        "congested_length_share": m.congested_length_share.map(|v| rounded(v, 1e4)),
        "flow_veh_per_h": rounded(m.flow_veh_per_h, 10.0),
        "density_veh_per_km": rounded(m.density_veh_per_km, 1e3),
    });
    if let (AreaKind::Corridor, Some(object)) = (kind, figures.as_object_mut()) {
        object.insert("travel_time_s".into(), json!(m.travel_time_s.map(|v| rounded(v, 10.0))));
        object.insert("travel_time_stderr_s".into(), json!(m.travel_time_stderr_s.map(|v| rounded(v, 10.0))));
        object.insert("free_travel_time_s".into(), json!(rounded(m.free_travel_time_s, 10.0)));
        let imputed = m.travel_time_s.map(|_| rounded((1.0 - m.observed_length_share).max(0.0), 1e4));
        object.insert("imputed_length_share".into(), json!(imputed));
    }
    figures
}

fn reliable_json(r: Reliable) -> Value {
    json!({
        "intervals": r.intervals,
        "mean_s": rounded(r.mean_s, 10.0),
        "p50_s": rounded(r.p50_s, 10.0),
        "p80_s": rounded(r.p80_s, 10.0),
        "p95_s": rounded(r.p95_s, 10.0),
        "planning_time_index": rounded(r.planning_time_index, 1e3),
        "buffer_index": rounded(r.buffer_index, 1e3),
        "lottr": r.lottr.map(|v| rounded(v, 1e3)),
    })
}

fn share_json(share: ProbeShare) -> Value {
    json!({ "value": rounded(share.value, 1e4), "source": share.source.name() })
}

fn id(network: &Network, at: SegmentIndex) -> String {
    network.segment(at).id.to_string()
}

fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}
