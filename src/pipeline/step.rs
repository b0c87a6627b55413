use serde::{Deserialize, Serialize};

use crate::engine::TokenLogprob;
use crate::openai::completion::{Finish, Usage};
use crate::openai::moderation::Moderation;

/// What happens in an answer, in order: for each choice `Begin`, any number of `Reasoning` and
/// `Text`, any number of calls (a `Call` and its `Arguments`), perhaps `Refused`, `End`;
/// after the last choice perhaps `Moderated`, and one `Total`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// The model has begun to answer.
    Begin {
        index: u32,
    },
    /// What the model thinks aloud.
    Reasoning {
        index: u32,
        text: String,
    },
    Text {
        index: u32,
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    /// The model asks for a call, the `call`th of its choice.
    Call {
        index: u32,
        call: u32,
        id: String,
        name: String,
        is_custom: bool,
    },
    /// More of its arguments.
    Arguments {
        index: u32,
        call: u32,
        text: String,
        is_custom: bool,
    },
    /// The guards stopped the answer; `text` is what is said instead.
    Refused {
        index: u32,
        text: String,
        /// Whether text of the answer went out before.
        follows: bool,
    },
    End {
        index: u32,
        finish: Finish,
    },
    /// The scores of the request and all choices, when they were asked for.
    Moderated(Box<Moderation>),
    Total(Usage),
}

impl Step {
    /// About as many bytes as it takes in memory.
    pub fn weight(&self) -> usize {
        let more = match self {
            Self::Reasoning { text, .. }
            | Self::Refused { text, .. }
            | Self::Arguments { text, .. } => text.len(),
            Self::Call { id, name, .. } => id.len() + name.len(),
            Self::Text { text, logprobs, .. } => {
                let tokens = logprobs.iter().map(|token| 1 + token.top.len());
                // A token is short; what holds it is not.
                text.len() + tokens.sum::<usize>() * 96
            }
            Self::Moderated(_) => 4096,
            Self::Begin { .. } | Self::End { .. } | Self::Total(_) => 0,
        };
        size_of::<Self>() + more
    }
}
