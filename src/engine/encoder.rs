//! What texts mean, for guardrails that take a closer look: vectors of an installed embedding model,
//! at once and without a queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use super::bert::{Network, Reader, open};
use super::embedding::{Text, normalize};
use crate::guardrails::{Encoder, EncoderError};
use crate::models::InstalledModel;

/// Tokens of a text that are read: most of a window of the guards, for less than 20 ms.
const TOKENS: usize = 80;
/// Of the model's six. What the third says tells attacks of sources that were not trained on as well as
/// what the fourth says, and sooner; the second and the last tell less.
const LAYERS: usize = 3;

/// An installed embedding model, loaded when it is first asked.
pub struct BertEncoder {
    model: InstalledModel,
    loaded: OnceLock<Result<(Reader, Network), String>>,
}

impl BertEncoder {
    pub fn new(model: InstalledModel) -> Self {
        Self {
            model,
            loaded: OnceLock::new(),
        }
    }

    fn read(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        let loaded = self
            .loaded
            .get_or_init(|| open(&self.model, TOKENS, Some(LAYERS)));
        let (reader, network) = loaded.as_ref().map_err(Clone::clone)?;
        let read = texts.iter().map(|text| {
            let read = reader.read(Text::Written((*text).to_owned()));
            read.map(|read| read.tokens)
        });
        let read: Vec<_> = read.collect::<Result<_, _>>()?;
        let vectors = network.vectors(&read, &CancellationToken::new());
        let mut vectors = vectors.map_err(|error| error.to_string())?;
        for vector in &mut vectors {
            normalize(vector).map_err(|error| error.to_string())?;
        }
        Ok(vectors)
    }
}

impl Encoder for BertEncoder {
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EncoderError> {
        // What candle does not expect, it may panic on.
        let done = catch_unwind(AssertUnwindSafe(|| self.read(texts)));
        done.unwrap_or_else(|_| Err("it makes candle panic".to_owned()))
            .map_err(EncoderError)
    }
}
