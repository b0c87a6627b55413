//! From configuration to served models.

use std::sync::Arc;

use super::admission::Admission;
use super::bert::BertEmbedder;
use super::mistral::{LoadError, MistralEngine, Options};
use super::registry::{ServedEmbedder, ServedModel};
use crate::config::{EmbeddingsConfig, EngineConfig};
use crate::models::error::ModelError;
use crate::models::{InstalledModel, Library, ModelKind, Progress};

/// Answers generated at the same time: see `docs/performance.md` for what more of them would bring
/// and cost.
const ANSWERS_AT_ONCE: usize = 1;

/// No model can be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{key}: '{id}' is of the kind '{}'", .kind.as_str())]
    Kind {
        key: &'static str,
        id: String,
        kind: ModelKind,
    },
    #[error("loading was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Fetches the configured model if it is not installed, and loads it.
///
/// # Errors
/// It is unknown, cannot be had, or cannot be loaded.
pub async fn served_models(
    config: &EngineConfig,
    library: &Library,
) -> Result<Vec<ServedModel>, StartError> {
    let model = installed("engine.model", &config.model, ModelKind::Chat, library).await?;
    let options = Options {
        reuse_bytes: usize::try_from(config.prefix_cache_mib.saturating_mul(1 << 20))
            .unwrap_or(usize::MAX),
        max_context: config.context_length,
    };
    let engine = load(model, options).await?;
    Ok(vec![ServedModel {
        engine: Arc::new(engine),
        admission: Admission::new(ANSWERS_AT_ONCE, config.max_queue),
    }])
}

/// Fetches the configured embedding model, if one is configured, and loads it.
///
/// # Errors
/// It is unknown, cannot be had, or cannot be loaded.
pub async fn served_embedders(
    config: &EmbeddingsConfig,
    library: &Library,
) -> Result<Vec<ServedEmbedder>, StartError> {
    if config.model.is_empty() {
        return Ok(Vec::new());
    }
    let kind = ModelKind::Embedding;
    let model = installed("embeddings.model", &config.model, kind, library).await?;
    let (id, started) = (model.id.clone(), std::time::Instant::now());
    let model = tokio::task::spawn_blocking(move || BertEmbedder::load(&model)).await??;
    let seconds = started.elapsed().as_secs_f32();
    tracing::info!(model = %id, seconds, "the model is loaded");
    Ok(vec![ServedEmbedder {
        model: Arc::new(model),
        admission: Admission::new(ANSWERS_AT_ONCE, config.max_queue),
    }])
}

/// The model that a key of the configuration names, fetched if need be, and whole.
async fn installed(
    key: &'static str,
    id: &str,
    kind: ModelKind,
    library: &Library,
) -> Result<InstalledModel, StartError> {
    let model = library.ensure(id, &Progress::stderr()).await?;
    if model.kind != kind {
        let (id, kind) = (model.id, model.kind);
        return Err(StartError::Kind { key, id, kind });
    }
    // A damaged file would load, and answer nonsense.
    library.verify(&model.id).await?;
    Ok(model)
}

async fn load(model: InstalledModel, options: Options) -> Result<MistralEngine, StartError> {
    let started = std::time::Instant::now();
    let id = model.id.clone();
    let engine = tokio::task::spawn_blocking(move || MistralEngine::load(model, options)).await??;
    engine.warm_up().await;
    let seconds = started.elapsed().as_secs_f32();
    tracing::info!(model = %id, seconds, "the model is loaded");
    Ok(engine)
}
