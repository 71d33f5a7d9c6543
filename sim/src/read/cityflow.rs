//! Flows of CityFlow: a list of vehicle, route, interval, first and last departure.
//!
//! Upstream: JSON. Downstream: [`super::Reader`]. Format: CityFlow documentation, "Flow File Format". A flow whose end
//! is its begin is one vehicle; an end of −1 is no end.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use roads::SegmentIndex;
use serde::Deserialize;

use super::{ReadError, Reader};
use crate::scenario::{DepartAt, DepartLane, Route, TRIPS_MAX, Trip};
use crate::vehicle::{LaneChange, Model, VehicleType};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flow {
    vehicle: Vehicle,
    route: Vec<String>,
    /// Seconds between departures.
    interval: f64,
    start_time: f64,
    end_time: f64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vehicle {
    /// Metres.
    length: f64,
    min_gap: f64,
    /// m/s².
    max_neg_acc: f64,
    usual_pos_acc: f64,
    usual_neg_acc: f64,
    /// m/s.
    max_speed: f64,
    /// Seconds.
    headway_time: f64,
}

impl Vehicle {
    /// CityFlow's drivers know no imperfection and no speed of their own.
    fn kind(&self) -> VehicleType {
        VehicleType {
            name: "cityflow".to_owned(),
            length_mm: (self.length * 1_000.0).round() as i32,
            min_gap_mm: (self.min_gap * 1_000.0).round() as i32,
            accel_mps2: self.usual_pos_acc as f32,
            decel_mps2: self.usual_neg_acc as f32,
            emergency_decel_mps2: self.max_neg_acc as f32,
            tau_s: self.headway_time.max(1.0) as f32,
            sigma: 0.0,
            speed_max_mps: self.max_speed as f32,
            speed_factor_mean: 1.0,
            speed_factor_deviation: 0.0,
            memory: 0.0,
            model: Model::Krauss,
            lane_change: LaneChange::Gain,
            gap_s: 2,
            is_bus: false,
            is_truck: false,
            share: 0.0,
        }
    }
}

impl Reader<'_> {
    pub(super) fn read_flows(&mut self, path: &Path, source: impl BufRead, until_s: f64) -> Result<(), ReadError> {
        let damaged = |what: String| ReadError::Damaged { path: path.to_owned(), what };
        let flows: Vec<Flow> = serde_json::from_reader(source).map_err(|error| {
            let is_cut = error.is_eof() || error.io_error_kind() == Some(std::io::ErrorKind::UnexpectedEof);
            if is_cut {
                ReadError::Truncated { path: path.to_owned() }
            } else {
                damaged(format!("it is not a CityFlow flow file: {error}"))
            }
        })?;
        for (number, flow) in flows.iter().enumerate() {
            let kind = self.kinds.add_once(flow.vehicle.kind()).map_err(damaged)?;
            let edges: Result<Arc<[SegmentIndex]>, String> = self.route(&flow.route.join(" "));
            let route = match edges {
                Ok(route) => route,
                Err(why) => {
                    let class = "vehicles left out: their route is not on this network";
                    self.leave_out(&number.to_string(), class, &why);
                    continue;
                }
            };
            let end_s = if flow.end_time < 0.0 { until_s } else { flow.end_time };
            if !(flow.interval > 0.0 && flow.start_time >= 0.0 && flow.start_time.is_finite()) {
                return Err(damaged(format!("flow {number} has no interval above 0 or no begin")));
            }
            let count = ((end_s - flow.start_time) / flow.interval + 1.0).floor();
            if count.is_nan() || count > TRIPS_MAX as f64 {
                return Err(ReadError::TooMany { path: path.to_owned() });
            }
            for nth in 0..count.max(0.0) as u64 {
                let depart_s = (flow.start_time + nth as f64 * flow.interval) as f32;
                let trip = Trip {
                    vehicle_type: kind,
                    depart_lane: DepartLane::Best,
                    depart_at: DepartAt::Base,
                    arrival_m: Some(f32::INFINITY),
                    ..Trip::new(depart_s, Route::Fixed(Arc::clone(&route)))
                };
                self.add(path, trip)?;
            }
        }
        Ok(())
    }
}
