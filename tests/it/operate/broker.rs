//! Mosquitto behind TLS, with accounts and an access list, and two authorities: the broker's, and a stranger's.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::support::{Running, free_port, run, wait_for};

/// Who may do what. `impostor` has an account, and comes with another password.
const ACCESS: &str = "\
user ingest
topic read arterial/v1/#
topic read /hfp/v2/#

user replay
topic write arterial/v1/#

user visitor
topic write arterial/v1/elsewhere/#
";

pub(super) struct Broker {
    _process: Running,
    port: u16,
    folder: tempfile::TempDir,
}

impl Broker {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Mosquitto gives up its rights when it is started by root, and reads its files after that.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        papers(folder.path());
        let at = |name: &str| folder.path().join(name);
        for (n, account) in ["ingest", "replay", "visitor", "impostor"].into_iter().enumerate() {
            fs::write(at(&format!("{account}.password")), format!("the word of {account}\n")).unwrap();
            let known =
                if account == "impostor" { "another word".to_owned() } else { format!("the word of {account}") };
            let mut add = Command::new("mosquitto_passwd");
            add.arg("-b").args((n == 0).then_some("-c")).arg(at("accounts"));
            run(add.args([account, known.as_str()]));
        }
        fs::write(at("access"), ACCESS).unwrap();
        let port = free_port();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {0}/accounts\nacl_file {0}/access\n\
             certfile {0}/broker.pem\nkeyfile {0}/broker.key\nmax_inflight_messages 10000\nmax_queued_messages 1000000\n",
            folder.path().display()
        );
        fs::write(at("mosquitto.conf"), config).unwrap();
        for name in ["accounts", "access", "broker.key", "broker.pem"] {
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let process =
            Running::start(Command::new("mosquitto").arg("-c").arg(at("mosquitto.conf")).stderr(Stdio::null()));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for("mosquitto", || TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok());
        Self { _process: process, port, folder }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells a command where the broker is, as whom to come, and which authority to believe.
    pub(super) fn reach(&self, command: &mut Command, account: &str, authority: &str) {
        let at = |name: String| self.folder.path().join(name);
        command
            .env("ARTERIAL_BROKER", format!("127.0.0.1:{}", self.port))
            .env("ARTERIAL_MQTT_USER", account)
            .env("ARTERIAL_MQTT_PASSWORD_FILE", at(format!("{account}.password")))
            .env("ARTERIAL_BROKER_CA", at(format!("{authority}.pem")));
    }
}

/// The broker's authority with the broker's certificate, and a stranger's authority.
fn papers(folder: &Path) {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.pem")), authority.as_ref().pem()).unwrap();
        authority
    };
    authority("stranger");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority("authority")).unwrap();
    fs::write(folder.join("broker.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("broker.key"), key.serialize_pem()).unwrap();
}
