//! NGSI entities of FIWARE's Smart Data Models: `TrafficFlowObserved` and `Vehicle`, as JSON.
//!
//! Upstream: [`super::read`] for a file, [`super::by_topic`] for a message. Downstream: detector intervals and
//! positions. Models: <https://github.com/smart-data-models/dataModel.Transportation>. All three ways of writing are
//! read: key-values, normalized NGSI v2 and NGSI-LD (an attribute is an object with `value`); an entity, an array of
//! them, or a broker's notification with `data`.
//!
//! Their units: intensity is vehicles in the period, occupancy a fraction, speeds are km/h. -1 is "not measured". Of a
//! line the first point is taken.

use super::source_name;
use crate::codec::json::{double, whole};
use crate::codec::scan::{Scanner, Value};
use crate::codec::{BATCH_EVENTS_MAX, Fate, Refused, utf8};
use crate::event::{DetectorInterval, Event, Position};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::units::{HeadingDeg, LonLat, MetresPerSecond, SpeedUnit};

/// Decodes one document and adds its fates to `out`: at least one, at most [`BATCH_EVENTS_MAX`]. An entity that is
/// wrong in itself is refused alone, with its own text.
pub fn decode(payload: &[u8], out: &mut Vec<Fate>) {
    let mark = out.len();
    if let Err(reject) = utf8(payload).and_then(|text| document(text, out)) {
        out.truncate(mark);
        out.push(Err(Refused { reject, payload: payload.to_vec() }));
    }
}

fn document(text: &str, out: &mut Vec<Fate>) -> Result<(), Reject> {
    let mut scan = Scanner::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    let value = scan.value()?;
    scan.end()?;
    let entities = match value {
        Value::Array(list) => list,
        Value::Object(object) => match attribute(object, "data")? {
            Some(Value::Array(list)) => list,
            _ => {
                out.push(entity(object));
                return Ok(());
            }
        },
        other => return Err(Reject::whole(Reason::Malformed, format!("{other} is not an entity"))),
    };
    let mut count = 0;
    Scanner::new(entities).array(&mut |scan| {
        count += 1;
        if count > BATCH_EVENTS_MAX {
            return Err(Reject::whole(Reason::WrongSize, format!("more than {BATCH_EVENTS_MAX} entities")));
        }
        out.push(match scan.value()? {
            Value::Object(object) => entity(object),
            other => {
                let reject = Reject::whole(Reason::Malformed, format!("{other} is not an entity"));
                Err(Refused { reject, payload: other.to_string().into_bytes() })
            }
        });
        Ok(())
    })?;
    if count == 0 { Err(Reject::whole(Reason::WrongSize, "no entities")) } else { Ok(()) }
}

fn entity(object: &str) -> Fate {
    let event = match text(object, "type") {
        Ok(kind) if kind == "TrafficFlowObserved" => flow(object).map(Event::Detector),
        Ok(kind) if kind == "Vehicle" => vehicle(object).map(Event::Position),
        Ok(kind) => {
            let kind = Value::Text(kind.into());
            let detail = format!("{kind} is neither TrafficFlowObserved nor Vehicle");
            Err(Reject::field(Reason::UnreadableField, "type", detail))
        }
        Err(reject) => Err(reject),
    };
    event.map_err(|reject| Refused { reject, payload: object.as_bytes().to_vec() })
}

fn flow(object: &str) -> Result<DetectorInterval, Reject> {
    let (start, end) = period(object)?;
    let count = measured(object, "intensity")?;
    let interval = DetectorInterval {
        source: source_name(&text(object, "id")?, "id")?,
        seq: None,
        start,
        end,
        at: place(object)?,
        count: whole("intensity", count.as_ref(), u32::MAX.into())?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        occupancy: double("occupancy", measured(object, "occupancy")?.as_ref())?.map(|share| share as f32),
        speed: speed(object, "averageVehicleSpeed")?,
    };
    interval.checked().map_err(|reject| match reject.field.as_deref() {
        Some("end_ms") => reject.named("dateObservedTo"),
        Some("count") => reject.named("intensity"),
        _ => reject,
    })
}

fn vehicle(object: &str) -> Result<Position, Reject> {
    let names = ["observationDateTime", "dateObserved", "TimeInstant", "observedAt", "dateModified"];
    let mut time = None;
    for name in names {
        if let Some(Value::Text(text)) = attribute(object, name)? {
            time = Some(TimeMs::parse(&text).map_err(|reject| reject.named(name))?);
            break;
        }
    }
    let heading = match double("heading", attribute(object, "heading")?.as_ref())? {
        Some(deg) => Some(deg),
        None => double("bearing", attribute(object, "bearing")?.as_ref())?,
    };
    Ok(Position {
        source: source_name(&text(object, "id")?, "id")?,
        seq: None,
        time: time.ok_or_else(|| missing(names[0]))?,
        at: place(object)?.ok_or_else(|| Reject::field(Reason::NoPosition, "location", "is absent".into()))?,
        speed: speed(object, "speed")?,
        heading: heading
            .map(|deg| HeadingDeg::new(deg as f32).map_err(|reject| reject.named("heading")))
            .transpose()?,
        edge: None,
        journey: None,
    })
}

/// `dateObservedFrom` and `dateObservedTo`; where one is absent, `dateObserved` as `from/to`.
fn period(object: &str) -> Result<(TimeMs, TimeMs), Reject> {
    let moment = |name: &'static str| match attribute(object, name)? {
        Some(Value::Text(text)) => TimeMs::parse(&text).map(Some).map_err(|reject| reject.named(name)),
        Some(other) => Err(Reject::field(Reason::UnreadableField, name, format!("{other} is not a time in quotes"))),
        None => Ok(None),
    };
    if let (Some(from), Some(to)) = (moment("dateObservedFrom")?, moment("dateObservedTo")?) {
        return Ok((from, to));
    }
    match attribute(object, "dateObserved")? {
        Some(Value::Text(text)) => {
            let unreadable = |reject: Reject| reject.named("dateObserved");
            let (from, to) = text.split_once('/').ok_or_else(|| {
                let detail = format!("{} is a moment, not a period", Value::Text(text.clone()));
                Reject::field(Reason::UnreadableField, "dateObserved", detail)
            })?;
            Ok((TimeMs::parse(from).map_err(unreadable)?, TimeMs::parse(to).map_err(unreadable)?))
        }
        _ => Err(missing("dateObservedTo")),
    }
}

/// A speed in km/h.
fn speed(object: &str, name: &'static str) -> Result<Option<MetresPerSecond>, Reject> {
    let Some(kmh) = double(name, measured(object, name)?.as_ref())? else { return Ok(None) };
    MetresPerSecond::reported(kmh * SpeedUnit::Kmh.mps()).map_err(|reject| reject.named(name))
}

/// A number that is not the -1 of "not measured".
fn measured<'a>(object: &'a str, name: &'static str) -> Result<Option<Value<'a>>, Reject> {
    let value = attribute(object, name)?;
    Ok(value.filter(|value| !matches!(value, Value::Number(text) if text.parse() == Ok(-1.0_f64))))
}

/// The first point of `location`, in GeoJSON.
fn place(object: &str) -> Result<Option<LonLat>, Reject> {
    let Some(location) = attribute(object, "location")? else { return Ok(None) };
    let unreadable = |value: &Value<'_>| {
        Reject::field(Reason::UnreadableField, "location", format!("{value} is not a point or line of GeoJSON"))
    };
    let Value::Object(geometry) = location else { return Err(unreadable(&location)) };
    let mut at = match member(geometry, "coordinates")? {
        Some(Value::Array(list)) => list,
        Some(other) => return Err(unreadable(&other)),
        None => return Err(unreadable(&Value::Object(geometry))),
    };
    // A polygon nests three arrays; the scanner bounds the depth of anything deeper.
    loop {
        let mut numbers = Vec::with_capacity(2);
        let mut inner = None;
        Scanner::new(at).array(&mut |scan| {
            match scan.value()? {
                Value::Array(list) if inner.is_none() => inner = Some(list),
                Value::Number(text) if numbers.len() < 2 => numbers.push(text.parse::<f64>().unwrap_or(f64::NAN)),
                _ => {}
            }
            Ok(())
        })?;
        match (inner, &numbers[..]) {
            (Some(list), _) => at = list,
            (None, [lon, lat]) => return LonLat::new(*lon, *lat).map(Some).map_err(|r| r.named("location")),
            (None, _) => return Err(unreadable(&Value::Array(at))),
        }
    }
}

fn text(object: &str, name: &'static str) -> Result<String, Reject> {
    match attribute(object, name)? {
        Some(Value::Text(text)) if !text.is_empty() => Ok(text.into_owned()),
        Some(other) => Err(Reject::field(Reason::UnreadableField, name, format!("{other} is not text"))),
        None => Err(missing(name)),
    }
}

/// What an attribute says, whichever way it is written; null is absent.
fn attribute<'a>(object: &'a str, name: &'static str) -> Result<Option<Value<'a>>, Reject> {
    let mut found = member(object, name)?;
    // {"type": "Property", "value": {"@type": "DateTime", "@value": …}} is the longest.
    for key in ["value", "@value"] {
        if let Some(Value::Object(inner)) = found
            && let Some(value) = member(inner, key)?
        {
            found = Some(value);
        }
    }
    Ok(found.filter(|value| *value != Value::Null))
}

/// A member of an object; of a repeated key the last one.
fn member<'a>(object: &'a str, name: &str) -> Result<Option<Value<'a>>, Reject> {
    let mut found = None;
    Scanner::new(object).object(&mut |key, value| {
        if key == name {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

fn missing(name: &'static str) -> Reject {
    Reject::field(Reason::MissingField, name, "is absent or null".into())
}

#[cfg(test)]
mod tests;
