//! Prompts that are continued as they are: `/v1/completions`.

use crate::engine::{
    Engine, EngineError, Form, GenerateRequest, Message, RawPrompt, Role, Sampling,
};
use crate::openai::legacy::{CompletionRequest, Prompt};

use super::Failure;
use super::guard::GuardFailure;
use super::invalid::{Invalid, invalid, unsupported};
use super::validate::{
    Asked, Common, MOST_CHOICES, check_model, check_stream_options, common, integer, saturated,
};

/// OpenAI's.
const DEFAULT_MAX_TOKENS: u32 = 16;
const MOST_CANDIDATES: i64 = 20;
const MOST_LOGPROBS: i64 = 5;

/// Translates a request. `tenant` is whose earlier prompts may speed this one up; `defaults` hold
/// where the request does not say.
pub(super) fn check(
    request: CompletionRequest,
    tenant: &str,
    defaults: &Sampling,
) -> Result<Asked, Invalid> {
    check_model(&request.model)?;
    let streams = request.stream == Some(true);
    check_stream_options(request.stream_options.is_some(), streams)?;
    if request
        .suffix
        .as_ref()
        .is_some_and(|suffix| !suffix.is_empty())
    {
        return Err(unsupported("suffix"));
    }
    let n = integer("n", request.n, 1..=MOST_CHOICES)?.unwrap_or(1);
    let best_of = integer("best_of", request.best_of, 1..=MOST_CANDIDATES)?;
    if best_of.is_some_and(|best_of| best_of < n) {
        let message = "Invalid 'best_of': it must not be less than 'n'.";
        return Err(invalid("best_of", Some("invalid_value"), message));
    }
    let each = best_of.unwrap_or(n);
    if streams && each > n {
        let message = "The best of several answers is known only when all are complete: 'best_of' \
                       above 'n' cannot be streamed.";
        return Err(invalid("best_of", Some("invalid_value"), message));
    }
    let sampling = sampling(&request, each > n, defaults)?;
    let prompts = prompts(request.prompt)?;
    let most = usize::try_from(MOST_CHOICES / each).unwrap_or(1);
    if prompts.len() > most {
        let message = format!(
            "Invalid 'prompt': array too long. A request has at most {MOST_CHOICES} answers, which \
             makes {most} prompts here, but got {} instead.",
            prompts.len()
        );
        return Err(invalid("prompt", Some("array_above_max_length"), message));
    }
    let message = |content| Message::new(Role::User, content);
    let (raw, texts): (Vec<_>, Vec<_>) = prompts.into_iter().unzip();
    Ok(Asked {
        model: request.model,
        generate: GenerateRequest {
            messages: texts.iter().cloned().map(message).collect(),
            raw: None,
            tools: Vec::new(),
            form: Form::Free,
            effort: None,
            sampling,
            scope: tenant.into(),
        },
        calls: None,
        n: u32::try_from(each).unwrap_or(1),
        raw,
        texts,
    })
}

/// How each prompt is to be taken, and its text where it is one.
fn prompts(prompt: Option<Prompt>) -> Result<Vec<(RawPrompt, String)>, Invalid> {
    let text = |text| (RawPrompt::Text, text);
    let tokens = |tokens| (RawPrompt::Tokens(tokens), String::new());
    let prompts: Vec<_> = match prompt {
        None => vec![text(String::new())],
        Some(Prompt::Text(one)) => vec![text(one)],
        Some(Prompt::Texts(many)) => many.into_iter().map(text).collect(),
        Some(Prompt::Tokens(one)) => vec![tokens(one)],
        Some(Prompt::Lists(many)) => many.into_iter().map(tokens).collect(),
    };
    if prompts.is_empty() {
        let message = "Invalid 'prompt': empty array. Expected an array with minimum length 1, \
                       but got an empty array instead.";
        return Err(invalid("prompt", Some("empty_array"), message));
    }
    Ok(prompts)
}

fn sampling(
    request: &CompletionRequest,
    compares: bool,
    defaults: &Sampling,
) -> Result<Sampling, Invalid> {
    let max_tokens = integer("max_tokens", request.max_tokens, 1..=i64::MAX)?;
    let logprobs = integer("logprobs", request.logprobs, 0..=MOST_LOGPROBS)?;
    if logprobs.is_some() && request.echo == Some(true) {
        let message = "Unsupported parameter: 'logprobs' is not supported with 'echo' by this \
                       server, which has no log probabilities of prompts.";
        return Err(invalid("logprobs", Some("unsupported_parameter"), message));
    }
    let logprobs = logprobs.or(compares.then_some(0));
    let common = common(&Common {
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        min_p: request.min_p,
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        seed: request.seed,
        logit_bias: request.logit_bias.as_ref(),
        stop: request.stop.as_ref(),
        defaults,
    })?;
    Ok(Sampling {
        max_tokens: Some(max_tokens.map_or(DEFAULT_MAX_TOKENS, saturated)),
        top_logprobs: logprobs.map(|top| u8::try_from(top).unwrap_or(u8::MAX)),
        ..common
    })
}

impl Asked {
    /// Puts into words what came as tokens, for the guards to see.
    ///
    /// # Errors
    /// [`EngineError`] for tokens that the model does not have, or more than it takes.
    pub(super) async fn read(&mut self, engine: &dyn Engine) -> Result<(), EngineError> {
        let texts = self.texts.iter_mut().zip(&mut self.generate.messages);
        for (raw, (text, message)) in self.raw.iter().zip(texts) {
            if let RawPrompt::Tokens(tokens) = raw {
                *text = engine.text_of(tokens).await?;
                message.content.clone_from(text);
            }
        }
        Ok(())
    }

    /// What the model is asked, after the guards: once for a conversation, and for each prompt.
    /// Tokens whose text they have changed give way to the text.
    pub(super) fn requests(
        generate: GenerateRequest,
        raw: Vec<RawPrompt>,
        texts: &[String],
    ) -> Vec<GenerateRequest> {
        if raw.is_empty() {
            return vec![generate];
        }
        let GenerateRequest {
            messages,
            sampling,
            scope,
            ..
        } = generate;
        let prompts = messages.into_iter().zip(raw).zip(texts);
        let prompts = prompts.map(|((message, raw), text)| GenerateRequest {
            raw: Some(if &message.content == text {
                raw
            } else {
                RawPrompt::Text
            }),
            messages: vec![message],
            tools: Vec::new(),
            form: Form::Free,
            effort: None,
            sampling: sampling.clone(),
            scope: scope.clone(),
        });
        prompts.collect()
    }
}

/// Says of the prompt what is said of messages. `many`: there is more than one.
pub(super) fn renamed(failure: Failure, many: bool) -> Failure {
    match failure {
        Failure::Engine(EngineError::ContextLength { limit, prompt }) => {
            let message = format!(
                "This model's maximum context length is {limit} tokens. However, your prompt \
                 resulted in {prompt} tokens."
            );
            invalid("prompt", Some("context_length_exceeded"), message).into()
        }
        Failure::Guard(GuardFailure::Blocked {
            policy,
            blocked,
            kind,
            param,
        }) => {
            let place = param
                .strip_prefix("messages")
                .and_then(|at| at.split('.').next());
            let param = match place {
                Some(place) if many => format!("prompt{place}"),
                _ => "prompt".to_owned(),
            };
            Failure::Guard(GuardFailure::Blocked {
                policy,
                blocked,
                kind,
                param,
            })
        }
        other => other,
    }
}
