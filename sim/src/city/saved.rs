//! A city as bytes: the world and its sensors at the same second, so that a run that is taken up says what one that was
//! never broken off would have said.
//!
//! The truth is not part of it: whoever wants it whole takes its cells before. Upstream, downstream: [`City`].

use std::sync::Arc;

use roads::Network;
use serde::{Deserialize, Serialize};

use super::City;
use crate::scenario::Scenario;
use crate::sensor::{SensorConfig, SensorError, Sensors};
use crate::world::{SavedError, World};

#[derive(Serialize, Deserialize)]
struct Saved {
    world: Vec<u8>,
    sensors: Vec<u8>,
}

/// Why a city cannot be saved or taken up.
#[derive(Debug, thiserror::Error)]
pub enum SavedCityError {
    #[error("the saved city is damaged")]
    Damaged(#[from] postcard::Error),
    #[error(transparent)]
    World(#[from] SavedError),
    #[error(transparent)]
    Sensors(#[from] SensorError),
}

impl City {
    /// Writes down the state after the last second.
    ///
    /// # Errors
    /// [`SavedCityError`], if memory is short.
    pub fn save(&self) -> Result<Vec<u8>, SavedCityError> {
        let saved = Saved { world: self.world.save()?, sensors: self.sensors.save()? };
        Ok(postcard::to_stdvec(&saved)?)
    }

    /// Takes up a city where it was saved; network, scenario and sensors are those of the run that was saved, the
    /// number of threads may be another one.
    ///
    /// # Errors
    /// If the state is damaged, or of another city.
    pub fn load(
        network: Arc<Network>,
        scenario: Scenario,
        sensors: SensorConfig,
        state: &[u8],
    ) -> Result<Self, SavedCityError> {
        let saved: Saved = postcard::from_bytes(state)?;
        let world = World::load(network, scenario, &saved.world)?;
        let sensors = Sensors::load(&world, sensors, &saved.sensors)?;
        Ok(Self { world, sensors, truth: None })
    }
}
