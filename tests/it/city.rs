//! The default command: one process becomes a live city.

use std::time::{Duration, Instant};

use crate::support::{Running, arterial, free_port, get, metric, wait_for, wait_ready};

#[test]
fn the_default_command_is_a_live_city_within_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let (mqtt, http) = (free_port(), free_port());
    let started = Instant::now();
    let mut city = Running::start(
        arterial()
            .args(["--mqtt-listen", &format!("127.0.0.1:{mqtt}"), "--http-listen", &format!("127.0.0.1:{http}")])
            .arg("--data")
            .arg(folder.path()),
    );
    wait_ready(&mut city, http);
    let page = wait_for("200 segments with a speed", || {
        city.check();
        let (_, page) = get(http, "/metrics")?;
        let (_, segments) = get(http, "/metrics/segments?class=all")?;
        let series = segments
            .lines()
            .filter(|l| l.starts_with("arterial_segment_speed_meters_per_second{") && l.contains("window=\"1m\""));
        (series.count() >= 200).then_some(page)
    });
    let took = started.elapsed();
    println!("200 segments after {took:?}");
    assert!(took <= Duration::from_secs(60), "{took:?}");
    let received = metric(&page, "arterial_ingest_received_total", "").unwrap();
    let fates = metric(&page, "arterial_ingest_events_total", "fate=").unwrap();
    assert!(received > 0.0);
    assert_eq!(received, fates, "received = accepted + duplicate + rejected in every scrape");
    assert_eq!(metric(&page, "arterial_ingest_events_total", "fate=\"rejected\"").unwrap(), 0.0);
    assert!(metric(&page, "arterial_detector_flow_vehicles_per_hour", "").is_none() || received > 0.0);

    let (status, few) = get(http, "/metrics/segments?class=residential,service&top=3&window=1m").unwrap();
    let ratios: Vec<&str> = few.lines().filter(|l| l.starts_with("arterial_segment_speed_ratio{")).collect();
    assert!(status == 200 && ratios.len() == 3, "{ratios:?}");
    assert!(
        ratios.iter().all(|l| l.contains("class=\"residential\"") || l.contains("class=\"service\"")),
        "{ratios:?}"
    );
    assert_eq!(get(http, "/metrics/segments?class=alley").unwrap().0, 400);
    assert!(!page.contains("arterial_segment_speed_ratio"), "segments have a page of their own");
    let (status, body) = get(http, "/api/v1/snapshot?window=300").unwrap();
    assert_eq!(status, 200);
    assert!(body.contains("\"speed_ratio\""), "{body:.200}");
    let (status, body) = get(http, "/api/v1/network").unwrap();
    assert!(status == 200 && body.contains("\"line\""));
    for (path, part) in [("signals", "\"phases\""), ("buses", "\"lines\""), ("detectors", "\"fused\"")] {
        let (status, body) = get(http, &format!("/api/v1/{path}")).unwrap();
        assert!(status == 200 && body.contains(part), "{path}: {body:.200}");
    }
    assert!(metric(&page, "arterial_detector_oddities_total", "oddity=\"nothing_passed\"").is_some());
    assert_eq!(get(http, "/api/v1/nothing").unwrap().0, 404);
    assert!(get(http, "/api/v1/nothing").unwrap().1.contains("\"not_found\""));
    assert_eq!(get(http, "/api/v1/snapshot?window=7").unwrap().0, 400);
    assert_eq!(get(http, "/assets/nothing.js").unwrap().0, 404);
    assert_eq!(get(http, "/").unwrap().0, 200);
    assert_eq!(city.stop(), Some(0), "SIGTERM ends it in good order");
}
