//! `arterial health`: asks a running service whether it is ready.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use ingest::tls::{self, Identity};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

/// Ask a running service whether it is ready
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the service listens for HTTP
    #[arg(default_value = "127.0.0.1:8080", env = "ARTERIAL_HEALTH_ADDRESS")]
    address: SocketAddr,
    /// Ask by TLS a service with a certificate that one of these authorities signed, PEM
    #[arg(long, env = "ARTERIAL_HEALTH_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The name in its certificate, if that is not the address
    #[arg(long, env = "ARTERIAL_HEALTH_NAME", value_name = "NAME", requires = "ca")]
    name: Option<String>,
    /// Our own certificate, if it asks for one, PEM
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let address = args.address;
    let answer = ask(args).with_context(|| {
        format!("nothing answers on {address}; is the service running there, and by TLS (then with --ca)?")
    })?;
    let status = answer.split_whitespace().nth(1).unwrap_or("nothing");
    if status != "200" {
        let reasons = answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim();
        bail!("the service on {address} is not ready (status {status}): {reasons}");
    }
    Ok(())
}

fn ask(args: &Args) -> anyhow::Result<String> {
    let stream = TcpStream::connect_timeout(&args.address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some(authority) = &args.ca else { return exchange(stream, args) };
    let identity = match (&args.cert, &args.key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate: certificate.clone(), key: key.clone() }),
        (_, _) => None,
    };
    let name = match &args.name {
        Some(name) => ServerName::try_from(name.clone()).map_err(|_| anyhow!("`{name}` is no name of a server"))?,
        None => ServerName::from(args.address.ip()),
    };
    let tls = ClientConnection::new(tls::client(authority, identity.as_ref())?, name)?;
    exchange(StreamOwned::new(tls, stream), args)
}

fn exchange(mut stream: impl Read + Write, args: &Args) -> anyhow::Result<String> {
    let host = args.name.clone().unwrap_or_else(|| args.address.to_string());
    write!(stream, "GET /ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    Ok(answer)
}
