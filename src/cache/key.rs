use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::calls::Tools;
use crate::engine::{Effort, Form, Message, RawPrompt, Sampling, Tool};

/// Changes when recorded answers, or what they depend on, change their meaning.
const FORMAT: u32 = 2;

/// What an answer is kept under: a digest of all that it depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// All that an answer depends on, in the engine's terms: two ways to ask the same are the same.
#[derive(Debug, Serialize)]
pub struct Question<'a> {
    /// Who may share the answer.
    pub tenant: &'a str,
    /// The request's own partition.
    pub namespace: Option<&'a str>,
    pub model: &'a str,
    /// Of the model's weights, engine and build.
    pub fingerprint: &'a str,
    pub context_length: u32,
    /// The digest of the guardrail policy.
    pub policy: &'a str,
    /// As they were sent: what the guards make of them depends on nothing else.
    pub messages: &'a [Message],
    /// How prompts are to be taken that are no conversation.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub raw: &'a [RawPrompt],
    pub tools: &'a [Tool],
    pub form: &'a Form,
    pub effort: Option<Effort>,
    /// What counts as a call.
    pub calls: Option<&'a Tools>,
    pub sampling: &'a Sampling,
    pub choices: u32,
    /// The scores that were asked for.
    pub moderation: Option<&'a str>,
}

impl Question<'_> {
    /// The key of the answer.
    pub fn key(&self) -> Key {
        let greedy = self.greedy();
        let sampling = greedy.as_ref().unwrap_or(self.sampling);
        let canonical = (
            FORMAT,
            env!("CARGO_PKG_VERSION"),
            Question { sampling, ..*self },
        );
        // Not known to fail; if it did, nothing else would have this key.
        let canonical = serde_json::to_vec(&canonical);
        let canonical = canonical.unwrap_or_else(|_| uuid::Uuid::new_v4().into());
        Key(Sha256::digest(canonical).into())
    }

    /// At temperature 0 the likeliest token is taken, whatever else is said about chance.
    fn greedy(&self) -> Option<Sampling> {
        (self.sampling.temperature == 0.0).then(|| Sampling {
            temperature: 0.0,
            top_p: 1.0,
            top_k: None,
            min_p: None,
            seed: None,
            ..self.sampling.clone()
        })
    }
}

impl Key {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 64];
        hex::encode_to_slice(self.0, &mut hex).map_err(|_| fmt::Error)?;
        f.write_str(str::from_utf8(&hex).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
