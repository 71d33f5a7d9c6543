//! Tests of scenario files.

use roads::generate::{MetropolisPlan, metropolis};
use roads::{NetworkBuilder, NewSegment, RoadClass, SegmentId};

use super::demand::{HOMEWARD_PERCENT, WEEKDAY_PERCENT, WORKWARD_PERCENT};
use super::*;
use crate::scenario::Route;

const START: TimeMs = TimeMs(1_767_596_400_000);

fn demo() -> Network {
    metropolis(&MetropolisPlan::default()).network
}

fn lay(text: &str, network: &Network) -> Result<Laid, SceneError> {
    Scene::parse(text, Path::new("."))?.lay(network, START, None)
}

#[test]
fn every_built_in_scenario_can_be_played_on_the_demo_city() {
    let network = demo();
    for (name, description) in Scene::built_in() {
        let scene = Scene::open(name).unwrap();
        assert!(!description.is_empty() && !description.contains('\n'), "{name}");
        assert_eq!(scene.network(), SceneNetwork::Demo);
        let laid = scene.lay(&network, START, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let trips = match &laid.scenario.demand {
            Demand::Trips(trips) => trips.len(),
            Demand::Level | Demand::Od(_) => 0,
        };
        eprintln!("{name}: {trips} trips, {} incidents", laid.scenario.incidents.len());
        assert!(laid.duration_s.is_some() && (trips > 1_000 || laid.scenario.demand == Demand::Level));
    }
}

#[test]
fn a_day_has_its_peaks_and_its_directions() {
    for table in [WEEKDAY_PERCENT, WORKWARD_PERCENT, HOMEWARD_PERCENT] {
        assert!(table.iter().all(|p| (0.0..=100.0).contains(p)));
    }
    assert!((WEEKDAY_PERCENT.iter().sum::<f64>() - 100.0).abs() < 0.01);
    assert!(WORKWARD_PERCENT.iter().zip(HOMEWARD_PERCENT).all(|(a, b)| a + b <= 100.0));
    let network = demo();
    let text = "description = \"a day\"\nclock = \"00:00\"\nduration_min = 1440\n[demand]\ntrips_per_day = 40000\ntruck_share = 0.1";
    let laid = lay(text, &network).unwrap();
    let Demand::Trips(trips) = &laid.scenario.demand else { panic!("trips") };
    // Poisson: five deviations of 200 around the mean.
    assert!((39_000..41_000).contains(&trips.len()), "{}", trips.len());
    let between = |from: f32, to: f32| trips.iter().filter(|t| (from..to).contains(&(t.depart_s / 3_600.0))).count();
    assert!(between(7.0, 9.0) > 2 * between(10.0, 12.0) * 2 / 3, "a morning peak");
    assert!(between(16.0, 18.0) > between(7.0, 9.0), "a higher evening peak");
    assert!(between(2.0, 4.0) * 10 < between(7.0, 9.0), "a quiet night");
    let trucks = trips.iter().filter(|t| laid.scenario.types[usize::from(t.vehicle_type)].is_truck).count();
    assert!((3_500..4_500).contains(&trucks), "{trucks} lorries of 40,000 at a tenth");
    // In the morning trips end nearer to the middle than they begin, in the evening the reverse.
    let [west, south, east, north] = network.bbox();
    let out = |at: roads::SegmentIndex| {
        let place = network.place(at, 0.0);
        (place.lon_deg() - (west + east) / 2.0).hypot(place.lat_deg() - (south + north) / 2.0)
    };
    let inward = |from: f32, to: f32| {
        let of = trips.iter().filter(|t| (from..to).contains(&(t.depart_s / 3_600.0)));
        of.map(|t| match t.route {
            Route::Between(a, b) => out(a) - out(b),
            Route::Fixed(_) => 0.0,
        })
        .sum::<f64>()
    };
    assert!(inward(7.0, 8.0) > 0.0 && inward(17.0, 18.0) < 0.0);
    assert_eq!(Scene::parse(text, Path::new(".")).unwrap().lay(&network, START, None).unwrap().scenario, laid.scenario);
}

#[test]
fn flows_follow_their_profile() {
    let network = demo();
    let text = "description = \"f\"\nduration_min = 60\n[[demand.flows]]\nfrom = \"suburbs\"\nto = \"centre\"\ntrips_per_hour = 4000\nprofile = [1, 0, 0.5, 2]";
    let laid = lay(text, &network).unwrap();
    let Demand::Trips(trips) = &laid.scenario.demand else { panic!("trips") };
    let mut by_quarter = [0_i64; 4];
    trips.iter().for_each(|t| by_quarter[(t.depart_s / 900.0) as usize] += 1);
    for (made, expected) in by_quarter.into_iter().zip([1_000, 0, 500, 2_000]) {
        assert!((made - expected).pow(2) <= 25 * expected, "{by_quarter:?}");
    }
}

#[test]
fn what_is_wrong_is_said_in_a_sentence_that_names_the_nearest() {
    let network = demo();
    let said = |text: &str| lay(&format!("description = \"x\"\n{text}"), &network).unwrap_err().to_string();
    let level = "[demand]\nvehicles = 100\n";
    assert_eq!(
        said("duratoin_min = 3\n[demand]\nvehicles = 1"),
        "there is no key `duratoin_min` in a scenario: did you mean `duration_min`?"
    );
    assert_eq!(said("[demand]\nvehicels = 1"), "there is no key `vehicels` in [demand]: did you mean `vehicles`?");
    assert!(said("[demand]\nvehicles = 0").contains("wants 0 vehicles"));
    assert!(said("[demand]\nvehicles = 1000001").contains("1000001 vehicles"));
    assert!(said("[demand]\nvehicles = \"many\"").starts_with("line 3: "));
    assert!(said("[demand]").contains("give either `vehicles`"));
    assert!(said("[demand]\ntrips_per_day = 0").ends_with("nobody would drive"));
    assert!(said("[demand]\ntrips_per_day = -1").starts_with("trips_per_day is `-1`"));
    assert!(said(&format!("clock = \"25:00\"\n{level}")).starts_with("clock is `25:00`"));
    let incident = |rest: &str| said(&format!("{level}[[incidents]]\nid = \"i\"\nbegin_min = 1\nend_min = 2\n{rest}"));
    let sentence = incident("kind = \"lane-closed\"\nstreet = \"Iner Ring\"");
    assert_eq!(sentence, "incident `i`: there is no street `Iner Ring` on this network: did you mean `Inner Ring`?");
    assert!(incident("kind = \"lane-closed\"").starts_with("street is `missing`"));
    assert!(incident("kind = \"lane-closed\"\nstreet = \"Inner Ring\"\nlane = 9").contains("there is no such lane"));
    let sentence = incident("kind = \"junction-blocked\"\njunction = [\"Old Town Ring\", \"Outer Ring\"]");
    assert_eq!(sentence, "incident `i`: `Old Town Ring` and `Outer Ring` do not meet");
    assert!(incident("kind = \"earthquake\"").contains("earthquake"));
    let flow = |from: &str| said(&format!("[[demand.flows]]\nfrom = \"{from}\"\nto = \"centre\"\ntrips_per_hour = 9"));
    assert_eq!(flow("suburb"), "flow 1 of the demand: there is no zone `suburb`: did you mean `suburbs`?");
    let zone = format!("{level}[[zones]]\nname = \"sea\"\nlon = 0.0\nlat = 1.0\nradius_m = 10");
    assert_eq!(said(&zone), "zone `sea` holds no street on which a trip could begin or end");
    assert!(Scene::open("stadion").unwrap_err().to_string().contains("did you mean `stadium`?"));
    assert!(Scene::open("./none.toml").unwrap_err().to_string().starts_with("./none.toml cannot be read"));
    assert!(said("[sensors]\nprobe_share = 2.0\n[demand]\nvehicles = 9").contains("lies between 0 and 1"));
}

#[test]
fn a_network_without_connections_carries_nobody() {
    let mut builder = NetworkBuilder::new("pieces");
    builder.only_allowed_turns();
    for i in 0..3 {
        let lon = 11.0 + f64::from(i) * 0.01;
        let (from, to) = (builder.node(lon, 44.0), builder.node(lon + 0.001, 44.0));
        builder.segment(NewSegment {
            id: SegmentId::of(&format!("p{i}")),
            source_id: format!("p{i}"),
            source_offset_m: 0.0,
            name: None,
            class: RoadClass::Primary,
            from,
            to,
            length_m: None,
            speed_limit_mps: 13.9,
            lanes: 1,
            line: vec![[lon, 44.0], [lon + 0.001, 44.0]],
        });
    }
    let network = builder.build().unwrap();
    let said = lay("description = \"x\"\n[demand]\nvehicles = 10", &network).unwrap_err().to_string();
    assert_eq!(said, "nobody can drive on this network: no street of it leads to another and back");
}

#[test]
fn a_flow_that_no_way_serves_is_named() {
    // Three one-way streets in a ring, and a zone in which only one of them lies.
    let mut builder = NetworkBuilder::new("ring");
    let corners = [[8.0, 50.0], [8.01, 50.0], [8.005, 50.005]];
    let nodes = corners.map(|at| builder.node(at[0], at[1]));
    for side in 0..3 {
        let source_id = format!("side {side}");
        builder.segment(NewSegment {
            id: SegmentId::of(&source_id),
            source_id,
            source_offset_m: 0.0,
            name: None,
            class: RoadClass::Secondary,
            from: nodes[side],
            to: nodes[(side + 1) % 3],
            length_m: None,
            speed_limit_mps: 50.0 / 3.6,
            lanes: 1,
            line: vec![corners[side], corners[(side + 1) % 3]],
        });
    }
    let network = builder.build().unwrap();
    let text = |radius_m: u32| {
        format!(
            "description = \"x\"\nduration_min = 10\n[[zones]]\nname = \"spot\"\nlon = 8.005\nlat = 50.0\nradius_m = \
             {radius_m}\n[[demand.flows]]\nfrom = \"spot\"\nto = \"spot\"\ntrips_per_hour = 60"
        )
    };
    let said = lay(&text(50), &network).unwrap_err().to_string();
    assert_eq!(said, "no way leads from `spot` to `spot`: that flow could not be driven");
    assert!(lay(&text(5_000), &network).is_ok(), "within a larger zone it can");
}
