//! History in S3-compatible object storage: a real server, moto, on loopback.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Running, arterial, free_port, get, metric, run, wait_for};

/// A few vehicles over 40 minutes.
fn recording(path: &Path) {
    let mut csv = String::from("id,time,lon,lat,speed\n");
    for second in (0..2_400).step_by(5) {
        for vehicle in 0..6 {
            let at = events::TimeMs(1_792_915_200_000 + second * 1_000).rfc3339();
            let lon = 13.30 + (second as f64 * 8.0 + f64::from(vehicle) * 900.0) / 68_000.0 % 0.05;
            csv += &format!("v{vehicle},{at},{lon:.6},52.5{vehicle}0000,8\n");
        }
    }
    fs::write(path, csv).unwrap();
}

/// The storage, with a bucket.
struct Storage {
    _server: Running,
    port: u16,
}

fn python() -> Option<String> {
    let named = std::env::var("ARTERIAL_PYTHON").ok();
    if named.is_none() {
        eprintln!("skipped: no Python with moto (set ARTERIAL_PYTHON, see tests/it/requirements.txt)");
    }
    named
}

fn script(python: &str, port: u16, text: &str) -> String {
    let begin = format!(
        "import boto3\ns3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{port}', region_name='us-east-1', \
         aws_access_key_id='key', aws_secret_access_key='secret')\n"
    );
    String::from_utf8(run(Command::new(python).args(["-c", &(begin + text)])).stdout).unwrap()
}

impl Storage {
    fn start(python: &str, port: u16) -> Self {
        let mut server = Command::new(python);
        server.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let server = Running::start(server.stdout(Stdio::null()).stderr(Stdio::null()));
        wait_for("the object storage", || get(port, "/moto-api/data.json").filter(|answer| answer.0 == 200));
        script(python, port, "s3.create_bucket(Bucket='city')");
        Self { _server: server, port }
    }
}

fn with_access(command: &mut Command, port: u16) -> &mut Command {
    command
        .args(["--archive-endpoint", &format!("http://127.0.0.1:{port}"), "--archive-region", "us-east-1"])
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret-that-nobody-sees")
}

/// Copies a bucket into a folder.
fn download(python: &str, port: u16, prefix: &str, into: &Path) {
    let text = format!(
        "import os\nfor o in s3.list_objects_v2(Bucket='city', Prefix='{prefix}/')['Contents']:\n    p = os.path.join('{}', \
         o['Key'][len('{prefix}/'):])\n    os.makedirs(os.path.dirname(p), exist_ok=True)\n    \
         s3.download_file('city', o['Key'], p)",
        into.display()
    );
    script(python, port, &text);
}

fn checked(archive: &Path) -> String {
    String::from_utf8(run(arterial().args(["archive", "check", "--archive"]).arg(archive)).stdout).unwrap()
}

#[test]
fn a_recording_goes_into_a_bucket_once() {
    let Some(python) = python() else { return };
    let storage = Storage::start(&python, free_port());
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("city.csv");
    recording(&csv);
    let hexagons = |place: &str| {
        let mut analyze = arterial();
        analyze.arg("analyze").arg(&csv).args(["--format", "csv", "--area", "13.2,52.4,13.5,52.6"]);
        analyze.args(["--columns", "id=id,time=time,lon=lon,lat=lat,speed=speed:mps", "--archive", place]);
        analyze
    };
    let local = folder.path().join("local");
    run(&mut hexagons(local.to_str().unwrap()));
    let output = run(with_access(&mut hexagons("s3://city/history"), storage.port));
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains("secret-that-nobody-sees"));
    let first = folder.path().join("first");
    download(&python, storage.port, "history", &first);
    assert_eq!(checked(&first), checked(&local), "the same files, rows and bytes");
    // Once more, by a machine that knows nothing of the first run.
    let again = run(with_access(&mut hexagons("s3://city/history"), storage.port));
    assert!(String::from_utf8(again.stdout).unwrap().contains("history has those minutes already"));
    let second = folder.path().join("second");
    download(&python, storage.port, "history", &second);
    assert_eq!(fs::read(first.join("manifest.json")).unwrap(), fs::read(second.join("manifest.json")).unwrap());
    let open = hexagons("s3://city/history").args(["--archive-endpoint", "http://192.0.2.1:9000"]).output().unwrap();
    assert!(String::from_utf8(open.stderr).unwrap().contains("no TLS"), "nothing is sent in the open");
}

#[test]
fn a_storage_that_is_down_is_told_and_caught_up_with() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (csv, data) = (folder.path().join("city.csv"), folder.path().join("data"));
    recording(&csv);
    let (mqtt, http, port) = (free_port(), free_port(), free_port());
    let mut ingest = Running::start(
        arterial()
            .args(["ingest", "--listen", &format!("127.0.0.1:{mqtt}"), "--http-listen", &format!("127.0.0.1:{http}")])
            .arg("--data")
            .arg(&data),
    );
    crate::support::wait_ready(&mut ingest, http);
    let mut replay = arterial();
    replay.arg("replay").arg(&csv).args(["--format", "csv", "--speed", "max"]);
    replay.args(["--columns", "id=id,time=time,lon=lon,lat=lat,speed=speed:mps"]);
    run(replay.args(["--broker", &format!("127.0.0.1:{mqtt}")]));
    // A first life with the storage up makes the folder known; then the storage goes down.
    let start = || {
        let page = free_port();
        let mut analytics = arterial();
        analytics.args(["analytics", "--area", "13.2,52.4,13.5,52.6", "--archive", "s3://city/live"]);
        analytics.args(["--archive-minutes", "1", "--http-listen", &format!("127.0.0.1:{page}"), "--data"]).arg(&data);
        (Running::start(with_access(&mut analytics, port)), page)
    };
    let (mut analytics, page) = start();
    let reason = wait_for("the storage to be missed", || {
        analytics.check();
        get(page, "/ready").filter(|answer| answer.0 == 503 && answer.1.contains("history is not written"))
    });
    assert!(!reason.1.contains("secret-that-nobody-sees"), "{}", reason.1);
    let failures = metric(&get(page, "/metrics").unwrap().1, "arterial_archive_failures_total", "");
    assert!(failures.is_some_and(|n| n >= 1.0));
    let storage = Storage::start(&python, port);
    wait_for("history to be in the bucket", || {
        analytics.check();
        let (_, page) = get(page, "/metrics")?;
        let waiting = metric(&page, "arterial_archive_waiting_bytes", "")?;
        (metric(&page, "arterial_archive_files", "")? > 0.0 && waiting == 0.0).then_some(())
    });
    wait_for("it to be ready again", || get(page, "/ready").filter(|answer| answer.0 == 200));
    assert_eq!(analytics.stop(), Some(0));
    let copy = folder.path().join("copy");
    download(&python, storage.port, "live", &copy);
    let said = checked(&copy);
    assert!(said.contains("sound"), "{said}");
    assert_eq!(ingest.stop(), Some(0));
}
