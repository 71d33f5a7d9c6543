//! `arterial health`: asks a running service whether it is ready.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

/// Ask a running service whether it is ready
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the service listens for HTTP
    #[arg(default_value = "127.0.0.1:8080", env = "ARTERIAL_HEALTH_ADDRESS")]
    address: SocketAddr,
}

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let address = args.address;
    let away = || format!("nothing answers on {address}; is the service running there?");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(away)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").with_context(away)?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer).with_context(away)?;
    let status = answer.split_whitespace().nth(1).unwrap_or("nothing");
    if status != "200" {
        let reasons = answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim();
        bail!("the service on {address} is not ready (status {status}): {reasons}");
    }
    Ok(())
}
