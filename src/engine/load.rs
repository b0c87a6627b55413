//! From configuration to served models.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::Engine;
use super::admission::Admission;
use super::bert::BertEmbedder;
use super::encoder::BertEncoder;
use super::mistral::template::ChatTemplate;
use super::mistral::{LoadError, MistralEngine, Options, describe};
use super::pool::{Load, Pool, PoolError, PoolOptions, Pooled};
use super::registry::{ServedEmbedder, ServedModel};
use crate::config::{Config, EmbeddingsConfig, LoadRule, ModelConfig};
use crate::guardrails::Encoder;
use crate::models::catalog::Catalog;
use crate::models::error::ModelError;
use crate::models::{DEFAULT_EMBEDDING_MODEL, InstalledModel, Library, ModelKind, Progress};

/// Answers generated at the same time by one model: see `docs/performance.md` for what more of them
/// would bring and cost.
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
    #[error("models.{id}.chat_template: {}: {reason}", path.display())]
    Template {
        id: String,
        path: PathBuf,
        reason: String,
    },
    #[error("engine.memory_mib: '{id}', with all that is never unloaded, takes about {needed} MiB")]
    Memory { id: String, needed: u64 },
    #[error("the model '{id}' cannot be loaded: {source}")]
    Pool { id: String, source: PoolError },
    #[error("loading was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Fetches the configured models that are not installed, and loads those that are to be there from
/// the start.
///
/// # Errors
/// One is unknown, cannot be had, or cannot be loaded.
pub async fn served_models(
    config: &Config,
    library: &Library,
) -> Result<Vec<ServedModel>, StartError> {
    let engine = &config.engine;
    let pool = Pool::new(PoolOptions {
        memory: engine.memory_mib.saturating_mul(1 << 20),
        idle: Duration::from_secs(engine.unload_after_seconds),
        patience: Duration::from_secs(engine.load_wait_seconds),
    });
    let first = ModelConfig::default();
    let first = config.models.get(&engine.model).unwrap_or(&first);
    let others = config.models.iter().filter(|(id, _)| **id != engine.model);
    let all = others.map(|(id, model)| ("models", id, model, model.load));
    let catalog = Catalog::built_in()?;
    let (mut served, mut at_start) = (Vec::new(), Vec::new());
    let (mut pinned, mut largest) = (0, (0, String::new()));
    for (key, id, model, rule) in
        std::iter::once(("engine.model", &engine.model, first, LoadRule::Always)).chain(all)
    {
        let installed = installed(key, id, ModelKind::Chat, library).await?;
        let options = options(config, id, model).await?;
        let size = size(&installed, &options);
        let is_pinned = rule == LoadRule::Always;
        if is_pinned {
            pinned = size.saturating_add(pinned);
        } else if size > largest.0 {
            largest = (size, id.clone());
        }
        let pooled = add(&pool, installed, options, size, is_pinned);
        if rule != LoadRule::OnDemand {
            at_start.push(pooled.clone());
        }
        let recommended = catalog.get(id).map(|entry| entry.sampling);
        served.push(ServedModel {
            engine: pooled,
            admission: Admission::new(ANSWERS_AT_ONCE, engine.max_queue),
            defaults: model.sampling.or(recommended.unwrap_or_default()).into(),
        });
    }
    let needed = largest.0.saturating_add(pinned).div_ceil(1 << 20);
    if engine.memory_mib > 0 && needed > engine.memory_mib {
        let id = Some(largest.1).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| engine.model.clone());
        return Err(StartError::Memory { id, needed });
    }
    for model in at_start {
        model.load().await.map_err(|source| {
            let id = model.info().id.clone();
            StartError::Pool { id, source }
        })?;
    }
    tokio::spawn(pool.watch());
    Ok(served)
}

async fn options(config: &Config, id: &str, model: &ModelConfig) -> Result<Options, StartError> {
    let engine = &config.engine;
    let path = model.chat_template.clone();
    let mut template = None;
    if !path.as_os_str().is_empty() {
        let read = tokio::fs::read_to_string(&path).await;
        let checked = read.map_err(|error| error.to_string()).and_then(|text| {
            // A model that is loaded on demand would show it long after the start.
            match ChatTemplate::new(text.clone(), None, None) {
                Ok(_) => Ok(text),
                Err(error) => Err(error.to_string()),
            }
        });
        let text = checked.map_err(|reason| {
            let id = id.to_owned();
            StartError::Template { id, path, reason }
        })?;
        template = Some(text.into());
    }
    Ok(Options {
        reuse_bytes: usize::try_from(engine.prefix_cache_mib.saturating_mul(1 << 20))
            .unwrap_or(usize::MAX),
        max_context: engine.context_length,
        chat_template: template,
    })
}

/// About how many bytes a loaded model takes: its weights, the widened table of its tokens and what
/// it computes with, taken for twice the file, and the work of earlier prompts. A small model, most of
/// which is the table, takes more.
fn size(model: &InstalledModel, options: &Options) -> u64 {
    let file = file_size(&model.dir.join(&model.weights));
    let reuse = u64::try_from(options.reuse_bytes).unwrap_or(u64::MAX);
    file.saturating_mul(2).saturating_add(reuse)
}

fn file_size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |about| about.len())
}

fn add(
    pool: &Arc<Pool>,
    model: InstalledModel,
    options: Options,
    size: u64,
    is_pinned: bool,
) -> Arc<Pooled> {
    let info = describe(&model, &options);
    let load: Load = Arc::new(move || {
        let (model, options) = (model.clone(), options.clone());
        async move {
            let engine = load(model, options).await;
            let engine = engine.map_err(|error| error.to_string())?;
            Ok(Arc::new(engine) as Arc<dyn Engine>)
        }
        .boxed()
    });
    pool.add(info, size, is_pinned, load)
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

/// What the guardrails take a closer look at texts with, if its model is installed, as it was
/// published.
///
/// # Errors
/// The files of the model are not as they were installed.
pub async fn encoder(library: &Library) -> Result<Option<Arc<dyn Encoder>>, ModelError> {
    let id = DEFAULT_EMBEDDING_MODEL;
    let Some(model) = library.get(id)? else {
        return Ok(None);
    };
    let published = Catalog::built_in()?.get(id)?.sha256.clone();
    if published.is_some_and(|published| published != model.weights_sha256) {
        tracing::warn!(
            model = id,
            "the guardrails cannot use it: it is not the published one"
        );
        return Ok(None);
    }
    // A damaged file would load, and say nonsense.
    library.verify(id).await?;
    Ok(Some(Arc::new(BertEncoder::new(model))))
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
