//! What `bench/ingest/run.py` runs besides the product: a load generator, a bare subscriber as the peer, and a
//! server that is nothing but ingest (to measure without the whole binary).
//!
//! Upstream: the script. Downstream: its table. One word chooses: `load`, `subscribe`, `serve`; each prints what
//! its arguments are when they are wrong.

mod load;
mod subscribe;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use ingest::server::{ServerConfig, serve};
use ingest::subscribe::{SubscribeConfig, run};
use ingest::{Ingest, IngestConfig};
use prometheus::{Encoder, IntCounter, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("load") => load::main(&arguments[1..]),
        Some("subscribe") => subscribe::main(&arguments[1..]),
        Some("serve") => serve_until_told(&arguments[1..]),
        _ => Err("say load, subscribe or serve".into()),
    }
}

/// `serve DIR PORT [BROKER_PORT COUNTER]`: ingest at a port of this machine, or at somebody's broker, until SIGTERM or
/// SIGINT; then its metrics go to standard output. Messages that are durable are counted in the file.
fn serve_until_told(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [dir, port, broker @ ..] = arguments else { return Err("serve DIR PORT [BROKER_PORT COUNTER]".into()) };
    let registry = Registry::new();
    let ingest = Ingest::start(IngestConfig::new(PathBuf::from(dir)), &registry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            stopping.cancel();
        });
        if let [broker, counter] = broker {
            let config = SubscribeConfig::new("127.0.0.1", broker.parse()?);
            tokio::spawn(count(
                OpenOptions::new().write(true).open(counter)?,
                ingest.writer().metrics().messages.clone(),
            ));
            run(config, ingest.writer(), stop).await;
        } else {
            let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
            serve(listener, ingest.writer(), stop, ServerConfig::default()).await?;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    ingest.stop()?;
    TextEncoder::new().encode(&registry.gather(), &mut std::io::stdout())?;
    Ok(())
}

/// Writes the count every millisecond.
async fn count(file: File, messages: IntCounter) -> std::io::Result<()> {
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    loop {
        tick.tick().await;
        file.write_all_at(&messages.get().to_le_bytes(), 0)?;
    }
}
