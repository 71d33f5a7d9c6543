//! Four processes (mosquitto, replay, ingest, analytics) and Debian's Prometheus: PromQL finds the congestion.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Running, arterial, free_port, get, mosquitto, run, wait_for, wait_ready};

/// Prometheus on a free port, scraping analytics every second.
fn prometheus(folder: &Path, analytics_port: u16) -> (Running, u16) {
    let port = free_port();
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: arterial, metrics_path: /metrics/segments, static_configs: [{{targets: ['127.0.0.1:{analytics_port}']}}]}}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stderr(Stdio::null());
    (Running::start(&mut command), port)
}

/// Two minutes of traffic of our own on one street of the demo city: six cars crawl, then stand.
fn jam(folder: &Path) -> (std::path::PathBuf, String) {
    let network = roads::generate::metropolis(&roads::generate::MetropolisPlan::default()).network;
    let longest =
        network.indices().max_by(|&a, &b| network.segment(a).length_m.total_cmp(&network.segment(b).length_m));
    let segment = longest.unwrap();
    let mut csv = String::from("id,time,lon,lat,heading\n");
    for second in 0..120 {
        for car in 0..6 {
            let at = network.place(segment, 10.0 + f64::from(car) * 8.0 + f64::from(second) * 0.3);
            let heading = network.heading(segment, 20.0).get();
            csv +=
                &format!("car-{car},{},{:.7},{:.7},{heading:.1}\n", 1_700_000_000 + second, at.lon_deg(), at.lat_deg());
        }
    }
    let path = folder.join("jam.csv");
    std::fs::write(&path, csv).unwrap();
    (path, network.segment(segment).id.to_string())
}

#[test]
fn promql_returns_the_congested_segments() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (_broker, broker) = mosquitto(folder.path());
    let (ingest_http, http) = (free_port(), free_port());
    let mut ingest = Running::start(
        arterial()
            .args([
                "ingest",
                "--broker",
                &format!("127.0.0.1:{broker}"),
                "--http-listen",
                &format!("127.0.0.1:{ingest_http}"),
            ])
            .arg("--data")
            .arg(&data),
    );
    wait_ready(&mut ingest, ingest_http);
    let mut analytics = Running::start(
        arterial()
            .args([
                "analytics",
                "--network",
                "demo",
                "--segment-classes",
                "all",
                "--http-listen",
                &format!("127.0.0.1:{http}"),
                "--data",
            ])
            .arg(&data),
    );
    wait_ready(&mut analytics, http);
    let (_prometheus, prometheus) = prometheus(folder.path(), http);
    let (recording, segment) = jam(folder.path());
    run(arterial()
        .arg("replay")
        .arg(&recording)
        .args(["--format", "csv", "--columns", "id=id,time=time,lon=lon,lat=lat,heading=heading"])
        .args(["--speed", "max", "--broker", &format!("127.0.0.1:{broker}")]));
    // 0.3 m/s on a street with a free flow of several: ratio below 0.2.
    let query = "arterial_segment_speed_ratio%7Bwindow%3D%221m%22%7D%3C0.25";
    let answer = wait_for("PromQL to return the congested segment", || {
        analytics.check();
        let (_, body) = get(prometheus, &format!("/api/v1/query?query={query}"))?;
        body.contains(&segment).then_some(body)
    });
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let found = answer["data"]["result"].as_array().unwrap();
    assert!(found.iter().all(|s| s["value"][1].as_str().unwrap().parse::<f64>().unwrap() < 0.25));
    assert_eq!(found.iter().filter(|s| s["metric"]["segment"] == segment.as_str()).count(), 1);
    assert_eq!(analytics.stop(), Some(0));
    assert_eq!(ingest.stop(), Some(0));
}
