//! Traffic that can be checked: a simulated city with its ground truth, and recordings, published over MQTT.
//!
//! Upstream: `roads` (the network), `events` (what is said and how). Downstream: any MQTT server; `analytics`
//! takes [`truth`] as its oracle in tests. Measuring never changes moving: sensors and truth only read what
//! a step of the world left behind.
//!
//! In reading order:
//! - [`scenario`]: what is simulated, checked once
//! - [`scene`]: scenarios as files of a person, and those that are built in
//! - [`read`]: demand of SUMO and CityFlow, as it is
//! - [`random`]: random numbers as a hash of who asks, when, and what for
//! - [`vehicle`]: the driver: safe speed, acceleration, and their constants
//! - `map`: lanes in the order in which they are driven, links, parts of the city
//! - `cars`: the vehicles of a part, in columns; `reach`: how far each lane takes one
//! - [`signal`]: plans of signals, given or derived, and what they show
//! - [`demand`]: who drives from where to where, and by which route
//! - [`world`]: one second after another
//! - [`truth`]: the cells and the trips of all vehicles
//! - [`sensor`]: what probes, loops and signals report of it
//! - [`pace`]: event time against the wall clock
//! - [`publish`]: MQTT, with nothing lost silently
//! - [`record`]: events and truth as Parquet
//! - [`city`]: world, sensors and truth together, and published or recorded
//! - [`metrics`]: what Prometheus is told of it
//! - [`replay`]: a recording published with its own timing

mod cars;
pub mod city;
pub mod demand;
mod map;
pub mod metrics;
pub mod pace;
pub mod publish;
pub mod random;
mod reach;
pub mod read;
pub mod record;
pub mod replay;
pub mod scenario;
pub mod scene;
pub mod sensor;
pub mod signal;
pub mod truth;
pub mod vehicle;
pub mod world;

pub use city::{City, CityConfig, CityError, CityReport, Progress, SavedCityError, record_city, run_city};
pub use metrics::Metrics;
pub use pace::{Speed, SpeedError};
pub use publish::{PublishConfig, PublishCounters, PublishError, PublishReport, Publisher};
pub use record::{Record, RecordError, Recorded};
pub use replay::{ReplayConfig, ReplayError, ReplayProgress, ReplayReport, replay};
pub use scenario::{Demand, Disruption, Incident, Route, Scenario, ScenarioError, Stop, Trip};
pub use sensor::{Fault, SensorConfig, SensorError, Sensors};
pub use truth::{Truth, TruthCell};
pub use vehicle::{VehicleId, VehicleType};
pub use world::{Move, Step, World};
