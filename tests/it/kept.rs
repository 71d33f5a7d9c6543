//! `arterial spool` and `arterial dead-letters` over what a real ingest stored: looked at, damaged, sent again.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Running, arterial, free_port, get, metric, run, wait_for, wait_ready};

fn ingest(data: &Path, rules: &[&str]) -> (Running, u16, u16) {
    let (mqtt, http) = (free_port(), free_port());
    let mut command = arterial();
    command.arg("ingest").arg("--data").arg(data).args(rules);
    command.args(["--listen", &format!("127.0.0.1:{mqtt}"), "--http-listen", &format!("127.0.0.1:{http}")]);
    let mut service = Running::start(&mut command);
    wait_ready(&mut service, http);
    (service, mqtt, http)
}

/// Publishes and waits for the acknowledgement.
fn publish(port: u16, topic: &str, payload: &str) {
    run(Command::new("mosquitto_pub").args(["-p", &port.to_string(), "-q", "1", "-t", topic, "-m", payload]));
}

fn look(words: &[&str], data: &Path) -> Output {
    let mut command = arterial();
    command.args(words).arg("--data").arg(data);
    command.output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const GOOD: &str = r#"{"ts_ms":1700000000000,"lon_deg":11.35,"lat_deg":44.49}"#;

#[test]
fn what_was_rejected_is_listed_shown_and_accepted_once_the_rule_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let loops = "<detector><interval begin=\"0\" end=\"60\" id=\"a\" nVehContrib=\"1\"/></detector>";
    let (service, mqtt, http) = ingest(data, &[]);
    publish(mqtt, "arterial/v1/demo/position/bus-7", GOOD);
    publish(mqtt, "arterial/v1/demo/position/bus-8", "{\"ts_ms\":1,\"lon_deg\":0,\"lat_deg\":0}");
    publish(mqtt, "street/e1/secret-device", loops);
    wait_for("three messages", || {
        metric(&get(http, "/metrics")?.1, "arterial_ingest_received_total", "").filter(|n| *n == 3.0)
    });
    assert_eq!(service.stop(), Some(0));

    let list = said(&look(&["dead-letters", "list"], data));
    for part in ["unknown_topic", "null_island", "2  in all", "0:1", "0:2", "street/e1/…", "lon_deg"] {
        assert!(list.contains(part), "`{part}` is missing in\n{list}");
    }
    assert!(!list.contains("secret-device") && !list.contains("bus-8"), "a list names nobody:\n{list}");
    let only = said(&look(&["dead-letters", "list", "--reason", "null_island"], data));
    assert!(only.contains("1  in all") && !only.contains("unknown_topic"), "{only}");
    let shown = said(&look(&["dead-letters", "show", "0:2"], data));
    assert!(shown.contains("street/e1/secret-device") && shown.contains("nVehContrib"), "{shown}");
    let absent = look(&["dead-letters", "show", "7:1"], data);
    assert!(!absent.status.success() && String::from_utf8_lossy(&absent.stderr).contains("7:1"));

    let (service, mqtt, http) = ingest(data, &["--format", "street/e1/+=sumo-e1"]);
    let retry = |more: &[&str]| {
        let broker = format!("127.0.0.1:{mqtt}");
        said(&look(&[&["dead-letters", "retry", "--broker", &broker], more].concat(), data))
    };
    assert!(retry(&["0:2"]).contains("acknowledged 1, sent again before 0"));
    let accepted = |page: &str| metric(page, "arterial_ingest_events_total", "accepted");
    wait_for("the interval", || accepted(&get(http, "/metrics")?.1).filter(|n| *n == 1.0));
    // What is rejected again is a new letter, and is not found in the same run.
    assert!(retry(&[]).contains("acknowledged 1, sent again before 1"));
    wait_for("the new letter", || said(&look(&["dead-letters", "list"], data)).contains("3  in all").then_some(()));
    assert!(said(&look(&["dead-letters", "list"], data)).contains("(sent again)"));
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn a_spool_is_listed_and_checked_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let none = look(&["spool", "check"], data);
    assert!(!none.status.success() && String::from_utf8_lossy(&none.stderr).contains("there is no spool"));
    let (service, mqtt, http) = ingest(data, &[]);
    for second in 0..4 {
        publish(
            mqtt,
            "arterial/v1/demo/position/bus-7",
            &GOOD.replace("1700000000000", &format!("170000000{second}000")),
        );
    }
    wait_for("four messages", || {
        metric(&get(http, "/metrics")?.1, "arterial_ingest_received_total", "").filter(|n| *n == 4.0)
    });
    // Also while it is being written.
    let check = look(&["spool", "check"], data);
    assert!(check.status.success() && said(&check).contains("no gap"), "{check:?}");
    assert_eq!(service.stop(), Some(0));

    let list = said(&look(&["spool", "list"], data));
    for part in ["1 files, 4 blocks, 4 rows", "2023-11-14T22:13:20.000Z", "2023-11-14T22:13:23.000Z"] {
        assert!(list.contains(part), "`{part}` is missing in\n{list}");
    }
    let file = data.join("spool").join(format!("{:020}.blocks", 0));
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, &good[..good.len() - 1]).unwrap();
    let torn = look(&["spool", "check"], data);
    assert!(torn.status.success() && said(&torn).contains("never acknowledged"), "{torn:?}");
    let mut bad = good;
    bad[100] ^= 1;
    std::fs::write(&file, bad).unwrap();
    let damaged = look(&["spool", "check"], data);
    assert!(!damaged.status.success() && said(&damaged).contains("damaged at byte 16, in block 0"), "{damaged:?}");
}
