//! Texts to vectors.
//!
//! limits → validate → model → guards → [`EmbeddingModel::tokenize`] → reserve → queue →
//! [`EmbeddingModel::embed`] → usage row → vectors
//!
//! [`EmbeddingModel::tokenize`]: crate::engine::embedding::EmbeddingModel::tokenize
//! [`EmbeddingModel::embed`]: crate::engine::embedding::EmbeddingModel::embed

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flight::{Bill, Paid, Tally};
use super::guard::{Guarded, Naming, off_thread};
use super::invalid::{Invalid, invalid, too_long};
use super::ledger::Ledger;
use super::produce::LONGEST_WAIT;
use super::validate::{check_model, integer};
use super::{Caller, Failure, LONGEST_SILENCE, bounded, served};
use crate::app::App;
use crate::engine::EngineError;
use crate::engine::embedding::{Text, Tokenized, normalize};
use crate::engine::registry::ServedEmbedder;
use crate::limits::LimitError;
use crate::openai::embedding::{EmbeddingInput, EmbeddingRequest};

/// What records call these requests.
pub const EMBEDDINGS: &str = "embeddings";

/// OpenAI's bounds of a request: texts, tokens of a text, and tokens of all together.
const MOST_TEXTS: usize = 2048;
const LONGEST_TEXT: usize = 8192;
const MOST_TOKENS: u64 = 300_000;
/// A text of so many bytes has more than [`LONGEST_TEXT`] tokens, unless it is mostly spaces or
/// what no tokenizer has words for.
const LONGEST_TEXT_BYTES: usize = LONGEST_TEXT * 32;

/// Texts as vectors of length 1, in the texts' order.
#[derive(Debug, Clone)]
pub struct Embedded {
    pub model: String,
    pub vectors: Vec<Vec<f32>>,
    /// What was read.
    pub tokens: u32,
}

/// Turns texts into vectors. The usage row is durable when this returns.
///
/// # Errors
/// Anything that keeps it from being done. It is recorded by then.
pub async fn embed(
    app: &App,
    caller: Caller,
    mut request: EmbeddingRequest,
) -> Result<Embedded, Failure> {
    app.resolve(&caller.principal, &mut request.model);
    let mut ledger = Ledger::open(app, &caller, EMBEDDINGS, &request.model, false);
    match embedded(app, &caller, request, &mut ledger).await {
        Ok(embedded) => {
            ledger.completed().await?;
            Ok(embedded)
        }
        Err(failure) => Err(ledger.failed(failure).await),
    }
}

async fn embedded(
    app: &App,
    caller: &Caller,
    request: EmbeddingRequest,
    ledger: &mut Ledger,
) -> Result<Embedded, Failure> {
    let principal = &caller.principal;
    let embedder = embedder(app, caller, &request.model);
    // Before everything else: whoever sends nonsense is limited too.
    let name = embedder
        .as_ref()
        .ok()
        .map(|served| &*served.model.info().id);
    let permit = ledger.hold(app.limits.begin(principal, name).await?);
    caller.tell(permit.status());
    check_model(&request.model)?;
    let named = naming(&request.input);
    let texts = texts(request.input, named)?;
    let embedder = embedder?;
    let most = embedder.model.dimensions();
    let largest = i64::try_from(most).unwrap_or(i64::MAX);
    let dimensions = integer("dimensions", request.dimensions, 1..=largest)?;
    let dimensions = dimensions.map_or(most, |asked| usize::try_from(asked).unwrap_or(most));

    let texts = guarded(app, caller, &embedder, texts, named, ledger).await?;
    let waiting = caller.waited.begin();
    let late = EngineError::Failed("the texts were not read in time".to_owned());
    let read = embedder.model.tokenize(texts);
    let read = bounded(&caller.cut, LONGEST_SILENCE, late, read).await?;
    drop(waiting);
    let tokens = check_lengths(&read, named)?;
    let price = app.config.prices.get(&request.model);
    let cost = price.map_or(0, |price| price.nanousd(tokens, 0, 0));
    let permit = ledger.permit().ok_or(LimitError::Unavailable)?;
    let cost = u64::try_from(cost).unwrap_or(0);
    permit.reserve(u64::from(tokens), cost).await?;
    caller.tell(permit.status());

    let read = read.into_iter().map(|text| text.tokens).collect();
    let mut vectors = made(caller, &embedder, read, tokens, ledger).await?;
    for vector in &mut vectors {
        shorten(vector, dimensions)?;
    }
    Ok(Embedded {
        model: embedder.model.info().id.clone(),
        vectors,
        tokens,
    })
}

/// The embedding model of this name, if the caller may use it.
fn embedder(app: &App, caller: &Caller, name: &str) -> Result<ServedEmbedder, Failure> {
    let found = app.models.embedder(name)?;
    match found.filter(|_| caller.principal.models.allows(name)) {
        Some(served) => Ok(served.clone()),
        None => {
            served(app, &caller.principal, name)?;
            Err(not_for_this("it answers conversations, at /v1/chat/completions").into())
        }
    }
}

/// What to tell whoever asks a model for what another kind of model does.
pub(super) fn not_for_this(what_it_does: &str) -> Invalid {
    let message = format!("This model cannot be asked here: {what_it_does}.");
    invalid("model", Some("model_not_supported"), message)
}

/// What refusals call the texts.
fn naming(input: &EmbeddingInput) -> Naming {
    match input {
        EmbeddingInput::Text(_) | EmbeddingInput::Tokens(_) => |_| "input".to_owned(),
        _ => |text| format!("input[{text}]"),
    }
}

fn texts(input: EmbeddingInput, named: Naming) -> Result<Vec<Text>, Invalid> {
    let texts: Vec<Text> = match input {
        EmbeddingInput::Text(text) => vec![Text::Written(text)],
        EmbeddingInput::Texts(texts) => texts.into_iter().map(Text::Written).collect(),
        EmbeddingInput::Tokens(tokens) => vec![Text::Tokens(tokens)],
        EmbeddingInput::ManyTokens(all) => all.into_iter().map(Text::Tokens).collect(),
    };
    if texts.is_empty() {
        let message = "Invalid 'input': empty array. Expected an array with minimum length 1, but \
                       got an empty array instead.";
        return Err(invalid("input", Some("empty_array"), message));
    }
    if texts.len() > MOST_TEXTS {
        let message = format!(
            "Invalid 'input': array too long. Expected an array with maximum length {MOST_TEXTS}, \
             but got an array with length {} instead.",
            texts.len()
        );
        return Err(invalid("input", Some("array_above_max_length"), message));
    }
    for (i, text) in texts.iter().enumerate() {
        let param = named(i);
        match text {
            Text::Written(text) if text.is_empty() => {
                let message = format!("Invalid '{param}': input cannot be an empty string.");
                return Err(invalid(&param, Some("empty_string"), message));
            }
            Text::Written(text) if text.len() > LONGEST_TEXT_BYTES => {
                return Err(too_long(&param, LONGEST_TEXT_BYTES, text.len()));
            }
            Text::Tokens(tokens) if tokens.is_empty() => {
                let message = format!("Invalid '{param}': input cannot be an empty array.");
                return Err(invalid(&param, Some("empty_array"), message));
            }
            Text::Tokens(tokens) if tokens.len() > LONGEST_TEXT => {
                return Err(too_many_tokens(&param, tokens.len()));
            }
            _ => {}
        }
    }
    Ok(texts)
}

fn too_many_tokens(param: &str, length: usize) -> Invalid {
    let message =
        format!("Invalid '{param}': maximum input length is {LONGEST_TEXT} tokens, got {length}.");
    invalid(param, Some("context_length_exceeded"), message)
}

/// Lets the guards see the texts. Tokens are theirs to see as text; where they change that, the
/// model reads the changed text.
async fn guarded(
    app: &App,
    caller: &Caller,
    embedder: &ServedEmbedder,
    texts: Vec<Text>,
    named: Naming,
    ledger: &mut Ledger,
) -> Result<Vec<Text>, Failure> {
    let policy = Guarded::policy(app, caller, None)?;
    let mut guarded = Guarded::of(app, caller, policy, false);
    let model = embedder.model.clone();
    let spelled = off_thread(app, move || {
        let spell = |text: &Text| match text {
            Text::Written(text) => Some(text.clone()),
            Text::Tokens(tokens) => model.text(tokens),
        };
        let spelled = texts.iter().map(spell).collect::<Vec<_>>();
        (texts, spelled)
    });
    let (texts, spelled) = spelled.await?;
    if let Some(unknown) = spelled.iter().position(Option::is_none) {
        let param = named(unknown);
        let message = format!("Invalid '{param}': a token id is not in the model's vocabulary.");
        return Err(invalid(&param, Some("invalid_value"), message).into());
    }
    let spelled: Vec<String> = spelled.into_iter().flatten().collect();
    let seen = guarded.texts(spelled.clone(), named).await;
    ledger.guarded(guarded.noted());
    let texts = texts.into_iter().zip(spelled).zip(seen?);
    Ok(texts
        .map(|((text, before), after)| match text {
            Text::Tokens(tokens) if before == after => Text::Tokens(tokens),
            _ => Text::Written(after),
        })
        .collect())
}

/// Returns how many tokens are read of all texts together.
fn check_lengths(texts: &[Tokenized], named: Naming) -> Result<u32, Invalid> {
    if let Some(long) = texts.iter().position(|text| text.whole > LONGEST_TEXT) {
        let length = texts.get(long).map_or(0, |text| text.whole);
        return Err(too_many_tokens(&named(long), length));
    }
    let tokens: u64 = texts.iter().map(|text| text.tokens.len() as u64).sum();
    if tokens > MOST_TOKENS {
        let message =
            format!("Invalid 'input': maximum request size is {MOST_TOKENS} tokens, got {tokens}.");
        return Err(invalid("input", Some("max_tokens_per_request"), message));
    }
    Ok(u32::try_from(tokens).unwrap_or(u32::MAX))
}

/// Waits for the model and lets it work.
async fn made(
    caller: &Caller,
    embedder: &ServedEmbedder,
    texts: Vec<Vec<u32>>,
    tokens: u32,
    ledger: &mut Ledger,
) -> Result<Vec<Vec<f32>>, Failure> {
    let waiting = caller.waited.begin();
    let since = Instant::now();
    let late = EngineError::Busy {
        retry_after: LONGEST_WAIT / 10,
    };
    let place = embedder.admission.enter(&caller.principal.key_id);
    let place = bounded(&caller.cut, LONGEST_WAIT, late, place).await;
    let queued = since.elapsed();
    // Once the model has them, they have been used, even if nobody waits for what it makes of them.
    let input = if place.is_ok() { tokens } else { 0 };
    ledger.answer(&bill(input, queued));
    let count = texts.len();
    let work = embedder.model.embed(texts, Arc::new(place?));
    let late = EngineError::Failed("the vectors were not made in time".to_owned());
    let vectors = bounded(&caller.cut, LONGEST_SILENCE, late, work).await?;
    drop(waiting);
    if vectors.len() != count {
        let wrong = format!("{count} texts became {} vectors", vectors.len());
        return Err(EngineError::Failed(wrong).into());
    }
    Ok(vectors)
}

fn bill(input: u32, queued: Duration) -> Bill {
    Bill {
        tally: Tally {
            input,
            queued,
            ..Tally::default()
        },
        is_free: false,
        paid: Paid::default(),
        flight: None,
    }
}

/// Keeps the first numbers of a vector, and brings what is left to length 1.
fn shorten(vector: &mut Vec<f32>, dimensions: usize) -> Result<(), EngineError> {
    if vector.len() <= dimensions {
        return Ok(());
    }
    vector.truncate(dimensions);
    normalize(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_vector_points_where_its_beginning_did() {
        let mut vector = vec![0.36, 0.48, 0.8];
        shorten(&mut vector, 3).unwrap();
        assert_eq!(vector, [0.36, 0.48, 0.8]);
        shorten(&mut vector, 2).unwrap();
        assert!((vector[0] - 0.6).abs() < 1e-6 && (vector[1] - 0.8).abs() < 1e-6);
        shorten(&mut vector, 1).unwrap();
        assert_eq!(vector, [1.0]);
        assert!(shorten(&mut vec![0.0, 1.0], 1).is_err());
    }
}
