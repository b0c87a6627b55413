//! Runs one request after the other on a model: reuses what it can, computes the rest in pieces,
//! generates, keeps what may serve later, and starts over with fresh weights after a fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::reuse::store::LayerState;
use super::reuse::{Reuse, Step};
use super::steer::{Answer, PrefillOutcome, Purpose, Steer};
use super::tokenizer::ChatEncoder;
use super::weights::{LoadError, Weights};
use crate::engine::{EngineError, Event, Prepared};
use crate::models::InstalledModel;

/// A step that takes longer than this is taken for a hang.
const STALL: Duration = Duration::from_secs(600);
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
    end_tokens: Arc<[u32]>,
    reuse_bytes: usize,
    weights: Option<Weights>,
    reuse: Reuse,
}

/// The sequence broke: nothing that mistralrs holds can be trusted any more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(String);

impl Runner {
    /// Loads the model. `reuse_bytes` bounds the state kept between requests. Blocks for seconds.
    ///
    /// # Errors
    /// When the model cannot be loaded.
    pub fn load(
        model: InstalledModel,
        encoder: Arc<ChatEncoder>,
        reuse_bytes: usize,
    ) -> Result<Self, LoadError> {
        let weights = Weights::load(&model)?;
        Ok(Self {
            end_tokens: model.eos_token_ids.clone().into(),
            model,
            encoder,
            reuse_bytes,
            weights: Some(weights),
            reuse: Reuse::new(reuse_bytes),
        })
    }

    /// Answers a request; every outcome goes to `events`. Returns whether the model is fit for the
    /// next one.
    pub async fn answer(&mut self, prepared: &Prepared, events: &Events) -> bool {
        match self.try_answer(prepared, events).await {
            Ok(()) => true,
            Err(fault) => {
                tracing::error!(model = %self.model.id, %fault, "the engine broke; starting over");
                let _ = events.try_send(Err(EngineError::Failed(fault.to_string())));
                self.start_over();
                self.weights().await.is_ok()
            }
        }
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
            if step.reset {
                self.reset_slots().await?;
                done = 0;
                continue;
            }
            let cached = *cached.get_or_insert(step.reused);
            let last = step.end == prepared.prompt.len();
            let purpose = if last {
                Purpose::Answer(Box::new(Answer::new(
                    prepared,
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
                self.reuse
                    .keep(prepared, &step, computed, end_token)
                    .map_err(fault)?;
            }
            if last {
                return Ok(());
            }
            done = step.end;
        }
        Ok(())
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
            Ok(Some(computed)) => self.reuse.keep_slot(&step, computed, end_token),
            Ok(None) => {}
            Err(fault) => {
                tracing::warn!(model = %self.model.id, %fault, "starting over");
                self.start_over();
            }
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
            .ok_or_else(|| Fault("the weights are not loaded".into()))?;
        let read_state = self.reuse.is_on().then(|| weights.read_state.clone());
        let expected = step.tokens.len() - step.reused;
        let steer = Arc::new(Steer::new(purpose, expected, read_state));
        let lane = if step.through_cache {
            &weights.reuse
        } else {
            &weights.plain
        };
        let running = lane.run(step.tokens.clone(), steer.clone());
        let complaint = tokio::select! {
            result = running => result.map_err(fault)?,
            stalled = stall(&steer) => return Err(stalled),
        };
        if steer.was_misled() {
            return Err(Fault("mistralrs reused the wrong state".into()));
        }
        if !steer.has_ended() {
            let reason = complaint.unwrap_or_else(|| "the engine's thread has died".into());
            return Err(Fault(reason));
        }
        Ok(steer.take_computed())
    }

    fn start_over(&mut self) {
        self.weights = None;
        self.reuse = Reuse::new(self.reuse_bytes);
    }

    async fn reset_slots(&mut self) -> Result<(), Fault> {
        self.reuse.reset_slots();
        match self.weights.as_mut() {
            Some(weights) => weights.renew_reuse_lane().await.map_err(fault),
            None => Ok(()),
        }
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
            .ok_or_else(|| Fault("the weights are not loaded".into()))
    }
}

fn fault(error: impl std::fmt::Display) -> Fault {
    Fault(error.to_string())
}

/// Returns when the sequence has made no progress for too long.
async fn stall(steer: &Steer) -> Fault {
    loop {
        tokio::time::sleep(STALL_CHECK).await;
        if Instant::now().duration_since(steer.last_step()) > STALL {
            return Fault("the engine hangs".into());
        }
    }
}
