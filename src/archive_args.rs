//! `--archive` and its like: where history goes, and how long it stays.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use analytics::archive::collect::{CollectConfig, Trim};
use analytics::archive::place::{Access, Place};
use analytics::archive::recorder::RecordConfig;
use analytics::archive::retain::Retention;
use analytics::archive::status::Status;
use anyhow::{Context, anyhow};
use clap::builder::FalseyValueParser;

/// The word for no archive.
const NONE: &str = "none";

/// How object storage is reached.
#[derive(clap::Args)]
pub(crate) struct AccessArgs {
    /// Address of the object storage, if it is not Amazon's
    #[arg(long, env = "ARTERIAL_ARCHIVE_ENDPOINT", value_name = "URL")]
    archive_endpoint: Option<String>,
    /// Region of the bucket
    #[arg(long, env = "ARTERIAL_ARCHIVE_REGION", value_name = "REGION")]
    archive_region: Option<String>,
    /// File with the keys of the object storage, as Amazon's tools write it; else the environment has them
    /// (AWS_ACCESS_KEY_ID and so on)
    #[arg(long, env = "ARTERIAL_ARCHIVE_CREDENTIALS", value_name = "FILE")]
    archive_credentials: Option<PathBuf>,
    /// Which section of that file
    #[arg(long, env = "ARTERIAL_ARCHIVE_PROFILE", value_name = "NAME", default_value = "default")]
    archive_profile: String,
    /// Speak to an object storage on another machine without TLS
    #[arg(long, env = "ARTERIAL_ARCHIVE_ALLOW_HTTP", value_parser = FalseyValueParser::new())]
    archive_allow_http: bool,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where history is kept: a folder, s3://BUCKET/PREFIX, or `none`; DIR/archive in the folder of --data unless given
    #[arg(long, env = "ARTERIAL_ARCHIVE", value_name = "PLACE")]
    archive: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// Closed minutes are written when there are so many
    #[arg(long, env = "ARTERIAL_ARCHIVE_MINUTES", value_name = "MINUTES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    archive_minutes: u32,
    /// How long cells of a minute, intervals of loops and cycles of signals are kept behind the newest minute, days
    #[arg(long, env = "ARTERIAL_ARCHIVE_DAYS", value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..))]
    archive_days: u32,
    /// The same of cells of five minutes, and of data quality, days
    #[arg(long, env = "ARTERIAL_ARCHIVE_FIVE_MINUTE_DAYS", value_name = "DAYS", default_value_t = 730, value_parser = clap::value_parser!(u32).range(2..))]
    archive_five_minute_days: u32,
    /// Keep raw positions, under the pseudonyms of their day and without the ends of trips, for so many hours after they
    /// were written; 0 keeps none
    #[arg(long, env = "ARTERIAL_ARCHIVE_POSITIONS_HOURS", value_name = "HOURS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=168))]
    archive_positions_hours: u32,
    /// Most that history may take, GiB; beyond it the oldest goes
    #[arg(long, env = "ARTERIAL_ARCHIVE_GIB_MAX", value_name = "GIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    archive_gib_max: u32,
    /// Most that may wait on this machine for an object storage that is down, GiB; beyond it the oldest is given up
    #[arg(long, env = "ARTERIAL_ARCHIVE_WAITING_GIB_MAX", value_name = "GIB", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    archive_waiting_gib_max: u32,
}

impl Args {
    /// What analytics is told, with the place where it tells how that goes; `None` without an archive.
    pub(crate) fn config(&self, data: &Path, city: &str) -> anyhow::Result<Option<(RecordConfig, Status)>> {
        let place = match self.archive.as_deref() {
            Some(NONE) => return Ok(None),
            Some(text) => text.parse().map_err(|why: String| anyhow!(why)).context("--archive")?,
            None => Place::Folder(data.join("archive")),
        };
        let days = self.archive_days;
        let retention = Retention {
            cells_1min_days: days,
            cells_5min_days: self.archive_five_minute_days.max(days),
            roadside_days: days,
            positions_hours: self.archive_positions_hours,
            bytes_max: u64::from(self.archive_gib_max) << 30,
        };
        let config = RecordConfig {
            staging: data.join("archive-staging"),
            access: self.access.access()?,
            collect: CollectConfig { positions: (self.archive_positions_hours > 0).then(Trim::default) },
            flush_minutes: self.archive_minutes as usize,
            retention,
            waiting_bytes_max: u64::from(self.archive_waiting_gib_max) << 30,
            ..RecordConfig::new(place, city)
        };
        Ok(Some((config, Status::default())))
    }
}

impl AccessArgs {
    /// Keys and settings, from the environment, then the file, then what was typed; none of them is ever shown.
    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let given = std::env::vars_os().filter_map(text);
        let mut settings: Vec<(String, String)> = given.filter(|(name, _)| name.starts_with("AWS_")).collect();
        if let Some(path) = &self.archive_credentials {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let found = Access::of_profile(&text, &self.archive_profile);
            settings.extend(found.map_err(|why| anyhow!("{}: {why}", path.display()))?);
        }
        let typed = [("endpoint", &self.archive_endpoint), ("region", &self.archive_region)];
        settings.extend(typed.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
        Ok(Access::new(settings, self.archive_allow_http))
    }
}
