//! The real binary's pages behind certificates and tokens, its reload, and what it says in its log and never says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use crate::publisher;
use crate::support::{Running, arterial, free_port, get, metric, mosquitto, run, wait_for, wait_ready};

/// Makes a token as an operator does.
fn token(file: &Path, name: &str, more: &[&str]) -> String {
    let made = run(arterial().args(["token", name, "--http-tokens"]).arg(file).args(more));
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert!(token.starts_with("arterial_") && !std::fs::read_to_string(file).unwrap().contains(&token));
    token
}

/// One request; status and body.
fn ask(port: u16, request: &str, token: &str) -> (u16, String) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "{request} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// An ingest with its log in a file.
struct Ingest {
    service: Running,
    mqtt: u16,
    http: u16,
    log: PathBuf,
}

impl Ingest {
    fn start(folder: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let (mqtt, http, log) = (free_port(), free_port(), folder.join("log"));
        let mut command = arterial();
        command.args(["ingest", "--listen", &format!("127.0.0.1:{mqtt}")]);
        command.args(["--http-listen", &format!("127.0.0.1:{http}"), "--data"]).arg(folder.join("data"));
        command.stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
        prepare(&mut command);
        let mut service = Running::start(&mut command);
        wait_ready(&mut service, http);
        Self { service, mqtt, http, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// SIGHUP, and what is logged of it up to `word`.
    fn reload(&mut self, word: &str) -> String {
        let before = self.log().len();
        run(Command::new("kill").arg("-HUP").arg(self.service.id().to_string()));
        wait_for(&format!("`{word}` in the log"), || {
            self.service.check();
            let said = self.log()[before..].to_owned();
            said.contains(word).then_some(said)
        })
    }
}

/// Connects by MQTT with an account; the code of the answer.
fn mqtt(port: u16, name: &str, password: &str) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&publisher::connect(name, Some((name, password)))).unwrap();
    let mut welcome = [0; 4];
    stream.read_exact(&mut welcome).unwrap();
    (stream, welcome[3])
}

/// A file of one account, made as an operator does.
fn accounts(file: &Path, name: &str, password: &str) {
    let mut command = arterial();
    let mut child =
        command.args(["credentials", name, "*"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    std::fs::write(file, child.wait_with_output().unwrap().stdout).unwrap();
}

#[test]
fn no_secret_is_in_any_line_of_the_log_or_of_config_show() {
    let folder = tempfile::tempdir().unwrap();
    let (tokens, account_file) = (folder.path().join("tokens"), folder.path().join("accounts"));
    let (reader, operator) = (token(&tokens, "reader", &[]), token(&tokens, "operator", &["--control"]));
    accounts(&account_file, "bus", "canary-password-of-bus");
    let secrets = [
        reader.as_str(),
        operator.as_str(),
        "canary-of-the-environment",
        "canary-password",
        "canary-wrong-token",
        "canary-wrong-password",
        "argon2id$",
    ];
    let hushed = |said: &str, of: &str| {
        for secret in secrets {
            assert!(!said.contains(secret), "{secret} is in {of}:\n{said}");
        }
    };
    let with_secrets = |command: &mut Command| {
        command
            .env("ARTERIAL_HTTP_TOKEN", "canary-of-the-environment")
            .env("ARTERIAL_MQTT_PASSWORD", "canary-password");
    };
    let ingest = Ingest::start(folder.path(), |command| {
        with_secrets(command);
        command.env("ARTERIAL_LOG", "trace").args(["--log-format", "json"]);
        command.arg("--http-tokens").arg(&tokens).arg("--credentials").arg(&account_file);
    });
    assert_eq!(ask(ingest.http, "GET /metrics", "canary-wrong-token").0, 401);
    assert_eq!(ask(ingest.http, "GET /metrics", &reader).0, 200);
    assert_eq!(ask(ingest.http, "POST /metrics", &reader).0, 403);
    assert_eq!(ask(ingest.http, "POST /metrics", &operator).0, 405);
    assert_eq!(ask(ingest.http, "GET /metrics", "canary-of-the-environment").0, 200);
    assert_eq!(mqtt(ingest.mqtt, "bus", "canary-wrong-password").1, 4);
    assert_eq!(mqtt(ingest.mqtt, "bus", "canary-password-of-bus").1, 0);
    let page = ask(ingest.http, "GET /metrics", &reader).1;
    assert_eq!(metric(&page, "arterial_http_refused_total", "wrong_token"), Some(1.0));
    hushed(&page, "the page of metrics");
    let Ingest { service, log, .. } = ingest;
    assert_eq!(service.stop(), Some(0));
    let said = std::fs::read_to_string(log).unwrap();
    hushed(&said, "the log");
    for line in said.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    for names in ["\"reader\"", "\"operator\"", "\"environment\""] {
        assert!(said.contains(names), "who used a token is told by name: {names}");
    }

    // Towards a broker, where the client library has a log too.
    let (_broker, broker) = mosquitto(folder.path());
    let (http, log) = (free_port(), folder.path().join("log-2"));
    let mut command = arterial();
    with_secrets(&mut command);
    command.args(["ingest", "--broker", &format!("127.0.0.1:{broker}"), "--mqtt-user", "us", "--data"]);
    command.arg(folder.path().join("data-2")).args(["--http-listen", &format!("127.0.0.1:{http}"), "--log", "trace"]);
    command.env_remove("ARTERIAL_LOG").stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
    let mut service = Running::start(&mut command);
    wait_for("it to be there", || {
        service.check();
        get(http, "/live")
    });
    wait_for("the broker", || ask(http, "GET /ready", "").1.contains("true").then_some(()));
    assert_eq!(service.stop(), Some(0));
    hushed(&std::fs::read_to_string(log).unwrap(), "the log in broker mode");

    let mut show = arterial();
    with_secrets(&mut show);
    let shown = run(show.args(["config", "show"]).env("ARTERIAL_HTTP_TOKENS", &tokens));
    let shown = String::from_utf8(shown.stdout).unwrap();
    hushed(&shown, "config show");
    assert!(shown.contains("http_tokens") && shown.contains("ARTERIAL_HTTP_TOKENS"), "{shown}");
}

#[test]
fn the_log_has_a_line_for_a_change_and_none_for_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(folder.path(), |_| {});
    let devices = publisher::Devices::start(4, ingest.mqtt);
    wait_for("acknowledgements", || (devices.count() >= 5_000).then_some(()));
    devices.end();
    for _ in 0..50 {
        assert_eq!(get(ingest.http, "/metrics").unwrap().0, 200);
    }
    let Ingest { service, log, .. } = ingest;
    assert_eq!(service.stop(), Some(0));
    let said = std::fs::read_to_string(log).unwrap();
    assert!((2..=10).contains(&said.lines().count()), "{said}");
}

#[test]
fn a_hangup_takes_over_what_it_can_and_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (config, tokens, account_file) = (file("arterial.toml"), file("tokens"), file("accounts"));
    let write = |more: &str| {
        let (tokens, accounts) = (tokens.display(), account_file.display());
        let text = format!("[ingest]\nhttp_tokens = \"{tokens}\"\ncredentials = \"{accounts}\"\n{more}\n");
        std::fs::write(&config, text).unwrap();
    };
    let first = token(&tokens, "first", &[]);
    accounts(&account_file, "bus", "old");
    write("log = \"info\"");
    let mut ingest = Ingest::start(folder.path(), |command| {
        command.env_remove("ARTERIAL_LOG").arg("--config").arg(&config);
    });
    assert_eq!(ask(ingest.http, "GET /metrics", &first).0, 200);
    ingest.reload("nothing is configured otherwise");

    // A new token, another password, more to be logged, and something that only a restart can take over.
    let (mut bus, welcome) = mqtt(ingest.mqtt, "bus", "old");
    assert_eq!(welcome, 0);
    let second = token(&tokens, "second", &["--control"]);
    accounts(&account_file, "bus", "new");
    write("log = \"debug\"\nsource_rate_max = 7");
    let said = ingest.reload("wait for a restart");
    for word in ["first (read), second (control)", "info became debug", "1 accounts", "source_rate_max"] {
        assert!(said.contains(word), "`{word}` is not in:\n{said}");
    }
    assert!(!said.contains("http_tokens changed"), "{said}");
    assert_eq!(ask(ingest.http, "GET /metrics", &second).0, 200);
    assert_eq!((mqtt(ingest.mqtt, "bus", "old").1, mqtt(ingest.mqtt, "bus", "new").1), (4, 0));
    // Whoever came in by the old password is out.
    let mut rest = Vec::new();
    bus.read_to_end(&mut rest).unwrap();
    wait_for("the reason", || {
        let page = ask(ingest.http, "GET /metrics", &first).1;
        (metric(&page, "arterial_ingest_closed_total", "shut_out") == Some(1.0)).then_some(())
    });

    // What is not sound changes nothing.
    std::fs::write(&tokens, "first not-a-hash read\n").unwrap();
    let said = ingest.reload("stay as they were");
    assert!(said.contains("line 1") && !said.contains("not-a-hash"), "{said}");
    assert_eq!(ask(ingest.http, "GET /metrics", &first).0, 200);
    std::fs::write(&tokens, "# nobody\n").unwrap();
    assert!(ingest.reload("stay as they were").contains("nobody could come in"));
    write("source_rate_maxx = 7");
    let said = ingest.reload("everything goes on");
    assert!(said.contains("did you mean `source_rate_max`"), "{said}");
    assert_eq!(ask(ingest.http, "GET /metrics", &second).0, 200);
    assert_eq!(ingest.service.stop(), Some(0));
}

/// A certificate for this machine that is its own authority, and its key.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (own, secret) = (folder.join("own.pem"), folder.join("own.key"));
    std::fs::write(&own, certificate.pem()).unwrap();
    std::fs::write(&secret, key.serialize_pem()).unwrap();
    (own, secret)
}

#[test]
fn analytics_is_served_by_tls_to_the_world_and_its_health_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let tokens = folder.path().join("tokens");
    token(&tokens, "reader", &[]);
    let http = free_port();
    let mut command = arterial();
    command.args(["analytics", "--network", "demo", "--http-listen", &format!("0.0.0.0:{http}"), "--data"]);
    command.arg(folder.path()).arg("--http-tls-cert").arg(&certificate).arg("--http-tls-key").arg(&key);
    let mut service = Running::start(command.arg("--http-tokens").arg(&tokens));
    let health = |with_authority: bool| {
        let mut command = arterial();
        command.args(["health", &format!("127.0.0.1:{http}")]);
        if with_authority {
            command.arg("--ca").arg(&certificate);
        }
        command.stderr(Stdio::null()).status().unwrap().success()
    };
    wait_for("analytics to be ready", || {
        service.check();
        health(true).then_some(())
    });
    assert!(!health(false), "without TLS nothing is said");
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn a_live_client_too_many_is_told_so_and_unknown_paths_are_json() {
    let folder = tempfile::tempdir().unwrap();
    let http = free_port();
    let mut command = arterial();
    command.args(["analytics", "--network", "demo", "--http-listen", &format!("127.0.0.1:{http}"), "--data"]);
    let mut service = Running::start(command.arg(folder.path()));
    wait_for("its pages", || {
        service.check();
        get(http, "/live")
    });
    let live = || {
        let mut stream = TcpStream::connect(("127.0.0.1", http)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = "GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (stream, String::from_utf8_lossy(&status[9..]).into_owned())
    };
    let clients: Vec<_> = (0..256).map(|_| live()).collect();
    assert!(clients.iter().all(|(_, status)| status == "101"));
    assert_eq!(live().1, "503");
    let page = get(http, "/metrics").unwrap().1;
    assert_eq!(metric(&page, "arterial_http_live_clients", ""), Some(256.0));
    assert_eq!(metric(&page, "arterial_http_live_dropped_total", "full"), Some(1.0));
    drop(clients);
    wait_for("places", || (live().1 == "101").then_some(()));
    for path in ["/api/v1/nothing", "/api/"] {
        let (status, body) = get(http, path).unwrap();
        let error: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"));
        assert_eq!((status, error["error"]["code"].as_str()), (404, Some("not_found")), "{path}");
    }
    assert_eq!(service.stop(), Some(0));
}
