//! Embedding models are loaded as they are published.

use std::path::{Path, PathBuf};

use super::{Original, place};
use crate::models::catalog::Entry;
use crate::models::error::ModelError;
use crate::models::{InstalledModel, ModelKind, digest};

/// Fills `dir`, which exists and is empty, with everything but the manifest. `created` is in unix
/// seconds.
///
/// # Errors
/// A file cannot be put there.
pub fn embedding(
    entry: &Entry,
    created: i64,
    weights: &Path,
    beside: &[(String, PathBuf)],
    dir: &Path,
) -> Result<InstalledModel, ModelError> {
    let target = dir.join(&entry.file);
    place(weights, Original::Cached, &target)?;
    for (name, file) in beside {
        place(file, Original::Cached, &dir.join(name))?;
    }
    Ok(InstalledModel {
        id: entry.id.clone(),
        weights: entry.file.clone(),
        weights_sha256: digest::of_file(&target)?,
        kind: ModelKind::Embedding,
        architecture: entry.architecture.clone(),
        quantization: entry.quantization.clone(),
        context_length: entry.context_length,
        eos_token_ids: Vec::new(),
        bos_token_id: None,
        license: entry.license.clone(),
        owned_by: entry.owned_by.clone(),
        created,
        dir: dir.to_path_buf(),
    })
}
