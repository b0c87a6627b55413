//! A request that is being answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio_util::sync::CancellationToken;

use crate::engine::admission::Place;
use crate::engine::registry::ServedModel;
use crate::engine::{EngineError, Event, Generation, ModelInfo, Prepared, TokenLogprob};
use crate::openai::completion::{Finish, Usage};

use super::ledger::Ledger;
use super::{Caller, Failure, LONGEST_SILENCE, bounded};

/// As long as OpenAI's SDKs wait for an answer: whoever still queues then has given up.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What happens in an answer, in order: for each choice `Begin`, any number of `Text`, `End`;
/// after the last choice one `Total`.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The model has begun to answer.
    Begin {
        index: u32,
    },
    Text {
        index: u32,
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    End {
        index: u32,
        finish: Finish,
    },
    Total(Usage),
}

/// An answer in the making. Nothing happens unless it is read; dropping it stops the model, frees
/// the place and leaves a `cancelled` usage row.
pub struct Run {
    model: ServedModel,
    prepared: Prepared,
    choices: u32,
    /// The choice that is being generated.
    index: u32,
    /// Before `place`, so that the model is stopped before the next request is let in.
    generation: Option<Generation>,
    place: Option<Arc<Place>>,
    /// Received, not yet handed out.
    pending: Option<Event>,
    /// Pieces of text of this choice so far.
    pieces: u32,
    /// All choices are generated and recorded.
    total: Option<Usage>,
    over: bool,
    ledger: Ledger,
    /// Whose turn it is.
    key_id: String,
    cut: CancellationToken,
}

impl Run {
    pub(super) fn new(
        model: ServedModel,
        prepared: Prepared,
        choices: u32,
        caller: &Caller,
        ledger: Ledger,
    ) -> Self {
        Self {
            model,
            prepared,
            choices,
            index: 0,
            generation: None,
            place: None,
            pending: None,
            pieces: 0,
            total: None,
            over: false,
            ledger,
            key_id: caller.principal.key_id.clone(),
            cut: caller.cut.clone(),
        }
    }

    /// Who answers.
    pub fn model(&self) -> &ModelInfo {
        self.model.engine.info()
    }

    /// The steps as they happen, ending with `Total` or the first failure.
    pub fn steps(self) -> impl Stream<Item = Result<Step, Failure>> + Send + 'static {
        futures_util::stream::unfold(self, |mut run| async move {
            let step = run.next().await?;
            Some((step, run))
        })
    }

    /// The next step; none after `Total` or a failure.
    async fn next(&mut self) -> Option<Result<Step, Failure>> {
        if self.over {
            return None;
        }
        let step = self.advance().await;
        if matches!(step, Ok(Step::Total(_)) | Err(_)) {
            self.over = true;
        }
        match step {
            Ok(step) => Some(Ok(step)),
            Err(failure) => {
                self.release();
                Some(Err(self.ledger.failed(failure).await))
            }
        }
    }

    async fn advance(&mut self) -> Result<Step, Failure> {
        if let Some(usage) = self.total {
            return Ok(Step::Total(usage));
        }
        if self.generation.is_none() {
            self.begin().await?;
            self.pending = Some(self.event().await?);
            return Ok(Step::Begin { index: self.index });
        }
        let event = match self.pending.take() {
            Some(event) => event,
            None => self.event().await?,
        };
        match event {
            Event::Text { text, logprobs } => {
                self.pieces = self.pieces.saturating_add(1);
                self.ledger.text();
                Ok(Step::Text {
                    index: self.index,
                    text,
                    logprobs,
                })
            }
            Event::Done {
                finish_reason,
                usage,
            } => {
                let (index, finish) = (self.index, Finish::from(finish_reason));
                self.ledger.choice(finish, usage, self.pieces);
                self.pieces = 0;
                self.index += 1;
                self.generation = None;
                if self.index >= self.choices {
                    // Whoever sees the end of the last choice may take the answer for complete.
                    self.release();
                    self.ledger.completed().await?;
                    self.total = Some(self.ledger.usage());
                }
                Ok(Step::End { index, finish })
            }
        }
    }

    /// Starts the choice `self.index`; the first one waits for a place, which the others share.
    async fn begin(&mut self) -> Result<(), Failure> {
        if self.place.is_none() {
            let since = Instant::now();
            let late = EngineError::Busy {
                retry_after: LONGEST_WAIT / 10,
            };
            let place = self.model.admission.enter(&self.key_id);
            let place = bounded(&self.cut, LONGEST_WAIT, late, place).await;
            self.ledger.queued(since);
            self.place = Some(Arc::new(place?));
            self.ledger.prompt(self.prepared.prompt.len());
        }
        let Some(place) = self.place.clone() else {
            return Err(EngineError::Failed("there is no place".to_owned()).into());
        };
        let mut prepared = self.prepared.clone();
        if let Some(seed) = &mut prepared.sampling.seed {
            // Each choice its own, and the first the one that was asked for.
            *seed = seed.wrapping_add(u64::from(self.index));
        }
        let started = self.model.engine.generate(prepared, place);
        self.generation = Some(bounded(&self.cut, LONGEST_SILENCE, silent(), started).await?);
        Ok(())
    }

    async fn event(&mut self) -> Result<Event, Failure> {
        let gone = || EngineError::Failed("the engine went away in mid-answer".to_owned());
        let Some(generation) = &mut self.generation else {
            return Err(gone().into());
        };
        let event = async {
            let event = generation.events.recv().await;
            event.unwrap_or_else(|| Err(gone()))
        };
        bounded(&self.cut, LONGEST_SILENCE, silent(), event).await
    }

    /// Stops the model and lets the next request in.
    fn release(&mut self) {
        self.generation = None;
        self.place = None;
    }
}

fn silent() -> EngineError {
    EngineError::Failed("the engine said nothing for too long".to_owned())
}
