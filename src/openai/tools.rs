//! Functions that a model may call, and what an answer has to look like, in requests and answers.
//!
//! As in [`chat`](super::chat), parsing checks types only.

use std::fmt;

use poem_openapi::{Enum, Object, Union};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::chat::only_from_objects;

/// Something that the model may ask for.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "ChatCompletionTool")]
pub struct Tool {
    /// `function` or `custom`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// With the type `function`.
    pub function: Option<FunctionTool>,
    /// With the type `custom`.
    pub custom: Option<CustomTool>,
}

/// A function that takes JSON.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "FunctionObject")]
pub struct FunctionTool {
    /// Letters, digits, `_` and `-`.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub name: String,
    /// What it does: the model reads it.
    pub description: Option<String>,
    /// A JSON Schema of an object. None: it takes none.
    pub parameters: Option<Value>,
    /// Whether arguments have to keep to the schema even where the tool need not be called. Those of
    /// calls that are enforced (`tool_choice`) always do.
    pub strict: Option<bool>,
}

/// A tool that takes a text.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "CustomToolObject")]
pub struct CustomTool {
    /// Letters, digits, `_` and `-`.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub name: String,
    /// What it does: the model reads it.
    pub description: Option<String>,
    /// What the text has to look like.
    pub format: Option<CustomFormat>,
}

/// What a custom tool takes.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "CustomToolFormat")]
pub struct CustomFormat {
    /// `text`; `grammar` only for a tool that `tool_choice` names.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// With the type `grammar`.
    pub grammar: Option<Grammar>,
}

/// What a text has to look like.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "GrammarFormat")]
pub struct Grammar {
    /// `lark` or `regex`.
    pub syntax: String,
    /// The grammar.
    pub definition: String,
}

/// Whether the model calls, and what.
#[derive(Debug, Clone, Union)]
#[oai(rename = "ChatCompletionToolChoiceOption")]
pub enum ToolChoice {
    /// `none`, `auto` or `required`.
    Mode(String),
    /// One tool, or some of them.
    Tool(ToolChoiceObject),
}

/// A tool that is to be called, or those that may be.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "ChatCompletionNamedToolChoice")]
pub struct ToolChoiceObject {
    /// `function`, `custom` or `allowed_tools`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// With the type `function`.
    pub function: Option<ToolName>,
    /// With the type `custom`.
    pub custom: Option<ToolName>,
    /// With the type `allowed_tools`.
    pub allowed_tools: Option<AllowedTools>,
}

/// The name of a tool.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
pub struct ToolName {
    /// One of those in `tools`.
    pub name: String,
}

/// Some of the tools.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "ChatCompletionAllowedTools")]
pub struct AllowedTools {
    /// `auto` or `required`.
    pub mode: String,
    /// Those that may be called.
    pub tools: Vec<AllowedTool>,
}

/// A tool that may be called.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
pub struct AllowedTool {
    /// `function` or `custom`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// With the type `function`.
    pub function: Option<ToolName>,
    /// With the type `custom`.
    pub custom: Option<ToolName>,
}

/// The form of the answer.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
pub struct ResponseFormat {
    /// `text`, `json_object`, `json_schema`, or (an extension) `grammar`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// With the type `json_schema`.
    pub json_schema: Option<JsonSchema>,
    /// With the type `grammar`.
    pub grammar: Option<Grammar>,
}

/// What the answer's JSON has to look like.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "ResponseFormatJsonSchema")]
pub struct JsonSchema {
    /// Letters, digits, `_` and `-`.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// A JSON Schema. Every keyword is enforced, or refused by name.
    pub schema: Option<Value>,
    /// Accepted: the schema is always enforced.
    pub strict: Option<bool>,
}

/// A call in the conversation so far.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "ChatCompletionMessageToolCallParam")]
pub struct PastCall {
    /// What the tool's answer names it by.
    pub id: String,
    /// `function` (the default) or `custom`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: Option<String>,
    /// With the type `function`.
    pub function: Option<PastFunction>,
    /// With the type `custom`.
    pub custom: Option<PastCustom>,
}

/// A function call in the conversation so far.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
pub struct PastFunction {
    pub name: String,
    /// JSON.
    pub arguments: String,
}

/// A call of a custom tool in the conversation so far.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
pub struct PastCustom {
    pub name: String,
    pub input: String,
}

impl<'de> Deserialize<'de> for ToolChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ModeOrTool;

        impl<'de> Visitor<'de> for ModeOrTool {
            type Value = ToolChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object")
            }

            fn visit_str<E>(self, mode: &str) -> Result<ToolChoice, E> {
                Ok(ToolChoice::Mode(mode.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ToolChoice, A::Error> {
                ToolChoiceObject::deserialize(MapAccessDeserializer::new(map)).map(ToolChoice::Tool)
            }
        }

        deserializer.deserialize_any(ModeOrTool)
    }
}

only_from_objects!(
    Tool,
    FunctionTool,
    CustomTool,
    CustomFormat,
    Grammar,
    ToolChoiceObject,
    ToolName,
    AllowedTools,
    AllowedTool,
    ResponseFormat,
    JsonSchema,
    PastCall,
    PastFunction,
    PastCustom
);

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "ChatCompletionToolCallType", rename_all = "lowercase")]
pub enum CallKind {
    Function,
    Custom,
}

impl CallKind {
    fn of(is_custom: bool) -> Self {
        if is_custom {
            Self::Custom
        } else {
            Self::Function
        }
    }
}

/// A call that the model asks for.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[oai(rename = "ChatCompletionMessageToolCall")]
pub struct Call {
    /// To be named by the tool's answer.
    pub id: String,
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: CallKind,
    /// With the type `function`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<CalledFunction>,
    /// With the type `custom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<CalledCustom>,
}

/// A function that the model wants to be called.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct CalledFunction {
    pub name: String,
    /// JSON, unless the answer was cut.
    pub arguments: String,
}

/// A custom tool that the model wants to be called.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct CalledCustom {
    pub name: String,
    pub input: String,
}

/// What a chunk adds to a call. The first one of a call has its id, type and name.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "ChatCompletionMessageToolCallChunk")]
pub struct CallDelta {
    /// Which call of the answer; counts from 0.
    pub index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[oai(rename = "type")]
    pub kind: Option<CallKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionDelta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomDelta>,
}

/// What a chunk adds to a function call.
#[derive(Debug, Clone, Serialize, Object)]
pub struct FunctionDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub arguments: String,
}

/// What a chunk adds to a call of a custom tool.
#[derive(Debug, Clone, Serialize, Object)]
pub struct CustomDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub input: String,
}

impl Call {
    /// A call without arguments yet.
    pub fn new(id: String, name: String, is_custom: bool) -> Self {
        if is_custom {
            let input = String::new();
            Self {
                id,
                kind: CallKind::Custom,
                function: None,
                custom: Some(CalledCustom { name, input }),
            }
        } else {
            let arguments = String::new();
            Self {
                id,
                kind: CallKind::Function,
                function: Some(CalledFunction { name, arguments }),
                custom: None,
            }
        }
    }

    /// Adds to its arguments.
    pub fn push(&mut self, text: &str) {
        if let Some(function) = &mut self.function {
            function.arguments.push_str(text);
        }
        if let Some(custom) = &mut self.custom {
            custom.input.push_str(text);
        }
    }
}

impl CallDelta {
    /// The beginning of a call.
    pub fn begin(index: u32, id: String, name: String, is_custom: bool) -> Self {
        let mut delta = Self::more(index, String::new(), is_custom);
        delta.id = Some(id);
        delta.kind = Some(CallKind::of(is_custom));
        if let Some(function) = &mut delta.function {
            function.name = Some(name);
        } else if let Some(custom) = &mut delta.custom {
            custom.name = Some(name);
        }
        delta
    }

    /// More of its arguments.
    pub fn more(index: u32, text: String, is_custom: bool) -> Self {
        let (function, custom) = if is_custom {
            let custom = CustomDelta {
                name: None,
                input: text,
            };
            (None, Some(custom))
        } else {
            let function = FunctionDelta {
                name: None,
                arguments: text,
            };
            (Some(function), None)
        };
        Self {
            index,
            id: None,
            kind: None,
            function,
            custom,
        }
    }
}
