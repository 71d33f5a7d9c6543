//! Errors by share of probes: as a table, as JSON, and as the answer to the question that a planner has.
//!
//! Upstream: [`super::compare`]. Downstream: `arterial verify`, `docs/accuracy.md`.

use std::fmt::{self, Write};

use serde::Serialize;

use super::compare::{Comparison, Errors, VEHICLE_PANES_MIN};

/// From these errors on a map is trusted: the city's delay, a corridor's travel time (mean absolute, of 1).
pub const CITY_DELAY_MAX: f64 = 0.05;
pub const CORRIDOR_MAX: f64 = 0.08;

/// Errors of one metric in its own unit, and relative ones of 1; `null` where nothing could be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub pairs: u64,
    pub bias: Option<f64>,
    pub rmse: Option<f64>,
    pub mape: Option<f64>,
}

/// One class of roads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassRow {
    pub class: &'static str,
    pub speed_mps: Figures,
    /// True segment-minutes that were seen, of 1.
    pub coverage: f64,
}

/// One share of probes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// As asked for, of 1; and as the loops tell it, mean over the runs.
    pub probe_share: f64,
    pub probe_share_found: f64,
    pub runs: usize,
    /// True cells of final panes, and how many are not found to the millimetre and millisecond.
    pub cells: u64,
    pub cells_differing: u64,
    /// True segment-minutes that were seen, of 1.
    pub coverage: f64,
    /// By segment and minute with at least 10 vehicle-panes; and with any vehicle.
    pub speed_mps: Figures,
    pub speed_any_mps: Figures,
    pub travel_time_index: Figures,
    /// By segment and quarter of an hour.
    pub segment_delay_veh_h: Figures,
    pub flow_per_h: Figures,
    pub density_per_km: Figures,
    /// Share of the segment-quarters whose level of congestion is another one.
    pub level_wrong: Option<f64>,
    /// By corridor and quarter of an hour, and how many of them could not be told.
    pub corridor_s: Figures,
    pub corridors_unseen: u64,
    /// Delay of the city over a run: clipped by segment and quarter of an hour, as it is from probes; and by segment
    /// and minute, which is the live metric and needs everybody.
    pub city_delay_veh_h: Figures,
    pub city_delay_by_minute_veh_h: Figures,
    pub classes: Vec<ClassRow>,
}

impl Figures {
    fn of(errors: &Errors) -> Self {
        Self { pairs: errors.pairs, bias: errors.bias(), rmse: errors.rmse(), mape: errors.mape() }
    }
}

impl Row {
    /// The figures of what was compared at one share.
    pub fn new(probe_share: f64, all: &Comparison) -> Self {
        let found = all.shares_found.iter().sum::<f64>() / all.shares_found.len().max(1) as f64;
        let class = |(class, (total, seen)): (&roads::RoadClass, &(u64, u64))| ClassRow {
            class: class.name(),
            speed_mps: all.speed_by_class.get(class).map(Figures::of).unwrap_or_default(),
            coverage: *seen as f64 / (*total).max(1) as f64,
        };
        Self {
            probe_share,
            probe_share_found: found,
            runs: all.shares_found.len(),
            cells: all.cells,
            cells_differing: all.cells_differing,
            coverage: all.coverage(),
            speed_mps: Figures::of(&all.speed),
            speed_any_mps: Figures::of(&all.speed_any),
            travel_time_index: Figures::of(&all.travel_time_index),
            segment_delay_veh_h: Figures::of(&all.segment_delay),
            flow_per_h: Figures::of(&all.flow),
            density_per_km: Figures::of(&all.density),
            level_wrong: (all.level.1 > 0).then(|| 1.0 - all.level.0 as f64 / all.level.1 as f64),
            corridor_s: Figures::of(&all.corridor),
            corridors_unseen: all.corridors_unseen,
            city_delay_veh_h: Figures::of(&all.city_delay),
            city_delay_by_minute_veh_h: Figures::of(&all.city_delay_by_minute),
            classes: all.minutes_by_class.iter().map(class).collect(),
        }
    }

    fn is_trusted(&self) -> bool {
        let within = |figures: &Figures, most: f64| figures.mape.is_some_and(|error| error <= most);
        within(&self.city_delay_veh_h, CITY_DELAY_MAX) && within(&self.corridor_s, CORRIDOR_MAX)
    }
}

/// How many probe vehicles a map needs: the least share from which on every share passes.
pub fn verdict(rows: &[Row]) -> String {
    let mut by_share: Vec<&Row> = rows.iter().collect();
    by_share.sort_by(|a, b| b.probe_share.total_cmp(&a.probe_share));
    let (delay, corridor) = (CITY_DELAY_MAX * 100.0, CORRIDOR_MAX * 100.0);
    match by_share.iter().take_while(|row| row.is_trusted()).last() {
        Some(row) => format!(
            "With {} of the vehicles as probes, and from there on, this map can be trusted: the city's delay is within \
             {delay} % and travel times of corridors are within {corridor} % (mean absolute error).",
            percent(Some(row.probe_share))
        ),
        None => format!(
            "None of these shares of probes is enough here for the city's delay within {delay} % and travel times of \
             corridors within {corridor} % (mean absolute error)."
        ),
    }
}

/// The table that a person reads.
///
/// # Errors
/// Whatever `out` says.
pub fn write(out: &mut impl Write, rows: &[Row]) -> fmt::Result {
    let line = |out: &mut dyn Write, name: &str, of: &dyn Fn(&Row) -> String| -> fmt::Result {
        write!(out, "{name:<46}")?;
        rows.iter().try_for_each(|row| write!(out, " {:>9}", of(row)))?;
        writeln!(out)
    };
    line(out, "probes", &|r| percent(Some(r.probe_share)))?;
    line(out, "probes as the loops tell", &|r| percent(Some(r.probe_share_found)))?;
    line(out, "runs", &|r| r.runs.to_string())?;
    line(out, "cells not exactly those of the truth", &|r| {
        percent(Some(r.cells_differing as f64 / r.cells.max(1) as f64))
    })?;
    line(out, "segment-minutes seen", &|r| percent(Some(r.coverage)))?;
    writeln!(out, "mean absolute relative error")?;
    let name = format!("  speed, segment-minute, n ≥ {VEHICLE_PANES_MIN}");
    line(out, &name, &|r| percent(r.speed_mps.mape))?;
    line(out, "  speed, segment-minute, any n", &|r| percent(r.speed_any_mps.mape))?;
    line(out, "  travel time index, segment-minute, n ≥ 10", &|r| percent(r.travel_time_index.mape))?;
    line(out, "  delay, segment-quarter", &|r| percent(r.segment_delay_veh_h.mape))?;
    line(out, "  flow, segment-quarter", &|r| percent(r.flow_per_h.mape))?;
    line(out, "  density, segment-quarter", &|r| percent(r.density_per_km.mape))?;
    line(out, "  travel time, corridor-quarter", &|r| percent(r.corridor_s.mape))?;
    line(out, "  delay of the city (clipped by quarter)", &|r| percent(r.city_delay_veh_h.mape))?;
    line(out, "  delay of the city (clipped by minute)", &|r| percent(r.city_delay_by_minute_veh_h.mape))?;
    line(out, "level of congestion is another one", &|r| percent(r.level_wrong))?;
    line(out, "corridor-quarters that could not be told", &|r| r.corridors_unseen.to_string())?;
    writeln!(out, "bias")?;
    line(out, "  speed, m/s, n ≥ 10", &|r| number(r.speed_mps.bias))?;
    line(out, "  corridor, s", &|r| number(r.corridor_s.bias))?;
    line(out, "  delay of the city, vehicle-hours", &|r| number(r.city_delay_veh_h.bias))?;
    writeln!(out, "root mean square error")?;
    line(out, "  speed, m/s, n ≥ 10", &|r| number(r.speed_mps.rmse))?;
    line(out, "  corridor, s", &|r| number(r.corridor_s.rmse))?;
    writeln!(out, "speed of a segment-minute, any n: error / seen")?;
    for (i, class) in rows.first().map_or(&[][..], |row| &row.classes).iter().enumerate() {
        line(out, &format!("  {}", class.class), &|r| match r.classes.get(i) {
            Some(c) => format!("{} / {}", percent(c.speed_mps.mape), percent(Some(c.coverage))),
            None => "-".to_owned(),
        })?;
    }
    Ok(())
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || "-".to_owned(),
        |share| {
            let text = if share < 0.0995 { format!("{:.1}", share * 100.0) } else { format!("{:.0}", share * 100.0) };
            format!("{}%", text.strip_suffix(".0").unwrap_or(&text))
        },
    )
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(share: f64, delay: f64, corridor: f64) -> Row {
        let mut all = Comparison { shares_found: vec![share], ..Comparison::default() };
        all.city_delay.add(100.0, 100.0 * (1.0 + delay), true);
        all.corridor.add(100.0, 100.0 * (1.0 - corridor), true);
        Row::new(share, &all)
    }

    #[test]
    fn the_verdict_is_the_least_share_from_which_on_all_pass() {
        let rows = [row(0.01, 0.02, 0.02), row(0.05, 0.2, 0.05), row(0.1, 0.04, 0.07), row(1.0, 0.0, 0.0)];
        assert!(verdict(&rows).starts_with("With 10% of the vehicles"), "{}", verdict(&rows));
        assert!(verdict(&rows[..2]).starts_with("None of these"), "{}", verdict(&rows[..2]));
        let mut text = String::new();
        write(&mut text, &rows).unwrap();
        assert!(text.lines().next().unwrap().contains("1%        5%       10%      100%"), "{text}");
    }
}
