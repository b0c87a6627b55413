//! A mistralrs engine over loaded weights: the only place that sends it requests.

use std::sync::Arc;
use std::time::Duration;

use mistralrs::core::{MistralRs, MistralRsBuilder, Pipeline};
use mistralrs::{
    Constraint, CustomLogitsProcessor, DefaultSchedulerMethod, NormalRequest, Request,
    RequestMessage, Response, SamplingParams, SchedulerConfig,
};
use tokio::sync::mpsc;

/// Loaded weights, shared by the lanes.
pub type SharedPipeline = Arc<tokio::sync::Mutex<dyn Pipeline>>;

/// mistralrs sends a response a token, and we read them as they come.
const RESPONSES: usize = 1024;
/// Entries of mistralrs' own prefix cache; on a processor any number above zero means "keep all".
const PREFIX_ENTRIES: usize = 16;
/// Building asks for a lock that another lane may hold for a moment.
const BUILD_ATTEMPTS: usize = 20;

/// One mistralrs engine, in a thread of its own. It takes one sequence at a time.
pub struct Lane {
    // Keeps the engine's own state alive beside the sender.
    _engine: Arc<MistralRs>,
    sender: mpsc::Sender<Request>,
}

/// The engine thread is gone, or refused what it was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LaneError(pub String);

impl Lane {
    /// Starts an engine. Blocks; call it off the async threads.
    ///
    /// # Errors
    /// When the engine's thread cannot be started.
    pub fn build(pipeline: &SharedPipeline, prefix_cache: bool) -> Result<Self, LaneError> {
        let mut last = String::new();
        for _ in 0..BUILD_ATTEMPTS {
            let pipeline = pipeline.clone();
            // Its constructor panics when another lane holds the weights, and runs a warm-up
            // request of its own unless the runtime around it has one thread.
            let built = std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .build()
                    .map(|runtime| runtime.block_on(start(pipeline, prefix_cache)))
            })
            .join();
            match built {
                Ok(Ok(Ok(lane))) => return Ok(lane),
                Ok(Ok(Err(error))) => last = error.0,
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = "the engine panicked while starting".into(),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(LaneError(last))
    }

    /// Runs one sequence to its end. The processor chooses every token and ends the sequence by
    /// returning an error; mistralrs only computes. Returns when mistralrs has let go of it, with
    /// what it complained about on the way.
    ///
    /// # Errors
    /// When the engine is gone.
    pub async fn run(
        &self,
        tokens: Vec<u32>,
        processor: Arc<dyn CustomLogitsProcessor>,
    ) -> Result<Option<String>, LaneError> {
        let (response, mut responses) = mpsc::channel(RESPONSES);
        let request = NormalRequest {
            messages: RequestMessage::CompletionTokens(tokens),
            // Without a temperature of 0, mistralrs draws at 1.
            sampling_params: SamplingParams {
                temperature: Some(0.0),
                ..SamplingParams::neutral()
            },
            response,
            return_logprobs: false,
            is_streaming: true,
            id: 0,
            constraint: Constraint::None,
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: Some(vec![processor]),
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        };
        self.sender
            .send(Request::Normal(Box::new(request)))
            .await
            .map_err(|_| LaneError("the engine's thread has ended".into()))?;
        let mut complaint = None;
        while let Some(response) = responses.recv().await {
            match response {
                Response::ValidationError(error) | Response::InternalError(error) => {
                    complaint = Some(error.to_string());
                }
                Response::ModelError(error, _) | Response::CompletionModelError(error, _) => {
                    complaint = Some(error);
                }
                _ => {}
            }
        }
        Ok(complaint)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // The engine's thread holds a sender to itself, so closing ours would not end it.
        let _ = self.sender.try_send(Request::Terminate);
    }
}

async fn start(pipeline: SharedPipeline, prefix_cache: bool) -> Result<Lane, LaneError> {
    let one = std::num::NonZeroUsize::MIN;
    let method = SchedulerConfig::DefaultScheduler {
        method: DefaultSchedulerMethod::Fixed(one),
    };
    let engine = MistralRsBuilder::new(pipeline, method, false, None)
        .with_no_prefix_cache(!prefix_cache)
        .with_prefix_cache_n(if prefix_cache { PREFIX_ENTRIES } else { 0 })
        .build()
        .await;
    let sender = engine
        .get_sender(None)
        .map_err(|error| LaneError(error.to_string()))?;
    Ok(Lane {
        _engine: engine,
        sender,
    })
}
