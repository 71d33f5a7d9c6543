//! The command line of Arterial: one binary, one file a subcommand, and no logic.
//!
//! This is the only place that reads arguments, environment and files that a person names.
//!
//! | command | file | takes | gives |
//! |---|---|---|---|
//! | `arterial` | [`city`] | – | everything in one process, on a simulated city |
//! | `arterial sim` | [`simulate`] | a network, a seed | events over MQTT |
//! | `arterial replay` | [`replay`] | recordings | the same events over MQTT, with their own timing |
//! | `arterial ingest` | [`take_in`] | MQTT | durable blocks in the spool |
//! | `arterial analytics` | [`analyse_live`] | the spool | metrics, API, dashboard |
//! | `arterial analyze` | [`analyze`] | recordings | cells, without a broker |
//! | `arterial match` | [`match_paths`] | recordings, a network | the driven paths |
//! | `arterial signals` | [`signals`] | logs of signal controllers | cycles, arrivals on green, split failures |
//! | `arterial detectors` | [`detectors`] | recordings of loops | health, holes, oddities, unusual hours |
//! | `arterial verify` | [`verify`] | a simulated city | the errors of every metric by share of probes |
//! | `arterial report` | [`report`] | the archive | typical days, comparisons, rankings, reliability, bottlenecks, quality |
//! | `arterial explain` | [`explain`] | a metric, a segment, a window | the formula with its numbers, what was left out and why |
//! | `arterial incidents` | [`incident_trial`] | – | how well closures are found in simulation |
//! | `arterial network` | [`network`] | maps | the road network file |
//! | `arterial credentials` | [`credentials`] | a password | a line for ingest's file of accounts |
//! | `arterial archive` | [`archive`] | history | what lies in it, whether it is sound; fewer, larger files |
//! | `arterial backfill` | [`backfill`] | history | OpenMetrics with timestamps, for promtool |
//! | `arterial forget` | [`forget`] | a vehicle | what was stored of it is gone, and what could not be of it |
//! | `arterial token` | [`token`] | a name | a token for the pages, and its line for their file |
//! | `arterial spool` | [`spool`] | the spool | what lies in it, and whether it is sound |
//! | `arterial dead-letters` | [`dead_letters`] | the dead letters | what was rejected and why; the same messages again |
//! | `arterial health` | [`health`] | an address | whether that service is ready |
//! | `arterial config` | [`config`] | a file, the environment | what they set, and whether it is sound |
//! | `arterial completions`, `manual` | [`manual`] | – | what a shell and `man` want to know |

/// Threads that hand work to each other leave holes in the system's allocator: a service that runs for years crept there
/// (`docs/benchmarks/2026-11-22-2core/soak.md`).
#[cfg(unix)]
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

mod analyse_live;
mod analyze;
mod archive;
mod archive_args;
mod areas;
mod backfill;
mod broker;
mod city;
mod config;
mod credentials;
mod dead_letters;
mod detectors;
mod door;
mod explain;
mod exported;
mod forget;
mod health;
mod incident_trial;
mod input;
mod listen;
mod logging;
mod manual;
mod match_paths;
mod network;
mod pages;
mod progress;
mod reload;
mod replay;
mod replay_control;
mod report;
mod signals;
mod simulate;
mod spool;
mod take_in;
mod token;
mod verify;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::logging::LogArgs;

/// City mobility telemetry over MQTT, turned into congestion numbers that say how sure they are.
///
/// Without a subcommand it runs everything in one process on a simulated city: open http://127.0.0.1:8080.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Arterial {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    city: city::Args,
    #[command(flatten)]
    config: config::ConfigArg,
}

#[derive(Subcommand)]
enum Command {
    /// Simulate a city and publish it over MQTT
    Sim(simulate::Args),
    /// Publish recordings over MQTT, with their own timing
    Replay(replay::Args),
    /// Take MQTT messages in and store them durably
    Ingest(take_in::Args),
    /// Turn what ingest stored into metrics, API and dashboard
    Analytics(analyse_live::Args),
    /// Turn recordings straight into cells, without a broker
    Analyze(analyze::Args),
    /// Measure how well incidents are found, on simulated closures
    Incidents(incident_trial::Args),
    /// Find the streets that vehicles drove, from their positions
    Match(match_paths::Args),
    /// Turn logs of signal controllers into cycles, arrivals on green, split failures and delay
    Signals(signals::Args),
    /// Judge recordings of loops: health by day, holes, oddities, unusual hours
    Detectors(detectors::Args),
    /// Hold the pipeline against a simulated city's truth: errors by share of probes
    Verify(verify::Args),
    /// Ask history: what is normal, what changed, where it jams, what can be relied on, how good the data is
    #[command(subcommand)]
    Report(report::Command),
    /// Say where a number comes from, and what was left out of it
    Explain(explain::Args),
    /// Import, generate or inspect a road network
    #[command(subcommand)]
    Network(network::Command),
    /// Hash a password for ingest's file of accounts
    Credentials(credentials::Args),
    /// Look into history, check it, compact it
    #[command(subcommand)]
    Archive(archive::Command),
    /// Write history as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`
    Backfill(backfill::Args),
    /// Remove what is stored of one vehicle since a day
    Forget(forget::Args),
    /// Make a token that opens the pages
    Token(token::Args),
    /// Look into what ingest stored, and check it
    #[command(subcommand)]
    Spool(spool::Command),
    /// Look through what was rejected, and send it again
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Ask a running service whether it is ready; exits with 0 if so
    Health(health::Args),
    /// Look at the configuration: file, environment and defaults
    #[command(subcommand)]
    Config(config::Command),
    /// Print a script that completes commands and options in a shell
    Completions(manual::CompletionsArgs),
    /// Write the manual pages, one a command
    Manual(manual::ManualArgs),
}

fn main() -> ExitCode {
    let arguments = match config::arguments(&Arterial::command(), std::env::args_os().collect()) {
        Ok(words) => Arterial::parse_from(words),
        Err(error) => {
            eprintln!("arterial: {error:#}");
            return ExitCode::from(2);
        }
    };
    let log = arguments.log().cloned().unwrap_or_else(LogArgs::of_environment);
    logging::begin(&log);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One sentence: the error and what caused it, in one line.
            logging::complain(log.log_format, &error);
            ExitCode::FAILURE
        }
    }
}

impl Arterial {
    /// What is to be logged, by commands that can be told.
    pub(crate) fn log(&self) -> Option<&LogArgs> {
        match self.command.as_ref() {
            None => Some(&self.city.log),
            Some(Command::Sim(args)) => Some(&args.log),
            Some(Command::Replay(args)) => Some(&args.log),
            Some(Command::Ingest(args)) => Some(&args.log),
            Some(Command::Analytics(args)) => Some(&args.log),
            Some(_) => None,
        }
    }
}

/// The command line, environment and file of this process, read once more.
pub(crate) fn arguments_again() -> anyhow::Result<(Arterial, config::Said)> {
    let root = Arterial::command();
    let said = config::said(&root, std::env::args_os().collect())?;
    let words = config::arguments(&root, std::env::args_os().collect())?;
    let found = root.try_get_matches_from(words).and_then(|found| Arterial::from_arg_matches(&found));
    let sentence = |error: clap::Error| anyhow!("{}", error.to_string().lines().next().unwrap_or_default().to_owned());
    Ok((found.map_err(sentence)?, said))
}

fn run(arguments: Arterial) -> anyhow::Result<()> {
    match arguments.command {
        None => asynchronous(|stop| city::run(arguments.city, stop)),
        Some(Command::Sim(args)) => asynchronous(|stop| simulate::run(args, stop)),
        Some(Command::Replay(args)) => asynchronous(|stop| replay::run(args, stop)),
        Some(Command::Ingest(args)) => asynchronous(|stop| take_in::run(args, stop)),
        Some(Command::Analytics(args)) => asynchronous(|stop| analyse_live::run(args, stop)),
        Some(Command::Analyze(args)) => analyze::run(&args),
        Some(Command::Incidents(args)) => incident_trial::run(&args),
        Some(Command::Match(args)) => match_paths::run(&args),
        Some(Command::Signals(args)) => signals::run(&args),
        Some(Command::Detectors(args)) => detectors::run(&args),
        Some(Command::Verify(args)) => asynchronous(|stop| verify::run(args, stop)),
        Some(Command::Report(command)) => report::run(&command),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Network(command)) => network::run(command),
        Some(Command::Credentials(args)) => credentials::run(&args),
        Some(Command::Archive(command)) => archive::run(&command),
        Some(Command::Backfill(args)) => backfill::run(&args),
        Some(Command::Forget(args)) => forget::run(&args),
        Some(Command::Token(args)) => token::run(&args),
        Some(Command::Spool(command)) => spool::run(&command),
        Some(Command::DeadLetters(command)) => dead_letters::run(command),
        Some(Command::Health(args)) => health::run(&args),
        Some(Command::Config(command)) => config::run(&Arterial::command(), command, arguments.config),
        Some(Command::Completions(args)) => manual::completions(Arterial::command(), &args),
        Some(Command::Manual(args)) => manual::manual(Arterial::command(), &args),
    }
}

/// Longest time for a clean end: less than the 30 s after which systemd and compose kill.
const STOP_MAX: Duration = Duration::from_secs(25);

/// Runs a service until it ends by itself or is asked to stop (Ctrl-C, SIGTERM).
pub(crate) fn asynchronous<F: Future<Output = anyhow::Result<()>>>(
    service: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        service(stop).await
    })
}

async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
        }
    }
    tracing::info!("stopping: what was received is being stored; press Ctrl-C again to give up waiting");
    stop.cancel();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => std::process::exit(130),
        () = tokio::time::sleep(STOP_MAX) => {
            tracing::error!(
                "stopping takes longer than {} s and is given up: what was not acknowledged, its senders keep",
                STOP_MAX.as_secs()
            );
            std::process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arterial::command().debug_assert();
    }

    #[test]
    fn compose_and_image_start_commands_that_exist() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let compose = std::fs::read_to_string(root.join("docker-compose.yml")).unwrap();
        let lists = compose.lines().filter_map(|line| {
            let list = line.trim().strip_prefix("command: ").or_else(|| line.trim().strip_prefix("test: "))?;
            serde_json::from_str::<Vec<String>>(list).ok()
        });
        let ours = lists.filter_map(|words| match words.first()?.as_str() {
            "CMD" => (words.get(1)? == "arterial").then(|| words[1..].to_vec()),
            "sim" | "replay" | "ingest" | "analytics" => Some([vec!["arterial".to_owned()], words].concat()),
            _ => None,
        });
        let ours: Vec<_> = ours.collect();
        assert!(ours.len() >= 5, "three services and two health checks: {ours:?}");
        for words in ours {
            if let Err(error) = Arterial::try_parse_from(&words) {
                panic!("{words:?}: {error}");
            }
        }
    }
}
