//! Which detector of a signal serves which phase, and as what: `device,channel,phase,function` in CSV.
//!
//! Upstream: a file that the command line opened. Downstream: [`super::Signals`]. A controller's log knows detectors by
//! channel only; what lies where is known to the city's engineers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most rows of a wiring.
const ROWS_MAX: usize = 100_000;

/// What a detector is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Function {
    /// Far before the stop line: it sees vehicles arrive.
    Advance,
    /// At the stop line: it sees who waits.
    Presence,
    /// Something that no figure here needs (counts at the stop line, running of red lights).
    Other,
}

/// One detector's part in one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wired {
    pub signal: String,
    pub phase: u16,
    pub function: Function,
}

/// All detectors, by the source that their events name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiring {
    by_source: BTreeMap<String, Vec<Wired>>,
    /// Whether a phase has advance detectors, and whether it has presence detectors.
    by_phase: BTreeMap<(String, u16), (bool, bool)>,
}

/// What is wrong with a wiring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WiringError {
    #[error("the first line must name the columns device, channel, phase and function; `{column}` is missing")]
    Column { column: &'static str },
    #[error("line {line}: {found} fields, but the header has {expected}")]
    Fields { line: usize, found: usize, expected: usize },
    #[error("line {line}: `{text}` is not a phase number")]
    Phase { line: usize, text: String },
    #[error("line {line}: `{text}` is not a function: advance, presence, count, yellow_red")]
    Function { line: usize, text: String },
    #[error("more than {ROWS_MAX} rows")]
    TooMany,
}

impl Function {
    /// The function by its name; names of the `atspm` package's configuration are known too.
    fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "advance" => Some(Self::Advance),
            "presence" => Some(Self::Presence),
            "count" | "stop bar count" | "yellow_red" => Some(Self::Other),
            _ => None,
        }
    }
}

impl Wiring {
    /// Reads CSV without quotes. Column names in any case and order; `DeviceId` and `Parameter`, as the `atspm` package
    /// has them, are `device` and `channel`.
    ///
    /// # Errors
    /// A sentence that names the line.
    pub fn parse(text: &str) -> Result<Self, WiringError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let names: Vec<String> = match lines.next() {
            Some((_, header)) => header.split(',').map(|name| name.trim().to_ascii_lowercase()).collect(),
            None => Vec::new(),
        };
        let column = |column: &'static str, other: &str| {
            names.iter().position(|name| name == column || name == other).ok_or(WiringError::Column { column })
        };
        let (device, channel) = (column("device", "deviceid")?, column("channel", "parameter")?);
        let (phase, function) = (column("phase", "phase")?, column("function", "function")?);
        let mut wiring = Self::default();
        for (row, (at, line)) in lines.enumerate() {
            let line_number = at + 1;
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            if fields.len() != names.len() {
                return Err(WiringError::Fields { line: line_number, found: fields.len(), expected: names.len() });
            }
            if row >= ROWS_MAX {
                return Err(WiringError::TooMany);
            }
            let wrong_phase = |_| WiringError::Phase { line: line_number, text: fields[phase].to_owned() };
            let wrong_function = || WiringError::Function { line: line_number, text: fields[function].to_owned() };
            let wired = Wired {
                signal: fields[device].to_owned(),
                phase: fields[phase].parse().map_err(wrong_phase)?,
                function: Function::parse(fields[function]).ok_or_else(wrong_function)?,
            };
            let has = wiring.by_phase.entry((wired.signal.clone(), wired.phase)).or_default();
            has.0 |= wired.function == Function::Advance;
            has.1 |= wired.function == Function::Presence;
            wiring.by_source.entry(format!("{}.{}", fields[device], fields[channel])).or_default().push(wired);
        }
        Ok(wiring)
    }

    /// What a detector serves; nothing for one that is not wired.
    pub fn of(&self, source: &str) -> &[Wired] {
        self.by_source.get(source).map_or(&[], Vec::as_slice)
    }

    /// Whether a phase has advance detectors, and whether it has presence detectors.
    pub fn functions(&self, signal: &str, phase: u16) -> (bool, bool) {
        self.by_phase.get(&(signal.to_owned(), phase)).copied().unwrap_or_default()
    }

    /// Whether nothing is wired.
    pub fn is_empty(&self) -> bool {
        self.by_source.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_any_order_and_case() {
        let text = "\u{feff}DeviceId,Phase,Parameter,Function\n1136,8,25,Presence\n\n1136,6,20,stop bar count\n";
        let wiring = Wiring::parse(text).unwrap();
        assert_eq!(
            wiring.of("1136.25"),
            [Wired { signal: "1136".into(), phase: 8, function: Function::Presence }].as_slice()
        );
        assert_eq!(wiring.of("1136.20")[0].function, Function::Other);
        assert!(wiring.of("1136.1").is_empty());
        assert_eq!((wiring.functions("1136", 8), wiring.functions("1136", 6)), ((false, true), (false, false)));
    }

    #[test]
    fn each_mistake_is_named() {
        let said = |text: &str| Wiring::parse(text).unwrap_err().to_string();
        assert!(said("").contains("`device`"));
        assert!(said("device,channel,phase\n").contains("`function`"));
        let head = "device,channel,phase,function\n";
        assert!(said(&format!("{head}1,2\n")).contains("line 2"));
        assert!(said(&format!("{head}\n1,2,x,advance\n")).contains("line 3: `x`"));
        assert!(said(&format!("{head}1,2,3,behind\n")).contains("`behind`"));
    }
}
