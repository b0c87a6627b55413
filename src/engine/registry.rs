//! The models that are served, by name.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::admission::Admission;
use super::{Engine, EngineError};

/// When to ask again while the models are being loaded.
const LOADING_RETRY: Duration = Duration::from_secs(2);

/// A served model and the queue in front of it.
#[derive(Clone)]
pub struct ServedModel {
    pub engine: Arc<dyn Engine>,
    pub admission: Admission,
}

/// All served models, in the order of the configuration. Clones share them: the server listens
/// (and answers that it is not ready) before they are loaded.
#[derive(Clone, Default)]
pub struct Registry {
    models: Arc<OnceLock<Vec<ServedModel>>>,
}

impl Registry {
    /// A registry whose models are there already.
    pub fn new(models: Vec<ServedModel>) -> Self {
        Self {
            models: Arc::new(OnceLock::from(models)),
        }
    }

    /// A registry whose models are still being loaded; [`Registry::set`] ends that.
    pub fn loading() -> Self {
        Self::default()
    }

    /// Hands over the loaded models. Only the first call counts.
    pub fn set(&self, models: Vec<ServedModel>) {
        let _ = self.models.set(models);
    }

    /// All models.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] while they are being loaded.
    pub fn all(&self) -> Result<&[ServedModel], EngineError> {
        match self.models.get() {
            Some(models) => Ok(models),
            None => Err(EngineError::Unavailable {
                retry_after: LOADING_RETRY,
            }),
        }
    }

    /// The model of this name, if it is served.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] while the models are being loaded.
    pub fn get(&self, id: &str) -> Result<Option<&ServedModel>, EngineError> {
        Ok(self.all()?.iter().find(|m| m.engine.info().id == id))
    }

    /// Whether every served model could answer now.
    pub fn is_ready(&self) -> bool {
        self.all()
            .is_ok_and(|models| !models.is_empty() && models.iter().all(|m| m.engine.is_ready()))
    }
}
