//! Models on disk: what is known, fetched, verified, converted and installed.

pub mod catalog;
mod digest;
mod download;
pub mod error;
mod fetch;
#[cfg(feature = "mistral")]
pub mod import;
pub(crate) mod library;
mod progress;
mod sampling;
mod wheel;

pub use library::Library;
pub use progress::Progress;
pub use sampling::SamplingDefaults;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A model that is ready to be loaded: the contents of `model.json` in its directory, beside the
/// weights, `tokenizer.json`, and `tokenizer_config.json` and `chat_template.jinja` or, of an
/// embedding model, `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledModel {
    pub id: String,
    /// File name, within the directory, of the weights that the engine loads.
    pub weights: String,
    /// SHA-256 of those weights, in hex.
    pub weights_sha256: String,
    #[serde(default)]
    pub kind: ModelKind,
    /// `general.architecture` of the GGUF file, or `model_type` of an embedding model.
    pub architecture: String,
    /// Quantization that the engine runs, such as `Q8_0`.
    pub quantization: String,
    /// The longest prompt and answer together, in tokens; of an embedding model, the longest text
    /// that is read to its end.
    pub context_length: u32,
    /// Tokens that end an answer.
    pub eos_token_ids: Vec<u32>,
    /// Put before a prompt whose template has not put it there already.
    pub bos_token_id: Option<u32>,
    pub license: String,
    pub owned_by: String,
    /// When it was installed, in unix seconds.
    pub created: i64,
    /// Where it lies; not part of the manifest.
    #[serde(skip)]
    pub dir: PathBuf,
}

/// What a model does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Answers conversations.
    #[default]
    Chat,
    /// Turns texts into vectors.
    Embedding,
}

impl ModelKind {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
        }
    }
}

/// The model that is served when nobody asks for another.
pub const DEFAULT_MODEL: &str = "smollm2-135m-instruct";

/// The embedding model that has been run with this server.
pub const DEFAULT_EMBEDDING_MODEL: &str = "all-MiniLM-L6-v2";

/// Whether a name may become a directory and a model's name in requests.
pub(crate) fn is_valid_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=96).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(allowed)
}
