//! Ranges and combinations of a chat request, checked before anything costs anything. The
//! messages and codes are in OpenAI's manner.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::Value;

use crate::calls::Tools;
use crate::engine::{Effort, GenerateRequest, RawPrompt, Sampling};
use crate::openai::chat::{ChatRequest, Stop};

use super::invalid::{Invalid, above, below, invalid, invalid_value, too_long, unsupported};
use super::messages::messages;
use super::tools::wanted;

pub(super) const MOST_CHOICES: i64 = 128;
const MOST_STOPS: usize = 4;
const LONGEST_STOP: usize = 1024;
/// OpenAI's own bound is about this; every entry costs time at every token.
const MOST_BIASES: usize = 1024;
const LONGEST_MODEL: usize = 256;

/// A request in the engine's terms.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) model: String,
    /// Of several prompts, each is a message.
    pub(super) generate: GenerateRequest,
    /// What counts as a call.
    pub(super) calls: Option<Arc<Tools>>,
    /// Answers to each prompt.
    pub(super) n: u32,
    /// How each prompt is to be taken; none of a conversation.
    pub(super) raw: Vec<RawPrompt>,
    /// The prompts as they came.
    pub(super) texts: Vec<String>,
}

/// Translates a request. `tenant` is whose earlier prompts may speed this one up; `defaults` hold
/// where the request does not say.
pub(super) fn check(
    request: ChatRequest,
    tenant: &str,
    defaults: &Sampling,
) -> Result<Asked, Invalid> {
    check_model(&request.model)?;
    check_stream_options(
        request.stream_options.is_some(),
        request.stream == Some(true),
    )?;
    refuse_unsupported(&request)?;
    let n = integer("n", request.n, 1..=MOST_CHOICES)?.unwrap_or(1);
    let sampling = sampling(&request, defaults)?;
    let effort = effort(request.reasoning_effort.as_deref())?;
    let wanted = wanted(
        request.tools,
        request.tool_choice,
        request.parallel_tool_calls,
        request.response_format,
    )?;
    Ok(Asked {
        model: request.model,
        generate: GenerateRequest {
            messages: messages(request.messages)?,
            raw: None,
            tools: wanted.tools,
            form: wanted.form,
            effort,
            sampling,
            scope: tenant.into(),
        },
        calls: wanted.calls,
        n: u32::try_from(n).unwrap_or(1),
        raw: Vec::new(),
        texts: Vec::new(),
    })
}

/// A name that may be a model's.
pub(super) fn check_model(model: &str) -> Result<(), Invalid> {
    if model.is_empty() {
        return Err(invalid("model", None, "you must provide a model parameter"));
    }
    if model.len() > LONGEST_MODEL {
        return Err(too_long("model", LONGEST_MODEL, model.len()));
    }
    Ok(())
}

pub(super) fn check_stream_options(given: bool, streams: bool) -> Result<(), Invalid> {
    if given && !streams {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(invalid("stream_options", None, message));
    }
    Ok(())
}

/// What would change the answer if it were understood must not be ignored.
fn refuse_unsupported(request: &ChatRequest) -> Result<(), Invalid> {
    let no_functions = is_word(&request.function_call, "none");
    if !no_functions && request.functions.as_ref().is_some_and(|f| !f.is_empty()) {
        return Err(unsupported("functions"));
    }
    if !no_functions && !is_word(&request.function_call, "auto") && request.function_call.is_some()
    {
        return Err(unsupported("function_call"));
    }
    if let Some(modalities) = &request.modalities {
        for (i, modality) in modalities.iter().enumerate() {
            match modality.as_str() {
                "text" => {}
                "audio" => return Err(unsupported("modalities")),
                other => {
                    let param = format!("modalities[{i}]");
                    return Err(invalid_value(&param, other, "'text' and 'audio'"));
                }
            }
        }
    }
    for (param, given) in [
        ("audio", &request.audio),
        ("web_search_options", &request.web_search_options),
    ] {
        if given.is_some() {
            return Err(unsupported(param));
        }
    }
    Ok(())
}

fn effort(given: Option<&str>) -> Result<Option<Effort>, Invalid> {
    let known = |word: &str| match word {
        "none" => Some(Effort::None),
        "minimal" => Some(Effort::Minimal),
        "low" => Some(Effort::Low),
        "medium" => Some(Effort::Medium),
        "high" => Some(Effort::High),
        "xhigh" => Some(Effort::XHigh),
        _ => None,
    };
    let unknown = |word: &str| {
        let allowed = "'none', 'minimal', 'low', 'medium', 'high', and 'xhigh'";
        invalid_value("reasoning_effort", word, allowed)
    };
    given
        .map(|word| known(word).ok_or_else(|| unknown(word)))
        .transpose()
}

fn sampling(request: &ChatRequest, defaults: &Sampling) -> Result<Sampling, Invalid> {
    let max_tokens = integer("max_tokens", request.max_tokens, 1..=i64::MAX)?;
    let max_completion_tokens = integer(
        "max_completion_tokens",
        request.max_completion_tokens,
        1..=i64::MAX,
    )?;
    let top_logprobs = integer("top_logprobs", request.top_logprobs, 0..=20)?;
    let logprobs = request.logprobs.unwrap_or(false);
    if top_logprobs.is_some() && !logprobs {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(invalid("top_logprobs", None, message));
    }
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
        max_tokens: max_completion_tokens.or(max_tokens).map(saturated),
        top_logprobs: logprobs.then(|| u8::try_from(top_logprobs.unwrap_or(0)).unwrap_or(u8::MAX)),
        ..common
    })
}

/// What is asked of sampling in the same words wherever text is generated.
pub(super) struct Common<'a> {
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<i64>,
    pub(super) min_p: Option<f64>,
    pub(super) presence_penalty: Option<f64>,
    pub(super) frequency_penalty: Option<f64>,
    pub(super) seed: Option<i64>,
    pub(super) logit_bias: Option<&'a HashMap<String, f64>>,
    pub(super) stop: Option<&'a Stop>,
    /// The model's.
    pub(super) defaults: &'a Sampling,
}

/// Checks it; lengths and log probabilities are for the caller to add.
pub(super) fn common(asked: &Common) -> Result<Sampling, Invalid> {
    let default = asked.defaults;
    let top_k = integer("top_k", asked.top_k, -1..=i64::MAX)?;
    Ok(Sampling {
        temperature: decimal("temperature", asked.temperature, 0.0..=2.0)?
            .unwrap_or(default.temperature),
        top_p: decimal("top_p", asked.top_p, 0.0..=1.0)?.unwrap_or(default.top_p),
        top_k: match top_k {
            None => default.top_k,
            Some(k) => (k > 0).then(|| saturated(k)),
        },
        min_p: decimal("min_p", asked.min_p, 0.0..=1.0)?.or(default.min_p),
        presence_penalty: decimal("presence_penalty", asked.presence_penalty, -2.0..=2.0)?
            .unwrap_or(default.presence_penalty),
        frequency_penalty: decimal("frequency_penalty", asked.frequency_penalty, -2.0..=2.0)?
            .unwrap_or(default.frequency_penalty),
        // Any 64 bits are a seed; the sign is only how they are written.
        seed: asked.seed.map(i64::cast_unsigned),
        logit_bias: logit_bias(asked.logit_bias)?,
        stop: stop(asked.stop)?,
        ..Sampling::default()
    })
}

fn stop(stop: Option<&Stop>) -> Result<Vec<String>, Invalid> {
    let (stops, whole) = match stop {
        None => return Ok(Vec::new()),
        Some(Stop::One(one)) => (std::slice::from_ref(one), true),
        Some(Stop::Many(many)) => (many.as_slice(), false),
    };
    if stops.len() > MOST_STOPS {
        let message = format!(
            "Invalid 'stop': array too long. Expected an array with maximum length {MOST_STOPS}, \
             but got an array with length {} instead.",
            stops.len()
        );
        return Err(invalid("stop", Some("array_above_max_length"), message));
    }
    for (i, stop) in stops.iter().enumerate() {
        let param = if whole {
            "stop".to_owned()
        } else {
            format!("stop[{i}]")
        };
        if stop.is_empty() {
            let message = format!("Invalid '{param}': a stop sequence must not be empty.");
            return Err(invalid(&param, Some("invalid_value"), message));
        }
        if stop.len() > LONGEST_STOP {
            return Err(too_long(&param, LONGEST_STOP, stop.len()));
        }
    }
    Ok(stops.to_vec())
}

fn logit_bias(biases: Option<&HashMap<String, f64>>) -> Result<Vec<(u32, f32)>, Invalid> {
    let Some(biases) = biases else {
        return Ok(Vec::new());
    };
    if biases.len() > MOST_BIASES {
        let message = format!(
            "Invalid 'logit_bias': too many properties. Expected an object with at most \
             {MOST_BIASES} properties, but got an object with {} properties instead.",
            biases.len()
        );
        let code = "object_above_max_properties";
        return Err(invalid("logit_bias", Some(code), message));
    }
    let mut checked = Vec::with_capacity(biases.len());
    for (token, bias) in biases {
        let Ok(id) = token.parse::<u32>() else {
            let message = "Invalid 'logit_bias': every key must be a token id.";
            return Err(invalid("logit_bias", Some("invalid_value"), message));
        };
        let param = format!("logit_bias.{id}");
        let bias = decimal(&param, Some(*bias), -100.0..=100.0)?.unwrap_or(0.0);
        checked.push((id, bias));
    }
    // A map has no order, but the same request must always be the same request.
    checked.sort_by_key(|(id, _)| *id);
    Ok(checked)
}

pub(super) fn integer(
    param: &str,
    value: Option<i64>,
    range: RangeInclusive<i64>,
) -> Result<Option<i64>, Invalid> {
    let (least, most) = (range.start(), range.end());
    match value {
        Some(value) if value < *least => Err(below("integer", param, least, value)),
        Some(value) if value > *most => Err(above("integer", param, most, value)),
        fine => Ok(fine),
    }
}

fn decimal(
    param: &str,
    value: Option<f64>,
    range: RangeInclusive<f64>,
) -> Result<Option<f32>, Invalid> {
    let (least, most) = (range.start(), range.end());
    match value {
        Some(value) if value < *least => Err(below("decimal", param, least, value)),
        Some(value) if value > *most => Err(above("decimal", param, most, value)),
        // There is a -0, which is no other number.
        fine => Ok(fine.map(|value| value as f32 + 0.0)),
    }
}

fn is_word(value: &Option<Value>, word: &str) -> bool {
    value.as_ref().and_then(Value::as_str) == Some(word)
}

pub(super) fn saturated(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
