//! What is logged, and in which form. One line for each change of state, none for each event; everything goes to
//! standard error, where systemd and containers look for it.
//!
//! Upstream: the command line of the services, the environment of everything else. Downstream: `tracing`.

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::reload::Part;

/// What is logged unless somebody says otherwise.
const DEFAULT: &str = "info,memory_serve=warn";

/// The filter, for whoever exchanges it while the process runs.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Of services that run for long.
#[derive(clap::Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogArgs {
    /// What is logged: error, warn, info, debug or trace, also by part, as in `info,ingest=debug`
    #[arg(long, env = "ARTERIAL_LOG", value_name = "FILTER", default_value = DEFAULT, value_parser = parse)]
    pub(crate) log: String,
    /// One line of text for each thing that happened, or one JSON object
    #[arg(long, env = "ARTERIAL_LOG_FORMAT", value_enum, default_value = "text")]
    pub(crate) log_format: Format,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

impl LogArgs {
    /// What the environment says, for commands that have no such options.
    pub(crate) fn of_environment() -> Self {
        let log = std::env::var("ARTERIAL_LOG").ok().and_then(|text| parse(&text).ok());
        Self { log: log.unwrap_or_else(|| DEFAULT.to_owned()), log_format: Format::Text }
    }
}

/// A filter that means what it says. A bare word that is no level would be the name of a part, of which everything is
/// logged, and nothing of the others.
fn parse(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let strange = text
        .split(',')
        .map(str::trim)
        .find(|word| !word.contains(['=', '[']) && !LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level)));
    if let Some(word) = strange {
        return Err(format!("`{word}` is no level; there are {}, alone or as part=level", LEVELS.join(", ")));
    }
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|cause| cause.to_string())
}

/// Begins to log. To be called once.
pub(crate) fn begin(args: &LogArgs) {
    let filter = EnvFilter::try_new(&args.log).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match args.log_format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    FILTER.get_or_init(|| handle);
}

/// Says why the process ends in vain: one sentence, in the form of the log where that is read by a program.
pub(crate) fn complain(format: Format, error: &anyhow::Error) {
    match format {
        Format::Text => eprintln!("arterial: {error:#}"),
        Format::Json => tracing::error!("{error:#}"),
    }
}

/// What a reload does: the filter is exchanged, the form stays.
pub(crate) fn part(args: &LogArgs) -> Part {
    let mut before = args.log.clone();
    Part::new("log", &["log"], move |now| {
        let Some(args) = now.log().filter(|args| args.log != before) else { return Ok(None) };
        let filter = EnvFilter::try_new(&args.log)?;
        if let Some(handle) = FILTER.get() {
            handle.reload(filter)?;
        }
        let said = format!("{before} became {}", args.log);
        before.clone_from(&args.log);
        Ok(Some(said))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_means_what_it_says() {
        for good in ["info", "WARN", DEFAULT, "info,ingest=debug", "off,analytics::follow=trace"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for (bad, says) in [("infoo", "`infoo` is no level"), ("info,loud", "`loud`"), ("ingest=loud", "level")] {
            let said = parse(bad).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
