//! The answers of `GET /v1/models`.

use poem_openapi::{Enum, Object};
use serde::Serialize;

use crate::engine::{ModelInfo, ModelState};

/// A model that can be asked.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Model {
    /// Its name in requests.
    pub id: String,
    pub object: ModelObject,
    /// When it was installed, in unix seconds.
    pub created: i64,
    /// Who published it.
    pub owned_by: String,
    /// Whether it is in memory; one that is not is loaded when it is asked. An extension.
    pub state: State,
    /// The model that this name stands for. An extension.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<String>,
}

impl Model {
    pub fn new(info: &ModelInfo, state: ModelState) -> Self {
        Self {
            id: info.id.clone(),
            object: ModelObject::Model,
            created: info.created,
            owned_by: info.owned_by.clone(),
            state: state.into(),
            alias_of: None,
        }
    }

    /// The same under another name.
    pub fn called(self, alias: &str) -> Self {
        Self {
            id: alias.to_owned(),
            alias_of: Some(self.id),
            ..self
        }
    }
}

/// Whether a model is in memory.
#[derive(Debug, Clone, Copy, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "ModelState", rename_all = "lowercase")]
pub enum State {
    Loaded,
    Loading,
    Unloaded,
}

impl From<ModelState> for State {
    fn from(state: ModelState) -> Self {
        match state {
            ModelState::Loaded => Self::Loaded,
            ModelState::Loading => Self::Loading,
            ModelState::Unloaded => Self::Unloaded,
        }
    }
}

/// The `object` of a model.
#[derive(Debug, Clone, Copy, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
pub enum ModelObject {
    Model,
}

/// All models.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "ListModelsResponse")]
pub struct ModelList {
    pub object: ListObject,
    pub data: Vec<Model>,
}

/// The `object` of a list.
#[derive(Debug, Clone, Copy, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
pub enum ListObject {
    List,
}
