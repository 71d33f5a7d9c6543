//! An archive that is made up, with known truth: for tests and for `bench/history`, never for a city.
//!
//! Upstream: a seed. Downstream: files as [`crate::archive::cells`] writes them. Traffic has rush hours on weekdays, days
//! of its own kind (all segments together, and each for itself), and noise within a day; a change can be planted.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use parquet::errors::ParquetError;
use roads::{Network, SegmentIndex};

use super::place::signed;
use super::statistics::Draw;
use crate::archive::cells::{self, Cells};
use crate::calendar::{Calendar, day_number};

/// A change that was planted.
#[derive(Clone, Debug)]
pub struct Planted {
    pub segments: Vec<SegmentIndex>,
    /// First day of it.
    pub from: Date,
    /// Factor of the time spent.
    pub factor: f64,
}

/// What is made up.
#[derive(Clone, Debug)]
pub struct Made {
    pub city: String,
    pub network: Arc<Network>,
    pub calendar: Arc<Calendar>,
    /// First and last local day.
    pub from: Date,
    pub to: Date,
    pub seed: u64,
    /// Vehicles of a segment in five minutes, mean.
    pub vehicles: f64,
    /// Spread of days, as a standard deviation of the logarithm of travel time.
    pub day_sigma: f64,
    /// Spread of the intervals of a day.
    pub interval_sigma: f64,
    /// Hours of the local clock that have traffic.
    pub hours: (u32, u32),
    pub planted: Option<Planted>,
}

/// Time spent by one vehicle on a segment is at most that of walking through it.
const WALKING_MPS: f64 = 1.3;

impl Made {
    /// Ten vehicles in five minutes, days within about 5 %, all day.
    pub fn new(network: Arc<Network>, calendar: Arc<Calendar>, from: Date, to: Date) -> Self {
        Self {
            city: "made".to_owned(),
            network,
            calendar,
            from,
            to,
            seed: 1,
            vehicles: 10.0,
            day_sigma: 0.05,
            interval_sigma: 0.10,
            hours: (0, 24),
            planted: None,
        }
    }

    /// Writes a file of five-minute rows for every UTC day; gives the number of rows.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, root: &Path) -> io::Result<u64> {
        let mut rows = 0;
        // Local days reach into the UTC days around them.
        for day in day_number(self.from) - 1..=day_number(self.to) + 1 {
            let cells = self.day(day)?;
            if cells.is_empty() {
                continue;
            }
            rows += cells.len() as u64;
            let date = super::read::utc_date(day);
            let folder = root.join("cells_5min").join(format!("city={}", self.city)).join(format!("date={date}"));
            fs::create_dir_all(&folder)?;
            let file = File::create(folder.join("day.parquet"))?;
            cells::write(file, &cells).map_err(|error| match error {
                ParquetError::External(error) => io::Error::other(error),
                other => io::Error::other(other.to_string()),
            })?;
        }
        Ok(rows)
    }

    /// The rows of one UTC day, by segment, then time.
    fn day(&self, day: i64) -> io::Result<Cells> {
        let clock = self.calendar.clock(self.from, self.to).map_err(io::Error::other)?;
        let start_ms = day * 86_400_000;
        let mut segments: Vec<SegmentIndex> = self.network.indices().collect();
        segments.sort_by_key(|at| signed(self.network.segment(*at).id));
        let mut cells = Cells::default();
        let times: Vec<(i64, usize, f64)> = (0..288)
            .map(|i| start_ms + i * 300_000)
            .filter_map(|at| {
                let local = clock.at(at)?;
                let hour = local.minute / 60;
                let is_open = (self.hours.0..self.hours.1).contains(&hour);
                is_open.then(|| (at, local.day, rush(f64::from(local.minute) / 60.0, clock.weekday(local.day) <= 5)))
            })
            .collect();
        let planted = self.planted.as_ref();
        let planted_from = planted.and_then(|p| clock.day_of(p.from)).unwrap_or(usize::MAX);
        for at in segments {
            let segment = self.network.segment(at);
            let id = signed(segment.id);
            let free = f64::from(segment.free_flow_mps());
            let is_planted = planted.is_some_and(|p| p.segments.contains(&at));
            let mut draw = Draw(self.seed ^ id.cast_unsigned().rotate_left(17) ^ day.cast_unsigned().rotate_left(40));
            let mut of_day = (usize::MAX, 1.0);
            for &(start, local_day, ratio) in &times {
                if of_day.0 != local_day {
                    of_day = (local_day, self.day_factor(0, local_day) * self.day_factor(id, local_day));
                }
                let n = self.count(&mut draw);
                if n == 0 {
                    continue;
                }
                let mut slow = of_day.1 * (draw.normal() * self.interval_sigma).exp();
                if is_planted && local_day >= planted_from {
                    slow *= planted.map_or(1.0, |p| p.factor);
                }
                let speed = (free * ratio / slow).max(WALKING_MPS);
                let distance_mm = (segment.length_m * 1_000.0 * f64::from(n)).round() as i64;
                let time_ms = (distance_mm as f64 / speed).round() as i64;
                cells.segment.push(id);
                cells.start_ms.push(start);
                cells.distance_mm.push(distance_mm);
                cells.time_ms.push(time_ms);
                cells.delay_ms.push((time_ms - (distance_mm as f64 / free).round() as i64).max(0));
                cells.reports.push(n * 4);
                cells.vehicle_minutes.push(n);
                cells.minutes.push(n.min(5));
                cells.free_flow_mmps.push((free * 1_000.0).round() as i32);
            }
        }
        Ok(cells)
    }

    /// Vehicles of an interval: Poisson, by inversion below 30 and rounded normal above.
    fn count(&self, draw: &mut Draw) -> i32 {
        let mean = self.vehicles;
        if mean > 30.0 {
            return (mean + mean.sqrt() * draw.normal()).round().max(0.0) as i32;
        }
        let (mut p, mut n, limit) = (draw.share(), 0, (-mean).exp());
        while p > limit {
            p *= draw.share();
            n += 1;
        }
        n
    }

    /// How slow a day is, of the city (`of` 0) or of a segment.
    fn day_factor(&self, of: i64, local_day: usize) -> f64 {
        let mut draw =
            Draw(self.seed.rotate_left(9) ^ of.cast_unsigned() ^ (local_day as u64).wrapping_mul(0x9e37_79b9));
        draw.bits();
        (draw.normal() * self.day_sigma).exp()
    }
}

/// Speed over free flow: mornings and evenings of weekdays are slow, nights are free.
fn rush(hour: f64, is_weekday: bool) -> f64 {
    let bump = |at: f64, width: f64, depth: f64| depth * (-((hour - at) / width).powi(2)).exp();
    let day = bump(14.0, 5.0, 0.15);
    let peaks = if is_weekday { bump(8.0, 1.2, 0.35) + bump(17.2, 1.5, 0.35) } else { 0.0 };
    0.98 - day - peaks
}
