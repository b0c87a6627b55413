use std::ops::Range;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Who looks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardName {
    /// Attempts to make the model follow somebody else's instructions.
    Injection,
    /// What opens doors.
    Secrets,
    /// What tells who somebody is.
    Pii,
    /// What hurts people.
    Toxicity,
    /// What hurts whoever displays an answer.
    Output,
    /// Instructions that were not meant to be told.
    Leak,
}

impl GuardName {
    pub const ALL: [Self; 6] = [
        Self::Injection,
        Self::Secrets,
        Self::Pii,
        Self::Toxicity,
        Self::Output,
        Self::Leak,
    ];

    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Injection => "injection",
            Self::Secrets => "secrets",
            Self::Pii => "pii",
            Self::Toxicity => "toxicity",
            Self::Output => "output",
            Self::Leak => "leak",
        }
    }
}

/// Something in a text that a guard knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub guard: GuardName,
    /// In a guard's own terms, such as `email`.
    pub kind: &'static str,
    /// How likely it is what it looks like, in [0, 1]: of those with 0.9, nine in ten are.
    pub score: f32,
    /// Bytes of the text, at borders of characters.
    pub span: Range<usize>,
    /// What would be harmless in its place, where that is more than a label.
    pub harmless: Option<String>,
}

/// Which way a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the model.
    Input,
    /// From the model.
    Output,
}

impl Direction {
    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// Whose words a text is, which tells what to make of instructions in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// The developer's.
    Instructions,
    /// The person's.
    User,
    /// The model's.
    Assistant,
    /// A tool's: whoever wrote what it read.
    Tool,
    /// Retrieved text: whoever wrote it.
    File,
}

impl Place {
    /// Whose words a text is that goes this way, unless something else is known.
    pub fn usual(direction: Direction) -> Self {
        match direction {
            Direction::Input => Self::User,
            Direction::Output => Self::Assistant,
        }
    }
}

/// What a text is come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Allow,
    Mask,
    Block,
}
