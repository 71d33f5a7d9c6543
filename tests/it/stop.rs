//! SIGTERM and SIGKILL to the real binary under load: what was acknowledged is stored, once; a stop ends well.

use std::path::Path;

use crate::publisher::{Devices, stored};
use crate::support::{Running, arterial, free_port, get, metric, wait_for, wait_ready};

const DEVICES: i64 = 3;

/// Messages that are acknowledged in each life before it ends.
const A_LIFE: u64 = 3_000;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It has to drain, and end with 0.
    Term,
    Kill,
}

fn end(service: Running, how: End) {
    match how {
        End::Term => assert_eq!(service.stop(), Some(0), "a stop under load ends well"),
        End::Kill => drop(service),
    }
}

/// Everything acknowledged so far lies in the spool, and nothing lies there twice.
fn check(devices: &Devices, data: &Path, when: &str) {
    // Asked before the spool is read: what is acknowledged by then has to be there.
    let (acknowledged, rows) = (devices.acknowledged(), stored(data));
    let lost: Vec<_> = acknowledged.iter().filter(|time| !rows.contains_key(time)).take(5).collect();
    let twice: Vec<_> = rows.iter().filter(|(_, count)| **count > 1).take(5).collect();
    assert!(lost.is_empty() && twice.is_empty(), "{when}: lost {lost:?}, twice {twice:?} of {}", acknowledged.len());
}

/// Lives under load, each ended in its way; in the end all that was sent is acknowledged and stored once.
fn lives(start: impl Fn(u16, u16, &Path) -> Running) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mqtt, http) = (free_port(), free_port());
    let devices = Devices::start(DEVICES, mqtt);
    for (n, how) in [End::Term, End::Kill, End::Term, End::Kill].into_iter().enumerate() {
        let service = start(mqtt, http, &data);
        let enough = devices.count() + A_LIFE;
        wait_for("acknowledgements", || (devices.count() >= enough).then_some(()));
        end(service, how);
        check(&devices, &data, &format!("life {n}, {how:?}"));
    }
    let last = start(mqtt, http, &data);
    let acknowledged = devices.end();
    assert_eq!(last.stop(), Some(0));
    let rows = stored(&data);
    assert!(rows.values().all(|count| *count == 1));
    assert!(rows.keys().eq(acknowledged.iter()), "in the end everything that was sent is stored");
    eprintln!("{} messages over 5 lives", acknowledged.len());
}

#[test]
fn ingest_stopped_and_killed_under_load_loses_nothing() {
    lives(|mqtt, http, data| {
        let (listen, pages) = (format!("127.0.0.1:{mqtt}"), format!("127.0.0.1:{http}"));
        let mut service = Running::start(
            arterial().args(["ingest", "--listen", &listen, "--http-listen", &pages, "--data"]).arg(data),
        );
        wait_ready(&mut service, http);
        service
    });
}

#[test]
fn the_whole_in_one_process_stopped_and_killed_under_load_loses_nothing() {
    lives(|mqtt, http, data| {
        let (listen, pages) = (format!("127.0.0.1:{mqtt}"), format!("127.0.0.1:{http}"));
        let mut command = arterial();
        command.args(["--vehicles", "50", "--mqtt-listen", &listen, "--http-listen", &pages, "--data"]).arg(data);
        let mut service = Running::start(&mut command);
        wait_for("its pages", || {
            service.check();
            get(http, "/live")
        });
        service
    });
}

#[test]
fn analytics_stopped_and_killed_under_load_counts_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mqtt, http, pages) = (free_port(), free_port(), free_port());
    let (listen, ingest_pages) = (format!("127.0.0.1:{mqtt}"), format!("127.0.0.1:{http}"));
    let mut ingest = Running::start(
        arterial().args(["ingest", "--listen", &listen, "--http-listen", &ingest_pages, "--data"]).arg(&data),
    );
    wait_ready(&mut ingest, http);
    let devices = Devices::start(DEVICES, mqtt);
    let start = || {
        let listen = format!("127.0.0.1:{pages}");
        let mut command = arterial();
        command.args([
            "analytics",
            "--network",
            "demo",
            "--http-listen",
            &listen,
            "--checkpoint-blocks",
            "8",
            "--data",
        ]);
        Running::start(command.arg(&data))
    };
    let says = |name: &str| metric(&get(pages, "/metrics")?.1, name, "");
    let mut counted = 0.0;
    for how in [End::Term, End::Kill, End::Term] {
        let mut service = start();
        counted = wait_for("it to go on counting", || {
            service.check();
            says("arterial_analytics_positions_total").filter(|now| *now > counted + 1_000.0)
        });
        end(service, how);
    }
    let sent = devices.end().len() as f64;
    assert_eq!(ingest.stop(), Some(0));
    let mut last = start();
    wait_for("every position", || {
        last.check();
        says("arterial_analytics_positions_total").filter(|now| *now >= sent)
    });
    assert_eq!(says("arterial_analytics_positions_total"), Some(sent), "none is counted twice");
    assert_eq!(last.stop(), Some(0));
}
