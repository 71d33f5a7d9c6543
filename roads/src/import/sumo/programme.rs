//! Signal programmes of SUMO (`tlLogic`), in networks and in additional files that replace them.
//!
//! Upstream: [`super::read`]. Downstream: [`super::junction`]. Format: SUMO documentation, "Simulation/Traffic Lights".

use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::read::{Attributes, Wrong, open};
use crate::import::{ImportError, ImportReport};
use crate::movement::{LinkState, SignalPhase};

/// Most programmes that are read from one file.
const PROGRAMMES_MAX: usize = 1 << 20;

/// A programme, not yet at a junction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Programme {
    pub(super) id: String,
    pub(super) offset_s: f32,
    pub(super) actuated: bool,
    pub(super) phases: Vec<SignalPhase>,
}

impl Programme {
    pub(super) fn new(of: &Attributes<'_>, report: &mut ImportReport) -> Result<Self, Wrong> {
        let kind = of.text("type")?.unwrap_or_default();
        let actuated = matches!(kind.as_str(), "actuated" | "delay_based" | "NEMA");
        if !actuated && !matches!(kind.as_str(), "" | "static") {
            report.add("signal programmes of a kind that is driven as fixed-time", 1);
        }
        let offset_s = of.optional_number("offset")?.unwrap_or(0.0) as f32;
        Ok(Self { id: of.needed("id")?, offset_s, actuated, phases: Vec::new() })
    }

    pub(super) fn phase(&mut self, of: &Attributes<'_>, report: &mut ImportReport) -> Result<(), Wrong> {
        let duration_s = of.number("duration")? as f32;
        let bound = |name| Ok::<_, Wrong>(of.optional_number(name)?.map_or(duration_s, |s| s as f32));
        let (min_s, max_s) =
            if self.actuated { (bound("minDur")?, bound("maxDur")?) } else { (duration_s, duration_s) };
        if of.text("next")?.is_some() {
            report.add("signal phases whose `next` is not followed", 1);
        }
        let state = of.needed("state")?;
        let wrong = || Wrong::Value { tag: "phase", attribute: "state", value: state.clone() };
        let links: Option<Vec<LinkState>> = state.chars().map(link).collect();
        self.phases.push(SignalPhase { duration_s, min_s, max_s, links: links.ok_or_else(wrong)? });
        Ok(())
    }
}

/// One letter of a state word. Red with yellow stands: SUMO lets nobody start on it.
fn link(letter: char) -> Option<LinkState> {
    Some(match letter {
        'r' | 'u' => LinkState::Red,
        'y' | 'Y' => LinkState::Yellow,
        // `s` is the green arrow: stop, then go after everybody else.
        'g' | 's' => LinkState::Green,
        'G' => LinkState::Protected,
        'o' | 'O' => LinkState::Off,
        _ => return None,
    })
}

/// The programmes of an additional file, in its order; whatever else is in it is passed over.
pub(super) fn read(path: &Path, report: &mut ImportReport) -> Result<Vec<Programme>, ImportError> {
    let damaged = |what: String| ImportError::Damaged { path: path.to_owned(), what };
    let mut reader = Reader::from_reader(open(path)?);
    let (mut buffer, mut programmes) = (Vec::new(), Vec::<Programme>::new());
    let mut is_open = false;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| super::read::xml_error(path, error))?;
        let result = match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => match tag.name().as_ref() {
                "tlLogic" => {
                    is_open = matches!(event, Event::Start(_));
                    Programme::new(&Attributes { tag, name: "tlLogic" }, report).map(|new| programmes.push(new))
                }
                "phase" if is_open => match programmes.last_mut() {
                    Some(programme) => programme.phase(&Attributes { tag, name: "phase" }, report),
                    None => Ok(()),
                },
                _ => Ok(()),
            },
            Event::End(tag) => {
                is_open &= tag.name().as_ref() != "tlLogic";
                Ok(())
            }
            Event::Eof if is_open => return Err(ImportError::Truncated { path: path.to_owned() }),
            Event::Eof => return Ok(programmes),
            _ => Ok(()),
        };
        result.map_err(|what| damaged(what.to_string()))?;
        if programmes.len() > PROGRAMMES_MAX {
            return Err(damaged(format!("it has more than {PROGRAMMES_MAX} signal programmes")));
        }
    }
}
