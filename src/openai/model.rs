//! The answers of `GET /v1/models`.

use poem_openapi::{Enum, Object};
use serde::Serialize;

use crate::engine::ModelInfo;

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
}

impl From<&ModelInfo> for Model {
    fn from(info: &ModelInfo) -> Self {
        Self {
            id: info.id.clone(),
            object: ModelObject::Model,
            created: info.created,
            owned_by: info.owned_by.clone(),
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
