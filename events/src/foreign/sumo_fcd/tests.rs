//! Floating-car data as SUMO writes it, in small files of our own.

use super::*;
use crate::foreign::lines::LINE_BYTES_MAX;
use std::io::Cursor;

fn records(file: impl AsRef<[u8]>) -> Vec<Result<Record, ReadError>> {
    Vehicles::new(Box::new(Cursor::new(file.as_ref().to_vec()))).collect()
}

fn export(inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- made by hand -->\n<fcd-export a=\"b\">\n{inside}\n</fcd-export>\n"
    )
}

fn step(vehicles: &str) -> String {
    export(&format!("<timestep time=\"1800.50\">\n{vehicles}\n</timestep>"))
}

fn position(record: &Result<Record, ReadError>) -> &Position {
    match record {
        Ok(Record::Event(Event::Position(position))) => position,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_vehicle_is_a_position_on_its_edge() {
    let file = step(
        r#"<vehicle id="Borgo_1&amp;2" x="11.3" y="44.5" angle="345.67" type="bus" speed="4.63" pos="38.57" lane="a204a[0]_1" slope="0.00"/>"#,
    );
    let found = records(file);
    let p = position(&found[0]);
    assert_eq!((p.source.as_str(), p.time, p.seq), ("Borgo_1&2", TimeMs(1_800_500), None));
    assert_eq!((p.at.lon_deg(), p.at.lat_deg()), (11.3, 44.5));
    assert_eq!((p.heading.unwrap().get(), p.speed.unwrap().get()), (345.67, 4.63));
    assert_eq!(p.edge, Some(EdgeFix { edge_id: "a204a[0]".into(), pos_m: 38.57 }));
    assert_eq!(found.len(), 1);
}

#[test]
fn the_edge_is_the_lane_without_its_number() {
    for (lane, edge) in [
        (":a52_1_1", Some(":a52_1")),
        ("b56[1][0]_0", Some("b56[1][0]")),
        ("-12#3_10", Some("-12#3")),
        ("no_number", Some("no_number")),
        ("plain", Some("plain")),
        ("", None),
    ] {
        let found = records(step(&format!("<vehicle id=\"a\" x=\"11.3\" y=\"44.5\" pos=\"1\" lane=\"{lane}\"/>")));
        let p = position(&found[0]);
        assert_eq!(p.edge.as_ref().map(|edge| edge.edge_id.as_str()), edge, "{lane}");
        assert_eq!((p.speed, p.heading), (None, None));
    }
}

#[test]
fn steps_without_vehicles_and_people_give_nothing() {
    let file = export(
        r#"<timestep time="0.00"/><timestep time="1.00"></timestep><timestep time="2.00">
        <person id="p" x="11.3" y="44.5" angle="1" speed="1" pos="1" edge="a"/><container id="c" x="11.3" y="44.5"/>
        <vehicle id="v" x="11.3" y="44.5"><!-- with something inside --></vehicle></timestep>"#,
    );
    let found = records(file);
    assert_eq!(found.len(), 1);
    assert_eq!((position(&found[0]).source.as_str(), position(&found[0]).time), ("v", TimeMs(2_000)));
    assert!(records("<fcd-export>\n</fcd-export>").is_empty());
}

#[test]
fn a_vehicle_that_cannot_be_read_is_given_back_with_its_line() {
    for (vehicle, reason, field) in [
        (r#"<vehicle x="11.3" y="44.5"/>"#, Reason::MissingField, Some("id")),
        (r#"<vehicle id="a" y="44.5"/>"#, Reason::NoPosition, Some("x")),
        (r#"<vehicle id="a" x="11.3"/>"#, Reason::NoPosition, Some("y")),
        (r#"<vehicle id="a" x="nan" y="44.5"/>"#, Reason::UnreadableField, Some("x")),
        (r#"<vehicle id="a" x="0.00" y="0.00"/>"#, Reason::NullIsland, Some("x")),
        (r#"<vehicle id="a" x="11.3" y="44.5" speed="-1"/>"#, Reason::OutOfRange, Some("speed")),
        (r#"<vehicle id="a" x="11.3" y="44.5" angle="400"/>"#, Reason::OutOfRange, Some("angle")),
        (r#"<vehicle id="a" x="11.3" y="44.5" lane="b_0" pos="far"/>"#, Reason::UnreadableField, Some("pos")),
        (r#"<vehicle id="a" id="b" x="11.3" y="44.5"/>"#, Reason::Malformed, None),
        (r#"<vehicle id="&unknown;" x="11.3" y="44.5"/>"#, Reason::Malformed, None),
    ] {
        let good = r#"<vehicle id="g" x="11.3" y="44.5"/>"#;
        let found = records(step(&format!("{good}\n{vehicle}\n{good}")));
        let [Ok(Record::Event(_)), Ok(Record::Unreadable { line: 6, reject, raw }), Ok(Record::Event(_))] = &found[..]
        else {
            panic!("{found:?}")
        };
        assert_eq!((reject.reason, reject.field.as_deref()), (reason, field), "{vehicle}: {reject}");
        assert_eq!(String::from_utf8_lossy(raw), vehicle);
    }
    let vehicle = r#"<vehicle id="a" x="11.3" y="44.5"/>"#;
    for (file, reason) in [
        (export(&format!("<timestep time=\"soon\">{vehicle}</timestep>")), Reason::UnreadableField),
        (export(&format!("<timestep>{vehicle}</timestep>")), Reason::MissingField),
        (export(vehicle), Reason::MissingField),
        (export(&format!("<timestep time=\"1\"></timestep>{vehicle}")), Reason::MissingField),
    ] {
        let found = records(&file);
        let [Ok(Record::Unreadable { reject, .. })] = &found[..] else { panic!("{found:?}") };
        assert_eq!((reject.reason, reject.field.as_deref()), (reason, Some("time")), "{file}");
    }
}

#[test]
fn metres_in_place_of_degrees_are_another_format() {
    let good = r#"<vehicle id="g" x="11.3" y="44.5"/>"#;
    for bad in [r#"<vehicle id="a" x="1520.81" y="44.5"/>"#, r#"<vehicle id="a" x="11.3" y="-91"/>"#] {
        let found = records(step(&format!("{good}\n{bad}\n{good}")));
        let [Ok(_), Err(e @ ReadError::NotThisFormat { line: 6, .. })] = &found[..] else { panic!("{found:?}") };
        assert!(e.to_string().contains("--fcd-output.geo"), "{e}");
    }
}

#[test]
fn another_file_is_told_at_its_first_element() {
    for (file, part) in [
        ("<?xml version=\"1.0\"?>\n<net version=\"1.9\">", "<net>"),
        ("<routes/>", "<routes>"),
        ("id,lon,lat\n1,2,3\n", "id,lon,lat"),
        ("", "no element"),
        ("{\"a\":1}", "{"),
        ("<!-- only", "XML"),
    ] {
        let found = records(file);
        let [Err(e @ ReadError::NotThisFormat { .. })] = &found[..] else { panic!("{file}: {found:?}") };
        assert!(e.to_string().contains(part) && e.to_string().contains("fcd-export"), "{e}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_never_taken_for_a_whole_one() {
    let whole = step(
        r#"<vehicle id="a" x="11.3" y="44.5"/>
<vehicle id="b" x="11.3" y="44.5"/>"#,
    );
    let end = whole.rfind('>').unwrap();
    let entered = whole.find("<timestep").unwrap();
    for cut in 0..end {
        let found = records(&whole[..cut]);
        let last = found.last().unwrap().as_ref().unwrap_err();
        assert_eq!(found.iter().filter(|record| record.is_err()).count(), 1);
        let truncated = matches!(last, ReadError::Truncated { .. });
        assert!(truncated || matches!(last, ReadError::NotThisFormat { .. }) && cut < entered, "{cut}: {last}");
    }
    let found = records(&whole[..whole.find("<vehicle id=\"b\"").unwrap()]);
    let Some(Err(ReadError::Truncated { line: 6, .. })) = found.last() else { panic!("{found:?}") };
    assert!(records(&whole[..=end]).iter().all(Result::is_ok));
}

#[test]
fn broken_xml_ends_the_reading_and_says_where() {
    let file = step("<vehicle id=\"a\" x=\"11.3\" y=\"44.5\"/>\n</wrong>");
    let found = records(file);
    let [Ok(_), Err(ReadError::Malformed { line: 6, .. })] = &found[..] else { panic!("{found:?}") };
    let found = records(b"<fcd-export>\n<timestep time=\"\xe4\">".as_slice());
    assert!(matches!(&found[..], [Err(ReadError::Malformed { line: 2, .. })]), "{found:?}");
}

#[test]
fn a_text_without_an_end_is_not_collected() {
    for (start, is_fcd) in [("", false), ("<!-- ", false), ("<fcd-export>", true), ("<fcd-export><vehicle id=\"", true)]
    {
        let file = Cursor::new(format!("{start}{}", "x".repeat(3 * LINE_BYTES_MAX)));
        let pieces = Box::new(std::io::BufReader::with_capacity(4_096, file));
        let found: Vec<_> = Vehicles::new(pieces).collect();
        let [Err(e)] = &found[..] else { panic!("{start}: {found:?}") };
        assert!(e.to_string().contains("1048576"), "{e}");
        match e {
            ReadError::NotThisFormat { line: 1, .. } if !is_fcd => {}
            ReadError::Malformed { line: 1, .. } if is_fcd => {}
            other => panic!("{start}: {other:?}"),
        }
    }
}

#[test]
fn a_failing_disk_is_not_taken_for_a_broken_file() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    for start in ["", "<fcd-export>\n<timestep time=\"1\">"] {
        let input = std::io::Read::chain(Cursor::new(start), std::io::BufReader::new(Broken));
        let found: Vec<_> = Vehicles::new(Box::new(input)).collect();
        let [Err(ReadError::Io { source, .. })] = &found[..] else { panic!("{start}: {found:?}") };
        assert!(source.to_string().contains("the disk is gone"), "{source}");
    }
}
