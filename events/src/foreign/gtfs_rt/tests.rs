//! Feeds as producers write them, and as they should not.

use super::*;

/// A `FeedMessage` with one entity per vehicle.
fn feed_of(time: Option<u64>, entities: &[Entity]) -> Vec<u8> {
    let field = |number: u8, body: Vec<u8>| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(body.len() as u64, &mut out);
        [out, body].concat()
    };
    let header = field(1, Header { timestamp: time }.encode_to_vec());
    let entities = entities.iter().map(|entity| field(2, entity.encode_to_vec()));
    [header].into_iter().chain(entities).flatten().collect()
}

fn bus(id: &str, lat: f32, lon: f32, time: Option<u64>) -> Entity {
    let place = Place { latitude: Some(lat), longitude: Some(lon), bearing: Some(90.0), speed: Some(7.5) };
    let descriptor = Descriptor { id: Some(id.to_owned()), label: Some("17".to_owned()) };
    let trip = Trip { route_id: Some("550".into()), direction_id: Some(1) };
    let (trip, stop_id) = (Some(trip), Some("H1234".into()));
    let vehicle = Vehicle { trip, position: Some(place), timestamp: time, stop_id, descriptor: Some(descriptor) };
    Entity { id: Some("e1".to_owned()), is_deleted: None, vehicle: Some(vehicle) }
}

fn fates(payload: &[u8]) -> Vec<Fate> {
    let mut out = Vec::new();
    decode(payload, &mut out);
    out
}

#[test]
fn a_fleet_is_read_and_what_is_no_vehicle_is_passed_over() {
    let alert = Entity { id: Some("alert".into()), ..Entity::default() };
    let deleted = Entity { is_deleted: Some(true), ..bus("gone", 30.0, -97.0, Some(5)) };
    let mut unnamed = bus("", 30.25, -97.75, None);
    let feed = feed_of(Some(9), &[bus("5/01", 30.25, -97.75, Some(5)), alert.clone(), deleted, unnamed.clone()]);
    let read = fates(&feed);
    let [Ok(Event::Position(first)), Ok(Event::Position(second))] = &read[..] else { panic!("{read:?}") };
    assert_eq!((first.source.as_str(), first.time, second.source.as_str()), ("gtfs.5%2F01", TimeMs(5_000), "gtfs.17"));
    assert_eq!((first.at.lon_deg(), first.at.lat_deg()), (-97.75, 30.25));
    assert_eq!((first.speed.unwrap().get(), first.heading.unwrap().get()), (7.5, 90.0));
    let line = Journey { route: "550".into(), direction: "1".into(), next_stop: "H1234".into() };
    assert_eq!(first.journey.as_deref(), Some(&line));
    assert_eq!(second.time, TimeMs(9_000), "the feed's time, since the vehicle has none");
    unnamed.vehicle.as_mut().unwrap().descriptor = None;
    assert!(matches!(&fates(&feed_of(Some(9), &[unnamed]))[..], [Ok(event)] if event.source() == "gtfs.e1"));
    let [Err(none)] = &fates(&feed_of(Some(9), &[alert]))[..] else { panic!() };
    assert_eq!(none.reject.reason, Reason::WrongSize);
}

#[test]
fn one_bad_vehicle_is_refused_alone_and_can_be_sent_again() {
    let mut unknown = bus("b", 30.0, -97.0, Some(5));
    unknown.vehicle.as_mut().unwrap().position.as_mut().unwrap().speed = Some(-1.0);
    let feed = feed_of(Some(9), &[bus("a", 0.0, 0.0, Some(5)), unknown, bus("c", 95.0, 1.0, Some(5))]);
    let read = fates(&feed);
    let [Err(island), Ok(Event::Position(good)), Err(far)] = &read[..] else { panic!("{read:?}") };
    assert_eq!((island.reject.reason, far.reject.reason), (Reason::NullIsland, Reason::OutOfRange));
    assert_eq!(far.reject.field.as_deref(), Some("latitude"));
    assert_eq!(good.speed, None, "-1 is what producers write for unknown");
    assert_eq!(fates(&far.payload), [Err(far.clone())]);
}

#[test]
fn what_is_no_feed_has_one_reason() {
    let whole = feed_of(Some(9), &[bus("a", 30.0, -97.0, Some(5))]);
    let check = |payload: &[u8], reason: Reason| {
        let read = fates(payload);
        let [Err(refused)] = &read[..] else { panic!("{read:?}") };
        assert_eq!((refused.reject.reason, &refused.payload[..]), (reason, payload), "{}", refused.reject);
    };
    for cut in 1..whole.len() {
        let read = fates(&whole[..cut]);
        assert!(matches!(&read[..], [Err(_)]), "cut at {cut}: {read:?}");
    }
    check(b"", Reason::Malformed);
    check(b"<html>", Reason::Malformed);
    check(&whole[4..], Reason::Malformed);
    check(&feed_of(None, &[bus("a", 30.0, -97.0, None)]), Reason::MissingField);
    check(&feed_of(None, &[bus("a", 30.0, -97.0, Some(u64::MAX))]), Reason::OutOfRange);
    check(&feed_of(None, &[bus("a", f32::NAN, -97.0, Some(5))]), Reason::OutOfRange);
    let many = [&feed_of(Some(9), &[])[..], &[0x12, 0x00].repeat(ENTITIES_MAX + 1)].concat();
    check(&many, Reason::WrongSize);
}
