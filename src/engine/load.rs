//! From configuration to served models.

use std::sync::Arc;

use super::admission::Admission;
use super::mistral::{LoadError, MistralEngine, Options};
use super::registry::ServedModel;
use crate::config::EngineConfig;
use crate::models::error::ModelError;
use crate::models::{InstalledModel, Library, Progress};

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
    let model = library.ensure(&config.model, &Progress::stderr()).await?;
    // A damaged file would load, and answer nonsense.
    library.verify(&model.id).await?;
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

async fn load(model: InstalledModel, options: Options) -> Result<MistralEngine, StartError> {
    let started = std::time::Instant::now();
    let id = model.id.clone();
    let engine = tokio::task::spawn_blocking(move || MistralEngine::load(model, options)).await??;
    engine.warm_up().await;
    let seconds = started.elapsed().as_secs_f32();
    tracing::info!(model = %id, seconds, "the model is loaded");
    Ok(engine)
}
