//! Why a model could not be found, fetched, trusted, converted or read.

use std::fmt;
use std::path::{Path, PathBuf};

/// What can go wrong with models on disk.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("there is no model '{id}' in the catalog; known are: {known}")]
    Unknown { id: String, known: String },
    #[error("the model '{id}' is not installed; `microllm models pull {id}` installs it")]
    NotInstalled { id: String },
    #[error("there is a model '{id}' already; remove it first, or give another name with --id")]
    AlreadyInstalled { id: String },
    #[error(
        "'{id}' cannot name a model: 1 to 96 letters, digits, '.', '_' or '-', and no '.' in front"
    )]
    InvalidId { id: String },
    #[error("another process is fetching this model right now ({path})")]
    Busy { path: PathBuf },
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is not what it should be: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("'{id}' could be had from none of its sources:{attempts}")]
    NoSource { id: String, attempts: Attempts },
    #[error("{file} cannot be used: {refusal}")]
    Refused { file: String, refusal: Refusal },
    #[error("the model catalog is damaged: {0}")]
    Catalog(String),
    #[error("{0}")]
    Convert(String),
    #[error("this build has no model engine (feature `mistral`) and cannot install models")]
    NoEngine,
}

impl ModelError {
    /// An I/O error with the file that it happened at.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }
}

/// One line for each source that was tried and did not serve.
#[derive(Debug, Default)]
pub struct Attempts(pub Vec<String>);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// The part of a GGUF file that the engine has no use for, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its {part} is not supported: {reason}")]
pub struct Refusal {
    pub part: Part,
    pub reason: String,
}

impl Refusal {
    #[cfg(feature = "mistral")]
    pub(crate) fn new(part: Part, reason: impl Into<String>) -> Self {
        Self {
            part,
            reason: reason.into(),
        }
    }
}

/// What a model file consists of, as far as it can be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Format,
    Architecture,
    Quantization,
    Tokenizer,
    PreTokenizer,
    Template,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "file format",
            Self::Architecture => "architecture",
            Self::Quantization => "quantization",
            Self::Tokenizer => "tokenizer",
            Self::PreTokenizer => "pre-tokenizer",
            Self::Template => "chat template",
        })
    }
}
