//! A mosquitto as a city would run it: TLS, client certificates, accounts, and a list of who may say what.

use std::path::{Path, PathBuf};

use ingest::ready::Part;
use ingest::subscribe::{self, Lost, SubscribeConfig, Version};
use ingest::tls;
use ingest::{Ingest, IngestConfig};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::access::{Papers, Subscribed, device, free_address, publishes};
use crate::broker::Mosquitto;
use crate::support::{metric, until};

/// What `us`, the subscriber, and `bus-1`, a device, may do.
const RIGHTS: &str = "user us\ntopic read arterial/#\n\nuser bus-1\ntopic write arterial/v1/test/position/bus-1\n";

struct Guarded {
    papers: Papers,
    address: std::net::SocketAddr,
    _broker: Mosquitto,
}

/// Mosquitto gives up its rights when it is started by root, and reads its files after that.
fn readable(path: &Path) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
}

impl Guarded {
    fn start() -> Self {
        let papers = Papers::new();
        let (identity, address) = (papers.identity("broker"), free_address());
        let file = |name: &str| papers.authority().with_file_name(name);
        let (passwords, rights): (PathBuf, PathBuf) = (file("passwords"), file("rights"));
        for (at, name) in ["us", "bus-1"].into_iter().enumerate() {
            let mut command = std::process::Command::new("mosquitto_passwd");
            command.args(if at == 0 { &["-b", "-c"][..] } else { &["-b"] });
            let made = command.arg(&passwords).args([name, &format!("secret of {name}")]).status();
            assert!(
                made.is_ok_and(|status| status.success()),
                "this test needs mosquitto: `apt-get install mosquitto`"
            );
        }
        std::fs::write(&rights, RIGHTS).unwrap();
        [&identity.key, &passwords, &rights].into_iter().for_each(|path| readable(path));
        let more = format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nallow_anonymous false\n\
             password_file {}\nacl_file {}\n",
            papers.authority().display(),
            identity.certificate.display(),
            identity.key.display(),
            passwords.display(),
            rights.display()
        );
        let _broker = Mosquitto::start_with(address, &more);
        Self { papers, address, _broker }
    }

    fn config(&self, name: &str, password: &str) -> SubscribeConfig {
        SubscribeConfig {
            tls: Some(tls::client(&self.papers.authority(), Some(&self.papers.identity("us"))).unwrap()),
            login: Some((name.to_owned(), password.to_owned())),
            believe_received: true,
            ..SubscribeConfig::new("127.0.0.1", self.address.port())
        }
    }
}

#[test]
fn what_the_brokers_list_forbids_does_not_come_and_the_rest_does() {
    let guarded = Guarded::start();
    for (n, version) in [Version::V4, Version::V5].into_iter().enumerate() {
        let config = guarded.config("us", "secret of us");
        let tls = config.tls.clone();
        let subscribed = Subscribed::start(SubscribeConfig { version, client_id: format!("ingest-{n}"), ..config });
        subscribed.runtime.block_on(async {
            let bus = || device(guarded.address.port(), tls.clone(), Some(("bus-1", "secret of bus-1")));
            // The broker says nothing about it but in the acknowledgement: it does not pass it on.
            let forbidden = publishes(bus(), "arterial/v1/test/position/bus-2", 7).await;
            assert_eq!(publishes(bus(), "arterial/v1/test/position/bus-1", 8).await, Ok(()), "{forbidden:?}");
        });
        assert_eq!(subscribed.end(1).into_keys().collect::<Vec<_>>(), [8], "{version:?}");
    }
}

/// Why ingest says that the broker is away, with the failures that it has counted by then.
fn away(config: SubscribeConfig, says: &[&str]) {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::new());
    let ingest = Ingest::start(IngestConfig::new(dir.path()), &registry).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let stop = CancellationToken::new();
    let task = runtime.spawn(subscribe::run(config, ingest.writer(), stop.clone()));
    let ready = ingest.ready();
    let mut reason = String::new();
    until(&format!("one of {says:?}"), || {
        reason = ready.reasons().remove(&Part::Broker).unwrap_or_default();
        says.iter().any(|word| reason.contains(word))
    });
    assert!(!reason.contains("secret"), "{reason}");
    let of = |lost: &Lost| format!("arterial_ingest_mqtt_failures_total{{reason=\"{}\"}}", lost.name());
    let counted: f64 = Lost::ALL.iter().map(|lost| metric(&registry, &of(lost))).sum();
    assert!(counted >= 1.0, "{reason} is counted");
    assert_eq!(metric(&registry, "arterial_ingest_mqtt_connected"), 0.0);
    stop.cancel();
    runtime.block_on(task).unwrap();
    ingest.stop().unwrap();
}

#[test]
fn whoever_is_not_let_in_says_why_and_counts_it() {
    let (guarded, strangers) = (Guarded::start(), Papers::new());
    for version in [Version::V4, Version::V5] {
        let right = || SubscribeConfig { version, ..guarded.config("us", "secret of us") };
        away(
            SubscribeConfig { login: Some(("us".to_owned(), "secret wrong".to_owned())), ..right() },
            &["BadUserNamePassword", "NotAuthorized"],
        );
        away(SubscribeConfig { login: None, ..right() }, &["NotAuthorized", "BadUserNamePassword"]);
        let of = |authority: &Papers, own: Option<&Papers>| {
            let identity = own.map(|papers| papers.identity("us"));
            Some(tls::client(&authority.authority(), identity.as_ref()).unwrap())
        };
        // Its certificate is of nobody that we know; ours is of nobody that it knows; we have none; we do not speak TLS.
        away(SubscribeConfig { tls: of(&strangers, Some(&guarded.papers)), ..right() }, &["invalid peer certificate"]);
        let refused = &["ertificate", "alert", "reset", "closed", "UnknownCA"];
        away(SubscribeConfig { tls: of(&guarded.papers, Some(&strangers)), ..right() }, refused);
        away(SubscribeConfig { tls: of(&guarded.papers, None), ..right() }, refused);
        away(SubscribeConfig { tls: None, ..right() }, &["closed", "reset", "abort"]);
    }
    // And with the right papers it goes on.
    Subscribed::start(guarded.config("us", "secret of us")).end(0);
}
