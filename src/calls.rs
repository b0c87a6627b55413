//! Finds the calls that a model asks for in what it says.
//!
//! Models were taught different ways to write them; all of these are understood, whatever the
//! model, and whatever pieces the text comes in:
//!
//! | written | by |
//! |---|---|
//! | `<tool_call>{"name": …, "arguments": {…}}</tool_call>` | Hermes, Qwen, and whoever is told of tools by us |
//! | `[TOOL_CALLS][{"name": …, "arguments": {…}}]`, `[TOOL_CALLS]name[ARGS]{…}` | Mistral |
//! | `<\|python_tag\|>{"name": …, "parameters": {…}}` | Llama 3 |
//! | `<｜tool▁calls▁begin｜>…function<｜tool▁sep｜>name` and fenced JSON | DeepSeek |
//! | `{"name": …, "arguments": {…}}` and lists of it, at the very beginning | many |
//!
//! Only calls of tools that are known are calls; everything else stays the text that it is.

use serde::Serialize;

mod arguments;
mod parser;

pub use parser::{Parser, Said, Tools};

/// One of the ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Style {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`
    Tagged,
    /// `[TOOL_CALLS][{"name": …, "arguments": …}]`
    List,
    /// `{"name": …, "parameters": …}`
    Plain,
    DeepSeek,
}

impl Style {
    fn of(opener: &str) -> Self {
        match opener {
            "<tool_call>" => Self::Tagged,
            "[TOOL_CALLS]" => Self::List,
            "<|python_tag|>" => Self::Plain,
            _ => Self::DeepSeek,
        }
    }
}

/// What calls begin with: in some models tokens of their own, which are no text otherwise.
pub const OPENERS: [&str; 4] = [
    "<tool_call>",
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<｜tool▁calls▁begin｜>",
];

/// What the object of a call may begin with: its first field.
pub const FIRST_FIELDS: [&str; 6] = ["name", "arguments", "parameters", "type", "function", "id"];

/// What stands between and after calls.
pub const MARKERS: [&str; 6] = [
    "</tool_call>",
    "[ARGS]",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
];
