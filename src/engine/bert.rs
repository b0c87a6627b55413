//! Texts to vectors with BERT models, through candle, on this machine's processor.
//!
//! A vector is what sentence-transformers makes of the text with these models: the mean of what the
//! model says of each token, brought to length 1. Of a text, control tokens included, the first
//! `context_length` tokens are read.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use candle_core::{Device, Result as CandleResult, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::admission::Place;
use super::embedding::{EmbeddingModel, Text, Tokenized, normalize};
use super::mistral::LoadError;
use super::{EngineError, ModelInfo};
use crate::models::InstalledModel;

/// Tokens in one pass through the model, padding included: bounds its memory (attention over 8
/// texts of 256 tokens takes 25 MB a step), and the time until it notices that nobody waits.
const TOKENS_IN_A_PASS: usize = 2048;

/// Requests tokenized at the same time.
const REQUESTS_AT_ONCE: usize = 2;

/// What WordPiece writes in front of what goes on within a word.
const WITHIN_A_WORD: &str = "##";

/// A loaded model.
pub struct BertEmbedder {
    info: ModelInfo,
    reader: Arc<Reader>,
    reading: Arc<Semaphore>,
    network: Arc<Network>,
}

/// A model's tokenizer.
pub(super) struct Reader {
    tokenizer: Tokenizer,
    /// In front of every text, and after it.
    begin: u32,
    end: u32,
    /// Ids from here on are no tokens.
    vocabulary: usize,
    /// How many are read of a text.
    most: usize,
}

/// A model's weights.
pub(super) struct Network {
    model: BertModel,
    padding: u32,
    dimensions: usize,
}

impl BertEmbedder {
    /// Loads an installed model from its directory. Blocks for a second.
    ///
    /// # Errors
    /// When a file is missing or damaged, or does not fit the others.
    pub fn load(model: &InstalledModel) -> Result<Self, LoadError> {
        let fail = |reason: String| LoadError {
            id: model.id.clone(),
            reason,
        };
        catch_unwind(AssertUnwindSafe(|| Self::load_files(model)))
            .unwrap_or_else(|_| Err("it makes candle panic".to_owned()))
            .map_err(fail)
    }

    fn load_files(model: &InstalledModel) -> Result<Self, String> {
        let (reader, network) = open(model, model.context_length as usize, None)?;
        Ok(Self {
            info: describe(model, reader.most),
            reader: Arc::new(reader),
            reading: Arc::new(Semaphore::new(REQUESTS_AT_ONCE)),
            network: Arc::new(network),
        })
    }
}

/// The parts of an installed model, which reads at most so many tokens of a text, with its first
/// `layers` or all.
pub(super) fn open(
    model: &InstalledModel,
    most: usize,
    layers: Option<usize>,
) -> Result<(Reader, Network), String> {
    let path = model.dir.join("config.json");
    let mut config: Config = serde_json::from_slice(&read(&path)?)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let all = config.num_hidden_layers;
    config.num_hidden_layers = layers.map_or(all, |layers| layers.min(all));
    let most = most.min(config.max_position_embeddings);
    let reader = Reader::load(&model.dir.join("tokenizer.json"), config.vocab_size, most)?;
    let path = model.dir.join(&model.weights);
    let network = weights(&read(&path)?).and_then(|weights| BertModel::load(weights, &config));
    let network = Network {
        model: network.map_err(|error| format!("{}: {error}", path.display()))?,
        padding: u32::try_from(config.pad_token_id).unwrap_or(0),
        dimensions: config.hidden_size,
    };
    Ok((reader, network))
}

/// Matrices lie in memory as they are multiplied with, column by column: the other way round, each
/// multiplication would copy them first, which takes as long as multiplying a short text.
fn weights(file: &[u8]) -> CandleResult<VarBuilder<'static>> {
    let mut tensors = candle_core::safetensors::load_buffer(file, &Device::Cpu)?;
    for (name, tensor) in &mut tensors {
        *tensor = tensor.to_dtype(DTYPE)?;
        let is_table = name.contains("embeddings");
        if tensor.rank() == 2 && !is_table {
            *tensor = tensor.t()?.contiguous()?.t()?;
        }
    }
    Ok(VarBuilder::from_tensors(tensors, DTYPE, &Device::Cpu))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn describe(model: &InstalledModel, most: usize) -> ModelInfo {
    let mut digest = Sha256::new();
    for part in [&*model.weights_sha256, env!("CARGO_PKG_VERSION"), "bert"] {
        digest.update(part);
        digest.update([0]);
    }
    ModelInfo {
        id: model.id.clone(),
        created: model.created,
        owned_by: model.owned_by.clone(),
        context_length: u32::try_from(most).unwrap_or(u32::MAX),
        system_fingerprint: format!("fp_{}", &hex::encode(digest.finalize())[..10]),
        is_dated: false,
    }
}

#[async_trait]
impl EmbeddingModel for BertEmbedder {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn dimensions(&self) -> usize {
        self.network.dimensions
    }

    async fn tokenize(&self, texts: Vec<Text>) -> Result<Vec<Tokenized>, EngineError> {
        let failed = |error: String| EngineError::Failed(error);
        // It takes some fifty times the texts' memory; few at once bound that.
        let turn = self.reading.clone().acquire_owned().await;
        let turn = turn.map_err(|error| failed(error.to_string()))?;
        let reader = self.reader.clone();
        let work = move || {
            let _turn = turn;
            texts.into_iter().map(|text| reader.read(text)).collect()
        };
        let read: Result<_, String> = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| failed(error.to_string()))?;
        read.map_err(failed)
    }

    fn text(&self, tokens: &[u32]) -> Option<String> {
        self.reader.text(tokens)
    }

    async fn embed(
        &self,
        texts: Vec<Vec<u32>>,
        place: Arc<Place>,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let left = CancellationToken::new();
        let _leaving = left.clone().drop_guard();
        let network = self.network.clone();
        let work = move || {
            let _place = place;
            network.vectors(&texts, &left)
        };
        let vectors = tokio::task::spawn_blocking(work).await;
        let vectors = vectors.map_err(|error| EngineError::Failed(error.to_string()))?;
        let mut vectors = vectors.map_err(|error| EngineError::Failed(error.to_string()))?;
        vectors
            .iter_mut()
            .try_for_each(|vector| normalize(vector))?;
        Ok(vectors)
    }

    fn is_ready(&self) -> bool {
        true
    }
}

impl Reader {
    fn load(path: &Path, vocabulary: usize, most: usize) -> Result<Self, String> {
        let wrong = |reason: String| format!("{}: {reason}", path.display());
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| wrong(error.to_string()))?;
        // Published files cut and pad to lengths of their own.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| wrong(error.to_string()))?;
        let empty = tokenizer.encode_fast("", true);
        let empty = empty.map_err(|error| wrong(error.to_string()))?;
        let &[begin, end] = empty.get_ids() else {
            return Err(wrong("it does not put one token on each side".to_owned()));
        };
        if tokenizer.get_vocab_size(true) > vocabulary || most < 2 {
            return Err(wrong("it does not fit the weights".to_owned()));
        }
        Ok(Self {
            tokenizer,
            begin,
            end,
            vocabulary,
            most,
        })
    }

    /// # Errors
    /// The tokenizer's own.
    pub(super) fn read(&self, text: Text) -> Result<Tokenized, String> {
        let mut tokens = match text {
            Text::Written(text) => {
                let read = self.tokenizer.encode_fast(text, true);
                read.map_err(|error| error.to_string())?.get_ids().to_vec()
            }
            Text::Tokens(tokens) => self.framed(tokens),
        };
        let whole = tokens.len();
        if whole > self.most {
            tokens.truncate(self.most.saturating_sub(1));
            tokens.push(self.end);
        }
        Ok(Tokenized { tokens, whole })
    }

    fn framed(&self, mut tokens: Vec<u32>) -> Vec<u32> {
        let is_framed = tokens.first() == Some(&self.begin) && tokens.last() == Some(&self.end);
        if !is_framed {
            tokens.insert(0, self.begin);
            tokens.push(self.end);
        }
        tokens
    }

    /// Nothing says where spaces were: there is none beside punctuation, so that addresses and
    /// numbers are whole for whoever looks for them.
    fn text(&self, tokens: &[u32]) -> Option<String> {
        let mut text = String::new();
        let mut is_open = true;
        for &id in tokens {
            if id as usize >= self.vocabulary {
                return None;
            }
            if id == self.begin || id == self.end {
                continue;
            }
            let token = self.tokenizer.id_to_token(id)?;
            if let Some(rest) = token.strip_prefix(WITHIN_A_WORD) {
                text.push_str(rest);
            } else {
                let is_mark = !token.chars().any(char::is_alphanumeric);
                if !is_open && !is_mark {
                    text.push(' ');
                }
                text.push_str(&token);
                is_open = is_mark;
                continue;
            }
            is_open = false;
        }
        Some(text)
    }
}

impl Network {
    /// Not of length 1 yet. Texts of about the same length go through together.
    pub(super) fn vectors(
        &self,
        texts: &[Vec<u32>],
        left: &CancellationToken,
    ) -> CandleResult<Vec<Vec<f32>>> {
        let mut sorted: Vec<(usize, &[u32])> =
            texts.iter().map(Vec::as_slice).enumerate().collect();
        sorted.sort_by_key(|(_, tokens)| tokens.len());
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = sorted.as_slice();
        while !rest.is_empty() {
            if left.is_cancelled() {
                candle_core::bail!("nobody waits for it any more");
            }
            let (pass, later) = rest.split_at(pass_of(rest));
            let made = self.pass(pass)?;
            vectors.extend(pass.iter().map(|(index, _)| *index).zip(made));
            rest = later;
        }
        vectors.sort_by_key(|(index, _)| *index);
        Ok(vectors.into_iter().map(|(_, vector)| vector).collect())
    }

    fn pass(&self, texts: &[(usize, &[u32])]) -> CandleResult<Vec<Vec<f32>>> {
        let longest = texts.iter().map(|(_, tokens)| tokens.len()).max();
        let (rows, longest) = (texts.len(), longest.unwrap_or(0));
        let mut ids = Vec::with_capacity(rows * longest);
        let mut mask = Vec::with_capacity(rows * longest);
        for (_, tokens) in texts {
            ids.extend_from_slice(tokens);
            ids.resize(ids.len() + longest - tokens.len(), self.padding);
            mask.resize(mask.len() + tokens.len(), 1.0_f32);
            mask.resize(mask.len() + longest - tokens.len(), 0.0);
        }
        let ids = Tensor::from_vec(ids, (rows, longest), &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, (rows, longest), &Device::Cpu)?;
        let said = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        // The direction of the mean is that of the sum.
        let sums = said.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)?;
        sums.to_vec2()
    }
}

/// How many of these, the shortest first, go through at once.
fn pass_of(texts: &[(usize, &[u32])]) -> usize {
    let fits = |(i, (_, tokens)): &(usize, &(usize, &[u32]))| {
        *i == 0 || (i + 1) * tokens.len() <= TOKENS_IN_A_PASS
    };
    texts.iter().enumerate().take_while(fits).count()
}
