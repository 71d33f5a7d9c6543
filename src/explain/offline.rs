//! A metric explained from what is on disk: a recording, or the spool of an ingest, counted from its begin to its end.
//!
//! Upstream: [`crate::analyze`], which counts recordings; the spool. Downstream: [`super`] prints the answer. Nothing that
//! was learnt is known here: free flow is that of the limits, and flows are of the vehicles that report.

use std::path::{Path, PathBuf};

use analytics::explain::{Explanation, Metric, explain, of_recording};
use analytics::matching::MatchConfig;
use analytics::metric::window::Window;
use analytics::{Engine, EngineConfig};
use anyhow::{Context, ensure};
use events::TimeMs;
use events::foreign::Format;
use indicatif::ProgressBar;
use ingest::gate::Fates;
use ingest::start::spool_dir;
use ingest::{BlockNumber, Reader, SpoolError};

use crate::analyze::Analysis;
use crate::input::{self, InputArgs};
use crate::network::{self, Map, NetworkArg};

/// What is on disk.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Explain it of these recordings
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "format", conflicts_with = "spool")]
    recording: Vec<PathBuf>,
    /// Their format (docs/formats.md)
    #[arg(long, requires = "recording", value_parser = clap::builder::PossibleValuesParser::new(Format::NAMES))]
    format: Option<String>,
    /// Their columns, as for `arterial analyze`
    #[arg(long, value_name = "MAP|FILE", requires = "recording")]
    columns: Option<String>,
    /// Explain it of what an ingest has stored: the folder that `arterial ingest --data` was given
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// When the window ends, RFC 3339 [default: at the last position]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<TimeMs>,
    #[command(flatten)]
    network: NetworkArg,
}

fn moment(text: &str) -> Result<TimeMs, String> {
    TimeMs::parse(text).map_err(|e| e.to_string())
}

impl Args {
    /// The explanation, if something on disk was named.
    pub(crate) fn explain(&self, metric: Metric, segment: &str, window: Window) -> anyhow::Result<Option<Explanation>> {
        let (engine, fates) = match &self.spool {
            Some(data) => (self.count_spool(data)?, None),
            None if self.recording.is_empty() => {
                ensure!(
                    self.at.is_none(),
                    "a running service explains the newest window: --at is for --recording and --spool"
                );
                return Ok(None);
            }
            None => self.count_recordings()?,
        };
        let end_ms = self.at.map(|at| at.0);
        let published = of_recording(&engine, window, end_ms, fates).context("there is no position in it")?;
        Ok(Some(explain(&published, engine.network(), metric, segment, window)?))
    }

    fn count_recordings(&self) -> anyhow::Result<(Engine, Option<Fates>)> {
        let input = InputArgs {
            files: self.recording.clone(),
            format: self.format.clone().context("--recording needs --format")?,
            columns: self.columns.clone(),
        };
        input.format()?;
        let Map { network, hexagons } = network::load(&self.network, || input::extent(&input))?;
        let mut analysis = Analysis::new(&network, MatchConfig { hexagons, ..MatchConfig::default() }, None);
        for path in &input.files {
            for record in input.records(path, &ProgressBar::hidden())? {
                analysis.take(record.with_context(|| format!("{}", path.display()))?)?;
            }
        }
        analysis.count();
        analysis.engine.end();
        let fates = analysis.gate.fates();
        Ok((analysis.engine, Some(fates)))
    }

    fn count_spool(&self, data: &Path) -> anyhow::Result<Engine> {
        let no_extent = || anyhow::bail!("a spool needs the streets that it was counted on: give --network or --area");
        let Map { network, hexagons } = network::load(&self.network, no_extent)?;
        let matching = MatchConfig { hexagons, ..MatchConfig::default() };
        let mut engine = Engine::new(network, EngineConfig::whole(matching));
        let dir = spool_dir(data);
        ensure!(dir.is_dir(), "there is no spool in {}", data.display());
        let mut reader = match Reader::open(&dir, BlockNumber(0)) {
            Err(SpoolError::Gone { oldest, .. }) => Reader::open(&dir, oldest)?,
            opened => opened?,
        };
        while let Some((_, batch)) = reader.next()? {
            engine.apply(&batch);
        }
        engine.end();
        Ok(engine)
    }
}
