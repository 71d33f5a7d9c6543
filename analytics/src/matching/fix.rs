//! One fix of a vehicle: what was told, and where it is placed.
//!
//! Upstream: [`super::Matcher`] makes it of a row. Downstream: [`super::track`] keeps the last ones and places them.
//!
//! Packed into 40 bytes, since every vehicle keeps 22 of them: speed in four centimetres a second, course in tenths of a
//! degree, and the smoothed place as half metres from the raw one.

use events::{HeadingDeg, LonLat};
use roads::Network;
use serde::{Deserialize, Serialize};

use super::Break;
use super::exact::Places;
use super::ground::{Ground, NONE, Point};
use super::place::{On, Spot};
use super::smooth::Velocity;

/// What the matcher's plane is off by, metres, at most: along a bent segment of 500 m.
const PLANE_M: f64 = 0.05;

/// What became of a fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// In the model.
    Kept,
    /// Too near to the last kept one to say anything new.
    Skipped,
    /// Standing for longer than any queue does.
    Parked,
    /// Farther than the radius from every segment.
    Off,
    /// The source named its segment.
    Named,
    /// The source said that it is inside a junction.
    Junction,
}

/// A fix with its place, 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fix {
    pub(crate) time_ms: i64,
    #[serde(with = "super::saved::place")]
    pub(crate) at: LonLat,
    pub(super) segment: u32,
    pub(super) offset_m: f32,
    /// Speed in four centimetres a second (11 bits, [`Fix::NO_SPEED`] is none), then the course in tenths of a degree (13
    /// bits; from [`Fix::AT_REST`] on that of who hardly moves, [`Fix::NO_HEADING`] is none).
    motion: [u8; 3],
    /// From here to the smoothed place, east and north, half metres.
    shift: [i8; 2],
    /// Of 255.
    pub(super) confidence: u8,
    pub(crate) role: Role,
    /// Why no drive leads here from the fix before.
    pub(crate) start: Option<Break>,
}

impl Fix {
    const NO_HEADING: u16 = (1 << 13) - 1;
    const AT_REST: u16 = 3_600;
    const NO_SPEED: u16 = (1 << 11) - 1;
    const SPEED_PER_MPS: f32 = 25.0;

    pub(crate) fn new(
        time_ms: i64,
        at: LonLat,
        speed_mps: Option<f32>,
        heading: Option<HeadingDeg>,
        is_moving: bool,
        named: Option<Spot>,
    ) -> Self {
        let fastest = f32::from(Self::NO_SPEED - 1);
        let speed = speed_mps.map_or(Self::NO_SPEED, |v| (v * Self::SPEED_PER_MPS).round().min(fastest) as u16);
        let tenths = |h: HeadingDeg| (h.get() * 10.0).round() as u16 % 3_600;
        let heading = match heading {
            Some(h) if is_moving => tenths(h),
            Some(h) => Self::AT_REST + tenths(h),
            None => Self::NO_HEADING,
        };
        let motion = (u32::from(speed) << 13 | u32::from(heading)).to_le_bytes();
        let motion = [motion[0], motion[1], motion[2]];
        let (role, segment, offset_m) = match named {
            Some(Spot::On { segment, offset_m }) => (Role::Named, segment.0, offset_m as f32),
            Some(Spot::Junction) => (Role::Junction, NONE, 0.0),
            Some(Spot::Off) | None => (Role::Off, NONE, 0.0),
        };
        Self { time_ms, at, segment, offset_m, motion, shift: [0; 2], confidence: 255, role, start: None }
    }

    pub(crate) fn spot(&self) -> Spot {
        match self.role {
            Role::Kept | Role::Skipped | Role::Named if self.segment != NONE => {
                Spot::On { segment: roads::SegmentIndex(self.segment), offset_m: f64::from(self.offset_m) }
            }
            Role::Junction => Spot::Junction,
            Role::Kept | Role::Skipped | Role::Named | Role::Parked | Role::Off => Spot::Off,
        }
    }

    /// The spot to the millimetre where nothing was smoothed, held or clamped: the plane of the matcher is single
    /// precision, which is good enough to choose a street and not to measure on it.
    pub(crate) fn spot_in(&self, network: &Network, places: &mut Places) -> Spot {
        match self.spot() {
            Spot::On { segment, offset_m } if self.is_raw() && matches!(self.role, Role::Kept | Role::Skipped) => {
                let exact_m = places.offset_m(network, segment, self.at);
                let is_same = (exact_m - offset_m).abs() < PLANE_M;
                Spot::On { segment, offset_m: if is_same { exact_m } else { offset_m } }
            }
            spot => spot,
        }
    }

    /// 0 to 1: see [`super::drive`].
    pub(crate) fn confidence(&self) -> f32 {
        f32::from(self.confidence) / 255.0
    }

    fn heading_word(&self) -> u16 {
        u16::from_le_bytes([self.motion[0], self.motion[1]]) & Self::NO_HEADING
    }

    /// As it was told, m/s.
    pub(super) fn speed_mps(&self) -> Option<f32> {
        let speed = u16::from_le_bytes([self.motion[1], self.motion[2]]) >> 5;
        (speed != Self::NO_SPEED).then(|| f32::from(speed) / Self::SPEED_PER_MPS)
    }

    /// The course of a moving vehicle.
    pub(super) fn heading(&self) -> Option<HeadingDeg> {
        self.course().filter(|(_, is_moving)| *is_moving).map(|(heading, _)| heading)
    }

    /// The course, and whether the vehicle moves.
    pub(super) fn course(&self) -> Option<(HeadingDeg, bool)> {
        let word = self.heading_word();
        let heading = |tenths: u16| HeadingDeg::wrapped(f32::from(tenths) / 10.0);
        match word {
            Self::NO_HEADING => None,
            Self::AT_REST.. => Some((heading(word - Self::AT_REST), false)),
            _ => Some((heading(word), true)),
        }
    }

    /// Speed and course together; `None` when a moving vehicle does not tell both.
    pub(crate) fn velocity(&self) -> Option<Velocity> {
        Velocity::new(self.speed_mps()?, self.heading())
    }

    /// Whether it says itself that it stands, or creeps in a queue: less than two and a quarter metres a second.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.speed_mps().is_some_and(|v| v < 2.25)
    }

    /// Whether nothing was smoothed.
    pub(crate) fn is_raw(&self) -> bool {
        self.shift == [0; 2]
    }

    /// The smoothed place on the plane.
    pub(crate) fn point(&self, ground: &Ground) -> Point {
        let raw = ground.point(self.at);
        if self.is_raw() {
            return raw;
        }
        let [east, north] = self.shift.map(|half_m| f32::from(half_m) * 0.5);
        Point { x: raw.x + east / ground.shrink(raw), y: raw.y + north }
    }

    /// Keeps a smoothed place; what is farther than 63 m is brought as near as that.
    pub(super) fn smooth(&mut self, ground: &Ground, at: Point) {
        let raw = ground.point(self.at);
        let half_metres = |m: f32| (m * 2.0).round().clamp(-127.0, 127.0) as i8;
        self.shift = [half_metres((at.x - raw.x) * ground.shrink(raw)), half_metres(at.y - raw.y)];
    }

    pub(super) fn on(&self) -> Option<On> {
        (self.segment != NONE).then_some(On { segment: self.segment, offset_m: self.offset_m })
    }

    /// Whether nothing that is counted differs.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        let parts = |f: &Self| (f.time_ms, f.segment, f.offset_m.to_bits(), f.role, f.start, f.shift);
        parts(self) == parts(other)
    }

    pub(super) fn put(&mut self, on: On) {
        (self.segment, self.offset_m) = (on.segment, on.offset_m);
    }
}
