//! The adapters over real recordings, held against counts that were taken by other means.
//!
//! The recordings are not part of the repository. They are looked for in the folder that the environment
//! variable `ARTERIAL_DATA` names, else in `../shared/data` beside the workspace; where the folder is absent
//! each test says that it was skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use events::codec::{self, json};
use events::foreign::csv::ColumnMap;
use events::foreign::{Format, ReadError, Record, compressed, read};
use events::topic::is_name;
use events::{Event, Kind, Position, Reason, Topic};

/// What a recording turned out to hold.
#[derive(Default)]
struct Tally {
    positions: Vec<Position>,
    reasons: BTreeMap<Reason, usize>,
    records: usize,
    /// Longest time from the vehicle's clock to the recorder's, ms; of dumps only.
    delay_ms_max: i64,
}

impl Tally {
    fn add(&mut self, fate: codec::Fate) {
        match fate {
            Ok(Event::Position(position)) => self.positions.push(position),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => *self.reasons.entry(refused.reject.reason).or_default() += 1,
        }
    }

    fn vehicles(&self) -> usize {
        self.positions.iter().map(|position| position.source.as_str()).collect::<BTreeSet<_>>().len()
    }

    fn with(&self, known: impl Fn(&Position) -> bool) -> usize {
        self.positions.iter().filter(|position| known(position)).count()
    }

    /// First and last event time, ms.
    fn span_ms(&self) -> (i64, i64) {
        let times = || self.positions.iter().map(|position| position.time.0);
        (times().min().unwrap(), times().max().unwrap())
    }
}

fn data() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("ARTERIAL_DATA").map_or_else(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no recordings in {}; set ARTERIAL_DATA", folder.display());
        return None;
    }
    Some(folder)
}

/// Reads one recording to its end; `None` when there are none here.
fn tally(file: &str, format: &Format) -> Option<Tally> {
    let file = File::open(data()?.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let input = compressed::decompressed(Box::new(BufReader::new(file))).unwrap();
    let mut tally = Tally::default();
    let mut fates = Vec::new();
    for record in read(format, input) {
        tally.records += 1;
        match record.unwrap() {
            Record::Message { topic, payload, received } => {
                codec::decode(&topic, &payload, &mut fates);
                assert_eq!(fates.len(), 1);
                let fate = fates.remove(0);
                if let (Ok(event), Some(received)) = (&fate, received) {
                    tally.delay_ms_max = tally.delay_ms_max.max(received.0 - event.time().0);
                }
                tally.add(fate);
            }
            Record::Event(event) => tally.add(Ok(event)),
            Record::Unreadable { reject, raw, .. } => tally.add(Err(codec::Refused { reject, payload: raw })),
        }
    }
    Some(tally)
}

/// All positions as one gateway would publish them, and read back.
fn check_round_trip(positions: &[Position]) {
    let topic = Topic { city: "demo", kind: Kind::Position, source: "replay" };
    let mut text = Vec::new();
    let mut out = Vec::new();
    for batch in positions.chunks(codec::BATCH_EVENTS_MAX) {
        let events: Vec<_> = batch
            .iter()
            .map(|position| {
                assert!(is_name(&position.source));
                Event::Position(Position { source: format!("replay.{}", position.source), ..position.clone() })
            })
            .collect();
        text.clear();
        json::encode_batch(&events, &mut text);
        codec::decode(&topic.to_string(), &text, &mut out);
        assert!(out.drain(..).eq(events.into_iter().map(Ok)));
    }
}

fn check_hfp(name: &str, lines: usize, no_position: usize, vehicles: usize) -> Option<Tally> {
    let tally = tally(&format!("helsinki-hfp/{name}.hfp.dump"), &Format::Hfp)?;
    let expected: BTreeMap<_, _> = [(Reason::NoPosition, no_position)].into_iter().filter(|(_, n)| *n > 0).collect();
    assert_eq!(tally.records, lines, "{name}");
    assert_eq!(tally.reasons, expected, "{name}");
    assert_eq!(tally.positions.len(), lines - no_position, "{name}");
    assert_eq!(tally.vehicles(), vehicles, "{name}");
    check_round_trip(&tally.positions);
    Some(tally)
}

#[test]
fn helsinki_buses() {
    let Some(nulls) = check_hfp("currentStopNull", 1_034, 940, 1) else { return };
    assert_eq!(nulls.with(|position| position.heading.is_some()), 0);
    // On a line are those whose topic names one: payloads name a route on dead runs too.
    let lines = |tally: &Tally| {
        let journeys = tally.positions.iter().filter_map(|position| position.journey.as_ref());
        let lines: BTreeSet<String> = journeys.clone().map(|j| format!("{} {}", j.route, j.direction)).collect();
        let stops: BTreeSet<&str> = journeys.clone().map(|j| j.next_stop.as_str()).collect();
        (journeys.count(), lines.into_iter().collect::<Vec<_>>().join(", "), stops.len())
    };
    assert_eq!(lines(&nulls), (94, "5520 1, 5520 2".into(), 4));
    let first = check_hfp("partialApcBeforeFirstServiceJourney", 18, 0, 1).unwrap();
    assert_eq!(lines(&first), (16, "5530 1".into(), 2));
    let changed = check_hfp("serviceJourneyChangeDifferentStop", 38, 0, 1).unwrap();
    assert_eq!(lines(&changed), (36, "1061 2, 1066 1".into(), 4));
    let repeated = check_hfp("rightServiceJourneySelectedRepeatedly", 36, 0, 1).unwrap();
    assert_eq!(lines(&repeated), (34, "1064 1, 1064 2".into(), 3));
    assert_eq!(lines(&check_hfp("stopChange", 14, 0, 1).unwrap()), (14, "4400 1".into(), 2));
    let late = check_hfp("partialApcAfterLongDeadRunStart", 37, 0, 1).unwrap();
    assert_eq!(lines(&late), (31, "1065 2".into(), 2));
    assert_eq!(late.with(|position| position.speed.is_some() && position.heading.is_some()), 37);
    // A PDE that came 42.5 s after its moment.
    assert_eq!(late.delay_ms_max, 42_482);
}

fn austin(day: &str, unit: &str) -> Option<Tally> {
    let map = format!("id=vehicle_id,time=timestamp,lon=longitude,lat=latitude,speed=speed:{unit}");
    let tally = tally(&format!("austin-capmetro/{day}.csv.gz"), &Format::Csv(ColumnMap::parse(&map).unwrap()))?;
    check_round_trip(&tally.positions);
    Some(tally)
}

#[test]
fn austin_buses() {
    let Some(tally) = austin("2015-09-06", "mph") else { return };
    assert_eq!((tally.positions.len(), tally.vehicles(), tally.records), (53_569, 146, 53_569));
    // 00:00:47 to 23:58:39 at -05:00.
    assert_eq!(tally.span_ms(), (1_441_515_647_000, 1_441_601_919_000));

    let tally = austin("2015-03-08", "mph").unwrap();
    assert_eq!((tally.positions.len(), tally.vehicles(), tally.records), (12_354, 140, 12_354));
    // 01:40:54-06:00 to 23:59:43-05:00: two offsets in one file.
    assert_eq!(tally.span_ms(), (1_425_800_454_000, 1_425_877_183_000));

    let tally = austin("2016-03-22", "mps").unwrap();
    assert_eq!((tally.positions.len(), tally.vehicles(), tally.records), (34_030, 195, 34_030));

    let tally = austin("2017-03-16", "mps").unwrap();
    assert_eq!(tally.reasons, BTreeMap::from([(Reason::NullIsland, 2)]));
    assert_eq!((tally.positions.len(), tally.vehicles(), tally.records), (36_269, 277, 36_271));
    // Ten rows say 255 mph, which is "unknown"; two of them are those at 0, 0.
    assert_eq!(tally.with(|position| position.speed.is_none()), 8);

    assert_eq!(austin("2016-02-14", "mps").unwrap().records, 0);
}

#[test]
fn athens_vehicles() {
    let map = ColumnMap::parse("id=track_id,time=time,lon=lon,lat=lat,speed=speed:kmh").unwrap();
    let Some(tally) = tally("athens-pneuma/pneuma_athens_1hz.csv.gz", &Format::Csv(map)) else { return };
    assert_eq!((tally.positions.len(), tally.vehicles(), tally.records), (23_293, 50, 23_293));
    assert_eq!(tally.span_ms(), (0, 787_000));
    check_round_trip(&tally.positions);
}

#[test]
fn bologna_floating_cars() {
    let Some(tally) = tally("sumo-bologna/fcd_first30s.xml.gz", &Format::SumoFcd) else { return };
    assert_eq!((tally.positions.len(), tally.records), (30_373, 30_373));
    assert_eq!(tally.span_ms(), (1_800_000, 1_829_000));
    let steps: BTreeSet<_> = tally.positions.iter().map(|position| position.time).collect();
    assert_eq!(steps.len(), 30);
    let inside_junctions = |position: &Position| position.edge.as_ref().unwrap().edge_id.starts_with(':');
    assert_eq!(tally.with(inside_junctions), 1_777);
    let on_the_map = |position: &Position| {
        (11.30..11.34).contains(&position.at.lon_deg()) && (44.48..44.51).contains(&position.at.lat_deg())
    };
    assert_eq!(tally.with(on_the_map), 30_373);
    check_round_trip(&tally.positions);
}

#[test]
fn a_recording_read_as_another_format_is_refused_at_once() {
    let Some(folder) = data() else { return };
    let map = ColumnMap::parse("id=track_id,time=time,lon=lon,lat=lat").unwrap();
    for (file, format) in [
        ("sumo-bologna/bologna.net.xml.gz", Format::SumoFcd),
        ("athens-pneuma/pneuma_athens_1hz.csv.gz", Format::SumoFcd),
        ("athens-pneuma/pneuma_athens_1hz.csv.gz", Format::Hfp),
        ("sumo-bologna/fcd_first30s.xml.gz", Format::Hfp),
        ("sumo-bologna/fcd_first30s.xml.gz", Format::Csv(map.clone())),
        ("austin-capmetro/2016-02-14.csv.gz", Format::Csv(map)),
        ("signals-oregon/hires_events_device1136.parquet", Format::SumoFcd),
    ] {
        let input = Box::new(BufReader::new(File::open(folder.join(file)).unwrap()));
        let records: Vec<_> = read(&format, compressed::decompressed(input).unwrap()).collect();
        assert!(matches!(&records[..], [Err(ReadError::NotThisFormat { .. })]), "{file}: {:?}", records.first());
    }
}
