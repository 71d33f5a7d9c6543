//! Mosquitto as Debian packages it, on a free port.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Broker {
    child: Child,
    pub(crate) port: u16,
}

impl Broker {
    /// Starts one that anybody on this machine may use, and waits until it answers.
    pub(crate) fn start() -> Self {
        for _ in 0..5 {
            // Mosquitto takes no port 0: a port that is free now is taken, and another one if it was lost since.
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if let Some(child) = Self::start_on(port) {
                return Self { child, port };
            }
        }
        panic!("mosquitto did not start on any of five free ports");
    }

    #[expect(clippy::disallowed_methods, reason = "a real process is waited for")]
    fn start_on(port: u16) -> Option<Child> {
        let path =
            if std::path::Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
        let mut child = Command::new(path)
            .args(["-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs the MQTT broker mosquitto: install Debian's package `mosquitto`");
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(child);
            }
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        None
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
