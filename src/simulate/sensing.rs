//! `--probes`, `--sensors` and their kin: what the sensors of a simulated city report, and how badly.

use clap::ValueEnum;
use clap::builder::FalseyValueParser;
use sim::SensorConfig;
use sim::sensor::Fleet;

/// How sensors measure.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    /// Everything as it is, every second, at once
    Exact,
    /// With every fault of life; nine loops of ten work
    Lifelike,
    /// The same on a day on which six loops of ten work
    BadDay,
}

/// A fault that can be switched off.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    /// Errors of position, and canyons with them
    Gps,
    /// Worse positions in narrow streets of the centre
    Canyons,
    /// No fix in tunnels and now and then, silent radios
    Outages,
    /// Clocks that are off
    Clocks,
    /// Late delivery, and reordering with it
    Latency,
    /// Reports that overtake each other
    Reordering,
    Loss,
    Duplicates,
    /// Broken loops
    Loops,
}

/// Who reports what.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SensorArgs {
    /// Share of the vehicles that report their position: 5% or 0.05
    #[arg(
        long,
        alias = "probe-share",
        env = "ARTERIAL_PROBES",
        value_name = "SHARE",
        default_value = "100%",
        value_parser = parse_share
    )]
    probes: f64,
    /// How well sensors measure [default: lifelike; exact where everything runs in one process]
    #[arg(long, env = "ARTERIAL_SENSORS", value_name = "QUALITY")]
    sensors: Option<Quality>,
    /// Faults to leave out, with commas between them
    #[arg(long, env = "ARTERIAL_WITHOUT", value_name = "FAULTS", value_delimiter = ',')]
    without: Vec<Switch>,
    /// Every vehicle reports so often, seconds, 1 to 60 [default: a mix of fleets; 1 with exact sensors]
    #[arg(long, env = "ARTERIAL_INTERVAL_S", value_name = "SECONDS")]
    interval_s: Option<u32>,
    /// Positions say the segment's id and the offset on it
    #[arg(long, env = "ARTERIAL_WITH_EDGE", value_parser = FalseyValueParser::new())]
    with_edge: bool,
}

pub(crate) fn parse_share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    match number.trim().parse::<f64>().map(|share| share / unit) {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Ok(_) | Err(_) => Err(format!("`{text}` is not a share between 0 and 1, or 0% and 100%")),
    }
}

impl SensorArgs {
    /// Whether the command line says how sensors measure.
    pub(crate) fn is_given(&self) -> bool {
        self.sensors.is_some() || self.interval_s.is_some() || !self.without.is_empty() || self.probes < 1.0
    }

    /// What is measured, where `usual` is meant unless something else was said.
    pub(crate) fn config(&self, usual: Quality) -> anyhow::Result<SensorConfig> {
        let mut config = match self.sensors.unwrap_or(usual) {
            Quality::Exact => SensorConfig::default(),
            Quality::Lifelike => SensorConfig::lifelike(),
            Quality::BadDay => SensorConfig::bad_day(),
        };
        (config.probe_share, config.with_edge) = (self.probes, self.with_edge);
        if let Some(interval_s) = self.interval_s {
            let jitter_share = config.fleets.first().map_or(0.0, |fleet| fleet.jitter_share);
            config.fleets = vec![Fleet { name: "all".to_owned(), weight: 1.0, interval_s, jitter_share }];
        }
        for switch in &self.without {
            match switch {
                Switch::Gps => (config.gps_sigma_m, config.canyons) = (0.0, false),
                Switch::Canyons => config.canyons = false,
                Switch::Outages => config.outages = false,
                Switch::Clocks => config.skewed_clocks = false,
                Switch::Latency => config.latency = false,
                Switch::Reordering => config.reorder = false,
                Switch::Loss => config.loss_share = 0.0,
                Switch::Duplicates => config.duplicate_share = 0.0,
                Switch::Loops => config.healthy_loop_share = 1.0,
            }
        }
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sensors: SensorArgs,
    }

    fn config(line: &str) -> Result<SensorConfig, String> {
        let words = std::iter::once("sim").chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|e| e.to_string())?;
        line.sensors.config(Quality::Lifelike).map_err(|e| e.to_string())
    }

    #[test]
    fn shares_and_switches_are_read_as_a_person_writes_them() {
        for (text, share) in [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("0", 0.0), ("2.5%", 0.025)] {
            assert_eq!(config(&format!("--probes {text}")).unwrap().probe_share, share, "{text}");
        }
        assert_eq!(config("--probe-share 0.5").unwrap().probe_share, 0.5);
        assert_eq!(config("").unwrap(), SensorConfig::lifelike());
        assert_eq!(config("--sensors exact").unwrap(), SensorConfig::default());
        let all = "gps,canyons,outages,clocks,latency,reordering,loss,duplicates,loops";
        let without = config(&format!("--without {all}")).unwrap();
        assert_eq!(without, SensorConfig { fleets: Fleet::mixed(), ..SensorConfig::default() });
        let fleets = config("--interval-s 30").unwrap().fleets;
        assert_eq!((fleets.len(), fleets[0].interval_s, fleets[0].jitter_share), (1, 30, 0.1));
        for (bad, says) in [
            ("--probes 105%", "`105%` is not a share"),
            ("--probes much", "`much` is not a share"),
            ("--interval-s 61", "every 61 s"),
            ("--without wheels", "invalid value 'wheels'"),
        ] {
            let sentence = config(bad).unwrap_err();
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
