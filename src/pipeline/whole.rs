//! A whole answer is its steps, put together.

use crate::engine::TokenLogprob;
use crate::openai::completion::{
    AnswerMessage, AnswerRole, ChatCompletion, Choice, CompletionObject, Logprobs, Usage,
};
use crate::openai::moderation::Moderation;
use crate::openai::tools::Call;

use super::Step;

/// What all of an answer says alike.
#[derive(Debug, Clone)]
pub struct Title {
    /// `chatcmpl-` or `cmpl-`, and what makes it unique.
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    pub model: String,
    pub system_fingerprint: String,
}

/// An answer as far as it has been told.
#[derive(Debug)]
pub struct Whole {
    logprobs: bool,
    choices: Vec<Choice>,
    /// The choice that is being told.
    message: AnswerMessage,
    tokens: Vec<TokenLogprob>,
    moderation: Option<Box<Moderation>>,
    usage: Usage,
}

impl Whole {
    /// Nothing yet; with or without the log probabilities of its tokens.
    pub fn new(logprobs: bool) -> Self {
        Self {
            logprobs,
            choices: Vec::new(),
            message: said(String::new()),
            tokens: Vec::new(),
            moderation: None,
            usage: Usage::new(0, 0, 0),
        }
    }

    /// Adds the next step.
    pub fn add(&mut self, step: &Step) {
        match step {
            Step::Begin { .. } => {}
            Step::Text { text, logprobs, .. } => {
                self.message.content.get_or_insert_default().push_str(text);
                if self.logprobs {
                    self.tokens.extend_from_slice(logprobs);
                }
            }
            Step::Call {
                id,
                name,
                is_custom,
                ..
            } => {
                let calls = self.message.tool_calls.get_or_insert_default();
                calls.push(Call::new(id.clone(), name.clone(), *is_custom));
            }
            Step::Arguments { text, .. } => {
                let calls = self.message.tool_calls.iter_mut();
                if let Some(call) = calls.flat_map(|calls| calls.last_mut()).next() {
                    call.push(text);
                }
            }
            Step::Reasoning { text, .. } => {
                let thoughts = self.message.reasoning_content.get_or_insert_default();
                thoughts.push_str(text);
            }
            Step::Refused { text, .. } => {
                // Nothing of what was stopped, nor of what led there.
                self.message = AnswerMessage {
                    refusal: Some(text.clone()),
                    ..said(text.clone())
                };
                self.tokens.clear();
            }
            Step::End { index, finish } => {
                if self.message.tool_calls.is_some() {
                    let content = self.message.content.take();
                    self.message.content = content.filter(|content| !content.is_empty());
                }
                let tokens = std::mem::take(&mut self.tokens);
                let logprobs = self.logprobs.then(|| Logprobs::of(tokens));
                self.choices.push(Choice {
                    index: *index,
                    message: std::mem::replace(&mut self.message, said(String::new())),
                    logprobs,
                    finish_reason: *finish,
                });
            }
            Step::Moderated(scores) => self.moderation = Some(scores.clone()),
            Step::Total(total) => self.usage = *total,
        }
    }

    /// The answer, all of which has been told.
    pub fn named(self, title: Title) -> ChatCompletion {
        ChatCompletion {
            id: title.id,
            object: CompletionObject::Completion,
            created: title.created,
            model: title.model,
            choices: self.choices,
            usage: self.usage,
            metadata: None,
            moderation: self.moderation,
            system_fingerprint: title.system_fingerprint,
        }
    }
}

fn said(content: String) -> AnswerMessage {
    AnswerMessage {
        role: AnswerRole::Assistant,
        content: Some(content),
        refusal: None,
        reasoning_content: None,
        tool_calls: None,
    }
}
