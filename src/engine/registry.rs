//! The models that are served, by name.

use std::sync::Arc;

use super::Engine;
use super::admission::Admission;

/// A served model and the queue in front of it.
#[derive(Clone)]
pub struct ServedModel {
    pub engine: Arc<dyn Engine>,
    pub admission: Admission,
}

/// All served models, in the order of the configuration.
#[derive(Clone, Default)]
pub struct Registry {
    models: Vec<ServedModel>,
}

impl Registry {
    pub fn new(models: Vec<ServedModel>) -> Self {
        Self { models }
    }

    /// The model of this name, if it is served.
    pub fn get(&self, id: &str) -> Option<&ServedModel> {
        self.models.iter().find(|m| m.engine.info().id == id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ServedModel> {
        self.models.iter()
    }

    /// Whether every served model could answer now.
    pub fn is_ready(&self) -> bool {
        !self.models.is_empty() && self.models.iter().all(|m| m.engine.is_ready())
    }
}
