//! `--corridors`, `--zones`, `--reporting-share`, `--levels`: over what figures are taken, and how they are told.

use std::path::PathBuf;
use std::sync::Arc;

use analytics::area::{Areas, read};
use analytics::metric::probe_share::ProbeShare;
use analytics::snapshot::Scale;
use analytics::study::StudyConfig;
use roads::Network;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Corridors: TOML or GeoJSON with names and segment ids [default: the longest streets of the network]
    #[arg(long, env = "ARTERIAL_CORRIDORS", value_name = "FILE")]
    corridors: Option<PathBuf>,
    /// Zones: GeoJSON polygons with names [default: nine districts]
    #[arg(long, env = "ARTERIAL_ZONES", value_name = "FILE")]
    zones: Option<PathBuf>,
    /// Share of all vehicles that report, where it is known; else loops are asked, else nothing is scaled
    #[arg(long, env = "ARTERIAL_REPORTING_SHARE", value_name = "SHARE", value_parser = share)]
    reporting_share: Option<ProbeShare>,
    /// By which borders levels of congestion are told
    #[arg(long, env = "ARTERIAL_LEVELS", value_name = "SCALE", default_value = "tti")]
    levels: Levels,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Levels {
    /// Travel time index 1.5, 2, 4
    #[default]
    Tti,
    /// Levels of service of urban streets by HCM, A to F
    Hcm,
}

impl Args {
    /// What the figures of a network are taken over.
    pub(crate) fn study(&self, network: &Network, utc_offset_s: i32) -> anyhow::Result<StudyConfig> {
        let corridors = self.corridors.as_deref().map(|path| read::corridors(path, network)).transpose()?;
        let zones = self.zones.as_deref().map(|path| read::zones(path, network)).transpose()?;
        let areas = Arc::new(Areas::new(network, corridors, zones));
        Ok(StudyConfig { areas, probe_share: self.reporting_share, utc_offset_s })
    }

    pub(crate) fn scale(&self) -> Scale {
        match self.levels {
            Levels::Tti => Scale::TravelTimeIndex,
            Levels::Hcm => Scale::Hcm,
        }
    }
}

fn share(text: &str) -> Result<ProbeShare, String> {
    let value = text.strip_suffix('%').map_or_else(|| text.parse(), |p| p.trim().parse::<f64>().map(|p| p / 100.0));
    let known = value.ok().and_then(ProbeShare::given);
    known.ok_or_else(|| format!("`{text}` is no share: above 0 and at most 1, or 100%"))
}
