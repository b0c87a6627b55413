//! The usage row of one request, from its first moment on.

use crate::app::App;
use crate::config::Price;
use crate::engine::{EngineError, TokenUsage};
use crate::http::error::ApiError;
use crate::limits::Permit;
use crate::metrics::Metrics;
use crate::openai::completion::{Finish, Usage};
use crate::records::{Outcome, RecordError, UsageRecorder, UsageRow};

use super::guard::Notes;
use super::{Caller, Failure};

/// nginx's word for a client that did not wait.
const CLIENT_LEFT: u16 = 499;
/// A made-up model name must not fill the records.
const LONGEST_MODEL_NAME: usize = 128;

/// Fills in the row as the request proceeds and sees to it that it is written once: when the
/// request is completed, when it failed, or, dropped before either, as cancelled.
pub(super) struct Ledger {
    recorder: UsageRecorder,
    metrics: Metrics,
    row: UsageRow,
    arrived: std::time::Instant,
    /// Given back, but for what the row says, when the row is settled.
    permit: Option<Permit>,
    price: Option<Price>,
    /// Set as soon as the row has been handed over, whether or not anybody waits for it.
    settled: bool,
}

impl Ledger {
    pub(super) fn open(
        app: &App,
        caller: &Caller,
        endpoint: &str,
        model: &str,
        stream: bool,
    ) -> Self {
        let principal = &caller.principal;
        let row = UsageRow {
            request_id: caller.request_id.clone(),
            created_at_ms: caller.arrived_ms,
            api_key_id: principal.key_id.clone(),
            project_id: principal.project_id.clone(),
            user_id: principal.user_id.clone(),
            model: model.chars().take(LONGEST_MODEL_NAME).collect(),
            endpoint: endpoint.to_owned(),
            stream,
            status: CLIENT_LEFT,
            outcome: Outcome::Cancelled,
            finish_reason: None,
            error: None,
            input_tokens: 0,
            output_tokens: 0,
            cached_tokens: 0,
            queue_ms: 0,
            first_token_ms: None,
            duration_ms: 0,
            cost_nanousd: 0,
            guardrails: None,
            cache: None,
        };
        Self {
            recorder: app.usage.clone(),
            metrics: app.metrics.clone(),
            row,
            arrived: caller.arrived,
            permit: None,
            price: app.config.prices.get(model).copied(),
            settled: false,
        }
    }

    /// Keeps what the request may use until it is known what it has used.
    pub(super) fn hold(&mut self, permit: Permit) -> &mut Permit {
        self.permit.insert(permit)
    }

    /// What the request has used is known.
    fn give_back(&mut self) {
        let row = &mut self.row;
        if let Some(price) = &self.price {
            row.cost_nanousd =
                price.nanousd(row.input_tokens, row.cached_tokens, row.output_tokens);
        }
        if let Some(mut permit) = self.permit.take() {
            let tokens = u64::from(row.input_tokens) + u64::from(row.output_tokens);
            permit.settle(tokens, u64::try_from(row.cost_nanousd).unwrap_or(0));
        }
    }

    /// What the guards have made of it so far.
    pub(super) fn guarded(&mut self, notes: &Notes) {
        self.row.guardrails = serde_json::to_string(notes).ok();
    }

    /// The model gets the prompt. Whoever has not come so far pays nothing.
    pub(super) fn prompt(&mut self, tokens: usize) {
        self.row.input_tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
    }

    /// A place at the model was free, after waiting this long.
    pub(super) fn queued(&mut self, since: std::time::Instant) {
        self.row.queue_ms = millis(since);
    }

    /// A piece of text arrived. It counts as one token until the engine's own count of the
    /// choice replaces it, so that an answer broken off is not free.
    pub(super) fn text(&mut self) {
        if self.row.first_token_ms.is_none() {
            self.row.first_token_ms = Some(millis(self.arrived));
        }
        self.row.output_tokens = self.row.output_tokens.saturating_add(1);
    }

    /// A choice is complete: `exact` replaces the `pieces` that were counted.
    pub(super) fn choice(&mut self, finish: Finish, exact: TokenUsage, pieces: u32) {
        let row = &mut self.row;
        if row.finish_reason.is_none() {
            row.finish_reason = Some(finish.as_str().to_owned());
            row.input_tokens = exact.prompt_tokens;
            row.cached_tokens = exact.cached_tokens;
        }
        row.output_tokens = row
            .output_tokens
            .saturating_sub(pieces)
            .saturating_add(exact.completion_tokens);
    }

    /// What the client is told.
    pub(super) fn usage(&self) -> Usage {
        Usage::new(
            self.row.input_tokens,
            self.row.cached_tokens,
            self.row.output_tokens,
        )
    }

    /// The answer is complete; returns once that is durable.
    pub(super) async fn completed(&mut self) -> Result<(), RecordError> {
        self.row.status = 200;
        self.row.outcome = Outcome::Completed;
        self.settle().await
    }

    /// There is no answer, or not all of it. Returns what to tell the client: the failure itself,
    /// or that it could not be recorded.
    pub(super) async fn failed(&mut self, failure: Failure) -> Failure {
        let told = ApiError::from(&failure);
        self.log(&failure, &told);
        self.row.status = told.status;
        self.row.outcome = Outcome::Failed;
        self.row.error = Some(told.code.unwrap_or(told.kind).to_owned());
        match self.settle().await {
            Ok(()) => failure,
            Err(unrecorded) => {
                tracing::error!(request_id = %self.row.request_id, error = %unrecorded, "usage row lost");
                unrecorded.into()
            }
        }
    }

    /// Refusals have their line already, with their status. What clients sent may be in the message
    /// of a [`Failure::Invalid`]; it is not for the log.
    fn log(&self, failure: &Failure, told: &ApiError) {
        let (request_id, code) = (&self.row.request_id, told.code.unwrap_or(told.kind));
        match failure {
            Failure::Engine(EngineError::Failed(why)) => {
                tracing::error!(%request_id, error = %why, "the engine failed");
            }
            _ => {
                tracing::debug!(%request_id, code, param = told.param.as_deref(), "not answered");
            }
        }
    }

    async fn settle(&mut self) -> Result<(), RecordError> {
        if std::mem::replace(&mut self.settled, true) {
            return Ok(());
        }
        self.row.duration_ms = millis(self.arrived);
        self.give_back();
        self.metrics.request(&self.row);
        let (recorder, row) = (self.recorder.clone(), self.row.clone());
        // On a task of its own: a client that leaves now must not take its row along.
        tokio::spawn(async move { recorder.commit(row).await })
            .await
            .unwrap_or_else(|broken| Err(RecordError(broken.to_string())))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if !self.settled {
            if std::thread::panicking() {
                self.row.status = 500;
                self.row.outcome = Outcome::Failed;
                self.row.error = Some("server_error".to_owned());
            }
            self.row.duration_ms = millis(self.arrived);
            self.give_back();
            self.metrics.request(&self.row);
            self.recorder.commit_detached(self.row.clone());
        }
    }
}

fn millis(since: std::time::Instant) -> u32 {
    u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX)
}
