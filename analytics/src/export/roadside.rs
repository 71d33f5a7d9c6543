//! Detectors, signals and buses on `/metrics`.
//!
//! Upstream: [`Roadside`]. Downstream: [`Page`]. Each kind is bounded, and what was left out is told.

use super::page::Page;
use crate::detector::{Oddity, Verdict};
use crate::follow::Published;
use crate::roadside::Roadside;

/// Detectors, by name, phases and lines that become series; the rest is counted.
const DETECTORS_EXPORTED_MAX: usize = 500;
const PHASES_EXPORTED_MAX: usize = 500;
const LINES_EXPORTED_MAX: usize = 500;

pub(super) fn detectors(page: &mut Page, published: &Published) {
    let mut verdicts = [0_u32; Verdict::ALL.len()];
    for (at, (name, d)) in published.roadside.detectors.iter().enumerate() {
        if at < DETECTORS_EXPORTED_MAX {
            let named = [
                ("arterial_detector_flow_vehicles_per_hour", d.flow_veh_per_h),
                ("arterial_detector_occupancy_ratio", d.occupancy),
                ("arterial_detector_speed_meters_per_second", d.speed_mps),
                ("arterial_detector_density_vehicles_per_meter", d.density_veh_per_km.map(|k| k / 1_000.0)),
                ("arterial_detector_good", d.verdict.map(|v| f64::from(u8::from(v == Verdict::Good)))),
            ];
            page.gauges(&[("detector", name.as_str())], &named);
        }
        if let Some(at) = Verdict::ALL.iter().position(|v| d.verdict == Some(*v)) {
            verdicts[at] += 1;
        }
    }
    for (verdict, n) in Verdict::ALL.iter().zip(verdicts) {
        page.gauge("arterial_detectors", &[("health", verdict.name())], f64::from(n));
    }
    let left_out = published.roadside.detectors.len().saturating_sub(DETECTORS_EXPORTED_MAX);
    page.gauge("arterial_detectors_left_out", &[], left_out as f64);
    let odd = &published.roadside.oddities;
    for oddity in Oddity::ALL {
        page.counter("arterial_detector_oddities_total", &[("oddity", oddity.name())], odd.of(oddity) as f64);
    }
    page.counter("arterial_detector_intervals_missing_total", &[], odd.intervals_missing as f64);
    page.gauge("arterial_segments_fused", &[], published.roadside.fused.len() as f64);
}

pub(super) fn signals(page: &mut Page, roadside: &Roadside) {
    for phase in roadside.phases.iter().take(PHASES_EXPORTED_MAX) {
        let number = phase.phase.to_string();
        let f = &phase.figures;
        let named = [
            ("arterial_signal_cycle_seconds", Some(f.cycle_s)),
            ("arterial_signal_green_seconds", Some(f.green_s)),
            ("arterial_signal_arrivals_on_green_ratio", f.arrivals_on_green_share),
            ("arterial_signal_platoon_ratio", f.platoon_ratio),
            ("arterial_signal_split_failures", f.split_failures.map(f64::from)),
            ("arterial_signal_delay_seconds", f.delay_per_arrival_s),
        ];
        page.gauges(&[("phase", number.as_str()), ("signal", phase.signal.as_str())], &named);
    }
    let left_out = roadside.phases.len().saturating_sub(PHASES_EXPORTED_MAX) + roadside.phases_left_out;
    page.gauge("arterial_signal_phases_left_out", &[], left_out as f64);
    let c = roadside.signal_counts;
    for (fate, n) in [
        ("change", c.changes),
        ("actuation", c.actuations),
        ("late", c.late),
        ("left_out", c.left_out),
        ("not_an_actuation", c.not_actuations),
    ] {
        page.counter("arterial_signal_rows_total", &[("fate", fate)], n as f64);
    }
}

pub(super) fn buses(page: &mut Page, roadside: &Roadside) {
    for (line, f) in roadside.lines.iter().take(LINES_EXPORTED_MAX) {
        let named = [
            ("arterial_bus_headway_seconds", Some(f.mean_headway_s)),
            ("arterial_bus_bunched_ratio", Some(f64::from(f.bunched) / f64::from(f.headways.max(1)))),
            ("arterial_bus_expected_wait_seconds", Some(f.expected_wait_s)),
            ("arterial_bus_excess_wait_seconds", Some(f.excess_wait_s)),
        ];
        page.gauges(&[("direction", line.direction.as_str()), ("route", line.route.as_str())], &named);
    }
    let left_out = roadside.lines.len().saturating_sub(LINES_EXPORTED_MAX) + roadside.lines_left_out;
    page.gauge("arterial_bus_lines_left_out", &[], left_out as f64);
    let c = roadside.bus_counts;
    for (fate, n) in [
        ("report", c.reports),
        ("passage", c.passages),
        ("out_of_order", c.out_of_order),
        ("unknown_moment", c.unknown_moment),
        ("wavering", c.wavering),
        ("left_out", c.left_out),
    ] {
        page.counter("arterial_bus_reports_total", &[("fate", fate)], n as f64);
    }
}
