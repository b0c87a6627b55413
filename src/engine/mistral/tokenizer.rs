//! Conversations to token ids and ids back to bytes, exactly as the model was trained.
//!
//! What is typed is text: a user who writes `<|im_end|>` gets those ten characters into the prompt
//! and does not end their turn. Only the template can write control tokens.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::template::{ChatTemplate, Conversation, RenderError};
use crate::calls::Style;
use crate::calls::{MARKERS, OPENERS};
use crate::engine::{Message, RawPrompt, Tool, ToolCall, strings};
use crate::models::InstalledModel;

/// What GPT-2's descendants put between documents.
const SEPARATOR: &str = "<|endoftext|>";

/// Why a conversation has no prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The model's template turns the conversation down; its own words.
    #[error("{0}")]
    Refused(String),
    /// A fault of ours or of the model's files.
    #[error("the prompt could not be encoded: {0}")]
    Internal(String),
}

/// Why a model's tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error(transparent)]
    Template(#[from] RenderError),
    #[error("the control token '{0}' is a single character and cannot be told from text")]
    ControlCharacter(String),
}

/// The tokenizer and the chat template of one model. Shared between threads freely.
pub struct ChatEncoder {
    template: ChatTemplate,
    /// Knows no control tokens, so that no text can become one.
    plain: Tokenizer,
    control: Control,
    tokens: Vec<Token>,
    longest_token: usize,
    /// Wanted in front of every prompt.
    bos: Option<u32>,
    /// What a document begins with, for a prompt that says nothing.
    beginning: Option<u32>,
}

/// A prompt as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub ids: Vec<u32>,
    /// It ends with `<think>`, so that the model begins by thinking aloud.
    pub is_thinking: bool,
}

struct Token {
    name: String,
    bytes: Box<[u8]>,
    control: bool,
}

/// Messages and tools without look-alikes of control tokens, and the marker that breaks those.
type Disarmed<'a> = (Cow<'a, [Message]>, Cow<'a, [Tool]>, Option<char>);

/// The control tokens, as text to look for.
struct Control {
    /// Leftmost match, the longest of them; none when there are no control tokens.
    pattern: Option<Regex>,
    ids: HashMap<String, u32>,
    /// Every beginning of a control token, without the whole.
    beginnings: HashSet<String>,
    /// Of the longest control token, in characters.
    longest: usize,
}

/// What we use of `tokenizer.json`'s `added_tokens`.
#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    special: bool,
}

/// What we use of `tokenizer_config.json`.
#[derive(Deserialize)]
struct TokenizerConfig {
    bos_token: Option<String>,
    eos_token: Option<String>,
}

impl ChatEncoder {
    /// Reads `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` of a model;
    /// `template` stands for the last.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn load(model: &InstalledModel, template: Option<&str>) -> Result<Self, LoadError> {
        let file = model.dir.join("tokenizer.json");
        let damaged = |reason: String| LoadError::File {
            path: file.display().to_string(),
            reason,
        };
        let mut json: Value = read_json(&file)?;
        let added: Vec<AddedToken> = serde_json::from_value(json["added_tokens"].clone())
            .map_err(|error| damaged(error.to_string()))?;
        if let Some(entries) = json["added_tokens"].as_array_mut() {
            entries.retain(|token| token["special"] == Value::Bool(false));
        }
        let plain = serde_json::to_vec(&json)
            .map_err(|error| damaged(error.to_string()))
            .and_then(|bytes| {
                Tokenizer::from_bytes(bytes).map_err(|error| damaged(error.to_string()))
            })?;
        drop(json);

        let config: TokenizerConfig = read_json(&model.dir.join("tokenizer_config.json"))?;
        let template = match template {
            Some(template) => template.to_owned(),
            None => read_text(&model.dir.join("chat_template.jinja"))?,
        };
        let tokens = tokens(&plain, &added);
        let longest = tokens.iter().map(|token| token.bytes.len()).max();
        let template = ChatTemplate::new(template, config.bos_token, config.eos_token)?;
        let control = Control::new(added.into_iter().filter(|token| token.special))?;
        Ok(Self {
            template,
            tokens,
            longest_token: longest.unwrap_or(1).max(1),
            plain,
            beginning: (model.bos_token_id)
                .or_else(|| control.ids.get(SEPARATOR).copied())
                .or_else(|| model.eos_token_ids.first().copied()),
            control,
            bos: model.bos_token_id,
        })
    }

    /// How the model writes its calls.
    pub fn style(&self) -> Style {
        self.template.style()
    }

    /// The prompt that asks for an answer.
    ///
    /// # Errors
    /// [`EncodeError::Refused`] when the template wants the conversation otherwise.
    pub fn encode_chat(&self, conversation: &Conversation) -> Result<Prompt, EncodeError> {
        let (messages, tools, marker) = self.control.disarm(conversation)?;
        let prompt = self
            .template
            .render(&Conversation {
                messages: &messages,
                tools: &tools,
                effort: conversation.effort,
            })
            .map_err(|error| match error {
                RenderError::Refused(reason) => EncodeError::Refused(reason),
                RenderError::Broken(reason) => EncodeError::Internal(reason),
            })?;
        let mut ids = Vec::new();
        for piece in self.control.pieces(&prompt) {
            match piece {
                Piece::Control(id) => ids.push(id),
                Piece::Text(text) => {
                    let text = match marker {
                        Some(marker) => Cow::Owned(text.replace(marker, "")),
                        None => Cow::Borrowed(text),
                    };
                    ids.extend(self.encode_text(&text)?);
                }
            }
        }
        if let Some(bos) = self.bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(Prompt {
            ids,
            is_thinking: prompt.trim_end().ends_with("<think>"),
        })
    }

    /// A prompt that is continued as it is. In a text, control tokens are what they are called:
    /// whoever writes a prompt by hand writes their own turns.
    ///
    /// # Errors
    /// [`EncodeError::Internal`] only; no prompt is refused.
    pub fn encode_raw(&self, raw: RawPrompt, text: &str) -> Result<Prompt, EncodeError> {
        let mut ids = Vec::new();
        match raw {
            RawPrompt::Tokens(tokens) => ids = tokens,
            RawPrompt::Text => {
                for piece in self.control.pieces(text) {
                    match piece {
                        Piece::Control(id) => ids.push(id),
                        Piece::Text(text) => ids.extend(self.encode_text(text)?),
                    }
                }
                if let Some(bos) = self.bos
                    && ids.first() != Some(&bos)
                {
                    ids.insert(0, bos);
                }
            }
        }
        if ids.is_empty() {
            ids.extend(self.beginning);
        }
        if ids.is_empty() {
            return Err(EncodeError::Internal("a prompt has no tokens".into()));
        }
        Ok(Prompt {
            ids,
            is_thinking: false,
        })
    }

    /// What tokens say, control tokens by their names; or the first that is none.
    pub fn text_of(&self, ids: &[u32]) -> Result<String, u32> {
        let mut bytes = Vec::new();
        for &id in ids {
            let token = self.tokens.get(id as usize).ok_or(id)?;
            bytes.extend_from_slice(&token.bytes);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The ids of a text in which nothing is a control token.
    ///
    /// # Errors
    /// [`EncodeError::Internal`] only; no text is refused.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, EncodeError> {
        let encoding = (self.plain.encode_fast(text, false))
            .map_err(|error| EncodeError::Internal(error.to_string()))?;
        let ids = encoding.get_ids();
        if ids.iter().any(|&id| self.is_control(id)) {
            return Err(EncodeError::Internal(
                "a text became a control token".into(),
            ));
        }
        Ok(ids.to_vec())
    }

    /// The bytes that a token adds to an answer; nothing for control tokens and unknown ids. They
    /// may be part of a character.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        match self.tokens.get(id as usize) {
            Some(token) if !token.control => &token.bytes,
            _ => &[],
        }
    }

    /// The same for an answer that may call: what a model begins and ends its calls with is text
    /// then, also where it is a token of its own.
    pub fn calling_token_bytes(&self, id: u32) -> &[u8] {
        match self.tokens.get(id as usize) {
            Some(token) if token.control && is_call_mark(&token.name) => token.name.as_bytes(),
            _ => self.token_bytes(id),
        }
    }

    /// The id of the control token of this name.
    pub fn control_id(&self, name: &str) -> Option<u32> {
        self.control.ids.get(name).copied()
    }

    /// The token as the vocabulary spells it; empty for unknown ids.
    pub fn token_name(&self, id: u32) -> &str {
        (self.tokens.get(id as usize)).map_or("", |token| token.name.as_str())
    }

    /// Whether the token steers the model and is no text.
    pub fn is_control(&self, id: u32) -> bool {
        (self.tokens.get(id as usize)).is_some_and(|token| token.control)
    }

    /// Bytes of the longest token; at least 1.
    pub fn longest_token(&self) -> usize {
        self.longest_token
    }

    /// Ids are below this.
    pub fn vocab_size(&self) -> usize {
        self.tokens.len()
    }
}

fn is_call_mark(name: &str) -> bool {
    OPENERS.contains(&name) || MARKERS.contains(&name)
}

/// A part of a rendered prompt.
enum Piece<'a> {
    Control(u32),
    Text(&'a str),
}

impl Control {
    fn new(tokens: impl Iterator<Item = AddedToken>) -> Result<Self, LoadError> {
        let ids: HashMap<String, u32> = tokens.map(|token| (token.content, token.id)).collect();
        if let Some(name) = ids.keys().find(|name| name.chars().count() < 2) {
            return Err(LoadError::ControlCharacter(name.clone()));
        }
        let mut names: Vec<&str> = ids.keys().map(String::as_str).collect();
        // Alternatives are tried in order, so the longest must come first.
        names.sort_by_key(|name| (std::cmp::Reverse(name.len()), *name));
        let alternatives: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
        let pattern = (!names.is_empty())
            .then(|| Regex::new(&alternatives.join("|")))
            .transpose()
            .map_err(|error| LoadError::File {
                path: "tokenizer.json".into(),
                reason: error.to_string(),
            })?;
        let beginnings: HashSet<String> = (names.iter())
            .flat_map(|name| {
                name.char_indices()
                    .skip(1)
                    .map(|(at, _)| name[..at].to_owned())
            })
            .collect();
        let longest = names.iter().map(|name| name.chars().count()).max();
        Ok(Self {
            pattern,
            beginnings,
            longest: longest.unwrap_or(0),
            ids,
        })
    }

    /// Breaks every look-alike of a control token in messages and tools with a marker that occurs
    /// in none of them; the marker comes out again after the prompt was cut at its true control
    /// tokens.
    fn disarm<'a>(&self, conversation: &Conversation<'a>) -> Result<Disarmed<'a>, EncodeError> {
        let Conversation {
            messages, tools, ..
        } = *conversation;
        let mut texts: Vec<&str> = Vec::new();
        for message in messages {
            texts.push(&message.content);
            texts.extend(message.name.as_deref());
            texts.extend(message.tool_call_id.as_deref());
            for call in &message.tool_calls {
                texts.extend([call.id.as_str(), &call.name, &call.arguments]);
            }
        }
        for tool in tools {
            texts.push(&tool.name);
            texts.extend(tool.description.as_deref());
            strings(&tool.parameters, &mut texts);
        }
        if !texts.iter().any(|text| self.looks_alike(text)) {
            return Ok((Cow::Borrowed(messages), Cow::Borrowed(tools), None));
        }
        let used: HashSet<char> = texts.into_iter().flat_map(str::chars).collect();
        // Noncharacters first, then private use; neither has a meaning to any template.
        let marker = ('\u{fdd0}'..='\u{fdef}')
            .chain('\u{f0000}'..='\u{ffffd}')
            .find(|candidate| !used.contains(candidate))
            .ok_or_else(|| {
                EncodeError::Refused("The messages use every private character there is.".into())
            })?;
        let mark = |text: &str| self.mark(text, marker);
        let messages = messages
            .iter()
            .map(|message| Message {
                role: message.role,
                content: mark(&message.content),
                name: message.name.as_deref().map(mark),
                tool_calls: message
                    .tool_calls
                    .iter()
                    .map(|call| ToolCall {
                        id: mark(&call.id),
                        name: mark(&call.name),
                        arguments: mark(&call.arguments),
                    })
                    .collect(),
                tool_call_id: message.tool_call_id.as_deref().map(mark),
            })
            .collect();
        let tools = tools
            .iter()
            .map(|tool| Tool {
                name: mark(&tool.name),
                description: tool.description.as_deref().map(mark),
                parameters: marked(&tool.parameters, &mark),
            })
            .collect();
        Ok((Cow::Owned(messages), Cow::Owned(tools), Some(marker)))
    }

    fn looks_alike(&self, text: &str) -> bool {
        self.pattern.as_ref().is_some_and(|p| p.is_match(text)) || self.open_end(text).is_some()
    }

    /// Where a text ends in a part of a control token, which what follows it might complete.
    /// Templates may take trailing whitespace off first.
    fn open_end(&self, text: &str) -> Option<usize> {
        [text, text.trim_end()]
            .iter()
            .find(|text| {
                (text.char_indices().rev().take(self.longest))
                    .any(|(at, _)| self.beginnings.contains(&text[at..]))
            })
            .map(|text| text.len())
    }

    fn mark(&self, text: &str, marker: char) -> String {
        let mut breaks = Vec::new();
        let mut from = 0;
        // On from one character behind each find, for finds may overlap.
        while let Some(find) = (self.pattern.as_ref()).and_then(|p| p.find_at(text, from)) {
            from = find.start() + find.as_str().chars().next().map_or(1, char::len_utf8);
            breaks.push(from);
        }
        breaks.extend(self.open_end(text));
        breaks.sort_unstable();
        breaks.dedup();
        let mut marked = String::with_capacity(text.len() + breaks.len() * marker.len_utf8());
        let mut done = 0;
        for at in breaks {
            marked.push_str(&text[done..at]);
            marked.push(marker);
            done = at;
        }
        marked.push_str(&text[done..]);
        marked
    }

    /// Cuts a rendered prompt at its control tokens.
    fn pieces<'a>(&'a self, prompt: &'a str) -> impl Iterator<Item = Piece<'a>> {
        let mut pieces = Vec::new();
        let mut done = 0;
        for find in self.pattern.iter().flat_map(|p| p.find_iter(prompt)) {
            pieces.push(Piece::Text(&prompt[done..find.start()]));
            pieces.extend(self.ids.get(find.as_str()).map(|&id| Piece::Control(id)));
            done = find.end();
        }
        pieces.push(Piece::Text(&prompt[done..]));
        pieces.into_iter()
    }
}

fn marked(json: &Value, mark: &dyn Fn(&str) -> String) -> Value {
    match json {
        Value::String(text) => Value::String(mark(text)),
        Value::Array(items) => items.iter().map(|item| marked(item, mark)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (mark(name), marked(value, mark)))
            .collect(),
        other => other.clone(),
    }
}

fn tokens(plain: &Tokenizer, added: &[AddedToken]) -> Vec<Token> {
    let byte_of = byte_level_alphabet();
    let verbatim: HashMap<u32, bool> = added.iter().map(|t| (t.id, t.special)).collect();
    let size = plain
        .get_vocab(true)
        .into_values()
        .max()
        .map_or(0, |id| id + 1);
    (0..size)
        .map(|id| {
            let name = plain.id_to_token(id).unwrap_or_default();
            let decoded: Option<Box<[u8]>> = match verbatim.get(&id) {
                Some(_) => None,
                None => name.chars().map(|c| byte_of.get(&c).copied()).collect(),
            };
            Token {
                bytes: decoded.unwrap_or_else(|| name.as_bytes().into()),
                control: verbatim.get(&id).copied().unwrap_or(false),
                name,
            }
        })
        .collect()
}

/// GPT-2's spelling of bytes as printable characters: those that are printable in Latin-1 stand
/// for themselves, the rest for the characters from U+0100 on, in order.
fn byte_level_alphabet() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let (themselves, others): (Vec<u8>, Vec<u8>) = (0..=u8::MAX).partition(printable);
    (themselves.into_iter().map(|byte| (char::from(byte), byte)))
        .chain(('\u{100}'..).zip(others))
        .collect()
}

fn read_text(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|error| LoadError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    serde_json::from_str(&read_text(path)?).map_err(|error| LoadError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}
