//! SIGKILL at any moment, under load, in both ways in, and to the broker: what was acknowledged is stored, once, in
//! the order of its source.
//!
//! A few kills here; `cargo xtask crash` has the long run, with its report.

use std::net::TcpListener;
use std::time::Duration;

use crate::broker::Mosquitto;
use crate::oracle::{Judgement, Oracle, judge_in_the_end, spool_bytes, spool_rows};
use crate::support::{until, until_within};
use crate::victim::{Setting, Victim, child, report, scale};

const PUBLISHERS: usize = 4;

/// Longest wait for a backlog.
const DRAIN: Duration = Duration::from_secs(120);

/// Messages that the broker may hold when its subscriber is killed.
const BACKLOG_MAX: u64 = 10_000;

/// Kills for the short run.
const KILLS: u64 = 8;

/// Acknowledgements after which the next kill falls, at random.
fn next_after(random: &mut u64, acknowledged: u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    acknowledged + 1 + *random % 6_000
}

struct Lives {
    kills: u64,
    /// From the start of a process until it listened.
    starts: Vec<Duration>,
}

impl Lives {
    fn note(&mut self, victim: &Victim) {
        self.starts.push(victim.started_in);
    }

    fn tell(&mut self, what: &str, seed: u64, judged: &Judgement, bytes: u64) {
        self.starts.sort_unstable();
        let seconds = |start: Option<&Duration>| start.map_or(0.0, Duration::as_secs_f64);
        report(&format!(
            "{what}: {} kills (seed {seed}): {} acknowledged, {} stored, {} lost, {} twice, {} out of order; \
             start {:.2} s in the median and {:.2} s at most, spool {:.3} GB",
            self.kills,
            judged.acknowledged,
            judged.stored,
            judged.lost,
            judged.twice,
            judged.out_of_order,
            seconds(self.starts.get(self.starts.len() / 2)),
            seconds(self.starts.last()),
            bytes as f64 / 1e9,
        ));
    }
}

#[test]
fn the_endpoint_killed_under_load_loses_nothing_and_counts_nothing_twice() {
    if child() {
        return;
    }
    let name = "kill::the_endpoint_killed_under_load_loses_nothing_and_counts_nothing_twice";
    let (dir, seed) = (tempfile::tempdir().unwrap(), 0x2545_F491_4F6C_DD1D);
    let (mut random, mut lives) = (seed, Lives { kills: scale("ARTERIAL_KILLS", KILLS), starts: Vec::new() });
    let oracle = Oracle::start(PUBLISHERS);
    for _ in 0..lives.kills {
        let victim = Victim::start(name, dir.path(), &Setting::default());
        lives.note(&victim);
        oracle.publish_to(victim.mqtt);
        let enough = next_after(&mut random, oracle.acknowledged());
        until("enough is acknowledged", || oracle.acknowledged() >= enough);
    }
    let last = Victim::start(name, dir.path(), &Setting::default());
    oracle.publish_to(last.mqtt);
    let judged = Judgement::of(dir.path(), &oracle.end());
    lives.tell("ingest as endpoint", seed, &judged, spool_bytes(dir.path()));
    assert_eq!((judged.lost, judged.twice, judged.out_of_order), (0, 0, 0));
    assert_eq!(judged.stored, judged.acknowledged, "in the end everything was sent and acknowledged");
}

#[test]
fn the_subscriber_killed_under_load_loses_nothing_and_counts_nothing_twice() {
    if child() {
        return;
    }
    let name = "kill::the_subscriber_killed_under_load_loses_nothing_and_counts_nothing_twice";
    let (dir, seed) = (tempfile::tempdir().unwrap(), 0x9E37_79B9_7F4A_7C15);
    let (mut random, mut lives) = (seed, Lives { kills: scale("ARTERIAL_KILLS", KILLS), starts: Vec::new() });
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let broker = Mosquitto::start(address);
    let setting = Setting { broker: Some(address), ..Setting::default() };
    let oracle = Oracle::start(PUBLISHERS);
    for _ in 0..lives.kills {
        let victim = Victim::start(name, dir.path(), &setting);
        lives.note(&victim);
        until("it is subscribed", || victim.is_ready());
        oracle.publish_to(address);
        let enough = next_after(&mut random, oracle.acknowledged());
        oracle.stop_at(enough + 2_000);
        until("enough is acknowledged", || oracle.acknowledged() >= enough);
        // Else the broker's backlog grows from life to life, on a machine where it is faster than its subscriber; and
        // mosquitto, told to save every second, then does little but save.
        until("the backlog is short", || oracle.acknowledged() <= spool_rows(dir.path()) + BACKLOG_MAX);
    }
    let last = Victim::start(name, dir.path(), &setting);
    let judged = judge_in_the_end(dir.path(), &oracle.end());
    lives.tell("ingest behind mosquitto", seed, &judged, spool_bytes(dir.path()));
    drop((last, broker));
    assert_eq!((judged.lost, judged.twice, judged.out_of_order), (0, 0, 0));
    assert_eq!(judged.stored, judged.acknowledged);
}

/// The broker's own loss is not ours to prevent: it is told, and everything that reached ingest is stored once.
#[test]
fn a_killed_broker_loses_its_own_messages_and_none_of_ours() {
    if child() {
        return;
    }
    let name = "kill::a_killed_broker_loses_its_own_messages_and_none_of_ours";
    let (dir, seed) = (tempfile::tempdir().unwrap(), 0xD1B5_4A32_D192_ED03);
    let mut random = seed;
    let kills = scale("ARTERIAL_BROKER_KILLS", 3);
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let mut broker = Mosquitto::start(address);
    let victim = Victim::start(name, dir.path(), &Setting { broker: Some(address), ..Setting::default() });
    until("it is subscribed", || victim.is_ready());
    let oracle = Oracle::start(PUBLISHERS);
    oracle.publish_to(address);
    for _ in 0..kills {
        let enough = next_after(&mut random, oracle.acknowledged());
        until("enough is acknowledged", || oracle.acknowledged() >= enough);
        broker = broker.kill_and_start_again();
        until("it is subscribed again", || victim.is_ready());
    }
    let acknowledged = oracle.end();
    let mut before = -1.0;
    until_within(DRAIN, "nothing more comes", || {
        let received = victim.metric("arterial_ingest_received_total");
        let quiet = received == before && victim.metric("arterial_ingest_waiting_messages") == 0.0;
        before = received;
        quiet
    });
    let judged = Judgement::of(dir.path(), &acknowledged);
    let metric = |fate: &str| victim.metric(&format!("arterial_ingest_events_total{{fate=\"{fate}\"}}")) as u64;
    let (received, accepted, duplicate) = (before as u64, metric("accepted"), metric("duplicate"));
    report(&format!(
        "mosquitto killed {kills} times (seed {seed}): {} acknowledged by mosquitto, {} of them lost by it; \
         ingest received {received}, stored {accepted} once, {duplicate} were duplicates; {} twice, {} out of order",
        judged.acknowledged, judged.lost, judged.twice, judged.out_of_order,
    ));
    drop(broker);
    assert_eq!(received, accepted + duplicate, "everything that reached ingest has a fate");
    assert_eq!(judged.stored, accepted, "and what was accepted is stored");
    assert_eq!(judged.twice, 0);
}
