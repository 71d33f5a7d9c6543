//! The road network: where events are, seen from the streets.
//!
//! Upstream: `events` (places and headings), network files of others. Downstream: `sim` drives on it,
//! `analytics` matches to it, the command line imports and inspects it. Knows nothing of MQTT or metrics.
//!
//! In reading order:
//! - [`segment`]: one direction of one piece of street, and how its kind and speed are named
//! - `line`: measuring and cutting lines
//! - [`network`]: all segments with their turns and geometry, immutable, and its builder
//! - [`index`]: which segments are near a place
//! - [`movement`]: how turns run across junctions, who waits for whom, and the signals
//! - [`path`]: bounded shortest and fastest paths that obey turns
//! - [`connected`]: the part in which everything reaches everything
//! - [`generate`]: a city from a seed
//! - [`hexagon`]: hexagons in place of streets, where there is no map
//! - [`mod@import`]: OpenStreetMap extracts, SUMO networks, CityFlow roadnets
//! - [`mod@check`]: what looks wrong in a network, as a list and as GeoJSON
//! - [`cache`]: our own file, and opening any of the four by content

pub mod cache;
pub mod check;
pub mod connected;
pub mod generate;
pub mod hexagon;
pub mod import;
pub mod index;
mod line;
pub mod movement;
pub mod network;
pub mod path;
pub mod picture;
pub mod segment;

pub use cache::{OpenError, open};
pub use generate::{CityPlan, city};
pub use hexagon::{HexagonError, Hexagons};
pub use import::{ImportError, ImportOptions, ImportReport, Progress, Stage, import, import_with};
pub use index::{CANDIDATES_MAX, Candidate};
pub use movement::{LinkState, Movement, SignalLinks, SignalPhase, SignalPlan, Turn};
pub use network::builder::{NetworkBuilder, NetworkError, NewSegment};
pub use network::{Network, Piece};
pub use path::{Path, Search};
pub use segment::{FreeFlowBasis, NodeIndex, RoadClass, Segment, SegmentId, SegmentIndex, Structure};
