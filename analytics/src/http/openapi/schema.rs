//! Shapes of the answers about now. Lists that describe segments are columns: entry i of each belongs to one segment.
//!
//! Upstream: what the other files of [`crate::http`] write. Downstream: [`super`]. Only read as documentation.
#![allow(dead_code, reason = "shapes of answers that are written as JSON")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

#[derive(ToSchema)]
pub(super) struct FaultBody {
    code: String,
    message: String,
}

#[derive(ToSchema)]
pub(super) struct Fault {
    error: FaultBody,
}

#[derive(ToSchema)]
pub(super) struct NetworkSegments {
    id: Vec<String>,
    name: Vec<Option<String>>,
    class: Vec<String>,
    length_m: Vec<f64>,
    free_flow_mps: Vec<f64>,
    free_flow_basis: Vec<String>,
    /// Points in 1e-6 degrees, longitude first: the first absolute, each later one as a difference.
    line: Vec<Vec<i64>>,
}

#[derive(ToSchema)]
pub(super) struct Network {
    city: String,
    network: String,
    hash: String,
    /// West, south, east, north.
    bbox: Vec<f64>,
    /// Longitude, latitude.
    center: Vec<f64>,
    segments: NetworkSegments,
}

#[derive(ToSchema)]
pub(super) struct ProbeShare {
    value: f64,
    source: String,
}

#[derive(ToSchema)]
pub(super) struct CityFigures {
    speed_mps: Option<f64>,
    travel_time_index: Option<f64>,
    delay_veh_h_per_h: Option<f64>,
    vehicles: u64,
    events: i64,
    observed_length_share: f64,
    newest_observation_ms: Option<i64>,
    segments_published: u64,
    segments_suppressed: u64,
}

#[derive(ToSchema)]
pub(super) struct Fates {
    received: u64,
    accepted: u64,
    duplicate: u64,
    rejected: u64,
}

#[derive(ToSchema)]
pub(super) struct SegmentColumns {
    index: Vec<u32>,
    speed_mps: Vec<f64>,
    speed_ratio: Vec<f64>,
    vehicles: Vec<u64>,
    events: Vec<i64>,
    delay_veh_h_per_h: Vec<f64>,
    density_veh_per_km: Vec<f64>,
    flow_veh_per_h: Vec<f64>,
    p15_mps: Vec<Option<f64>>,
    p50_mps: Vec<Option<f64>>,
    p85_mps: Vec<Option<f64>>,
    speed_stderr_mps: Vec<Option<f64>>,
    free_flow_mps: Vec<f64>,
    free_flow_basis: Vec<String>,
    level: Vec<String>,
}

#[derive(ToSchema)]
pub(super) struct Snapshot {
    window_s: u32,
    window_start_ms: Option<i64>,
    /// Null before the first position.
    window_end_ms: Option<i64>,
    published_ms: i64,
    k: u64,
    probe_share: ProbeShare,
    levels: String,
    city: CityFigures,
    fates: Option<Fates>,
    segments: SegmentColumns,
}

#[derive(ToSchema)]
pub(super) struct LiveFrame {
    window_s: u32,
    window_start_ms: Option<i64>,
    window_end_ms: Option<i64>,
    published_ms: i64,
    k: u64,
    probe_share: ProbeShare,
    levels: String,
    city: CityFigures,
    fates: Option<Fates>,
    /// The slowest segments.
    worst: SegmentColumns,
}

#[derive(ToSchema)]
pub(super) struct LeftOut {
    count: i64,
    why: String,
}

#[derive(ToSchema)]
pub(super) struct Explanation {
    metric: String,
    segment: String,
    name: Option<String>,
    window_start_ms: i64,
    window_end_ms: i64,
    formula: String,
    filled_in: String,
    result: String,
    events: i64,
    vehicles: u64,
    free_flow_mps: f64,
    free_flow_basis: String,
    left_out: Vec<LeftOut>,
}

#[derive(ToSchema)]
pub(super) struct AreaFigures {
    vehicles_at_least: u64,
    reports: i64,
    observed_length_share: f64,
    free_flow_observed_share: f64,
    vehicle_km: f64,
    vehicle_h: f64,
    delay_veh_h_per_h: f64,
    speed_mps: Option<f64>,
    speed_stderr_mps: Option<f64>,
    travel_time_index: Option<f64>,
    congested_length_share: Option<f64>,
    flow_veh_per_h: f64,
    density_veh_per_km: f64,
    travel_time_s: Option<f64>,
    travel_time_stderr_s: Option<f64>,
    free_travel_time_s: Option<f64>,
    imputed_length_share: Option<f64>,
}

#[derive(ToSchema)]
pub(super) struct Reliability {
    intervals: u64,
    mean_s: f64,
    p50_s: f64,
    p80_s: f64,
    p95_s: f64,
    planning_time_index: f64,
    buffer_index: f64,
    lottr: Option<f64>,
}

#[derive(ToSchema)]
pub(super) struct AreaRow {
    name: String,
    /// In driving order; of corridors only.
    segments: Option<Vec<String>>,
    segments_count: u64,
    length_m: f64,
    figures: Option<AreaFigures>,
    reliability: Option<Reliability>,
}

#[derive(ToSchema)]
pub(super) struct Areas {
    window_s: u32,
    window_start_ms: Option<i64>,
    window_end_ms: Option<i64>,
    observed_window_share: Option<f64>,
    newest_observation_ms: Option<i64>,
    k: u64,
    coverage_min: f64,
    probe_share: Option<ProbeShare>,
    areas: Vec<AreaRow>,
}

#[derive(ToSchema)]
pub(super) struct Bottleneck {
    head: String,
    street: Option<String>,
    downstream: String,
    since_ms: i64,
    active_intervals: u32,
    of_intervals: u32,
    speed_ratio: f64,
    downstream_speed_ratio: f64,
    extent: Vec<String>,
    extent_m: f64,
    delay_veh_h: f64,
    vehicles: u64,
}

#[derive(ToSchema)]
pub(super) struct Queue {
    segment: String,
    street: Option<String>,
    queued_vehicles: f64,
    length_m: f64,
    storage_ratio: f64,
    spillback: bool,
    speed_mps: f64,
    vehicles: u64,
}

#[derive(ToSchema)]
pub(super) struct Bottlenecks {
    k: u64,
    probe_share: Option<ProbeShare>,
    bottlenecks: Vec<Bottleneck>,
    queues: Vec<Queue>,
}

#[derive(ToSchema)]
pub(super) struct Incident {
    algorithm: String,
    segment: String,
    street: Option<String>,
    /// Longitude, latitude.
    at: Vec<f64>,
    begin_ms: i64,
    end_ms: Option<i64>,
    speed_mps: Option<f64>,
    vehicles: Option<u64>,
}

#[derive(ToSchema)]
pub(super) struct Incidents {
    k: u64,
    raised: BTreeMap<String, u64>,
    incidents: Vec<Incident>,
}

#[derive(ToSchema)]
pub(super) struct Split {
    green_occupancy: f64,
    red_occupancy: f64,
    is_failure: bool,
}

#[derive(ToSchema)]
pub(super) struct Cycle {
    start_ms: i64,
    green_ms: Option<i64>,
    yellow_ms: Option<i64>,
    end_ms: i64,
    is_whole: bool,
    delay_s: f64,
    split: Option<Split>,
    /// Each is seconds since the start of the cycle, and what was shown then.
    arrivals: Vec<(f64, Option<String>)>,
}

#[derive(ToSchema)]
pub(super) struct PhaseFigures {
    cycles: u32,
    cycle_s: f64,
    green_s: f64,
    yellow_s: f64,
    red_s: f64,
    arrivals: Option<u32>,
    arrivals_on_green: Option<u32>,
    arrivals_on_green_share: Option<f64>,
    platoon_ratio: Option<f64>,
    delay_s: Option<f64>,
    delay_per_arrival_s: Option<f64>,
    splits: Option<u32>,
    split_failures: Option<u32>,
    green_occupancy: Option<f64>,
    red_occupancy: Option<f64>,
    start_ms: i64,
    end_ms: i64,
}

#[derive(ToSchema)]
pub(super) struct Phase {
    signal: String,
    phase: u16,
    figures: PhaseFigures,
    /// Of the signal that was asked for.
    cycles: Option<Vec<Cycle>>,
}

#[derive(ToSchema)]
pub(super) struct Signals {
    window_s: i64,
    phases: Vec<Phase>,
    phases_left_out: u64,
    counts: BTreeMap<String, u64>,
}

#[derive(ToSchema)]
pub(super) struct StopFigures {
    stop: String,
    headways: u32,
    mean_headway_s: f64,
    bunched: u32,
    gaps: u32,
    expected_wait_s: f64,
    excess_wait_s: f64,
    newest_passage_ms: i64,
}

#[derive(ToSchema)]
pub(super) struct LineFigures {
    vehicles: u64,
    headways: u32,
    mean_headway_s: f64,
    basis: String,
    bunched: u32,
    gaps: u32,
    expected_wait_s: f64,
    excess_wait_s: f64,
    stops: Vec<StopFigures>,
}

#[derive(ToSchema)]
pub(super) struct Line {
    route: String,
    direction: Option<String>,
    figures: LineFigures,
}

#[derive(ToSchema)]
pub(super) struct Buses {
    window_s: i64,
    k: u64,
    lines: Vec<Line>,
    lines_left_out: u64,
    counts: BTreeMap<String, u64>,
}

#[derive(ToSchema)]
pub(super) struct Detector {
    detector: String,
    segment_index: Option<u32>,
    start_ms: i64,
    end_ms: i64,
    flow_veh_per_h: Option<f64>,
    occupancy: Option<f64>,
    speed_mps: Option<f64>,
    is_speed_measured: bool,
    space_mean_speed_mps: Option<f64>,
    density_veh_per_km: Option<f64>,
    effective_length_m: f64,
    is_length_learnt: bool,
    health: Option<String>,
    is_unusual: bool,
    oddities: BTreeMap<String, u64>,
}

#[derive(ToSchema)]
pub(super) struct FusedSegments {
    window_s: u32,
    segments: Vec<BTreeMap<String, serde_json::Value>>,
}

#[derive(ToSchema)]
pub(super) struct Detectors {
    detectors: Vec<Detector>,
    oddities: BTreeMap<String, u64>,
    fused: FusedSegments,
}

#[derive(ToSchema)]
pub(super) struct ClassQuality {
    class: String,
    watermark_ms: Option<i64>,
    fates: BTreeMap<String, u64>,
}

#[derive(ToSchema)]
pub(super) struct IngestFates {
    received: u64,
    accepted: u64,
    duplicate: u64,
    rejected: BTreeMap<String, u64>,
}

#[derive(ToSchema)]
pub(super) struct CityQuality {
    window_s: u32,
    newest_observation_ms: Option<i64>,
    observed_length_share: f64,
    segments_published: u64,
    segments_suppressed: u64,
}

#[derive(ToSchema)]
pub(super) struct DetectorQuality {
    total: u64,
    unusual: u64,
    verdicts: BTreeMap<String, u64>,
}

#[derive(ToSchema)]
pub(super) struct Quality {
    told_ms: i64,
    fault: Option<String>,
    caught_up: bool,
    watermark_ms: Option<i64>,
    vehicles: u64,
    corrections: u64,
    classes: Vec<ClassQuality>,
    fates: Option<IngestFates>,
    matching: BTreeMap<String, i64>,
    city: Option<CityQuality>,
    free_flow: BTreeMap<String, u64>,
    probe_share: Option<ProbeShare>,
    detectors: DetectorQuality,
}

#[derive(ToSchema)]
pub(super) struct Recent {
    spacing_ms: i64,
    window_s: u32,
    end_ms: Vec<i64>,
    digest: Vec<String>,
}

#[derive(ToSchema)]
pub(super) struct SpaceTime {
    corridor: String,
    length_m: f64,
    window_s: u32,
    segments: Vec<String>,
    segment_length_m: Vec<f64>,
    end_ms: Vec<i64>,
    /// A row a frame, a code a segment: ratio in hundredths up to 250, 254 withheld, 255 no data.
    codes: Vec<Vec<i32>>,
}

#[derive(ToSchema)]
pub(super) struct Series {
    name: String,
    window_s: u32,
    end_ms: Vec<i64>,
    speed_mps: Vec<Option<f64>>,
    travel_time_s: Vec<Option<f64>>,
    travel_time_index: Vec<Option<f64>>,
    delay_veh_h_per_h: Vec<Option<f64>>,
    observed_length_share: Vec<Option<f64>>,
}

/// What is attached, or why nothing is.
#[derive(ToSchema)]
pub(super) struct Attached {
    replay: Option<Replay>,
    why: Option<String>,
}

#[derive(ToSchema)]
pub(super) struct Replay {
    file: String,
    paused: bool,
    /// Factor of the recording's own time; null at full speed.
    speed: Option<f64>,
    first_ms: Option<i64>,
    at_ms: Option<i64>,
    end_ms: Option<i64>,
    ahead_to_ms: Option<i64>,
    published: u64,
    unreadable: u64,
}
