//! GTFS-Realtime vehicle positions: one `FeedMessage` in protobuf, a snapshot of a fleet.
//!
//! Upstream: [`super::read`] for a file, [`super::by_topic`] for a message. Downstream: positions. Format:
//! <https://gtfs.org/documentation/realtime/reference/>. Position and speed (m/s) are single precision there: about a
//! metre at most latitudes. Trip updates and alerts in the same feed are passed over.
//!
//! The time is the vehicle's own; a vehicle without one has the feed's. The vehicle's id names it, without one the
//! label, without that the entity. Feeds repeat a vehicle that did not report anew under its old time: a duplicate,
//! which is the gate's to see.

use prost::Message;

use super::source_name;
use crate::codec::protobuf::fields;
use crate::codec::{Fate, Refused};
use crate::event::{Event, Journey, Position};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::units::{HeadingDeg, LonLat, MetresPerSecond};

/// Most vehicles in one feed; the largest networks run some ten thousand. More are refused as a whole.
pub const ENTITIES_MAX: usize = 50_000;

/// The fields that we use, with the numbers of gtfs-realtime.proto 2.0.
#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(uint64, optional, tag = "3")]
    timestamp: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Entity {
    #[prost(string, optional, tag = "1")]
    id: Option<String>,
    #[prost(bool, optional, tag = "2")]
    is_deleted: Option<bool>,
    #[prost(message, optional, tag = "4")]
    vehicle: Option<Vehicle>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Vehicle {
    #[prost(message, optional, tag = "1")]
    trip: Option<Trip>,
    #[prost(message, optional, tag = "2")]
    position: Option<Place>,
    #[prost(uint64, optional, tag = "5")]
    timestamp: Option<u64>,
    /// The stop that comes next, or at which it stands.
    #[prost(string, optional, tag = "7")]
    stop_id: Option<String>,
    #[prost(message, optional, tag = "8")]
    descriptor: Option<Descriptor>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Trip {
    #[prost(string, optional, tag = "5")]
    route_id: Option<String>,
    #[prost(uint32, optional, tag = "6")]
    direction_id: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Place {
    #[prost(float, optional, tag = "1")]
    latitude: Option<f32>,
    #[prost(float, optional, tag = "2")]
    longitude: Option<f32>,
    #[prost(float, optional, tag = "3")]
    bearing: Option<f32>,
    #[prost(float, optional, tag = "5")]
    speed: Option<f32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Descriptor {
    #[prost(string, optional, tag = "1")]
    id: Option<String>,
    #[prost(string, optional, tag = "2")]
    label: Option<String>,
}

/// Decodes one feed and adds its fates to `out`: at least one. A vehicle that is wrong in itself is refused alone;
/// what is kept of it is a feed of that vehicle, with the header.
pub fn decode(payload: &[u8], out: &mut Vec<Fate>) {
    let mark = out.len();
    if let Err(reject) = feed(payload, out) {
        out.truncate(mark);
        out.push(Err(Refused { reject, payload: payload.to_vec() }));
    }
}

fn feed(payload: &[u8], out: &mut Vec<Fate>) -> Result<(), Reject> {
    let mut head: Option<Header> = None;
    let (mut count, mut vehicles) = (0, 0);
    fields::each(payload, &mut |field| {
        match field.number {
            1 => {
                head = Some(read(field.value)?);
            }
            2 => {
                count += 1;
                if count > ENTITIES_MAX {
                    let detail = format!("a feed of more than {ENTITIES_MAX} entities");
                    return Err(Reject::whole(Reason::WrongSize, detail));
                }
                if let Some(event) = entity(read(field.value)?, head.as_ref().and_then(|head| head.timestamp)) {
                    vehicles += 1;
                    out.push(event.map_err(|reject| Refused { reject, payload: alone(head.as_ref(), field.whole) }));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    match (&head, vehicles) {
        (None, _) => Err(Reject::whole(Reason::Malformed, "a feed without a header")),
        (Some(_), 0) => Err(Reject::whole(Reason::WrongSize, "a feed without a vehicle")),
        (Some(_), _) => Ok(()),
    }
}

/// A feed of one entity. Of the header only what we read is kept: a long one would be multiplied by every refusal.
fn alone(head: Option<&Header>, entity: &[u8]) -> Vec<u8> {
    let head = head.cloned().unwrap_or_default().encode_to_vec();
    let mut feed = vec![0x0A];
    prost::encoding::encode_varint(head.len() as u64, &mut feed);
    feed.extend_from_slice(&head);
    feed.extend_from_slice(entity);
    feed
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, Reject> {
    M::decode(bytes).map_err(|e| Reject::whole(Reason::Malformed, e.to_string()))
}

/// `None` for what is no vehicle: a trip update, an alert, a deletion.
fn entity(entity: Entity, feed_time: Option<u64>) -> Option<Result<Event, Reject>> {
    let vehicle = entity.vehicle.filter(|_| entity.is_deleted != Some(true))?;
    let descriptor = vehicle.descriptor.unwrap_or_default();
    let named = |name: Option<String>| name.filter(|name| !name.is_empty());
    let id = named(descriptor.id).or_else(|| named(descriptor.label)).or_else(|| named(entity.id)).unwrap_or_default();
    let trip = vehicle.trip.unwrap_or_default();
    let direction = trip.direction_id.map_or(String::new(), |direction| direction.to_string());
    // A name that is too long loses the journey, not the position.
    let journey =
        Journey::new(trip.route_id.unwrap_or_default(), direction, vehicle.stop_id.unwrap_or_default()).ok().flatten();
    let position = position(&id, vehicle.position, vehicle.timestamp.or(feed_time));
    Some(position.map(|position| Event::Position(Position { journey, ..position })))
}

fn position(id: &str, place: Option<Place>, seconds: Option<u64>) -> Result<Position, Reject> {
    if id.is_empty() {
        return Err(Reject::field(Reason::MissingField, "vehicle.id", "there is no id, label or entity id".into()));
    }
    let place = place.ok_or_else(|| Reject::field(Reason::NoPosition, "position", "is absent".into()))?;
    let (Some(lat), Some(lon)) = (place.latitude, place.longitude) else {
        return Err(Reject::field(Reason::NoPosition, "position", "has no latitude or no longitude".into()));
    };
    let missing = || Reject::field(Reason::MissingField, "timestamp", "is absent, and so is the feed's".into());
    let seconds = seconds.ok_or_else(missing)?;
    let ms = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000)).unwrap_or(i64::MAX);
    // Producers write a negative speed or bearing for "unknown"; the position beside it is still good.
    let speed = place.speed.filter(|mps| *mps >= 0.0).map(|mps| MetresPerSecond::reported(f64::from(mps))).transpose();
    let heading = place.bearing.filter(|deg| *deg >= 0.0).map(HeadingDeg::new).transpose();
    Ok(Position {
        source: source_name(&format!("gtfs.{id}"), "vehicle.id")?,
        seq: None,
        time: TimeMs::new(ms).map_err(|reject| reject.named("timestamp"))?,
        at: LonLat::new(f64::from(lon), f64::from(lat)).map_err(|reject| {
            let name = if reject.field.as_deref() == Some("lat_deg") { "latitude" } else { "longitude" };
            reject.named(name)
        })?,
        speed: speed.map_err(|reject| reject.named("speed"))?.flatten(),
        heading: heading.map_err(|reject| reject.named("bearing"))?,
        edge: None,
        journey: None,
    })
}

#[cfg(test)]
mod tests;
