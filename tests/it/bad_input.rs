//! One clear sentence and an exit code that is not 0 for everything that goes wrong.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::support::{Running, arterial};

/// Runs a command that must fail, and gives its last line of error.
fn refused(command: &mut Command) -> String {
    let said = tempfile::NamedTempFile::new().unwrap();
    command.stdout(Stdio::null()).stderr(said.reopen().unwrap());
    let status = Running::start(command).wait();
    let error = std::fs::read_to_string(said.path()).unwrap();
    assert!(!status.success(), "{command:?} should have failed");
    assert!(!error.contains("panicked"), "{error}");
    let last = error.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("arterial: "), "{command:?} said:\n{error}");
    last
}

fn check(said: &str, expected: &[&str]) {
    for word in expected {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

fn analyze(file: &std::path::Path, extra: &[&str]) -> Command {
    let mut command = arterial();
    let out = file.with_file_name("out.csv");
    command.arg("analyze").arg(file).args(["--network", "demo", "--out"]).arg(out).args(extra);
    command
}

const COLUMNS: [&str; 4] = ["--format", "csv", "--columns", "id=id,time=time,lon=lon,lat=lat"];

#[test]
fn files_that_cannot_be_read_or_are_of_another_format() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    check(&refused(&mut analyze(&folder.path().join("nowhere.csv"), &COLUMNS)), &["cannot open", "nowhere.csv"]);
    check(&refused(&mut analyze(folder.path(), &COLUMNS)), &["is a folder"]);
    let prose = file("prose.txt", b"Dear diary, today the bus was late.\n");
    check(&refused(&mut analyze(&prose, &["--format", "hfp"])), &["prose.txt", "line 1"]);
    check(&refused(&mut analyze(&prose, &["--format", "sumo-fcd"])), &["prose.txt"]);
    check(&refused(&mut analyze(&prose, &COLUMNS)), &["prose.txt", "`id`"]);
    let cut = file("cut.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b]);
    check(&refused(&mut analyze(&cut, &COLUMNS)), &["cut.csv.gz"]);
    check(&refused(&mut analyze(&prose, &["--format", "csv"])), &["--columns"]);
    check(&refused(&mut analyze(&prose, &["--format", "csv", "--columns", "id=a,speed=b"])), &["--columns"]);
    check(&refused(arterial().args(["network", "info"]).arg(&prose)), &["prose.txt", "road network"]);
    let pbf = file("cut.osm.pbf", &[0, 0, 0, 13, 10, 9, b'O', b'S', b'M']);
    check(&refused(arterial().args(["network", "import"]).arg(&pbf).args(["--out", "/tmp/never"])), &["cut.osm.pbf"]);
}

#[test]
fn a_network_of_another_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paris.csv");
    std::fs::write(&path, "id,time,lon,lat\na,1,2.35,48.85\na,2,2.3501,48.85\n").unwrap();
    check(
        &refused(&mut analyze(&path, &COLUMNS)),
        &["none of 2 positions", "48.85", "44.", "network of the same place"],
    );
}

#[test]
fn ports_that_are_taken_brokers_that_are_away_and_addresses_for_all_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("127.0.0.1:{}", taken.local_addr().unwrap().port());
    let ingest = |extra: &[&str]| {
        let mut command = arterial();
        command.arg("ingest").arg("--data").arg(folder.path()).args(extra);
        command
    };
    let free = ["--http-listen", "127.0.0.1:0"];
    check(&refused(ingest(&free).args(["--listen", &port])), &["cannot listen on", &port, "--listen"]);
    check(&refused(ingest(&["--listen", "127.0.0.1:0"]).args(["--http-listen", &port])), &[&port, "--http-listen"]);
    check(&refused(ingest(&free).args(["--listen", "0.0.0.0:0"])), &["other machines", "--allow-remote"]);
    let local = ["--listen", "127.0.0.1:0", "--http-listen", "0.0.0.0:0"];
    check(
        &refused(&mut ingest(&local)),
        &["other machines", "everybody could read", "--http-tokens", "--allow-remote"],
    );
    let by_token = ["--http-tokens", "/nowhere/tokens"];
    check(&refused(ingest(&local).args(by_token)), &["in the clear", "--http-tls-cert"]);
    let here = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    check(&refused(ingest(&here).args(by_token)), &["cannot read /nowhere/tokens"]);
    check(&refused(ingest(&here).env("ARTERIAL_HTTP_TOKEN", "secret")), &["ARTERIAL_HTTP_TOKEN", "guessed"]);
    let dump = folder.path().join("one.dump");
    std::fs::write(&dump, "2024-01-10T08:01:30.000000Z /hfp/v2/deadrun/ongoing/vp/bus/0018/00423 {\"VP\":{}}\n")
        .unwrap();
    drop(taken);
    let mut replay = arterial();
    replay.arg("replay").arg(&dump).args(["--format", "hfp", "--broker", &port, "--give-up-after-s", "2"]);
    check(&refused(&mut replay), &[&port, "broker"]);
}

#[test]
fn data_folders_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let mut ingest = arterial();
    ingest.args(["ingest", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data"]);
    check(&refused(ingest.arg(file.join("below"))), &["file"]);
    let mut analytics = arterial();
    analytics.args(["analytics", "--network", "demo", "--http-listen", "127.0.0.1:0", "--data"]);
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/spool"), "in the way").unwrap();
    check(&refused(analytics.arg(folder.path().join("data"))), &["spool", "arterial ingest"]);
}
