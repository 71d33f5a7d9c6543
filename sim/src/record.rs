//! A run as Parquet: what the sensors said, and beside it what really happened. No MQTT, no clock.
//!
//! Upstream: the steps of the world and the sensors. Downstream: engineers, `verify`, `match`. Files have their names
//! only when they are whole; what a broken run leaves behind ends in `.unfinished`.
//!
//! | file | a row is |
//! |---|---|
//! | `positions.parquet` | a position as it arrives: `ts_ms` by the vehicle's own clock, `received_ms` by the server's |
//! | `detectors.parquet`, `signals.parquet` | a loop's minute, a signal group's change |
//! | `truth/cells.parquet` | segment × 10 s: distance and time of all vehicles by Edie's definitions |
//! | `truth/trips.parquet` | a trip, also those on the road in the last second (`outcome` is null) |
//! | `truth/fixes.parquet` | the true segment and offset of each position, by vehicle and number |
//! | `truth/phases.parquet` | a signal group's state from when to when; null where it lasts beyond the end |
//! | `truth/forced.parquet` | what the rule against gridlock did to whom |
//! | `truth/incidents.parquet` | an incident of the scenario on one street or junction, from when to when |
//! | `truth/faults.parquet` | what went wrong with which sensor, from when to when |

mod columns;
mod incidents;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::{DetectorInterval, Event, SignalState, TimeMs};
use parquet::errors::ParquetError;
use roads::{Network, SegmentIndex};

use crate::scenario::Incident;
use crate::sensor::{Fault, PositionReport, Reports, Sensors};
use crate::truth::trips::{TripDone, Trips};
use crate::truth::{Truth, TruthCell};
use crate::world::{Forced, Step, World};
use columns::{SIGNAL_COLUMNS, SignalRow};
use table::Table;

/// Cells of the truth that wait to be written: those of one pane.
const CELLS_MAX: usize = 16_000_000;

/// Why a run cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("{path} cannot be written")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} cannot be written")]
    Table {
        path: PathBuf,
        #[source]
        source: ParquetError,
    },
    #[error("the truth of one pane has over {CELLS_MAX} cells, and {0} were lost")]
    Cells(u64),
}

/// What numbers are called in the tables.
struct Names {
    network: Arc<Network>,
    /// Segment ids, by index.
    segments: Vec<String>,
    /// Source and segment of each loop.
    loops: Vec<(String, SegmentIndex)>,
    /// Node of each signal.
    nodes: Vec<u32>,
    gateway: String,
}

/// What a group shows since when.
#[derive(Clone, Copy, Debug)]
struct Phase {
    signal: u32,
    group: u16,
    state: SignalState,
    begin: TimeMs,
    end: Option<TimeMs>,
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub positions: u64,
    pub detectors: u64,
    pub signals: u64,
    pub cells: u64,
    pub trips: u64,
    pub forced: u64,
    pub incidents: u64,
    pub faults: u64,
}

/// The tables of a run.
pub struct Record {
    names: Names,
    positions: Table<PositionReport>,
    detectors: Table<DetectorInterval>,
    signals: Table<SignalRow>,
    cells: Table<TruthCell>,
    trips: Table<TripDone>,
    fixes: Table<PositionReport>,
    phases: Table<Phase>,
    forced: Table<(TimeMs, Forced)>,
    incidents: Table<incidents::Row>,
    faults: Table<Fault>,
    truth: Truth,
    running: Trips,
    done: Vec<TripDone>,
    /// What each group shows, by signal and group.
    shown: Vec<Vec<Option<Phase>>>,
    scenario: Vec<Incident>,
    /// Since when each incident of the scenario goes on.
    going_on: Vec<Option<TimeMs>>,
}

impl Record {
    /// Begins all tables in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// If a file cannot be made.
    pub fn create(folder: &Path, world: &World, sensors: &Sensors) -> Result<Self, RecordError> {
        let below = folder.join("truth");
        std::fs::create_dir_all(&below).map_err(|source| RecordError::File { path: below.clone(), source })?;
        let network = Arc::clone(world.network());
        let names = Names {
            segments: network.segments().iter().map(|s| s.id.to_string()).collect(),
            loops: sensors.detectors().iter().map(|d| (d.source().to_owned(), d.segment)).collect(),
            nodes: world.signals().iter().map(|s| s.node.0).collect(),
            gateway: sensors.config().gateway.clone(),
            network,
        };
        Ok(Self {
            positions: Table::create(folder.join("positions.parquet"), &columns::POSITIONS, columns::positions)?,
            detectors: Table::create(folder.join("detectors.parquet"), &columns::DETECTORS, columns::detectors)?,
            signals: Table::create(folder.join("signals.parquet"), &SIGNAL_COLUMNS, columns::signals)?,
            cells: Table::create(below.join("cells.parquet"), &columns::CELLS, columns::cells)?,
            trips: Table::create(below.join("trips.parquet"), &columns::TRIPS, columns::trips)?,
            fixes: Table::create(below.join("fixes.parquet"), &columns::FIXES, columns::fixes)?,
            phases: Table::create(below.join("phases.parquet"), &columns::PHASES, columns::phases)?,
            forced: Table::create(below.join("forced.parquet"), &columns::FORCED, columns::forced)?,
            incidents: Table::create(below.join("incidents.parquet"), &incidents::COLUMNS, incidents::columns)?,
            faults: Table::create(below.join("faults.parquet"), &columns::FAULTS, columns::faults)?,
            truth: Truth::new(names.segments.len(), CELLS_MAX),
            running: Trips::default(),
            done: Vec::new(),
            shown: vec![Vec::new(); names.nodes.len()],
            scenario: world.scenario().incidents.clone(),
            going_on: vec![None; world.scenario().incidents.len()],
            names,
        })
    }

    /// Writes what really happened in one second.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn truth(&mut self, step: &Step<'_>) -> Result<(), RecordError> {
        self.truth.observe(step);
        for cell in self.truth.take() {
            self.cells.push(&self.names, cell)?;
        }
        self.running.observe(step, &mut self.done);
        for trip in self.done.drain(..) {
            self.trips.push(&self.names, trip)?;
        }
        for forced in step.forced() {
            self.forced.push(&self.names, (step.end, forced))?;
        }
        for shown in step.incidents {
            let (incident, since) = (&self.scenario[shown.incident], &mut self.going_on[shown.incident]);
            let begin = if shown.begins { since.replace(step.start) } else { since.take() };
            for row in begin.into_iter().flat_map(|begin| incidents::rows(incident, begin, Some(step.start))) {
                self.incidents.push(&self.names, row)?;
            }
        }
        for shown in step.signals {
            let groups = &mut self.shown[shown.signal];
            if groups.len() <= shown.group {
                groups.resize(shown.group + 1, None);
            }
            let (signal, group, state) = (shown.signal as u32, shown.group as u16, shown.state);
            let now = Phase { signal, group, state, begin: step.start, end: None };
            if let Some(before) = groups[shown.group].replace(now) {
                self.phases.push(&self.names, Phase { end: Some(step.start), ..before })?;
            }
        }
        if self.truth.discarded() > 0 { Err(RecordError::Cells(self.truth.discarded())) } else { Ok(()) }
    }

    /// Writes what the sensors said of one second, and empties both.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn reports(&mut self, said: &mut Reports, faults: &mut Vec<Fault>) -> Result<(), RecordError> {
        let end = said.end;
        for report in said.positions.drain(..) {
            self.positions.push(&self.names, report)?;
            self.fixes.push(&self.names, report)?;
        }
        for event in said.others.drain(..) {
            match event {
                Event::Detector(interval) => self.detectors.push(&self.names, interval)?,
                Event::Signal(change) => self.signals.push(&self.names, SignalRow { change, received: end })?,
                Event::Position(_) => unreachable!("positions are reported as rows"),
            }
        }
        for fault in faults.drain(..) {
            self.faults.push(&self.names, fault)?;
        }
        Ok(())
    }

    /// Bytes of rows are not known before they are written; rows are.
    pub fn positions(&self) -> u64 {
        self.positions.rows()
    }

    /// Writes what still runs, and gives all files their names.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn finish(mut self) -> Result<Recorded, RecordError> {
        let names = &self.names;
        for cell in self.truth.finish() {
            self.cells.push(names, cell)?;
        }
        self.running.finish(&mut self.done);
        for trip in self.done {
            self.trips.push(names, trip)?;
        }
        for phase in self.shown.into_iter().flatten().flatten() {
            self.phases.push(names, phase)?;
        }
        for (incident, since) in self.scenario.iter().zip(self.going_on) {
            for row in since.into_iter().flat_map(|begin| incidents::rows(incident, begin, None)) {
                self.incidents.push(names, row)?;
            }
        }
        self.fixes.finish(names)?;
        self.phases.finish(names)?;
        Ok(Recorded {
            cells: self.cells.finish(names)?,
            trips: self.trips.finish(names)?,
            forced: self.forced.finish(names)?,
            incidents: self.incidents.finish(names)?,
            faults: self.faults.finish(names)?,
            detectors: self.detectors.finish(names)?,
            signals: self.signals.finish(names)?,
            // Last, so that who waits for it finds the rest.
            positions: self.positions.finish(names)?,
        })
    }
}
