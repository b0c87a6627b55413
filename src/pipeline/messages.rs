//! The conversation in the engine's terms.

use crate::engine::{Message, Role, ToolCall};
use crate::openai::chat::{ChatMessage, ChatRole, Content, ContentPart};
use crate::openai::tools::PastCall;

use super::invalid::{Invalid, check_signs, invalid, invalid_value, unsupported};
use super::tools;

const LONGEST_NAME: usize = 64;
/// Other services' are longer than ours.
const LONGEST_ID: usize = 256;

/// Translates the messages; their text parts are joined.
pub(super) fn messages(messages: Vec<ChatMessage>) -> Result<Vec<Message>, Invalid> {
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, \
                       but got an empty array instead.";
        return Err(invalid("messages", Some("empty_array"), message));
    }
    let translated = messages.into_iter().enumerate();
    translated
        .map(|(i, message)| one_message(i, message))
        .collect()
}

fn one_message(i: usize, message: ChatMessage) -> Result<Message, Invalid> {
    let at = |field: &str| format!("messages[{i}].{field}");
    let calls = message.tool_calls.unwrap_or_default();
    if !calls.is_empty() && message.role != ChatRole::Assistant {
        let text = "Invalid value: 'tool_calls' are only allowed in messages of the assistant.";
        return Err(invalid(&at("tool_calls"), Some("invalid_value"), text));
    }
    let tool_calls = calls.into_iter().enumerate();
    let tool_calls = tool_calls
        .map(|(j, call)| past_call(&at(&format!("tool_calls[{j}]")), call))
        .collect::<Result<Vec<_>, _>>()?;
    if message.role == ChatRole::Tool && message.tool_call_id.is_none() {
        let param = at("tool_call_id");
        let text = format!("Missing required parameter: '{param}'.");
        return Err(invalid(&param, Some("missing_required_parameter"), text));
    }
    if message.function_call.is_some() {
        return Err(unsupported(&at("function_call")));
    }
    if let Some(name) = &message.name {
        check_name(&at("name"), name)?;
    }
    if let Some(id) = &message.tool_call_id {
        check_id(&at("tool_call_id"), id)?;
    }
    let content = match message.content {
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => joined(&at("content"), parts)?,
        None if message.role == ChatRole::Assistant => String::new(),
        None => {
            let text = "Invalid value for 'content': expected a string, got null.";
            return Err(invalid(&at("content"), Some("invalid_type"), text));
        }
    };
    let role = match message.role {
        ChatRole::Developer | ChatRole::System => Role::System,
        ChatRole::User => Role::User,
        ChatRole::Assistant => Role::Assistant,
        ChatRole::Tool | ChatRole::Function => Role::Tool,
    };
    Ok(Message {
        role,
        content,
        name: message.name,
        tool_calls,
        tool_call_id: message.tool_call_id,
    })
}

fn past_call(param: &str, call: PastCall) -> Result<ToolCall, Invalid> {
    let (kind, name, arguments) = match (call.kind.as_deref(), call.function, call.custom) {
        (None | Some("function"), Some(function), _) => {
            ("function", function.name, function.arguments)
        }
        (Some("custom"), _, Some(custom)) => {
            let input = serde_json::json!({"input": custom.input});
            ("custom", custom.name, input.to_string())
        }
        (None | Some("function" | "custom"), ..) => {
            let kind = call.kind.as_deref().unwrap_or("function");
            let param = format!("{param}.{kind}");
            let text = format!("Missing required parameter: '{param}'.");
            return Err(invalid(&param, Some("missing_required_parameter"), text));
        }
        (Some(other), ..) => {
            let param = format!("{param}.type");
            return Err(invalid_value(&param, other, "'function' and 'custom'"));
        }
    };
    tools::check_name(&format!("{param}.{kind}.name"), &name)?;
    check_id(&format!("{param}.id"), &call.id)?;
    Ok(ToolCall {
        id: call.id,
        name,
        arguments,
    })
}

/// Chat templates write names beside control tokens; OpenAI's own pattern keeps them apart.
fn check_name(param: &str, name: &str) -> Result<(), Invalid> {
    let is_allowed = |c: char| !c.is_whitespace() && !"<|\\/>".contains(c);
    check_signs(param, name, LONGEST_NAME, is_allowed, "^[^\\s<|\\\\/>]+$")
}

/// The same for ids, which no guard sees: a masked one would name no call. Without blanks and `@`
/// they can say little.
fn check_id(param: &str, id: &str) -> Result<(), Invalid> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    check_signs(param, id, LONGEST_ID, is_allowed, "^[a-zA-Z0-9_.:-]+$")
}

fn joined(param: &str, parts: Vec<ContentPart>) -> Result<String, Invalid> {
    let mut texts = Vec::with_capacity(parts.len());
    for (i, part) in parts.into_iter().enumerate() {
        let (field, text) = match part.kind.as_str() {
            "text" => ("text", part.text),
            "refusal" => ("refusal", part.refusal),
            kind @ ("image_url" | "input_audio" | "file") => {
                let message = format!(
                    "Invalid content type. {kind} is not supported: the models served here read \
                     text only."
                );
                let param = format!("{param}[{i}].type");
                return Err(invalid(&param, Some("unsupported_value"), message));
            }
            other => {
                let allowed = "'text' and 'refusal'";
                return Err(invalid_value(&format!("{param}[{i}].type"), other, allowed));
            }
        };
        let missing = || {
            let param = format!("{param}[{i}].{field}");
            let message = format!("Missing required parameter: '{param}'.");
            invalid(&param, Some("missing_required_parameter"), message)
        };
        texts.push(text.ok_or_else(missing)?);
    }
    Ok(texts.join("\n"))
}
