//! The models that are served, by name.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::admission::Admission;
use super::embedding::EmbeddingModel;
use super::{Engine, EngineError, ModelInfo, ModelState, Sampling};

/// When to ask again while the models are being loaded.
const LOADING_RETRY: Duration = Duration::from_secs(2);

/// A served model and the queue in front of it.
#[derive(Clone)]
pub struct ServedModel {
    pub engine: Arc<dyn Engine>,
    pub admission: Admission,
    /// What holds where a request does not say.
    pub defaults: Sampling,
}

/// A served embedding model and the queue in front of it.
#[derive(Clone)]
pub struct ServedEmbedder {
    pub model: Arc<dyn EmbeddingModel>,
    pub admission: Admission,
}

/// All served models, in the order of the configuration. Clones share them: the server listens
/// (and answers that it is not ready) before they are loaded.
#[derive(Clone, Default)]
pub struct Registry {
    served: Arc<OnceLock<Served>>,
}

struct Served {
    models: Vec<ServedModel>,
    embedders: Vec<ServedEmbedder>,
}

impl Registry {
    /// A registry whose models are there already.
    pub fn new(models: Vec<ServedModel>, embedders: Vec<ServedEmbedder>) -> Self {
        let registry = Self::default();
        registry.set(models, embedders);
        registry
    }

    /// A registry whose models are still being loaded; [`Registry::set`] ends that.
    pub fn loading() -> Self {
        Self::default()
    }

    /// Hands over the loaded models. Only the first call counts.
    pub fn set(&self, models: Vec<ServedModel>, embedders: Vec<ServedEmbedder>) {
        let _ = self.served.set(Served { models, embedders });
    }

    fn served(&self) -> Result<&Served, EngineError> {
        self.served.get().ok_or(EngineError::Unavailable {
            retry_after: LOADING_RETRY,
        })
    }

    /// What is known of all models, those for conversations first.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] while they are being loaded.
    pub fn all(&self) -> Result<Vec<&ModelInfo>, EngineError> {
        let Served { models, embedders } = self.served()?;
        let models = models.iter().map(|model| model.engine.info());
        let embedders = embedders.iter().map(|embedder| embedder.model.info());
        Ok(models.chain(embedders).collect())
    }

    /// What is known of the model of this name, if it is served, and whether it is in memory.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] while the models are being loaded.
    pub fn info(&self, id: &str) -> Result<Option<(&ModelInfo, ModelState)>, EngineError> {
        if let Some(model) = self.get(id)? {
            return Ok(Some((model.engine.info(), model.engine.state())));
        }
        let embedder = self.embedder(id)?;
        Ok(embedder.map(|served| (served.model.info(), ModelState::Loaded)))
    }

    /// The model for conversations of this name, if it is served.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] while the models are being loaded.
    pub fn get(&self, id: &str) -> Result<Option<&ServedModel>, EngineError> {
        let models = &self.served()?.models;
        Ok(models.iter().find(|model| model.engine.info().id == id))
    }

    /// The embedding model of this name, if it is served.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] while the models are being loaded.
    pub fn embedder(&self, id: &str) -> Result<Option<&ServedEmbedder>, EngineError> {
        let embedders = &self.served()?.embedders;
        Ok(embedders.iter().find(|served| served.model.info().id == id))
    }

    /// Whether every served model could answer now.
    pub fn is_ready(&self) -> bool {
        self.served().is_ok_and(|Served { models, embedders }| {
            !models.is_empty()
                && models.iter().all(|served| served.engine.is_ready())
                && embedders.iter().all(|served| served.model.is_ready())
        })
    }
}
