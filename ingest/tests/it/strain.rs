//! Load and loss of the network: a burst, five thousand devices that come back at once, a link that is down, a long
//! spool at start. Small here; `cargo xtask crash` runs the full sizes and keeps what these tests report.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ingest::batch::Positions;
use ingest::{Batch, Ingest, IngestConfig, Spool, SpoolConfig};
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::broker::Mosquitto;
use crate::oracle::{Oracle, judge_in_the_end, spool_bytes};
use crate::support::{Raw, connect, payload, puback_id, publish, until, until_within};
use crate::victim::{Setting, Victim, child, now, report, scale};
use crate::wire::Wire;

/// Connects, publishes one message, and comes back with the same message whenever the connection goes.
async fn device(number: usize, mut address: watch::Receiver<SocketAddr>, acknowledged: Arc<AtomicUsize>) {
    let hello = connect(4, &format!("device-{number}"), 600);
    let topic = format!("arterial/v1/test/position/device-{number}");
    let message = publish(&topic, 1, &payload(number as i64));
    loop {
        let to = *address.borrow_and_update();
        let visit = async {
            let mut stream = TcpStream::connect(to).await?;
            let mut answer = [0; 4];
            stream.write_all(&hello).await?;
            stream.read_exact(&mut answer).await?;
            assert_eq!(answer, [0x20, 2, 0, 0]);
            stream.write_all(&message).await?;
            stream.read_exact(&mut answer).await?;
            assert_eq!(answer, [0x40, 2, 0, 1]);
            acknowledged.fetch_add(1, Ordering::Relaxed);
            stream.read_exact(&mut answer).await?;
            std::io::Result::Ok(())
        };
        let ended = visit.await;
        assert!(ended.is_err(), "the server said something more");
        // Whoever finds nobody waits for the next address.
        if address.changed().await.is_err() {
            return;
        }
    }
}

#[test]
fn a_storm_of_devices_that_come_back_is_served() {
    if child() {
        return;
    }
    let devices = scale("ARTERIAL_STORM_DEVICES", 300) as usize;
    let name = "strain::a_storm_of_devices_that_come_back_is_served";
    let dir = tempfile::tempdir().unwrap();
    let first = Victim::start(name, dir.path(), &Setting::default());
    let (address, addresses) = watch::channel(first.mqtt);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for number in 0..devices {
        runtime.spawn(device(number, addresses.clone(), Arc::clone(&acknowledged)));
    }
    until_within(Duration::from_secs(120), "all are there", || acknowledged.load(Ordering::Relaxed) == devices);
    assert_eq!(first.metric("arterial_ingest_connections"), devices as f64);
    drop(first);
    let second = Victim::start(name, dir.path(), &Setting::default());
    let back = now();
    address.send(second.mqtt).unwrap();
    until("all came back", || acknowledged.load(Ordering::Relaxed) == 2 * devices);
    let seconds = back.elapsed().as_secs_f64();
    until("duplicates are counted", || second.metric("arterial_ingest_received_total") == devices as f64);
    let duplicates = second.metric("arterial_ingest_events_total{fate=\"duplicate\"}");
    report(&format!(
        "storm: {devices} devices back and acknowledged in {seconds:.2} s, {duplicates} duplicates removed"
    ));
    assert_eq!(duplicates, devices as f64, "every message was there before");
}

#[test]
fn a_tenfold_burst_is_stored_and_drained() {
    if child() {
        return;
    }
    let (rate, seconds) = (5_000, scale("ARTERIAL_BURST_SECONDS", 1));
    let dir = tempfile::tempdir().unwrap();
    let victim = Victim::start("strain::a_tenfold_burst_is_stored_and_drained", dir.path(), &Setting::default());
    let before = victim.resident_bytes();
    let most = AtomicUsize::new(0);
    let connections = 10;
    let slowest = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..connections)
            .map(|n| {
                let (address, most, victim) = (victim.mqtt, &most, &victim);
                scope.spawn(move || {
                    let mut raw = Raw::connect(address, 4, &format!("burst-{n}"), 600);
                    let mut socket = raw.stream.try_clone().unwrap();
                    let topic = format!("arterial/v1/test/position/burst-{n}");
                    // A tenth of a second at a time: a second as usual, the burst, a second as usual.
                    let turns = 20 + 10 * seconds;
                    let due = move |turn: u64| {
                        let (burst, usual) = (10..10 + 10 * seconds, rate / 10 / connections);
                        if burst.contains(&turn) { 10 * usual } else { usual }
                    };
                    let all: u64 = (0..turns).map(due).sum();
                    let begun = now();
                    let sending = std::thread::spawn(move || {
                        let mut sent = 0u64;
                        for turn in 0..turns {
                            let mut bytes = Vec::new();
                            for _ in 0..due(turn) {
                                bytes.extend(publish(&topic, (sent % 60_000) as u16 + 1, &payload(sent as i64)));
                                sent += 1;
                            }
                            std::io::Write::write_all(&mut socket, &bytes).unwrap();
                            // The load itself is made of time.
                            let until = Duration::from_millis(100 * (turn + 1));
                            std::thread::sleep(until.saturating_sub(begun.elapsed()));
                        }
                    });
                    let burst_end = 10 * (seconds + 1) * rate / 10 / connections;
                    let mut drained = Duration::ZERO;
                    for acked in 0..all {
                        assert_eq!(u64::from(puback_id(&raw.packet().unwrap().1)), acked % 60_000 + 1);
                        if acked == burst_end {
                            drained = begun.elapsed().saturating_sub(Duration::from_secs(1 + seconds));
                        }
                        if n == 0 && acked % 4_096 == 0 {
                            most.fetch_max(victim.resident_bytes() as usize, Ordering::Relaxed);
                        }
                    }
                    sending.join().unwrap();
                    drained
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).max().unwrap()
    });
    let expected = rate * (2 + 10 * seconds);
    report(&format!(
        "burst: {rate}/s, {seconds} s of {}/s, drained {:.2} s after its end; memory grew by {:.0} MiB; {expected} messages",
        10 * rate,
        slowest.as_secs_f64(),
        (most.into_inner() as u64).saturating_sub(before) as f64 / f64::from(1 << 20),
    ));
    assert_eq!(victim.metric("arterial_ingest_events_total{fate=\"accepted\"}"), expected as f64);
}

/// A network namespace with a link to it, taken away in the end.
struct Island {
    name: String,
    link: String,
    /// Addresses of both ends of the link.
    here: Ipv4Addr,
    there: Ipv4Addr,
}

fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(words.split(' ')).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Island {
    fn make() -> Option<Self> {
        let id = std::process::id() % 100_000;
        // Addresses of its own: with the same ones, two runs on one machine would get each other's packets.
        let net = u32::from(Ipv4Addr::new(10, 213, 0, 0)) + id % (1 << 14) * 4;
        let (here, there) = (Ipv4Addr::from(net + 1), Ipv4Addr::from(net + 2));
        let island = Self { name: format!("arterial{id}"), link: format!("art{id}a"), here, there };
        let (name, link, peer) = (&island.name, &island.link, format!("art{id}b"));
        let made = ip(&format!("netns add {name}"))
            && ip(&format!("link add {link} type veth peer name {peer}"))
            && ip(&format!("link set {peer} netns {name}"))
            && ip(&format!("addr add {here}/30 dev {link}"))
            && ip(&format!("link set {link} up"))
            && ip(&format!("-n {name} addr add {there}/30 dev {peer}"))
            && ip(&format!("-n {name} link set {peer} up"))
            && ip(&format!("-n {name} link set lo up"));
        if !made {
            eprintln!("skipped: this user may not make network namespaces");
        }
        made.then_some(island)
    }

    /// The link is down for so long.
    fn cut_off_for(&self, seconds: u64) {
        assert!(ip(&format!("link set {} down", self.link)));
        std::thread::sleep(Duration::from_secs(seconds));
        assert!(ip(&format!("link set {} up", self.link)));
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        // The link goes with its other end.
        ip(&format!("netns del {}", self.name));
        ip(&format!("link del {}", self.link));
    }
}

/// One after the other, over the same link.
#[test]
fn a_link_that_is_down_costs_time_and_no_message() {
    if child() {
        return;
    }
    let Some(island) = Island::make() else { return };
    let seconds = scale("ARTERIAL_PARTITION_SECONDS", 3);
    for subscribes in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let name = "strain::a_link_that_is_down_costs_time_and_no_message";
        let free = TcpListener::bind((island.here, 0)).unwrap().local_addr().unwrap();
        let broker = subscribes.then(|| Mosquitto::start(free));
        let namespace = Some((island.name.clone(), island.there.to_string()));
        let setting = Setting { broker: subscribes.then_some(free), namespace, ..Setting::default() };
        let victim = Victim::start(name, dir.path(), &setting);
        until("it is ready", || victim.is_ready());
        let oracle = Oracle::start(2);
        oracle.be_patient_for(Duration::from_secs(2));
        oracle.publish_to(if subscribes { free } else { victim.mqtt });
        until("some are acknowledged", || oracle.acknowledged() > 1_000);
        // As much as a broker may hold for us without being at its own limits: mosquitto, told to save every second,
        // does little but save once it holds some 100 MB.
        oracle.stop_at(oracle.acknowledged() + 20_000);
        island.cut_off_for(seconds);
        let up = now();
        oracle.stop_at(oracle.acknowledged() + 20_000);
        let received = |victim: &Victim| victim.metric("arterial_ingest_events_total{fate=\"accepted\"}");
        let before = received(&victim);
        until("messages come again", || victim.is_ready() && received(&victim) > before + 100.0);
        let recovered = up.elapsed().as_secs_f64();
        let judged = judge_in_the_end(dir.path(), &oracle.end());
        report(&format!(
            "link down for {seconds} s ({}): messages came again {recovered:.2} s after it was up; \
             {} acknowledged, {} lost, {} twice",
            if subscribes { "between mosquitto and ingest" } else { "between devices and ingest" },
            judged.acknowledged,
            judged.lost,
            judged.twice,
        ));
        assert_eq!((judged.lost, judged.twice), (0, 0));
        drop((victim, broker));
    }
}

/// With messages in flight and acknowledgements under way, noticed by both ends or by the subscriber alone. A tenth of
/// the kills' number, since a session is sent again as a whole.
#[test]
fn a_wire_that_is_cut_again_and_again_costs_no_message() {
    if child() {
        return;
    }
    let cuts = scale("ARTERIAL_CUTS", 10);
    let name = "strain::a_wire_that_is_cut_again_and_again_costs_no_message";
    for broker_notices in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let _broker = Mosquitto::start(address);
        let mut wire = Wire::to(address);
        let setting = Setting { broker: Some(wire.address), ..Setting::default() };
        let victim = Victim::start(name, dir.path(), &setting);
        until("it is ready", || victim.is_ready());
        let oracle = Oracle::start(2);
        oracle.publish_to(address);
        let failed = |reason| victim.metric(&format!("arterial_ingest_mqtt_failures_total{{reason=\"{reason}\"}}"));
        let failures = || ["network", "protocol", "refused"].map(failed).iter().sum::<f64>();
        let received = || victim.metric("arterial_ingest_received_total");
        for _ in 0..cuts {
            oracle.stop_at(oracle.acknowledged() + 5_000);
            let (failed, before) = (failures(), received());
            until("messages come", || received() > before + 500.0);
            wire.cut(broker_notices);
            until("it notices", || failures() > failed);
            until("it is back", || victim.is_ready());
        }
        let judged = judge_in_the_end(dir.path(), &oracle.end());
        report(&format!(
            "wire to mosquitto cut {cuts} times ({}): {} acknowledged, {} lost, {} twice, {} out of order; {} sent again",
            if broker_notices { "both ends notice" } else { "the subscriber alone notices" },
            judged.acknowledged,
            judged.lost,
            judged.twice,
            judged.out_of_order,
            victim.metric("arterial_ingest_events_total{fate=\"duplicate\"}"),
        ));
        assert_eq!((judged.lost, judged.twice), (0, 0));
        assert!(failures() >= cuts as f64, "the wire was cut");
    }
}

#[test]
fn a_long_spool_is_opened_without_reading_all_of_it() {
    let bytes = scale("ARTERIAL_SPOOL_MB", 64) << 20;
    let dir = tempfile::tempdir().unwrap();
    let spool_dir = ingest::start::spool_dir(dir.path());
    let mut spool = Spool::open(&spool_dir, SpoolConfig::default()).unwrap();
    let rows = 20_000;
    let mut time = 0i64;
    // Numbers that do not compress: a block is as large as it can be.
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    while spool.bytes() < bytes {
        let unit = |n: u64| (n % 1_000_000) as f64 / 1e6;
        let positions = Positions {
            vehicle: (0..rows).map(|_| draw()).collect(),
            seq: vec![None; rows],
            time_ms: (0..rows as i64).map(|n| time + n).collect(),
            lon_deg: (0..rows).map(|_| unit(draw())).collect(),
            lat_deg: (0..rows).map(|_| unit(draw())).collect(),
            speed_mps: vec![Some(1.0); rows],
            heading_deg: vec![None; rows],
            edge: vec![None; rows],
            journey: vec![None; rows],
            received_ms: vec![0; rows],
        };
        time += rows as i64;
        spool.append(&Batch { positions, ..Batch::default() }).unwrap();
    }
    drop(spool);
    let begun = now();
    let ingest = Ingest::start(IngestConfig::new(dir.path()), &Registry::new()).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let gigabytes = spool_bytes(dir.path()) as f64 / 1e9;
    report(&format!(
        "start on a spool of {gigabytes:.2} GB ({time} rows): {seconds:.2} s, {:.2} s a GB",
        seconds / gigabytes
    ));
    ingest.stop().unwrap();
}
