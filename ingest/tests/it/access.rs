//! Who is let in, by certificate and by password, on both sides; and both ways in, in both versions, shared.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use ingest::credentials::{self, Credentials};
use ingest::rate_limit::RateConfig;
use ingest::server::{Door, ServerConfig};
use ingest::subscribe::{self, SubscribeConfig, Version};
use ingest::tls::{self, Identity};
use ingest::{Ingest, IngestConfig};
use prometheus::Registry;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio_util::sync::CancellationToken;

use crate::broker::Mosquitto;
use crate::support::{
    PATIENCE, Raw, Running, TOPIC, metric, packet, payload, puback_id, publish, rows_by_time, text, until,
};

/// An authority and what it signed, as PEM files.
pub(crate) struct Papers {
    dir: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Papers {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Every certificate has the library's name unless told otherwise; an authority must not be its own leaf.
        params.distinguished_name.push(DnType::CommonName, "the authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), authority.as_ref().pem()).unwrap();
        // Mosquitto gives up its rights when it is started by root, and reads these files after that.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { dir, authority }
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let path = |suffix: &str| self.dir.path().join(format!("{name}.{suffix}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        Identity { certificate: path("pem"), key: path("key") }
    }
}

/// A device of version 5, by TLS if there are papers.
pub(crate) fn device(
    port: u16,
    tls: Option<Arc<rustls::ClientConfig>>,
    login: Option<(&str, &str)>,
) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("device", "127.0.0.1", port);
    if let Some(tls) = tls {
        let tls = rumqttc::TlsConfiguration::Rustls(tls);
        options.set_transport(rumqttc::Transport::tls_with_config(tls));
    }
    if let Some((name, password)) = login {
        options.set_credentials(name, password);
    }
    AsyncClient::new(options, 10)
}

/// Publishes and waits for the acknowledgement, or for the refusal.
pub(crate) async fn publishes(
    (client, mut events): (AsyncClient, EventLoop),
    topic: &str,
    time: i64,
) -> Result<(), String> {
    let properties = PublishProperties {
        user_properties: vec![("received-ms".to_owned(), "4000000000000".to_owned())],
        ..PublishProperties::default()
    };
    client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload(time), properties).await.unwrap();
    let work = async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::PubAck(_))) => return Ok(()),
                Ok(Event::Incoming(Packet::Disconnect(why))) => return Err(format!("{:?}", why.reason_code)),
                Ok(_) => {}
                Err(cause) => return Err(cause.to_string()),
            }
        }
    };
    tokio::time::timeout(PATIENCE, work).await.expect("an answer")
}

fn start(door: Door) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let config = IngestConfig::new(dir.path());
    Running::start_behind(door, dir, config, ServerConfig::default())
}

#[test]
fn devices_come_in_by_certificate_and_strangers_do_not() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    let server = tls::server(&papers.identity("server"), Some(&papers.authority())).unwrap();
    let running = start(Door { tls: Some(server), ..Door::default() });
    let port = running.address.port();
    let known = tls::client(&papers.authority(), Some(&papers.identity("bus"))).unwrap();
    let nameless = tls::client(&papers.authority(), None).unwrap();
    let stranger = tls::client(&papers.authority(), Some(&strangers.identity("bus"))).unwrap();
    let elsewhere = tls::client(&strangers.authority(), None).unwrap();
    running.runtime.block_on(async {
        assert_eq!(publishes(device(port, Some(known), None), TOPIC, 1).await, Ok(()));
        for tls in [nameless, stranger, elsewhere] {
            assert!(publishes(device(port, Some(tls), None), TOPIC, 2).await.is_err());
        }
        // Without TLS there is no word to say.
        assert!(publishes(device(port, None, None), TOPIC, 3).await.is_err());
    });
    running.until_metric("arterial_ingest_closed_total{reason=\"tls\"}", 4.0);
    let (fates, rows) = running.end();
    assert_eq!((fates.received, rows.into_keys().collect::<Vec<_>>()), (1, vec![1]));
}

#[test]
fn accounts_speak_for_their_own_sources_and_only_replays_carry_a_clock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("accounts");
    let line = |name: &str, rest: &str| format!("{name} {} {rest}\n", credentials::hash(name.as_bytes()).unwrap());
    std::fs::write(&path, line("bus-1", "bus-1") + &line("lab", "* replay")).unwrap();
    let accounts = Arc::new(Credentials::read(&path).unwrap());
    let running = start(Door { credentials: Some(accounts), ..Door::default() });
    let port = running.address.port();
    let future = 4_000_000_000_000;
    running.runtime.block_on(async {
        let from = |login| device(port, None, login);
        for login in [None, Some(("bus-1", "lab")), Some(("nobody", "bus-1"))] {
            let refused = publishes(from(login), TOPIC, 9).await.unwrap_err();
            assert!(refused.contains("BadUserNamePassword"), "{refused}");
        }
        assert_eq!(publishes(from(Some(("bus-1", "bus-1"))), TOPIC, 1).await, Ok(()));
        let refused = publishes(from(Some(("bus-1", "bus-1"))), "arterial/v1/test/position/bus-2", 9).await;
        assert!(refused.as_ref().is_err_and(|why| why.contains("NotAuthorized")), "{refused:?}");
        // A clock of one's own: believed from the replay, not from the bus.
        assert_eq!(publishes(from(Some(("bus-1", "bus-1"))), TOPIC, future).await, Ok(()));
        assert_eq!(publishes(from(Some(("lab", "lab"))), TOPIC, future + 1).await, Ok(()));
    });
    running.until_metric("arterial_ingest_closed_total{reason=\"login\"}", 3.0);
    running.until_metric("arterial_ingest_closed_total{reason=\"not_allowed\"}", 1.0);
    // 3.1.1 has a number of its own for a wrong password.
    let mut raw = Raw::open(running.address).unwrap();
    raw.send(&packet(0x10, &[&text("MQTT")[..], &[4, 0xC2, 0, 60], &text("x"), &text("lab"), &text("no")].concat()));
    assert_eq!(raw.until_closed(), Some((0x20, vec![0, 4])));
    let (fates, rows) = running.end();
    assert_eq!((fates.accepted, fates.rejected_total()), (2, 1));
    assert_eq!(rows.into_keys().collect::<Vec<_>>(), [1, future + 1]);
}

#[test]
fn a_source_that_floods_is_limited_counted_and_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = IngestConfig::new(dir.path());
    // A burst of 100; the rate is so low that this test's own time does not count.
    config.writer.rate = RateConfig { events_per_s: 1, burst_s: 100, ..RateConfig::default() };
    let running = Running::start_with(dir, config, ServerConfig::default());
    let mut raw = Raw::connect(running.address, 4, "flood", 60);
    for id in 1..=1_000 {
        raw.send(&publish(TOPIC, id, &payload(i64::from(id))));
        assert_eq!(puback_id(&raw.packet().unwrap().1), id);
    }
    raw.send(&publish("arterial/v1/test/position/calm", 2_000, &payload(5_000)));
    assert_eq!(puback_id(&raw.packet().unwrap().1), 2_000);
    let limited = running.metric("arterial_ingest_rejected_total{reason=\"rate_limited\"}");
    let letters = running.metric("arterial_ingest_dead_letters_total");
    let (fates, rows) = running.end();
    assert_eq!(fates.accepted + limited as u64, 1_001);
    assert!((700.0..=900.0).contains(&limited), "{limited} were too many");
    assert!(letters >= 1.0 && letters <= limited / 2.0, "one letter for each flood: {letters}");
    assert!(rows.contains_key(&5_000), "the calm source is served");
}

/// A subscriber at a real broker.
pub(crate) struct Subscribed {
    dir: tempfile::TempDir,
    registry: Registry,
    ingest: Ingest,
    shutdown: CancellationToken,
    pub(crate) runtime: tokio::runtime::Runtime,
    task: tokio::task::JoinHandle<()>,
}

impl Subscribed {
    pub(crate) fn start(config: SubscribeConfig) -> Self {
        let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::new());
        let ingest = Ingest::start(IngestConfig::new(dir.path()), &registry).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (shutdown, connections) = (CancellationToken::new(), config.connections as f64);
        let task = runtime.spawn(subscribe::run(config, ingest.writer(), shutdown.clone()));
        let subscribed = Self { dir, registry, ingest, shutdown, runtime, task };
        let (ready, registry) = (subscribed.ingest.ready(), &subscribed.registry);
        until("every connection is subscribed", || {
            ready.is_ready() && metric(registry, "arterial_ingest_mqtt_connected") == connections
        });
        subscribed
    }

    /// Waits until `count` events are there, and ends.
    pub(crate) fn end(self, count: usize) -> BTreeMap<i64, usize> {
        until("everything is there", || metric(&self.registry, "arterial_ingest_messages_total") >= count as f64);
        self.shutdown.cancel();
        self.runtime.block_on(self.task).unwrap();
        self.ingest.stop().unwrap();
        rows_by_time(self.dir.path())
    }
}

pub(crate) fn free_address() -> std::net::SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_broker_behind_tls_and_a_password_is_read_in_both_versions() {
    let papers = Papers::new();
    let identity = papers.identity("broker");
    let address = free_address();
    let passwords = papers.dir.path().join("passwords");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["us", "secret"])
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "this test needs `mosquitto_passwd`: `apt-get install mosquitto`"
    );
    for path in [&identity.key, &passwords] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    }
    let more = format!(
        "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nallow_anonymous false\npassword_file {}\n",
        papers.authority().display(),
        identity.certificate.display(),
        identity.key.display(),
        passwords.display()
    );
    let _broker = Mosquitto::start_with(address, &more);
    let tls = tls::client(&papers.authority(), Some(&papers.identity("us"))).unwrap();
    for (n, version) in [Version::V4, Version::V5].into_iter().enumerate() {
        let subscribed = Subscribed::start(SubscribeConfig {
            version,
            tls: Some(Arc::clone(&tls)),
            login: Some(("us".to_owned(), "secret".to_owned())),
            client_id: format!("ingest-{n}"),
            believe_received: true,
            ..SubscribeConfig::new("127.0.0.1", address.port())
        });
        subscribed.runtime.block_on(async {
            let client = device(address.port(), Some(Arc::clone(&tls)), Some(("us", "secret")));
            assert_eq!(publishes(client, TOPIC, 7).await, Ok(()));
        });
        assert_eq!(subscribed.end(1), BTreeMap::from([(7, 1)]), "{version:?}");
    }
}

#[test]
fn several_connections_share_the_messages_and_none_is_lost_or_doubled() {
    let address = free_address();
    let _broker = Mosquitto::start(address);
    for (version, messages) in [(Version::V4, 300), (Version::V5, 300)] {
        let subscribed = Subscribed::start(SubscribeConfig {
            version,
            connections: 3,
            // Not the group of the other version: its session is kept, and would go on getting its share.
            share: Some(format!("group-{version:?}")),
            client_id: format!("shared-{version:?}"),
            ..SubscribeConfig::new("127.0.0.1", address.port())
        });
        let mut raw = Raw::connect(address, 4, "publisher", 60);
        for id in 1..=messages {
            raw.send(&publish(TOPIC, id, &payload(i64::from(id))));
            assert_eq!(puback_id(&raw.packet().unwrap().1), id);
        }
        let rows = subscribed.end(usize::from(messages));
        assert_eq!(rows, (1..=i64::from(messages)).map(|time| (time, 1)).collect(), "{version:?}");
    }
}
