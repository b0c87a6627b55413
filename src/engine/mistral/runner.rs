//! Runs one request after the other on a model: reuses what it can, computes the rest in pieces,
//! generates, keeps what may serve later, and starts over with fresh weights after a fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use llguidance::Matcher;
use tokio::sync::mpsc;

use super::grammar::Grammars;
use super::reuse::store::LayerState;
use super::reuse::{Reuse, Step};
use super::steer::{Answer, PrefillOutcome, Purpose, Steer};
use super::tokenizer::ChatEncoder;
use super::weights::{LoadError, Weights};
use crate::engine::{EngineError, Event, Prepared};
use crate::models::InstalledModel;

/// A step that takes longer than this is taken for a hang.
const STALL: Duration = Duration::from_secs(1800);
/// How often to look for one.
const STALL_CHECK: Duration = Duration::from_secs(10);
/// When a client is told to come back while the model cannot be loaded.
const AFTER_FAULT: Duration = Duration::from_secs(5);

/// Where an answer goes.
pub type Events = mpsc::Sender<Result<Event, EngineError>>;

/// A model and everything that its requests share. Takes one request at a time.
pub struct Runner {
    model: InstalledModel,
    encoder: Arc<ChatEncoder>,
    grammars: Arc<Grammars>,
    end_tokens: Arc<[u32]>,
    reuse_bytes: usize,
    weights: Option<Weights>,
    reuse: Reuse,
}

/// The sequence broke: nothing that mistralrs holds can be trusted any more.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
struct Fault {
    reason: String,
    /// The client has been told a part of the answer.
    spoken: bool,
}

impl Runner {
    /// Loads the model. `reuse_bytes` bounds the state kept between requests. Blocks for seconds.
    ///
    /// # Errors
    /// When the model cannot be loaded.
    pub fn load(
        model: InstalledModel,
        encoder: Arc<ChatEncoder>,
        grammars: Arc<Grammars>,
        reuse_bytes: usize,
    ) -> Result<Self, LoadError> {
        let weights = Weights::load(&model)?;
        Ok(Self {
            end_tokens: model.eos_token_ids.clone().into(),
            model,
            encoder,
            grammars,
            reuse_bytes,
            weights: Some(weights),
            reuse: Reuse::new(reuse_bytes),
        })
    }

    /// Answers a request; every outcome goes to `events`. Returns whether the model is fit for the
    /// next one.
    pub async fn answer(&mut self, prepared: &Prepared, events: &Events) -> bool {
        for retry in [true, false] {
            let Err(fault) = self.try_answer(prepared, events).await else {
                return true;
            };
            tracing::error!(model = %self.model.id, %fault, "the engine broke; starting over");
            self.start_over();
            if fault.spoken || !retry {
                let _ = events.try_send(Err(EngineError::Failed(fault.reason)));
                break;
            }
        }
        self.weights().await.is_ok()
    }

    async fn try_answer(&mut self, prepared: &Prepared, events: &Events) -> Result<(), Fault> {
        if self.weights().await.is_err() {
            let _ = events.try_send(Err(EngineError::Unavailable {
                retry_after: AFTER_FAULT,
            }));
            return Ok(());
        }
        let mut done = 0;
        let mut cached = None;
        while !events.is_closed() {
            let step = self.reuse.next_step(prepared, done).map_err(fault)?;
            let cached = *cached.get_or_insert(step.reused);
            let last = step.end == prepared.prompt.len();
            let purpose = if last {
                Purpose::Answer(Box::new(Answer::new(
                    prepared,
                    self.grammar(prepared)?,
                    u32::try_from(cached).unwrap_or(u32::MAX),
                    self.encoder.clone(),
                    self.end_tokens.clone(),
                    events.clone(),
                )))
            } else {
                Purpose::Prefill(self.outcome(&step)?)
            };
            let computed = self.run(&step, purpose).await?;
            if let (Some(computed), Some(weights)) = (computed, &self.weights) {
                let end_token = weights.end_token;
                let kept = self.reuse.keep(prepared, &step, computed, end_token);
                kept.map_err(|error| Fault {
                    reason: error.to_string(),
                    spoken: last,
                })?;
            }
            if last {
                return Ok(());
            }
            done = step.end;
        }
        Ok(())
    }

    fn grammar(&self, prepared: &Prepared) -> Result<Option<Matcher>, Fault> {
        let Some(grammar) = &prepared.grammar else {
            return Ok(None);
        };
        // It was followed when the request was prepared.
        let follow = || self.grammars.follow(&self.encoder, grammar);
        let matcher = tokio::task::block_in_place(follow);
        matcher.map(Some).map_err(fault)
    }

    fn outcome(&self, step: &Step) -> Result<PrefillOutcome, Fault> {
        Ok(match (step.keep, &self.weights) {
            (true, Some(weights)) => PrefillOutcome::Keep {
                end_token: weights.end_token,
            },
            _ => PrefillOutcome::Forget,
        })
    }

    /// Makes room, while nobody waits, for the next turn of a chat whose prompt had `length` tokens.
    pub async fn use_idle_time(&mut self, length: usize) {
        let (Some(step), Some(weights)) = (self.growth(length), &self.weights) else {
            return;
        };
        let end_token = weights.end_token;
        let purpose = Purpose::Prefill(PrefillOutcome::Keep { end_token });
        match self.run(&step, purpose).await {
            Ok(Some(computed)) => self.reuse.keep_filler(&step, computed, end_token),
            Ok(None) => {}
            Err(fault) => {
                tracing::warn!(model = %self.model.id, %fault, "starting over");
                self.start_over();
            }
        }
    }

    /// Computes a little, so that the first request finds the model's kernels ready and room for
    /// reuse.
    pub async fn warm_up(&mut self) {
        let Some(end_token) = self.weights.as_ref().map(|weights| weights.end_token) else {
            return;
        };
        let step = Step::whole(&[end_token; 8]);
        let purpose = Purpose::Prefill(PrefillOutcome::Forget);
        if let Ok(Some(computed)) = self.run(&step, purpose).await {
            self.reuse.measure(&computed);
            self.use_idle_time(1).await;
        }
    }

    fn growth(&self, length: usize) -> Option<Step> {
        let filler = self.weights.as_ref()?.end_token;
        self.reuse.growth(length, filler)
    }

    /// Runs one step; gives the state it computed if state is kept at all.
    async fn run(&self, step: &Step, purpose: Purpose) -> Result<Option<Vec<LayerState>>, Fault> {
        let weights = self
            .weights
            .as_ref()
            .ok_or_else(|| fault("the weights are not loaded"))?;
        let read_state = self.reuse.is_on().then(|| weights.read_state.clone());
        let expected = step.tokens.len() - step.reused;
        let steer = Arc::new(Steer::new(purpose, expected, read_state));
        let lane = if step.through_cache {
            &weights.reuse
        } else {
            &weights.plain
        };
        let running = lane.run(step.tokens.clone(), steer.clone());
        let ended = tokio::select! {
            result = running => result.map_err(|error| error.to_string()),
            () = stall(&steer) => Err("the engine hangs".into()),
        };
        let reason = match ended {
            Ok(_) if steer.was_misled() => "mistralrs reused the wrong state".into(),
            Ok(_) if steer.has_ended() => return Ok(steer.take_computed()),
            Ok(complaint) => complaint.unwrap_or_else(|| "the engine's thread has died".into()),
            Err(reason) => reason,
        };
        let spoken = steer.has_spoken();
        Err(Fault { reason, spoken })
    }

    fn start_over(&mut self) {
        self.weights = None;
        self.reuse = Reuse::new(self.reuse_bytes);
    }

    /// The weights, loaded anew if a fault has cost them.
    async fn weights(&mut self) -> Result<&Weights, Fault> {
        if self.weights.is_none() {
            let model = self.model.clone();
            let loaded = tokio::task::spawn_blocking(move || Weights::load(&model))
                .await
                .map_err(fault)?;
            self.weights = Some(loaded.map_err(fault)?);
        }
        self.weights
            .as_ref()
            .ok_or_else(|| fault("the weights are not loaded"))
    }
}

/// Something broke between sequences.
fn fault(error: impl std::fmt::Display) -> Fault {
    Fault {
        reason: error.to_string(),
        spoken: false,
    }
}

/// Returns when the sequence has made no progress for too long.
async fn stall(steer: &Steer) {
    loop {
        tokio::time::sleep(STALL_CHECK).await;
        if Instant::now().duration_since(steer.last_step()) > STALL {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mistral::template::Conversation;
    use crate::engine::{Message, Role, Sampling};
    use crate::models::{DEFAULT_MODEL, Library, Progress, library};
    use candle_core::{Result as CandleResult, Tensor};

    async fn runner() -> Runner {
        let models = library::default_cache().expect("a cache directory");
        let library = Library::open(&models.join("../test-models")).expect("a library");
        let model = library.ensure(DEFAULT_MODEL, &Progress::hidden()).await;
        let model = model.expect("the default model");
        let encoder = Arc::new(ChatEncoder::load(&model, None).expect("an encoder"));
        let grammars = Arc::new(Grammars::new(model.eos_token_ids[0]));
        tokio::task::spawn_blocking(move || Runner::load(model, encoder, grammars, 256 << 20))
            .await
            .expect("no panic")
            .expect("the model loads")
    }

    fn prepared(runner: &Runner, question: &str) -> Prepared {
        let messages = [Message::new(Role::User, question)];
        let conversation = Conversation::of(&messages);
        let prompt = runner.encoder.encode_chat(&conversation).expect("a prompt");
        Prepared {
            prompt: prompt.ids,
            sampling: Sampling {
                temperature: 0.0,
                ..Sampling::default()
            },
            max_tokens: 16,
            is_thinking: false,
            shows_calls: false,
            call_style: None,
            grammar: None,
            scope: "test".into(),
        }
    }

    async fn text(runner: &mut Runner, question: &str) -> Result<String, EngineError> {
        let (sender, mut events) = mpsc::channel(64);
        runner.answer(&prepared(runner, question), &sender).await;
        drop(sender);
        let mut whole = String::new();
        while let Some(event) = events.recv().await {
            if let Event::Text { text, .. } = event? {
                whole.push_str(&text);
            }
        }
        Ok(whole)
    }

    const QUESTION: &str = "What is the capital of France?";

    #[tokio::test(flavor = "multi_thread")]
    async fn an_engine_that_dies_is_replaced_and_answers_as_before() {
        let mut runner = runner().await;
        let before = text(&mut runner, QUESTION).await.expect("an answer");
        for _ in 0..3 {
            let weights = runner.weights.as_ref().expect("loaded");
            let deadly = |_: &Tensor, _: &[u32]| -> CandleResult<Tensor> { panic!("on purpose") };
            let tokens = prepared(&runner, QUESTION).prompt;
            for lane in [&weights.plain, &weights.reuse] {
                let _ = lane.run(tokens.clone(), Arc::new(deadly)).await;
            }
            let after = text(&mut runner, QUESTION).await.expect("an answer");
            assert_eq!(after, before);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn state_that_mistralrs_keeps_unasked_is_noticed() {
        let mut runner = runner().await;
        let before = text(&mut runner, QUESTION).await.expect("an answer");
        // Behind the runner's back, leave an entry that begins like the next prompt.
        let prepared = prepared(&runner, QUESTION);
        let weights = runner.weights.as_ref().expect("loaded");
        let keep = PrefillOutcome::Keep {
            end_token: weights.end_token,
        };
        let tokens = prepared.prompt[..prepared.prompt.len() - 3].to_vec();
        let steer = Arc::new(Steer::new(Purpose::Prefill(keep), tokens.len(), None));
        weights.reuse.run(tokens, steer).await.expect("it runs");
        for _ in 0..3 {
            let after = text(&mut runner, QUESTION).await.expect("an answer");
            assert_eq!(after, before);
        }
    }
}
