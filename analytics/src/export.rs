//! Prometheus: traffic figures of the newest snapshots, and the health of analytics.
//!
//! Upstream: [`crate::follow`] publishes, this reads at scrape time, so a scrape never sees half a tick and a
//! segment without fresh data has no series. Downstream: `/metrics`. Names are declared here and nowhere else.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Error, Registry};
use roads::Network;

use crate::area::AreaKind;
use crate::detector::{Oddity, Verdict};
use crate::fate::SourceClass;
use crate::findings::Findings;
use crate::follow::{Health, Published, Watch};
use crate::metric::area::AreaMetrics;
use crate::metric::window::Window;
use crate::reliability::Reliable;
use crate::roadside::Roadside;
use crate::snapshot::Snapshot;

/// Most segments of one window that become series; the slowest are kept, the rest is counted in
/// `arterial_segments_left_out`.
pub const SEGMENTS_EXPORTED_MAX: usize = 2_000;

/// Registers everything that analytics exports.
///
/// # Errors
/// When a name is taken in this registry.
pub fn register(registry: &Registry, watch: Watch, network: Arc<Network>) -> Result<(), Error> {
    registry.register(Box::new(Traffic { watch, network, descs: descs()? }))
}

struct Traffic {
    watch: Watch,
    network: Arc<Network>,
    descs: Vec<Desc>,
}

/// Name and help of everything below, in the order of the page.
const FAMILIES: [(&str, &str); 69] = [
    (
        "arterial_segment_speed_meters_per_second",
        "Space-mean speed of a segment over the window (Edie: metres driven over seconds spent)",
    ),
    ("arterial_segment_speed_ratio", "Space-mean speed of a segment over its free-flow speed"),
    (
        "arterial_segment_delay_vehicle_seconds_per_second",
        "Vehicle-seconds lost in a second (vehicle-hours in an hour) on a segment against free flow, clipped at 0 per minute",
    ),
    ("arterial_segment_vehicles", "Distinct vehicles seen on a segment in the window; never fewer than k"),
    ("arterial_segments_published", "Segments with a published speed"),
    ("arterial_segments_suppressed", "Segments seen by fewer than k vehicles and therefore not published"),
    (
        "arterial_segments_left_out",
        "Published segments beyond the cap of series on this page; the fastest are left out",
    ),
    ("arterial_city_speed_meters_per_second", "Vehicle-metres over vehicle-seconds of all segments"),
    ("arterial_city_travel_time_index", "Time spent over the time that the same distance takes at free flow"),
    (
        "arterial_city_delay_vehicle_seconds_per_second",
        "Vehicle-seconds lost in a second (vehicle-hours in an hour) in the city, clipped at 0 per segment and minute",
    ),
    ("arterial_city_vehicles", "Distinct vehicles seen in the window"),
    ("arterial_city_observed_length_ratio", "Length of the segments driven in the window over the length of all"),
    ("arterial_window_end_timestamp_seconds", "Event time at which the window ends"),
    ("arterial_detector_flow_vehicles_per_hour", "Vehicles an hour in a detector's last interval"),
    ("arterial_detector_occupancy_ratio", "Share of a detector's last interval in which it was covered"),
    (
        "arterial_detector_speed_meters_per_second",
        "Time-mean speed in a detector's last interval: measured, or else from count, occupancy and vehicle length",
    ),
    (
        "arterial_detector_density_vehicles_per_meter",
        "Occupancy over the detector's effective vehicle length, per lane",
    ),
    ("arterial_detector_good", "1 when the detector broke no rule of PeMS on the last service day that is over"),
    ("arterial_detectors", "Detectors by what the rules of PeMS say of their last service day"),
    (
        "arterial_detector_oddities_total",
        "Intervals of detectors that cannot be taken as they stand, by a closed list of what is odd",
    ),
    ("arterial_detector_intervals_missing_total", "Intervals of detectors that are missing in holes"),
    ("arterial_segments_fused", "Segments on which probes and loops both speak and are fused"),
    ("arterial_signal_cycle_seconds", "Mean cycle of a phase, red to red, over 15 minutes"),
    ("arterial_signal_green_seconds", "Mean green of a phase over 15 minutes"),
    ("arterial_signal_arrivals_on_green_ratio", "Share of arrivals on green over 15 minutes"),
    ("arterial_signal_platoon_ratio", "Share of arrivals on green over share of green time over 15 minutes"),
    ("arterial_signal_split_failures", "Cycles of 15 minutes in which not everybody got through"),
    ("arterial_signal_delay_seconds", "Time from arrivals on red to the next green for each arrival, over 15 minutes"),
    ("arterial_signal_rows_total", "Changes and actuations of signals by what became of them"),
    ("arterial_signal_phases_left_out", "Phases beyond the cap of series on this page"),
    ("arterial_bus_headway_seconds", "Mean headway of a line over the stops and passages of an hour"),
    ("arterial_bus_bunched_ratio", "Share of headways below 0.75 of what was scheduled, or of the mean"),
    ("arterial_bus_expected_wait_seconds", "Wait of a passenger who comes at random"),
    ("arterial_bus_excess_wait_seconds", "Part of the wait that even headways would not have"),
    ("arterial_bus_reports_total", "Reports of buses on lines and passages of stops by what became of them"),
    (
        "arterial_corridor_travel_time_seconds",
        "Seconds from end to end; only where at least 80 % of the length was driven",
    ),
    ("arterial_corridor_free_travel_time_seconds", "The same at free flow"),
    ("arterial_corridor_planning_time_index", "95th percentile of five-minute travel times over the one at free flow"),
    ("arterial_corridor_buffer_index", "(95th percentile − mean) / mean of five-minute travel times"),
    ("arterial_corridor_lottr", "80th over 50th percentile of travel time in the worst part of the week (FHWA)"),
    ("arterial_area_speed_meters_per_second", "Q of a corridor or zone: vehicle-metres over vehicle-seconds"),
    ("arterial_area_travel_time_index", "Time spent over the time at free flow, of a corridor or zone"),
    ("arterial_area_delay_vehicle_seconds_per_second", "Vehicle-seconds lost in a second in a corridor or zone"),
    ("arterial_area_flow_vehicles_per_hour", "Network-mean flow of a corridor, a zone or the city"),
    ("arterial_area_density_vehicles_per_meter", "Network-mean density of a corridor, a zone or the city"),
    ("arterial_area_congested_length_ratio", "Share of the observed length with a travel time index above 1.5"),
    ("arterial_area_observed_length_ratio", "Share of the length that was driven in the window"),
    ("arterial_area_vehicles", "At least so many distinct vehicles"),
    ("arterial_probe_share_ratio", "Share of the vehicles that report, by how it is known"),
    ("arterial_free_flow_segments", "Segments by what their free-flow speed rests on"),
    ("arterial_bottlenecks", "Sustained bottlenecks in the last five minutes"),
    ("arterial_incidents", "Alarms that stand, by algorithm"),
    ("arterial_incident_alarms_total", "Alarms raised since the start, by algorithm"),
    ("arterial_analytics_watermark_timestamp_seconds", "Event time before which panes are final"),
    (
        "arterial_analytics_class_watermark_timestamp_seconds",
        "Event time of one class of sources: 30 s behind its newest stamp that is believed",
    ),
    ("arterial_analytics_positions_total", "Positions read from the spool"),
    ("arterial_analytics_events_received_total", "Events read from the spool, by class of source"),
    ("arterial_analytics_events_total", "The same by what became of them, which add up to those received"),
    ("arterial_analytics_behind_total", "Events behind the watermark of their class that count all the same"),
    ("arterial_analytics_corrections_total", "Revisions of panes that were final already"),
    (
        "arterial_analytics_beyond_correction_total",
        "Contributions refused because their pane is closed: final for longer than 15 minutes",
    ),
    ("arterial_analytics_fixes", "Fixes and steps by what became of them"),
    ("arterial_analytics_caught_up", "1 when everything that the spool holds is counted in"),
    ("arterial_analytics_next_block", "Number of the next block that is read from the spool"),
    ("arterial_analytics_vehicles", "Vehicles held in memory by the matcher"),
    (
        "arterial_analytics_checkpoint_age_seconds",
        "Wall clock since all that was counted in was in a checkpoint; what is newer is read again after a crash",
    ),
    ("arterial_analytics_checkpoint_bytes", "Size of the newest checkpoint"),
    ("arterial_analytics_checkpoint_write_seconds", "How long the newest checkpoint took to encode, write and sync"),
    ("arterial_analytics_checkpoint_failures_total", "Checkpoints that could not be written"),
];

fn descs() -> Result<Vec<Desc>, Error> {
    let desc = |&(name, help): &(&str, &str)| Desc::new(name.into(), help.into(), Vec::new(), Default::default());
    FAMILIES.iter().map(desc).collect()
}

impl Collector for Traffic {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let published = self.watch.borrow().clone();
        let mut page = Page::new();
        for snapshot in published.snapshots() {
            self.segments(&mut page, snapshot);
            city(&mut page, snapshot);
        }
        detectors(&mut page, &published);
        signals(&mut page, &published.roadside);
        buses(&mut page, &published.roadside);
        findings(&mut page, &published.findings);
        health(&mut page, &published.health);
        page.families()
    }
}

impl Traffic {
    fn segments(&self, page: &mut Page, snapshot: &Snapshot) {
        let s = &snapshot.segments;
        let mut rows: Vec<usize> = (0..s.segment.len()).collect();
        rows.sort_by(|&a, &b| s.speed_ratio[a].total_cmp(&s.speed_ratio[b]).then(s.segment[a].cmp(&s.segment[b])));
        let left_out = rows.len().saturating_sub(SEGMENTS_EXPORTED_MAX);
        rows.truncate(SEGMENTS_EXPORTED_MAX);
        for i in rows {
            let segment = self.network.segment(s.segment[i]);
            let id = segment.id.to_string();
            let labels =
                [("class", segment.class.name()), ("segment", id.as_str()), ("window", snapshot.window.label())];
            page.gauge("arterial_segment_speed_meters_per_second", &labels, s.speed_mps[i]);
            page.gauge("arterial_segment_speed_ratio", &labels, s.speed_ratio[i]);
            page.gauge("arterial_segment_delay_vehicle_seconds_per_second", &labels, s.delay_veh_h_per_h[i]);
            page.gauge("arterial_segment_vehicles", &labels, s.vehicles[i] as f64);
        }
        let window = [("window", snapshot.window.label())];
        page.gauge("arterial_segments_published", &window, s.segment.len() as f64);
        page.gauge("arterial_segments_suppressed", &window, snapshot.suppressed as f64);
        page.gauge("arterial_segments_left_out", &window, left_out as f64);
    }
}

fn city(page: &mut Page, snapshot: &Snapshot) {
    let window = [("window", snapshot.window.label())];
    let city = &snapshot.city;
    let optional = [
        ("arterial_city_speed_meters_per_second", city.speed_mps),
        ("arterial_city_travel_time_index", city.travel_time_index),
        ("arterial_city_delay_vehicle_seconds_per_second", city.delay_veh_h_per_h),
    ];
    if city.vehicles >= crate::snapshot::K_LIVE {
        for (name, value) in optional {
            value.into_iter().for_each(|v| page.gauge(name, &window, v));
        }
    }
    page.gauge("arterial_city_vehicles", &window, city.vehicles as f64);
    page.gauge("arterial_city_observed_length_ratio", &window, city.observed_length_share);
    if let Some(span) = snapshot.span {
        page.gauge("arterial_window_end_timestamp_seconds", &window, span.end_ms as f64 / 1_000.0);
    }
}

fn detectors(page: &mut Page, published: &Published) {
    let mut verdicts = [0_u32; Verdict::ALL.len()];
    for (name, d) in &published.roadside.detectors {
        let labels = [("detector", name.as_str())];
        let optional = [
            ("arterial_detector_flow_vehicles_per_hour", d.flow_veh_per_h),
            ("arterial_detector_occupancy_ratio", d.occupancy),
            ("arterial_detector_speed_meters_per_second", d.speed_mps),
            ("arterial_detector_density_vehicles_per_meter", d.density_veh_per_km.map(|k| k / 1_000.0)),
            ("arterial_detector_good", d.verdict.map(|v| f64::from(u8::from(v == Verdict::Good)))),
        ];
        for (name, value) in optional {
            value.into_iter().for_each(|v| page.gauge(name, &labels, v));
        }
        if let Some(at) = Verdict::ALL.iter().position(|v| d.verdict == Some(*v)) {
            verdicts[at] += 1;
        }
    }
    for (verdict, n) in Verdict::ALL.iter().zip(verdicts) {
        page.gauge("arterial_detectors", &[("health", verdict.name())], f64::from(n));
    }
    let odd = &published.roadside.oddities;
    for oddity in Oddity::ALL {
        page.counter("arterial_detector_oddities_total", &[("oddity", oddity.name())], odd.of(oddity) as f64);
    }
    page.counter("arterial_detector_intervals_missing_total", &[], odd.intervals_missing as f64);
    page.gauge("arterial_segments_fused", &[], published.roadside.fused.len() as f64);
}

/// Phases that become series; the rest is counted. Lines are bounded where they are published.
const PHASES_EXPORTED_MAX: usize = 500;

fn signals(page: &mut Page, roadside: &Roadside) {
    for phase in roadside.phases.iter().take(PHASES_EXPORTED_MAX) {
        let number = phase.phase.to_string();
        let labels = [("phase", number.as_str()), ("signal", phase.signal.as_str())];
        let f = &phase.figures;
        let optional = [
            ("arterial_signal_cycle_seconds", Some(f.cycle_s)),
            ("arterial_signal_green_seconds", Some(f.green_s)),
            ("arterial_signal_arrivals_on_green_ratio", f.arrivals_on_green_share),
            ("arterial_signal_platoon_ratio", f.platoon_ratio),
            ("arterial_signal_split_failures", f.split_failures.map(f64::from)),
            ("arterial_signal_delay_seconds", f.delay_per_arrival_s),
        ];
        for (name, value) in optional {
            value.into_iter().for_each(|v| page.gauge(name, &labels, v));
        }
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

/// Lines that become series.
const LINES_EXPORTED_MAX: usize = 500;

fn buses(page: &mut Page, roadside: &Roadside) {
    for (line, f) in roadside.lines.iter().take(LINES_EXPORTED_MAX) {
        let labels = [("direction", line.direction.as_str()), ("route", line.route.as_str())];
        page.gauge("arterial_bus_headway_seconds", &labels, f.mean_headway_s);
        page.gauge("arterial_bus_bunched_ratio", &labels, f64::from(f.bunched) / f64::from(f.headways.max(1)));
        page.gauge("arterial_bus_expected_wait_seconds", &labels, f.expected_wait_s);
        page.gauge("arterial_bus_excess_wait_seconds", &labels, f.excess_wait_s);
    }
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

/// At most 100 corridors and 100 zones in two windows: under 3,500 series.
fn findings(page: &mut Page, found: &Findings) {
    for (kind, name) in [(AreaKind::Corridor, "corridor"), (AreaKind::Zone, "zone"), (AreaKind::City, "city")] {
        for window in [Window::FiveMinutes, Window::FifteenMinutes] {
            for (at, area, m) in found.told(kind, window) {
                let labels = [("area", area.name.as_str()), ("kind", name), ("window", window.label())];
                page.area(&labels, m);
                if kind == AreaKind::Corridor {
                    page.corridor(window, &area.name, m, found.reliability.get(at).copied().flatten());
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
    for (algorithm, raised) in &found.raised {
        let labels = [("algorithm", algorithm.name())];
        let standing = found.alarms.iter().filter(|a| a.algorithm == *algorithm && a.end_ms.is_none()).count();
        page.gauge("arterial_incidents", &labels, standing as f64);
        page.counter("arterial_incident_alarms_total", &labels, *raised as f64);
    }
}

fn health(page: &mut Page, health: &Health) {
    if let Some(watermark_ms) = health.watermark_ms {
        page.gauge("arterial_analytics_watermark_timestamp_seconds", &[], watermark_ms as f64 / 1_000.0);
    }
    let positions = health.engine.received[SourceClass::Position as usize];
    page.counter("arterial_analytics_positions_total", &[], positions as f64);
    for (at, class) in SourceClass::ALL.into_iter().enumerate() {
        let label = ("class", class.name());
        for (fate, n) in health.fates[at].named() {
            page.counter("arterial_analytics_events_total", &[label, ("fate", fate)], n as f64);
        }
        page.counter("arterial_analytics_events_received_total", &[label], health.engine.received[at] as f64);
        page.counter("arterial_analytics_behind_total", &[label], health.engine.behind[at] as f64);
        if let Some(watermark_ms) = health.watermarks_ms[at] {
            page.gauge("arterial_analytics_class_watermark_timestamp_seconds", &[label], watermark_ms as f64 / 1_000.0);
        }
    }
    page.counter("arterial_analytics_corrections_total", &[], health.corrections as f64);
    page.counter("arterial_analytics_beyond_correction_total", &[], health.engine.beyond_correction as f64);
    let m = health.matching;
    let fates = [
        ("placed", m.placed),
        ("off_network", m.off_network),
        ("parked", m.parked),
        ("in_junction", m.in_junction),
        ("too_late", m.too_late),
        ("same_moment", m.same_moment),
        ("step_counted", m.steps),
        ("step_gap", m.gaps),
        ("step_jump", m.jumps),
        ("step_break", m.breaks),
        ("step_bridged", m.bridged),
        ("step_off_network", m.off_steps),
        ("step_parked", m.parked_steps),
        ("redone", m.redone),
    ];
    for (outcome, n) in fates {
        page.gauge("arterial_analytics_fixes", &[("outcome", outcome)], n as f64);
    }
    page.gauge("arterial_analytics_caught_up", &[], f64::from(u8::from(health.caught_up)));
    page.gauge("arterial_analytics_next_block", &[], health.next_block as f64);
    page.gauge("arterial_analytics_vehicles", &[], health.vehicles as f64);
    if let Some(checkpoint) = &health.checkpoint {
        if let Some(saved_ms) = checkpoint.saved_ms {
            let age_ms = (health.told_ms - saved_ms).max(0);
            page.gauge("arterial_analytics_checkpoint_age_seconds", &[], age_ms as f64 / 1_000.0);
        }
        page.gauge("arterial_analytics_checkpoint_bytes", &[], checkpoint.bytes as f64);
        page.gauge("arterial_analytics_checkpoint_write_seconds", &[], checkpoint.took_ms as f64 / 1_000.0);
        page.counter("arterial_analytics_checkpoint_failures_total", &[], checkpoint.failures as f64);
    }
}

/// A page under construction: one list of series a family.
struct Page {
    series: Vec<Vec<Metric>>,
}

impl Page {
    fn new() -> Self {
        Self { series: vec![Vec::new(); FAMILIES.len()] }
    }

    fn area(&mut self, labels: &[(&str, &str)], m: &AreaMetrics) {
        let optional = [
            ("arterial_area_speed_meters_per_second", m.speed_mps),
            ("arterial_area_travel_time_index", m.travel_time_index),
            ("arterial_area_delay_vehicle_seconds_per_second", Some(m.delay_veh_h_per_h)),
            ("arterial_area_flow_vehicles_per_hour", Some(m.flow_veh_per_h)),
            ("arterial_area_density_vehicles_per_meter", Some(m.density_veh_per_km / 1_000.0)),
            ("arterial_area_congested_length_ratio", m.congested_length_share),
            ("arterial_area_observed_length_ratio", Some(m.observed_length_share)),
            ("arterial_area_vehicles", Some(m.vehicles as f64)),
        ];
        for (name, value) in optional {
            value.into_iter().for_each(|v| self.gauge(name, labels, v));
        }
    }

    fn corridor(&mut self, window: Window, name: &str, m: &AreaMetrics, reliable: Option<Reliable>) {
        let labels = [("corridor", name), ("window", window.label())];
        m.travel_time_s.into_iter().for_each(|v| self.gauge("arterial_corridor_travel_time_seconds", &labels, v));
        self.gauge("arterial_corridor_free_travel_time_seconds", &labels, m.free_travel_time_s);
        // Of all retained intervals, so once and not by window.
        let Some(reliable) = reliable.filter(|_| window == Window::FiveMinutes) else { return };
        let labels = [("corridor", name)];
        self.gauge("arterial_corridor_planning_time_index", &labels, reliable.planning_time_index);
        self.gauge("arterial_corridor_buffer_index", &labels, reliable.buffer_index);
        reliable.lottr.into_iter().for_each(|v| self.gauge("arterial_corridor_lottr", &labels, v));
    }

    fn gauge(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::default();
        metric.set_gauge(gauge);
        self.push(name, labels, metric);
    }

    fn counter(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = Metric::default();
        metric.set_counter(counter);
        self.push(name, labels, metric);
    }

    fn push(&mut self, name: &str, labels: &[(&str, &str)], mut metric: Metric) {
        let family = FAMILIES.iter().position(|f| f.0 == name).expect("every name is in FAMILIES");
        let pairs = labels.iter().map(|&(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.into());
            pair.set_value(value.into());
            pair
        });
        metric.set_label(pairs.collect());
        self.series[family].push(metric);
    }

    fn families(self) -> Vec<MetricFamily> {
        let named = FAMILIES.iter().zip(self.series).filter(|(_, series)| !series.is_empty());
        named
            .map(|(&(name, help), series)| {
                let mut family = MetricFamily::default();
                family.set_name(name.into());
                family.set_help(help.into());
                let counts = name.ends_with("_total");
                family.set_field_type(if counts { MetricType::COUNTER } else { MetricType::GAUGE });
                family.set_metric(series);
                family
            })
            .collect()
    }
}
