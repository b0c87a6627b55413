//! One loaded model for all tests, and short ways to ask it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use microllm::engine::admission::{Admission, Place};
use microllm::engine::mistral::{MistralEngine, Options};
use microllm::engine::{
    Engine, EngineError, Event, FinishReason, Form, GenerateRequest, Message, Role, Sampling,
    TokenLogprob, TokenUsage,
};
use microllm::models::{DEFAULT_MODEL, InstalledModel, Library, Progress};
use tokio::runtime::Runtime;

/// The engine outlives any single test, so its tasks need a runtime that does too.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Where the tests' models are kept from one run to the next.
pub fn library() -> Library {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .expect("a cache directory");
    Library::open(&cache.join("microllm/test-models")).expect("a library")
}

static MODEL: LazyLock<InstalledModel> = LazyLock::new(|| {
    let library = library();
    RUNTIME
        .block_on(library.ensure(DEFAULT_MODEL, &Progress::stderr()))
        .expect("the default model")
});

/// The engine as it is served.
pub static ENGINE: LazyLock<MistralEngine> = LazyLock::new(|| load(512 << 20));

/// The same without any reuse: what every answer is measured against.
pub static FRESH: LazyLock<MistralEngine> = LazyLock::new(|| load(0));

pub fn load(reuse_bytes: usize) -> MistralEngine {
    load_with(reuse_bytes, None)
}

/// `template`: in place of the model's own.
pub fn load_with(reuse_bytes: usize, template: Option<&str>) -> MistralEngine {
    let options = Options {
        reuse_bytes,
        max_context: 0,
        chat_template: template.map(Arc::from),
    };
    MistralEngine::load(MODEL.clone(), options).expect("the model loads")
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    // Fetching it blocks on the runtime, which nothing inside it may.
    LazyLock::force(&MODEL);
    RUNTIME.block_on(future)
}

pub fn message(role: Role, content: &str) -> Message {
    Message::new(role, content)
}

pub fn user(content: &str) -> Vec<Message> {
    vec![message(Role::User, content)]
}

/// The likeliest text, 32 tokens at most.
pub fn greedy() -> Sampling {
    Sampling {
        temperature: 0.0,
        max_tokens: Some(32),
        ..Sampling::default()
    }
}

/// The same without the tokens that end an answer, so that only a limit ends it.
pub fn endless() -> Sampling {
    Sampling {
        // <|im_end|> and <|endoftext|>
        logit_bias: vec![(2, -100.0), (0, -100.0)],
        ..greedy()
    }
}

/// Room enough for all tests: the engine itself takes one after the other.
pub async fn place() -> Arc<Place> {
    static ADMISSION: LazyLock<Admission> = LazyLock::new(|| Admission::new(64, 64));
    Arc::new(ADMISSION.enter("tests").await.expect("a place"))
}

pub fn request(messages: Vec<Message>, sampling: Sampling) -> GenerateRequest {
    GenerateRequest {
        messages,
        raw: None,
        tools: Vec::new(),
        form: Form::Free,
        effort: None,
        sampling,
        scope: "test".into(),
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub text: String,
    pub pieces: Vec<String>,
    pub logprobs: Vec<TokenLogprob>,
    pub finish_reason: FinishReason,
    pub usage: TokenUsage,
}

pub async fn ask(
    engine: &MistralEngine,
    messages: Vec<Message>,
    sampling: Sampling,
) -> Result<Answer, EngineError> {
    say(engine, request(messages, sampling)).await
}

pub async fn say(engine: &MistralEngine, request: GenerateRequest) -> Result<Answer, EngineError> {
    let prepared = engine.prepare(request).await?;
    let mut generation = engine.generate(prepared, place().await).await?;
    let (mut pieces, mut all) = (Vec::new(), Vec::new());
    while let Some(event) = generation.events.recv().await {
        match event? {
            Event::Text { text, logprobs } => {
                pieces.push(text);
                all.extend(logprobs);
            }
            Event::Done {
                finish_reason,
                usage,
            } => {
                return Ok(Answer {
                    text: pieces.concat(),
                    pieces,
                    logprobs: all,
                    finish_reason,
                    usage,
                });
            }
        }
    }
    panic!("the engine closed without an end");
}
