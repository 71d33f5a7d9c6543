//! `arterial explain`: a metric of a running service, or of a recording or a spool, with its numbers filled in.

mod offline;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use analytics::explain::Metric;
use analytics::metric::window::Window;
use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// Say where a number comes from: its formula with the numbers filled in, what was counted, what was left out and why
///
/// Asks a running `arterial` or `arterial analytics`; with --recording or --spool it counts what is on disk instead.
/// Small groups are not explained.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// speed, travel_time_index, delay, flow, density or level
    #[arg(value_parser = metric)]
    metric: Metric,
    /// The segment: its 16 hexadecimal digits, or its index
    segment: String,
    /// The window: 1m, 5m, 15m or 60m
    #[arg(default_value = "5m", value_parser = window)]
    window: Window,
    /// Where the service listens for HTTP
    #[arg(long, default_value = "127.0.0.1:8080", env = "ARTERIAL_HEALTH_ADDRESS")]
    service: SocketAddr,
    #[command(flatten)]
    offline: offline::Args,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Longest wait for an answer, and the longest answer.
const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

fn metric(word: &str) -> Result<Metric, String> {
    Metric::parse(word).map_err(|e| e.to_string())
}

fn window(word: &str) -> Result<Window, String> {
    let found = Window::ALL.into_iter().find(|w| w.label() == word);
    found.ok_or_else(|| format!("`{word}` is no window; there are 1m, 5m, 15m and 60m"))
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(told) = args.offline.explain(args.metric, &args.segment, args.window)? {
        return tell(&serde_json::to_value(told)?, args.json);
    }
    let plain = args.segment.chars().all(|c| c.is_ascii_alphanumeric());
    ensure!(plain, "`{}` is no segment; it is named by its 16 hexadecimal digits or its index", args.segment);
    let address = args.service;
    let away = || format!("nothing answers on {address}; is the service running there?");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(away)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (metric, segment, window_s) = (args.metric.name(), &args.segment, args.window.seconds());
    let path = format!("/api/v1/explain?metric={metric}&segment={segment}&window={window_s}");
    // HTTP/1.0, so that the answer comes in one piece.
    let token = std::env::var("ARTERIAL_HTTP_TOKEN").map(|token| format!("Authorization: Bearer {token}\r\n"));
    let token = token.unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{token}\r\n").with_context(away)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).with_context(away)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let told: Value =
        serde_json::from_str(body).with_context(|| format!("what answers on {address} is no Arterial"))?;
    if let Some(message) = told.pointer("/error/message").and_then(Value::as_str) {
        bail!("{message}");
    }
    tell(&told, args.json)
}

fn tell(told: &Value, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{told}")?;
        return Ok(());
    }
    let text = |key: &str| told[key].as_str().unwrap_or("-").to_owned();
    writeln!(out, "{}\n  = {}\n  = {}", text("formula"), text("filled_in"), text("result"))?;
    writeln!(out, "segment    {} ({})", text("segment"), text("name"))?;
    writeln!(out, "counted    {} position reports of {} vehicles", told["events"], told["vehicles"])?;
    writeln!(
        out,
        "free flow  {:.2} m/s: {}",
        told["free_flow_mps"].as_f64().unwrap_or_default(),
        text("free_flow_basis")
    )?;
    writeln!(out, "left out, in the whole city from the start on:")?;
    let left_out = told["left_out"].as_array().map_or(&[][..], Vec::as_slice);
    if left_out.is_empty() {
        writeln!(out, "  nothing")?;
    }
    for one in left_out {
        writeln!(out, "  {:>9}  {}", one["count"].to_string(), one["why"].as_str().unwrap_or_default())?;
    }
    Ok(())
}
