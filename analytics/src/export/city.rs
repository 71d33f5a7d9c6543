//! The city, corridors, zones, bottlenecks and incidents on `/metrics`.
//!
//! Upstream: [`Snapshot`] and [`Findings`], from which small groups are gone already. Downstream: [`Page`].

use roads::Network;

use super::page::Page;
use crate::area::AreaKind;
use crate::findings::Findings;
use crate::metric::area::AreaMetrics;
use crate::metric::window::Window;
use crate::reliability::Reliable;
use crate::snapshot::{K_LIVE, Snapshot};

/// Bottlenecks that become series: those with the most delay.
const BOTTLENECKS_EXPORTED_MAX: usize = 100;

pub(super) fn city(page: &mut Page, snapshot: &Snapshot) {
    let window = [("window", snapshot.window.label())];
    let city = &snapshot.city;
    if city.vehicles >= K_LIVE {
        let optional = [
            ("arterial_city_speed_meters_per_second", city.speed_mps),
            ("arterial_city_travel_time_index", city.travel_time_index),
            ("arterial_city_delay_vehicle_seconds_per_second", city.delay_veh_h_per_h),
        ];
        page.gauges(&window, &optional);
    }
    page.gauge("arterial_city_vehicles", &window, city.vehicles as f64);
    page.gauge("arterial_city_observed_length_ratio", &window, city.observed_length_share);
    if let Some(span) = snapshot.span {
        page.gauge("arterial_window_end_timestamp_seconds", &window, span.end_ms as f64 / 1_000.0);
    }
    page.gauge("arterial_segments_published", &window, snapshot.segments.segment.len() as f64);
    page.gauge("arterial_segments_suppressed", &window, snapshot.suppressed as f64);
}

/// At most 100 corridors and 100 zones in two windows: under 3,500 series.
pub(super) fn findings(page: &mut Page, found: &Findings, network: &Network) {
    for (kind, name) in [(AreaKind::Corridor, "corridor"), (AreaKind::Zone, "zone"), (AreaKind::City, "city")] {
        for window in [Window::FiveMinutes, Window::FifteenMinutes] {
            for (at, place, m) in found.told(kind, window) {
                let labels = [("area", place.name.as_str()), ("kind", name), ("window", window.label())];
                area(page, &labels, m);
                if kind == AreaKind::Corridor {
                    corridor(page, window, &place.name, m, found.reliability.get(at).copied().flatten());
                }
            }
        }
    }
    if let Some(share) = found.share {
        page.gauge("arterial_probe_share_ratio", &[("source", share.source.name())], share.value);
    }
    for (basis, n) in &found.free_flow {
        page.gauge("arterial_free_flow_segments", &[("basis", *basis)], *n as f64);
    }
    if found.areas.is_some() {
        page.gauge("arterial_bottlenecks", &[], found.bottlenecks.len() as f64);
    }
    for bottleneck in found.bottlenecks.iter().take(BOTTLENECKS_EXPORTED_MAX) {
        let head = network.segment(bottleneck.head);
        let (id, street) = (head.id.to_string(), head.name.as_deref().unwrap_or_default());
        let labels = [("segment", id.as_str()), ("street", street)];
        page.gauge("arterial_bottleneck_queue_meters", &labels, bottleneck.extent_m);
    }
    for (algorithm, raised) in &found.raised {
        let labels = [("algorithm", algorithm.name())];
        let standing = found.alarms.iter().filter(|a| a.algorithm == *algorithm && a.end_ms.is_none()).count();
        page.gauge("arterial_incidents", &labels, standing as f64);
        page.counter("arterial_incident_alarms_total", &labels, *raised as f64);
    }
}

fn area(page: &mut Page, labels: &[(&str, &str)], m: &AreaMetrics) {
    let named = [
        ("arterial_area_speed_meters_per_second", m.speed_mps),
        ("arterial_area_travel_time_index", m.travel_time_index),
        ("arterial_area_delay_vehicle_seconds_per_second", Some(m.delay_veh_h_per_h)),
        ("arterial_area_flow_vehicles_per_hour", Some(m.flow_veh_per_h)),
        ("arterial_area_density_vehicles_per_meter", Some(m.density_veh_per_km / 1_000.0)),
        ("arterial_area_congested_length_ratio", m.congested_length_share),
        ("arterial_area_observed_length_ratio", Some(m.observed_length_share)),
        ("arterial_area_vehicles", Some(m.vehicles as f64)),
    ];
    page.gauges(labels, &named);
}

fn corridor(page: &mut Page, window: Window, name: &str, m: &AreaMetrics, reliable: Option<Reliable>) {
    let labels = [("corridor", name), ("window", window.label())];
    page.gauges(&labels, &[("arterial_corridor_travel_time_seconds", m.travel_time_s)]);
    page.gauge("arterial_corridor_free_travel_time_seconds", &labels, m.free_travel_time_s);
    // Of all retained intervals, so once and not by window.
    let Some(reliable) = reliable.filter(|_| window == Window::FiveMinutes) else { return };
    let labels = [("corridor", name)];
    let named = [
        ("arterial_corridor_planning_time_index", Some(reliable.planning_time_index)),
        ("arterial_corridor_buffer_index", Some(reliable.buffer_index)),
        ("arterial_corridor_lottr", reliable.lottr),
    ];
    page.gauges(&labels, &named);
}
