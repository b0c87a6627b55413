//! Steers one mistralrs sequence from within: it sees the logits of every step, chooses the token,
//! tells the client, and decides when to end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use candle_core::{Device, Error, Result, Tensor};
use llguidance::Matcher;
use mistralrs::CustomLogitsProcessor;
use tokio::sync::mpsc;

use super::reuse::store::LayerState;
use super::sampler::{Chosen, Sampler};
use super::text::Text;
use super::tokenizer::ChatEncoder;
use crate::engine::{
    EngineError, Event, FinishReason, Prepared, TokenLogprob, TokenText, TokenUsage,
};

/// Reads the attention state of the sequence that has just been computed.
pub type ReadState = Arc<dyn Fn() -> Result<Vec<LayerState>> + Send + Sync>;

/// What a sequence is run for.
pub enum Purpose {
    /// To compute a prompt's state and nothing else.
    Prefill(PrefillOutcome),
    Answer(Box<Answer>),
}

/// What to leave behind after a prefill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefillOutcome {
    /// Nothing in mistralrs.
    Forget,
    /// An entry in mistralrs' prefix cache, under the prompt's tokens and this one after them. It
    /// must be one that ends a sequence in mistralrs' own eyes.
    Keep { end_token: u32 },
}

/// An answer in the making.
pub struct Answer {
    sampler: Sampler,
    text: Option<Text>,
    encoder: Arc<ChatEncoder>,
    end_tokens: Arc<[u32]>,
    events: mpsc::Sender<std::result::Result<Event, EngineError>>,
    usage: TokenUsage,
    max_tokens: u32,
    /// What may come next, where not everything may.
    grammar: Option<Matcher>,
    shows_calls: bool,
}

impl Answer {
    /// `events` must have room for an event a token and one more.
    pub fn new(
        prepared: &Prepared,
        grammar: Option<Matcher>,
        cached_tokens: u32,
        encoder: Arc<ChatEncoder>,
        end_tokens: Arc<[u32]>,
        events: mpsc::Sender<std::result::Result<Event, EngineError>>,
    ) -> Self {
        Self {
            sampler: Sampler::new(prepared.sampling.clone()),
            text: Some(Text::new(prepared.sampling.stop.clone())),
            encoder,
            end_tokens,
            events,
            usage: TokenUsage {
                prompt_tokens: u32::try_from(prepared.prompt.len()).unwrap_or(u32::MAX),
                completion_tokens: 0,
                cached_tokens,
            },
            max_tokens: prepared.max_tokens,
            grammar,
            shows_calls: prepared.shows_calls,
        }
    }

    /// Takes a step's logits; gives the token to go on with, or nothing at the end.
    fn step(&mut self, logits: &mut [f32]) -> Option<u32> {
        if self.events.is_closed() {
            return None;
        }
        // Some models pad their output beyond the vocabulary.
        if let Some(padding) = logits.get_mut(self.encoder.vocab_size()..) {
            padding.fill(f32::NEG_INFINITY);
        }
        let allowed = self.grammar.as_mut().map(Matcher::compute_mask_or_eos);
        let chosen = match allowed.transpose() {
            Ok(allowed) => self.sampler.choose(logits, allowed.as_ref()),
            Err(error) => {
                self.send(Err(self.too_hard(&error)));
                return None;
            }
        };
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(error) => {
                self.send(Err(EngineError::Failed(error.to_string())));
                return None;
            }
        };
        self.usage.completion_tokens += 1;
        if self.end_tokens.contains(&chosen.token) {
            self.finish(FinishReason::Stop);
            return None;
        }
        let logprob = self.describe(&chosen);
        let bytes = if self.shows_calls {
            self.encoder.calling_token_bytes(chosen.token)
        } else {
            self.encoder.token_bytes(chosen.token)
        };
        let grown = self.text.as_mut()?.push(bytes, logprob);
        if let Some(event) = grown.event {
            self.send(Ok(event));
        }
        if grown.stopped {
            self.text = None;
            self.finish(FinishReason::Stop);
            return None;
        }
        if let Some(grammar) = &mut self.grammar {
            if let Err(error) = grammar.consume_token(chosen.token) {
                let error = self.too_hard(&error);
                self.send(Err(error));
                return None;
            }
            if grammar.is_stopped() {
                self.finish(FinishReason::Stop);
                return None;
            }
        }
        if self.usage.completion_tokens >= self.max_tokens {
            self.finish(FinishReason::Length);
            return None;
        }
        Some(chosen.token)
    }

    fn finish(&mut self, finish_reason: FinishReason) {
        if let Some(event) = self.text.take().and_then(Text::finish) {
            self.send(Ok(event));
        }
        self.send(Ok(Event::Done {
            finish_reason,
            usage: self.usage,
        }));
    }

    fn send(&self, event: std::result::Result<Event, EngineError>) {
        // A client that has left, or (never, by the channel's size) a full channel.
        let _ = self.events.try_send(event);
    }

    /// The grammar takes more work than anything may.
    fn too_hard(&self, error: &impl std::fmt::Display) -> EngineError {
        tracing::warn!(%error, "a grammar cannot be followed");
        let param = if self.shows_calls {
            "tools"
        } else {
            "response_format"
        };
        EngineError::Invalid {
            param,
            message: "The answer's form is too hard to follow.".to_owned(),
        }
    }

    fn describe(&self, chosen: &Chosen) -> Option<TokenLogprob> {
        let likelihood = chosen.logprob.as_ref()?;
        let text = |token: u32, logprob: f32| {
            let bytes = if self.encoder.is_control(token) {
                self.encoder.token_name(token).as_bytes()
            } else {
                self.encoder.token_bytes(token)
            };
            TokenText {
                text: String::from_utf8_lossy(bytes).into_owned(),
                bytes: bytes.to_vec(),
                logprob,
            }
        };
        Some(TokenLogprob {
            token: text(chosen.token, likelihood.logprob),
            top: likelihood.top.iter().map(|&(t, l)| text(t, l)).collect(),
        })
    }
}

/// The processor that mistralrs calls once a step.
pub struct Steer {
    state: Mutex<State>,
}

struct State {
    purpose: Purpose,
    expected: usize,
    read_state: Option<ReadState>,
    computed: Option<Vec<LayerState>>,
    misled: bool,
    ended: bool,
    steps: u64,
    last_step: Instant,
}

impl Steer {
    /// `expected` is how many tokens mistralrs has to compute before the first choice: any other
    /// number means that it reused something else than it should. With `read_state`, the prompt's
    /// state is read right after it was computed.
    pub fn new(purpose: Purpose, expected: usize, read_state: Option<ReadState>) -> Self {
        Self {
            state: Mutex::new(State {
                purpose,
                expected,
                read_state,
                computed: None,
                misled: false,
                ended: false,
                steps: 0,
                last_step: Instant::now(),
            }),
        }
    }

    /// Whether the sequence ran to an end of our choosing.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Whether the client may have been told something.
    pub fn has_spoken(&self) -> bool {
        let state = self.lock();
        state.steps > 0 && !state.misled && matches!(state.purpose, Purpose::Answer(_))
    }

    /// Whether mistralrs reused something else than it should; nothing was told to the client.
    pub fn was_misled(&self) -> bool {
        self.lock().misled
    }

    /// When the model last made progress.
    pub fn last_step(&self) -> Instant {
        self.lock().last_step
    }

    /// The state read after the prompt. The tensors are mistralrs' own.
    pub fn take_computed(&self) -> Option<Vec<LayerState>> {
        self.lock().computed.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CustomLogitsProcessor for Steer {
    /// `context` is, at the first step, what had to be computed.
    fn apply(&self, logits: &Tensor, context: &[u32]) -> Result<Tensor> {
        let state = &mut *self.lock();
        state.last_step = Instant::now();
        state.steps += 1;
        if state.steps == 1 && context.len() != state.expected {
            state.misled = true;
        }
        if state.misled {
            state.ended = true;
            return Err(Error::Msg("the wrong state was reused".into()));
        }
        if let Some(read_state) = state.read_state.take() {
            state.computed = Some(read_state()?);
        }
        let vocabulary = logits.elem_count();
        let first = state.steps == 1;
        let next = match &mut state.purpose {
            // mistralrs takes a further step after a prompt that ended its sequence.
            Purpose::Prefill(outcome) => match outcome {
                PrefillOutcome::Keep { end_token } if first => Some(*end_token),
                _ => None,
            },
            Purpose::Answer(_) if state.ended => None,
            Purpose::Answer(answer) => answer.step(&mut logits.to_vec1::<f32>()?),
        };
        match next {
            Some(token) => only(token, vocabulary),
            None => {
                state.ended = true;
                // An error is how a sequence is ended without mistralrs keeping anything of it.
                Err(Error::Msg("the sequence has ended".into()))
            }
        }
    }
}

/// Logits that leave mistralrs no choice.
fn only(token: u32, vocabulary: usize) -> Result<Tensor> {
    let mut logits = vec![f32::NEG_INFINITY; vocabulary];
    match logits.get_mut(token as usize) {
        Some(logit) => *logit = 0.0,
        None => candle_core::bail!("token {token} is outside the vocabulary"),
    }
    Tensor::from_vec(logits, vocabulary, &Device::Cpu)
}
