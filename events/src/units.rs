//! Quantities as types, with the ranges in which a value is believed.
//!
//! A value that exists is valid: constructors check, fields are read-only. Upstream: the codecs.
//! Downstream: all.

use std::f64::consts::PI;

use crate::reject::{Reason, Reject};

/// Mean Earth radius of the WGS84 ellipsoid, metres ((2a + b) / 3; IUGG, Moritz 1980).
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Fastest speed that is believed of a road vehicle, m/s (324 km/h).
///
/// Above it a reading is a sensor's "unknown" (255 mph = 113.995 m/s is a common one), not a speed.
pub const SPEED_MAX_MPS: f32 = 90.0;

/// A place on the WGS84 ellipsoid, degrees.
///
/// Never NaN, never outside ±180 / ±90, never exactly 0, 0 (the place of a receiver without a fix).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LonLat {
    lon_deg: f64,
    lat_deg: f64,
}

impl LonLat {
    /// A checked place.
    ///
    /// # Errors
    /// [`Reason::OutOfRange`] outside the globe or NaN, [`Reason::NullIsland`] at 0, 0.
    pub fn new(lon_deg: f64, lat_deg: f64) -> Result<Self, Reject> {
        if !(-180.0..=180.0).contains(&lon_deg) {
            return Err(Reject::field(Reason::OutOfRange, "lon_deg", format!("{lon_deg} is not within -180 to 180")));
        }
        if !(-90.0..=90.0).contains(&lat_deg) {
            return Err(Reject::field(Reason::OutOfRange, "lat_deg", format!("{lat_deg} is not within -90 to 90")));
        }
        if lon_deg == 0.0 && lat_deg == 0.0 {
            return Err(Reject::field(Reason::NullIsland, "lon_deg", "0, 0 is a receiver without a fix".into()));
        }
        Ok(Self { lon_deg, lat_deg })
    }

    /// Longitude, degrees east, −180 to 180.
    pub fn lon_deg(self) -> f64 {
        self.lon_deg
    }

    /// Latitude, degrees north, −90 to 90.
    pub fn lat_deg(self) -> f64 {
        self.lat_deg
    }

    /// Great-circle distance, metres (haversine on a sphere of [`EARTH_RADIUS_M`]; within 0.6 % of the ellipsoid).
    pub fn distance_m(self, other: Self) -> f64 {
        let (lat1, lat2) = (self.lat_deg * PI / 180.0, other.lat_deg * PI / 180.0);
        let half_dlat = (lat2 - lat1) / 2.0;
        let half_dlon = (other.lon_deg - self.lon_deg) * PI / 360.0;
        let h = half_dlat.sin().powi(2) + lat1.cos() * lat2.cos() * half_dlon.sin().powi(2);
        2.0 * EARTH_RADIUS_M * h.sqrt().min(1.0).asin()
    }

    /// Initial bearing from here to `other`, clockwise from true north; `None` for the same place.
    pub fn bearing_to(self, other: Self) -> Option<HeadingDeg> {
        if self == other {
            return None;
        }
        let (lat1, lat2) = (self.lat_deg * PI / 180.0, other.lat_deg * PI / 180.0);
        let dlon = (other.lon_deg - self.lon_deg) * PI / 180.0;
        let y = dlon.sin() * lat2.cos();
        let x = lat1.cos() * lat2.sin() - lat1.sin() * lat2.cos() * dlon.cos();
        Some(HeadingDeg::wrapped(y.atan2(x).to_degrees() as f32))
    }
}

/// A speed over ground, m/s, 0 to [`SPEED_MAX_MPS`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct MetresPerSecond(f32);

impl MetresPerSecond {
    /// A checked speed.
    ///
    /// # Errors
    /// [`Reason::OutOfRange`] if negative or not finite. A value above [`SPEED_MAX_MPS`] is not an error:
    /// see [`MetresPerSecond::reported`].
    pub fn new(mps: f32) -> Result<Self, Reject> {
        if mps.is_finite() && mps >= 0.0 {
            Ok(Self(mps))
        } else {
            Err(Reject::field(Reason::OutOfRange, "speed_mps", format!("{mps} is not a speed")))
        }
    }

    /// A speed as a device reports it: `None` above [`SPEED_MAX_MPS`], since the position is still good
    /// and the speed is what devices send for "unknown".
    ///
    /// # Errors
    /// As [`MetresPerSecond::new`].
    pub fn reported(mps: f64) -> Result<Option<Self>, Reject> {
        let speed = Self::new(mps as f32)?;
        Ok((speed.0 <= SPEED_MAX_MPS).then_some(speed))
    }

    /// The value, m/s.
    pub fn get(self) -> f32 {
        self.0
    }
}

/// Direction of travel, degrees clockwise from true north, 0 ≤ h < 360.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct HeadingDeg(f32);

impl HeadingDeg {
    /// A checked heading; 360 is north, as several devices write it.
    ///
    /// # Errors
    /// [`Reason::OutOfRange`] outside 0 to 360.
    pub fn new(deg: f32) -> Result<Self, Reject> {
        if (0.0..=360.0).contains(&deg) {
            Ok(Self(if deg == 360.0 { 0.0 } else { deg }))
        } else {
            Err(Reject::field(Reason::OutOfRange, "heading_deg", format!("{deg} is not within 0 to 360")))
        }
    }

    /// Any finite angle brought into 0 ≤ h < 360.
    pub fn wrapped(deg: f32) -> Self {
        let turned = deg.rem_euclid(360.0);
        Self(if turned >= 360.0 { 0.0 } else { turned })
    }

    /// The value, degrees.
    pub fn get(self) -> f32 {
        self.0
    }

    /// Smallest angle to `other`, 0 to 180 degrees.
    pub fn angle_to(self, other: Self) -> f32 {
        let apart = (self.0 - other.0).abs();
        apart.min(360.0 - apart)
    }
}

/// Units of speed that foreign files use, with what one of them is in m/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeedUnit {
    Mps,
    Kmh,
    Mph,
    Knots,
}

impl SpeedUnit {
    /// The unit by its name in a column map (`mps`, `kmh`, `mph`, `kn`).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "mps" | "m/s" => Some(Self::Mps),
            "kmh" | "km/h" | "kph" => Some(Self::Kmh),
            "mph" => Some(Self::Mph),
            "kn" | "knots" => Some(Self::Knots),
            _ => None,
        }
    }

    /// Metres per second in one of this unit (exact by definition: mile 1,609.344 m, nautical mile 1,852 m).
    pub fn mps(self) -> f64 {
        match self {
            Self::Mps => 1.0,
            Self::Kmh => 1.0 / 3.6,
            Self::Mph => 1_609.344 / 3_600.0,
            Self::Knots => 1_852.0 / 3_600.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lon: f64, lat: f64) -> LonLat {
        LonLat::new(lon, lat).unwrap()
    }

    #[test]
    fn a_degree_of_latitude_is_111_km() {
        let d = at(11.0, 44.0).distance_m(at(11.0, 45.0));
        assert!((d - 111_195.0).abs() < 1.0, "{d}");
    }

    #[test]
    fn bearings_are_clockwise_from_north() {
        let here = at(11.0, 44.0);
        assert_eq!(here.bearing_to(at(11.0, 44.1)).unwrap().get(), 0.0);
        assert!((here.bearing_to(at(11.1, 44.0)).unwrap().get() - 90.0).abs() < 0.1);
        assert!((here.bearing_to(at(11.0, 43.9)).unwrap().get() - 180.0).abs() < 0.1);
        assert_eq!(here.bearing_to(here), None);
    }

    #[test]
    fn impossible_values_are_refused_and_unknown_speed_is_unknown() {
        assert_eq!(LonLat::new(0.0, 0.0).unwrap_err().reason, Reason::NullIsland);
        assert_eq!(LonLat::new(f64::NAN, 1.0).unwrap_err().reason, Reason::OutOfRange);
        assert_eq!(LonLat::new(44.0, 95.0).unwrap_err().field.as_deref(), Some("lat_deg"));
        assert_eq!(MetresPerSecond::reported(113.9952).unwrap(), None);
        assert!(MetresPerSecond::reported(-1.0).is_err());
        assert_eq!(HeadingDeg::new(360.0).unwrap().get(), 0.0);
        assert_eq!(HeadingDeg::wrapped(-1e-9).get(), 0.0);
        assert_eq!(HeadingDeg::wrapped(350.0).angle_to(HeadingDeg::wrapped(10.0)), 20.0);
    }
}
