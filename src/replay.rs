//! `arterial replay`: recordings over MQTT, with their own timing.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::FalseyValueParser;
use events::TimeMs;
use sim::publish::PublishCounters;
use sim::replay::{Control, ReplayConfig, ReplayProgress, ReplayReport, replay_under};
use sim::{PublishReport, Speed};
use tokio_util::sync::CancellationToken;

use crate::broker::{self, PublishArgs};
use crate::input::InputArgs;
use crate::logging::LogArgs;
use crate::progress;
use crate::replay_control::{self, Reins};

/// Publish recordings over MQTT, with their own timing
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// How fast: a factor of the recording's own time, or `max`
    #[arg(long, env = "ARTERIAL_SPEED", default_value = "1")]
    speed: Speed,
    #[command(flatten)]
    publish: PublishArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Leave out what is before this time (RFC 3339, or seconds since 1970)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<TimeMs>,
    /// Leave out what is at this time or after it
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<TimeMs>,
    /// Take pause, step, seek and speed over HTTP at this address of this machine, such as 127.0.0.1:8081
    #[arg(long, env = "ARTERIAL_REPLAY_CONTROL", value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// Begin paused: nothing is published before somebody says so over --control
    #[arg(long, env = "ARTERIAL_REPLAY_PAUSED", requires = "control", value_parser = FalseyValueParser::new())]
    paused: bool,
}

/// A moment as a person writes it: RFC 3339, or seconds since 1970.
pub(crate) fn parse_time(text: &str) -> Result<TimeMs, String> {
    TimeMs::parse(text).map_err(|e| e.detail)
}

/// How often the progress line is renewed.
const REFRESH: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let format = args.input.format()?;
    let bar = progress::line();
    let mut files = Vec::new();
    for path in &args.input.files {
        files.push((path.display().to_string(), args.input.records(path, &bar)?));
    }
    let mut publisher = broker::connect(args.publish.connection("replay")?).await?;
    let config = ReplayConfig {
        speed: args.speed,
        from: args.from,
        to: args.to,
        ..ReplayConfig::new(&args.publish.city, &format)
    };
    let counters = publisher.counters();
    let control = Arc::new(Control::new(args.speed, args.paused));
    let listener = match args.control {
        Some(address) => Some(replay_control::bind(address).await?),
        None => None,
    };
    let shown = Arc::new(ReplayProgress::default());
    let closed = CancellationToken::new();
    let reins = listener.map(|listener| {
        let file = files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let reins = Reins { control: Arc::clone(&control), progress: Arc::clone(&shown), file };
        tokio::spawn(replay_control::serve(listener, reins, closed.clone()))
    });
    let mut ended = false;
    for (name, records) in files {
        let work = replay_under(&control, records, config.clone(), &mut publisher, &shown, stop.clone());
        tokio::pin!(work);
        let report = loop {
            tokio::select! {
                report = &mut work => break report.with_context(|| name.clone())?,
                () = tokio::time::sleep(REFRESH) => bar.set_message(line(&name, &shown, &counters)),
            }
        };
        report_file(&name, &report)?;
        if let Some(broken) = report.broken {
            ended = true;
            bar.println(format!("{name}: {broken}"));
        }
        if report.cancelled {
            break;
        }
    }
    let done = broker::finish(publisher, &stop).await?;
    closed.cancel();
    if let Some(reins) = reins {
        reins.await??;
    }
    bar.finish_and_clear();
    summary(&done)?;
    if ended {
        bail!("a recording broke off; what came before it was published");
    }
    Ok(())
}

fn line(name: &str, shown: &ReplayProgress, counters: &PublishCounters) -> String {
    format!(
        "{name}: {} published, {} acknowledged, {} unsent, {} unreadable, at {}",
        shown.published(),
        counters.acked(),
        counters.unsent(),
        shown.unreadable(),
        shown.last_time().rfc3339()
    )
}

fn report_file(name: &str, report: &ReplayReport) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let span = match (report.first, report.last) {
        (Some(first), Some(last)) => format!(", {} to {}", first.rfc3339(), last.rfc3339()),
        (_, _) => String::new(),
    };
    writeln!(
        out,
        "{name}: {} messages and {} observations published, {} left out, {} unreadable{span}",
        report.messages, report.events, report.left_out, report.unreadable
    )?;
    for (line, reject) in &report.unreadable_lines {
        writeln!(out, "  line {line}: {reject}")?;
    }
    Ok(())
}

fn summary(done: &PublishReport) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "sent {}, acknowledged {}, heard by nobody {}, refused {}",
        done.sent, done.acked, done.unheard, done.refused
    )?;
    Ok(())
}
