//! What an answer has to look like, as a grammar that is followed token by token.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};

use super::tokenizer::ChatEncoder;
use super::tools::Style;
use crate::engine::{Form, Tool};

/// Grammars that are kept ready: tools come again and again.
const KEPT: u64 = 32;

/// The form cannot be followed; the words are for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

/// The grammars of one model.
pub struct Grammars {
    factory: OnceLock<Result<ParserFactory, Unusable>>,
    ready: moka::sync::Cache<Arc<str>, Arc<Mutex<Matcher>>>,
    end_token: u32,
}

impl Grammars {
    /// `end_token` ends the model's answers.
    pub fn new(end_token: u32) -> Self {
        Self {
            factory: OnceLock::new(),
            ready: moka::sync::Cache::new(KEPT),
            end_token,
        }
    }

    /// Follows a grammar that [`write`] has written. The first one takes a tenth of a second for the
    /// vocabulary; each takes milliseconds: not for async threads.
    ///
    /// # Errors
    /// [`Unusable`] when it is wrong, too large, or asks for what cannot be enforced.
    pub fn follow(&self, encoder: &ChatEncoder, grammar: &Arc<str>) -> Result<Matcher, Unusable> {
        if let Some(ready) = self.ready.get(grammar) {
            let ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(ready.deep_clone());
        }
        let factory = self.factory.get_or_init(|| self.factory(encoder));
        let factory = factory.as_ref().map_err(Clone::clone)?;
        let parser = factory.create_parser(TopLevelGrammar::from_lark(grammar.to_string()));
        let matcher = Matcher::new(parser);
        if let Some(error) = matcher.get_error() {
            return Err(Unusable(plain(&error)));
        }
        let kept = Arc::new(Mutex::new(matcher.deep_clone()));
        self.ready.insert(grammar.clone(), kept);
        Ok(matcher)
    }

    fn factory(&self, encoder: &ChatEncoder) -> Result<ParserFactory, Unusable> {
        let size = u32::try_from(encoder.vocab_size()).unwrap_or(u32::MAX);
        let words: Vec<Vec<u8>> = (0..size)
            .map(|id| {
                if encoder.is_control(id) {
                    let mut word = vec![TokTrie::SPECIAL_TOKEN_MARKER];
                    word.extend_from_slice(encoder.token_name(id).as_bytes());
                    word
                } else {
                    encoder.token_bytes(id).to_vec()
                }
            })
            .collect();
        let trie = TokTrie::from(&TokRxInfo::new(size, self.end_token), &words);
        let vocabulary: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::general_slices();
        let factory = ParserFactory::new(&vocabulary, InferenceCapabilities::default(), &slices);
        let mut factory = factory.map_err(|error| Unusable(error.to_string()))?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.verbose_errors = false;
        // A second of one processor at most, by llguidance's own figures.
        limits.initial_lexer_fuel = 5_000_000;
        limits.max_lexer_states = 50_000;
        Ok(factory)
    }
}

/// What is wrong, without where in our own grammar.
fn plain(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let place = line
        .strip_prefix("at ")
        .and_then(|rest| rest.split_once(": "));
    let words = place.map_or(line, |(_, words)| words);
    let words = words.strip_prefix("failed to compile JSON schema: ");
    words
        .unwrap_or(place.map_or(line, |(_, words)| words))
        .to_owned()
}

/// The form as a Lark grammar; none for a form that asks for nothing. `is_thinking`: thoughts that
/// the prompt has begun come first.
pub fn write(
    form: &Form,
    style: Style,
    is_thinking: bool,
    encoder: &ChatEncoder,
) -> Option<Arc<str>> {
    let body = match form {
        Form::Free => return None,
        Form::Json(schema) => format!("answer: %json {}\n", compact(schema)),
        Form::Regex(pattern) => format!("answer: /{}/\n", slashed(pattern)),
        Form::Lark(grammar) if !is_thinking => return Some(grammar.as_str().into()),
        Form::Lark(grammar) => format!("answer: %lark {{\n{grammar}\n}}\n"),
        Form::Calls { tools, most } => calls(tools, *most, style, encoder),
    };
    let start = if is_thinking {
        "start: thoughts answer\nthoughts[suffix=\"</think>\"]: /(?s:.*)/\n%ignore /[ \\n]+/\n"
    } else {
        "start: answer\n"
    };
    Some(format!("{start}{body}").into())
}

fn calls(tools: &[Tool], most: u32, style: Style, encoder: &ChatEncoder) -> String {
    let mark = |name: &str| match encoder.control_id(name) {
        Some(id) => format!("<[{id}]>"),
        None => Value::from(name).to_string(),
    };
    let (arguments, call, between) = match style {
        Style::Tagged => {
            let (open, close) = (mark("<tool_call>"), mark("</tool_call>"));
            let call = format!("{open} \"\\n\" body \"\\n\" {close}");
            ("arguments", call, "\"\\n\"")
        }
        Style::List => ("arguments", "body".to_owned(), "\", \""),
        Style::Plain => ("parameters", "body".to_owned(), "\"; \""),
    };
    let more = match most.saturating_sub(1) {
        0 => String::new(),
        more => format!(" ({between} call){{0,{more}}}"),
    };
    let mut text = match style {
        Style::List => format!("answer: {} \"[\" call{more} \"]\"\n", mark("[TOOL_CALLS]")),
        _ => format!("answer: call{more}\n"),
    };
    text.push_str(&format!("call: {call}\n"));
    let bodies: Vec<String> = (0..tools.len()).map(|i| format!("body_{i}")).collect();
    text.push_str(&format!("body: {}\n", bodies.join(" | ")));
    for (i, tool) in tools.iter().enumerate() {
        let name = Value::from(tool.name.as_str());
        let head = Value::from(format!("{{\"name\": {name}, \"{arguments}\": "));
        text.push_str(&format!("body_{i}: {head} arguments_{i} \"}}\"\n"));
        text.push_str(&format!(
            "arguments_{i}: %json {}\n",
            compact(&tool.parameters)
        ));
    }
    text
}

/// A regular expression between slashes.
fn slashed(pattern: &str) -> String {
    let mut slashed = String::with_capacity(pattern.len());
    let mut is_escaped = false;
    for c in pattern.chars() {
        match c {
            '/' if !is_escaped => slashed.push_str("\\/"),
            '\n' => slashed.push_str("\\n"),
            c => slashed.push(c),
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    slashed
}

/// The schema for answers without idle blanks, which small models never stop to write, and without
/// fields that nobody has named.
fn compact(schema: &Value) -> Value {
    let mut schema = schema.clone();
    close(&mut schema);
    if let Value::Object(fields) = &mut schema {
        let style = json!({
            "whitespace_flexible": false,
            "item_separator": ", ",
            "key_separator": ": ",
        });
        fields.insert("x-guidance".to_owned(), style);
    }
    schema
}

/// Forbids other fields wherever an object's own are named and nothing is said of others: what is
/// left satisfies the schema as well.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(fields) => {
            let names = ["additionalProperties", "patternProperties", "allOf", "$ref"];
            let is_open = !names.iter().any(|name| fields.contains_key(*name));
            let named = fields.get("properties").and_then(Value::as_object);
            if is_open && named.is_some_and(|named| !named.is_empty()) {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            for (name, value) in fields {
                // What is said of several at once is left as it is.
                if !matches!(
                    name.as_str(),
                    "allOf" | "enum" | "const" | "default" | "examples"
                ) {
                    close(value);
                }
            }
        }
        _ => {}
    }
}
