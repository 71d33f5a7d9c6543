//! One recording three ways gives the same bytes; every broken line has its fate.

use std::path::{Path, PathBuf};

use crate::support::{Running, arterial, free_port, get, metric, mosquitto, recordings, run, wait_for, wait_ready};

/// Where `arterial ingest` gets its messages from.
enum Way {
    /// It is the MQTT server itself.
    Embedded,
    /// A broker on this port.
    Broker(u16),
}

/// Replays a recording into `arterial ingest`; gives its metrics page after everything has its fate.
fn replay_into_ingest(recording: &Path, speed: &str, way: &Way, data: &Path, messages: f64) -> String {
    let http = free_port();
    let mut ingest = arterial();
    ingest.arg("ingest").arg("--data").arg(data).args(["--http-listen", &format!("127.0.0.1:{http}")]);
    let port = match way {
        Way::Embedded => {
            let port = free_port();
            ingest.args(["--listen", &format!("127.0.0.1:{port}")]);
            port
        }
        Way::Broker(port) => {
            ingest.args(["--broker", &format!("127.0.0.1:{port}")]);
            *port
        }
    };
    let mut ingest = Running::start(&mut ingest);
    wait_ready(&mut ingest, http);
    run(arterial().arg("replay").arg(recording).args([
        "--format",
        "hfp",
        "--speed",
        speed,
        "--broker",
        &format!("127.0.0.1:{port}"),
    ]));
    let page = wait_for("every message to have a fate", || {
        ingest.check();
        let (_, page) = get(http, "/metrics")?;
        (metric(&page, "arterial_ingest_received_total", "")? >= messages).then_some(page)
    });
    assert_eq!(ingest.stop(), Some(0));
    page
}

/// The cells that live analytics makes of a spool, as it leaves them at its end.
fn live_cells(data: &Path, network: &Path, positions: f64) -> String {
    let http = free_port();
    let cells = data.join("cells.csv");
    let mut analytics = Running::start(
        arterial()
            .args(["analytics", "--keep-minutes", "600", "--http-listen", &format!("127.0.0.1:{http}")])
            .arg("--data")
            .arg(data)
            .arg("--network")
            .arg(network)
            .arg("--cells")
            .arg(&cells),
    );
    wait_ready(&mut analytics, http);
    wait_for("every position to be counted", || {
        let (_, page) = get(http, "/metrics")?;
        (metric(&page, "arterial_analytics_positions_total", "")? >= positions).then_some(())
    });
    assert_eq!(analytics.stop(), Some(0));
    std::fs::read_to_string(&cells).unwrap()
}

fn hfp_recording() -> Option<(PathBuf, PathBuf)> {
    let data = recordings()?;
    let recording = data.join("helsinki-hfp/partialApcAfterLongDeadRunStart.hfp.dump");
    Some((recording, data.join("helsinki-hfp/helsinki_centre.osm.pbf")))
}

#[test]
fn a_recording_gives_the_same_cells_from_the_file_embedded_and_through_mosquitto() {
    let Some((recording, network)) = hfp_recording() else { return };
    let lines = std::fs::read_to_string(&recording).unwrap().lines().count() as f64;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cells.csv");
    run(arterial()
        .arg("analyze")
        .arg(&recording)
        .args(["--format", "hfp", "--network"])
        .arg(&network)
        .arg("--out")
        .arg(&out));
    let from_file = std::fs::read_to_string(&out).unwrap();
    assert!(from_file.lines().count() > 10, "the recording drives through the network:\n{from_file}");

    let (_broker, broker_port) = mosquitto(folder.path());
    for (name, speed, way) in [("embedded", "max", Way::Embedded), ("mosquitto", "60", Way::Broker(broker_port))] {
        let data = folder.path().join(name);
        let page = replay_into_ingest(&recording, speed, &way, &data, lines);
        let fate = |of: &str| metric(&page, "arterial_ingest_events_total", of).unwrap();
        let received = metric(&page, "arterial_ingest_received_total", "").unwrap();
        // A connection that is lost on a busy machine has messages sent again, which are duplicates then.
        assert!(received >= lines, "{name}: {received} of {lines}");
        let accepted = fate("fate=\"accepted\"");
        assert_eq!(received, accepted + fate("fate=\"duplicate\"") + fate("fate=\"rejected\""), "{name}");
        assert_eq!(live_cells(&data, &network, accepted), from_file, "{name}");
    }
}

/// Lines of our own, each broken in one of the ways that recordings are, with the fate that it must have.
const BROKEN: [(&str, &str); 17] = [
    (
        "/hfp/v2/journey/ongoing/vp/bus/0018/00423/1/1/Kallio A B/08:00/1/5/60;24/19/73/44 {\"VP\":{\"veh\":423,\"oper\":6,\"tst\":\"2024-01-10T08:00:01.000Z\",\"spd\":5.0,\"hdg\":90,\"lat\":60.17,\"long\":24.94}}",
        "accepted",
    ),
    (
        "/hfp/v2/deadrun/ongoing/vp/bus/0018/00423 {\"VP\":{\"veh\":423,\"oper\":null,\"tst\":\"2024-01-10T08:00:02.000Z\",\"spd\":null,\"hdg\":null,\"lat\":60.17,\"long\":24.94}}",
        "accepted",
    ),
    (
        "/hfp/v2/journey/ongoing/vp/bus/0018/00423/1/1/Töölö/08:00/1/5/60;24/19/73/44 {\"VP\":{\"veh\":423,\"tst\":\"2024-01-10T08:00:01.000Z\",\"spd\":6.0,\"hdg\":91,\"lat\":60.18,\"long\":24.94}}",
        "duplicate",
    ),
    (
        "/hfp/v2/journey/ongoing/vp/bus/0018/00423/1/1/Kallio/08:00/1/5/60;24/19/73/44 {\"VP\":{\"veh\":423,\"tst\":\"2024-01-10T08:00:03.000Z\",\"lat\":null,\"long\":null}}",
        "no_position",
    ),
    (
        "/hfp/v2/journey/ongoing/vp/bus/0018/00423/1/1/Kallio/08:00/1/5/60;24/19/73/44 {\"VP\":{\"veh\":423,\"tst\":\"2024-01-10T08:00:04.000Z\",\"lat\":0,\"long\":0}}",
        "null_island",
    ),
    (
        "/hfp/v2/journey/ongoing/vp/bus/0018/00423/1/1/Kallio/08:00/1/5/60;24/19/73/44 {\"VP\":{\"veh\":423,\"tst\":\"half past eight\",\"lat\":60.17,\"long\":24.94}}",
        "unreadable_field",
    ),
    (
        "/hfp/v2/journey/ongoing/vp/bus/0018/00423/1/1/Kallio/08:00/1/5/60;24/19/73/44 {\"VP\":{\"veh\":423,\"tst\":\"2024-01-10T08:00:05.000Z\",\"lat\":60.17,",
        "malformed",
    ),
    (
        "arterial/v1/demo/position/car-1 {\"ts_ms\":1704873601000,\"lon_deg\":24.94,\"lat_deg\":60.17,\"speed_mps\":113.9952}",
        "accepted",
    ),
    ("arterial/v1/demo/position/car-1 {\"ts_ms\":1704873602000,\"lon_deg\":24.94}", "missing_field"),
    ("arterial/v1/demo/position/car-1 {\"ts_ms\":1704873603000,\"lon_deg\":60.17,\"lat_deg\":240.94}", "out_of_range"),
    (
        "arterial/v1/demo/position/car-1 {\"source\":\"car-2\",\"ts_ms\":1704873604000,\"lon_deg\":24.94,\"lat_deg\":60.17}",
        "wrong_source",
    ),
    (
        "arterial/v1/demo/position/car-1 {\"ts_ms\":1704963601000,\"lon_deg\":24.94,\"lat_deg\":60.17}",
        "from_the_future",
    ),
    (
        "arterial/v1/demo/detector/loop-1 {\"start_ms\":1704873540000,\"end_ms\":1704873600000,\"count\":0,\"occupancy\":0.0,\"speed_mps\":-1.0}",
        "accepted",
    ),
    (
        "arterial/v1/demo/detector/loop-1 {\"start_ms\":1704873600000,\"end_ms\":1704873660000,\"count\":7,\"occupancy\":12.5}",
        "out_of_range",
    ),
    ("arterial/v1/demo/heat/oven {\"ts_ms\":1}", "unknown_topic"),
    ("elsewhere {\"ts_ms\":1}", "unknown_topic"),
    (
        "arterial/v1/demo/position/car-1 {\"ts_ms\":1704873605000,\"lon_deg\":24.94,\"lat_deg\":1e999}",
        "malformed|out_of_range|unreadable_field",
    ),
];

#[test]
fn every_broken_line_has_its_fate_and_a_dead_letter_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("broken.dump");
    // All received within the same minute: what is stamped a day later comes from the future.
    let lines: Vec<String> = BROKEN.iter().map(|(line, _)| format!("2024-01-10T08:01:30.000000Z {line}\n")).collect();
    std::fs::write(&recording, lines.concat()).unwrap();
    let data = folder.path().join("data");
    let page = replay_into_ingest(&recording, "max", &Way::Embedded, &data, BROKEN.len() as f64);

    let expected = |fate: &str| BROKEN.iter().filter(|b| b.1 == fate).count() as f64;
    let fate = |of: &str| metric(&page, "arterial_ingest_events_total", &format!("fate=\"{of}\"")).unwrap();
    assert_eq!(fate("accepted"), expected("accepted"));
    assert_eq!(fate("duplicate"), expected("duplicate"));
    let received = metric(&page, "arterial_ingest_received_total", "").unwrap();
    assert_eq!(received, fate("accepted") + fate("duplicate") + fate("rejected"));
    assert_eq!(received, BROKEN.len() as f64);

    let letters = dead_letters(&data);
    assert_eq!(letters.len() as f64, fate("rejected"));
    for (line, fate) in BROKEN.iter().filter(|b| !matches!(b.1, "accepted" | "duplicate")) {
        let topic = line.split(" {").next().unwrap();
        let payload = &line[topic.len() + 1..];
        let letter = letters.iter().find(|l| l["topic"] == topic && l["payload"] == payload);
        let letter = letter.unwrap_or_else(|| panic!("no dead letter keeps {line}"));
        let reason = letter["reason"].as_str().unwrap();
        assert!(fate.split('|').any(|f| f == reason), "{line}: {reason}, expected {fate}");
        assert!(letter["received_ms"].is_i64() && !letter["detail"].as_str().unwrap().is_empty());
    }
}

fn dead_letters(data: &Path) -> Vec<serde_json::Value> {
    let mut letters = Vec::new();
    for file in std::fs::read_dir(data.join("dead-letters")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        letters.extend(text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()));
    }
    letters
}

#[test]
fn every_broken_row_of_a_csv_is_counted_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, rejects, out) =
        (folder.path().join("rows.csv"), folder.path().join("no.jsonl"), folder.path().join("c.csv"));
    let text = "\u{feff}vehicle_id,timestamp,speed,latitude,longitude\n\
        7,2015-03-08T01:59:58-06:00,20,44.4900,11.3500\n\
        7,2015-03-08T03:00:08-05:00,20,44.4900,11.3505\n\
        7,2015-03-08T03:00:08-05:00,21,44.4901,11.3505\n\
        7,2015-03-08T03:00:18-05:00,255,44.4900,11.3510\n\
        8,2015-03-08T03:00:18-05:00,20,0,0\n\
        8,2015-03-08T03:00:28-05:00,20,,11.35\n\
        8,2015-03-08T03:00:38-05:00,fast,44.49,11.35\n\
        8,yesterday,20,44.49,11.35\n\
        8,2015-03-08T03:00:48-05:00,20,95.5,11.35\n\
        ,2015-03-08T03:00:58-05:00,20,44.49,11.35\n\
        9,2015-03-08T03:00:58-05:00,20\n";
    std::fs::write(&rows, text).unwrap();
    let output = run(arterial()
        .arg("analyze")
        .arg(&rows)
        .args(["--format", "csv", "--network", "demo", "--columns"])
        .arg("id=vehicle_id,time=timestamp,lon=longitude,lat=latitude,speed=speed:mph")
        .arg("--out")
        .arg(&out)
        .arg("--rejects")
        .arg(&rejects));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("received 11 = accepted 3 + duplicate 1 + rejected 7"), "{said}");
    let letters = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(letters.lines().count(), 7);
    for reason in ["null_island", "missing_field", "unreadable_field", "out_of_range"] {
        assert!(letters.contains(&format!("\"{reason}\"")), "{reason} in\n{letters}");
    }
}
