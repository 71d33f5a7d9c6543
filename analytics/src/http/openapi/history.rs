//! Shapes of the answers about history.
//!
//! Upstream: what history's endpoints write. Downstream: [`super`]. Only read as documentation.
#![allow(dead_code, reason = "shapes of answers that are written as JSON")]

use utoipa::ToSchema;

/// A place: a corridor, a segment, a zone, or the city.
#[derive(ToSchema)]
pub(super) struct Place {
    kind: String,
    id: String,
    name: Option<String>,
    length_m: f64,
}

#[derive(ToSchema)]
pub(super) struct Day {
    date: String,
    rows: u64,
    /// Whether the day is over and compacted.
    complete: bool,
    covered_share: f64,
}

#[derive(ToSchema)]
pub(super) struct Days {
    zone: String,
    from: String,
    to: String,
    days: Vec<Day>,
}

#[derive(ToSchema)]
pub(super) struct Quantiles {
    p10: f64,
    p50: f64,
    p90: f64,
}

#[derive(ToSchema)]
pub(super) struct QuarterHour {
    /// 1 is Monday.
    weekday: u8,
    /// 0 begins at midnight.
    quarter: u8,
    speed_mps: Option<Quantiles>,
    travel_time_s: Option<Quantiles>,
    delay_vehicle_h_per_h: Option<f64>,
    days: u32,
    covered_share: f64,
    imputed: bool,
}

#[derive(ToSchema)]
pub(super) struct TypicalDay {
    zone: String,
    place: Place,
    rows: Vec<QuarterHour>,
}

#[derive(ToSchema)]
pub(super) struct Period {
    from: String,
    to: String,
    days: u32,
    covered_share: f64,
    vehicle_km_per_day: f64,
    vehicle_h_per_day: f64,
    delay_vehicle_h_per_day: f64,
    travel_time_s: Option<f64>,
}

/// A difference with the limits between which it lies at the confidence told.
#[derive(ToSchema)]
pub(super) struct Interval {
    value: f64,
    low: f64,
    high: f64,
}

#[derive(ToSchema)]
pub(super) struct Change {
    delay_vehicle_h_per_day: Option<Interval>,
    delay_percent: Option<Interval>,
    travel_time_percent: Option<Interval>,
}

#[derive(ToSchema)]
pub(super) struct Control {
    place: Place,
    change: Change,
}

#[derive(ToSchema)]
pub(super) struct Comparison {
    zone: String,
    place: Place,
    before: Period,
    after: Period,
    change: Change,
    control: Option<Control>,
    /// `increase`, `decrease`, `no_clear_change` or `too_little_data`.
    verdict: String,
    confidence: f64,
    resamples: u32,
    method: String,
}

#[derive(ToSchema)]
pub(super) struct Ranked {
    rank: u32,
    place: Place,
    before: Period,
    after: Period,
    change: Change,
    verdict: String,
}

#[derive(ToSchema)]
pub(super) struct Ranking {
    zone: String,
    rows: Vec<Ranked>,
}

#[derive(ToSchema)]
pub(super) struct ReliabilityOf {
    place: Place,
    period: String,
    travel_time_index: Option<f64>,
    planning_time_index: Option<f64>,
    buffer_index: Option<f64>,
    lottr: Option<f64>,
    intervals: u32,
    covered_share: f64,
}

#[derive(ToSchema)]
pub(super) struct Reliabilities {
    zone: String,
    rows: Vec<ReliabilityOf>,
}

#[derive(ToSchema)]
pub(super) struct ActiveDay {
    date: String,
    minutes: u32,
}

#[derive(ToSchema)]
pub(super) struct RecurringPlace {
    place: Place,
    days_active: u32,
    hours: f64,
    delay_vehicle_h: f64,
    calendar: Vec<ActiveDay>,
}

#[derive(ToSchema)]
pub(super) struct Recurring {
    zone: String,
    rows: Vec<RecurringPlace>,
}

#[derive(ToSchema)]
pub(super) struct SourceDay {
    source: String,
    date: String,
    received: u64,
    accepted: u64,
    duplicate: u64,
    rejected: u64,
    covered_share: f64,
    silent_minutes: u32,
}

#[derive(ToSchema)]
pub(super) struct QualityDays {
    zone: String,
    rows: Vec<SourceDay>,
}
