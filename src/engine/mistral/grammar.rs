//! What an answer has to look like, as a grammar that is followed token by token.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};

use super::tokenizer::ChatEncoder;
use crate::calls::{FIRST_FIELDS, Style};
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
        limit(&mut factory);
        Ok(factory)
    }
}

fn limit(factory: &mut ParserFactory) {
    factory.quiet();
    let limits = factory.limits_mut();
    limits.verbose_errors = false;
    // A second of one processor at most, by llguidance's own figures.
    limits.initial_lexer_fuel = 5_000_000;
    limits.max_lexer_states = 50_000;
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
    let control = |name: &str| encoder.control_id(name);
    let body = match form {
        Form::Lark(grammar) if !is_thinking => return Some(grammar.as_str().into()),
        Form::Calls { tools, most } => {
            let calls = calls(tools, *most, style, false, &control);
            format!("answer: called\n{calls}")
        }
        Form::Either { tools, most, form } => match rule("answered", form) {
            Some(answered) => {
                let calls = calls(tools, *most, style, false, &control);
                format!("answer: answered | called\n{answered}{calls}")
            }
            None => {
                let calls = calls(tools, *most, style, true, &control);
                let words = words(opener(style));
                format!("answer: WORDS | called\n{words}{calls}")
            }
        },
        other => rule("answer", other)?,
    };
    // Words have their blanks in front of them themselves.
    let gap = if body.starts_with("answer: WORDS") {
        ""
    } else {
        "GAP?"
    };
    let start = match is_thinking {
        true => format!(
            "start: thoughts {gap} answer\nthoughts[suffix=\"</think>\"]: /(?s:.*)/\n\
             GAP: /[ \\n]+/\n"
        ),
        false => "start: answer\n".to_owned(),
    };
    Some(format!("{start}{body}").into())
}

/// A rule for what is no call; none if anything will do.
fn rule(name: &str, form: &Form) -> Option<String> {
    match form {
        Form::Json(schema) => Some(format!("{name}: %json {}\n", compact(schema))),
        Form::Regex(pattern) => Some(format!("{name}: /{}/\n", slashed(pattern))),
        Form::Lark(grammar) => Some(format!("{name}: %lark {{\n{grammar}\n}}\n")),
        Form::Free | Form::Calls { .. } | Form::Either { .. } => None,
    }
}

/// What calls of a style begin with, if that is no word of theirs.
fn opener(style: Style) -> Option<&'static str> {
    match style {
        Style::Tagged | Style::DeepSeek => Some("<tool_call>"),
        Style::List => Some("[TOOL_CALLS]"),
        Style::Plain => None,
    }
}

/// Words that nobody takes for a call of a style, and words before what opens one.
fn words(opener: Option<&str>) -> String {
    let not = match opener {
        Some(opener) => format!("(?s:.*){}(?s:.*)", slashed(&regex::escape(opener))),
        None => {
            let fields = FIRST_FIELDS.join("|");
            // A name that is not plain may be any.
            format!(r#"\s*\{{\s*"(({fields})"|[^"\\]*\\)(?s:.*)"#)
        }
    };
    format!("WORDS: BEFORE & ~/{not}/\nBEFORE: /(?s:.*)/\n")
}

/// The rule `called`. `after_words`: there are the rules of [`words`], and some may come first.
fn calls(
    tools: &[Tool],
    most: u32,
    style: Style,
    after_words: bool,
    control: &impl Fn(&str) -> Option<u32>,
) -> String {
    let mark = |name: &str| match control(name) {
        Some(id) => format!("<[{id}]>"),
        None => Value::from(name).to_string(),
    };
    // Where it is a token of its own, words end by themselves in front of it.
    let (first, rule) = match opener(style) {
        None => (String::new(), String::new()),
        Some(name) if !after_words => (mark(name), String::new()),
        Some(name) => match control(name) {
            Some(id) => (format!("WORDS? <[{id}]>"), String::new()),
            None => {
                let name = Value::from(name);
                let rule = format!("opening[suffix={name}]: BEFORE\n");
                ("opening".to_owned(), rule)
            }
        },
    };
    let more = |between: &str, call: &str| match most.saturating_sub(1) {
        0 => String::new(),
        more => format!(" ({between} {call}){{0,{more}}}"),
    };
    let (arguments, called) = match style {
        Style::Tagged | Style::DeepSeek => {
            let (open, close) = (mark("<tool_call>"), mark("</tool_call>"));
            let more = more("\"\\n\"", "call");
            let call = format!("call: {open} rest\nrest: \"\\n\" body \"\\n\" {close}\n");
            ("arguments", format!("called: {first} rest{more}\n{call}"))
        }
        Style::List => {
            let more = more("\", \"", "body");
            (
                "arguments",
                format!("called: {first} \"[\" body{more} \"]\"\n"),
            )
        }
        Style::Plain => {
            let more = more("\"; \"", "body");
            let first = if after_words { "first" } else { "body" };
            ("parameters", format!("called: {first}{more}\n"))
        }
    };
    let mut text = called + &rule;
    let bodies: Vec<String> = (0..tools.len()).map(|i| format!("body_{i}")).collect();
    text.push_str(&format!("body: {}\n", bodies.join(" | ")));
    let has_first = style == Style::Plain && after_words;
    if has_first {
        let firsts: Vec<String> = (0..tools.len()).map(|i| format!("first_{i}")).collect();
        text.push_str(&format!("first: {}\n", firsts.join(" | ")));
    }
    for (i, tool) in tools.iter().enumerate() {
        let name = Value::from(tool.name.as_str());
        let head = format!("{{\"name\": {name}, \"{arguments}\": ");
        if has_first {
            // In one with the head: words may begin with blanks too, and the longest counts.
            let head = slashed(&regex::escape(&head));
            text.push_str(&format!("first_{i}: /\\s*{head}/ arguments_{i} \"}}\"\n"));
        }
        let head = Value::from(head);
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

#[cfg(test)]
mod tests {
    use super::*;

    const END: u32 = 257;
    const OPEN: u32 = 256;

    /// Follows a grammar over a vocabulary of bytes and one control token. Returns how much of the
    /// text may be said, and whether the answer may end there.
    fn follow(grammar: &str, text: &str) -> (usize, bool) {
        let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        words.push(b"\xff<tool_call>".to_vec());
        words.push(b"\xff<end>".to_vec());
        let trie = TokTrie::from(&TokRxInfo::new(END + 1, END), &words);
        let vocabulary: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory =
            ParserFactory::new(&vocabulary, InferenceCapabilities::default(), &[]).unwrap();
        limit(&mut factory);
        let parser = factory.create_parser(TopLevelGrammar::from_lark(grammar.to_owned()));
        let mut matcher = Matcher::new(parser);
        assert_eq!(matcher.get_error(), None, "{grammar}");
        let mut said = 0;
        for byte in text.bytes() {
            // Stands for the control token.
            let token = if byte == b'@' { OPEN } else { byte.into() };
            if matcher.is_stopped() || !matcher.compute_mask_or_eos().unwrap().is_allowed(token) {
                break;
            }
            matcher.consume_token(token).unwrap();
            said += 1;
        }
        let may_end =
            matcher.is_stopped() || matcher.compute_mask_or_eos().unwrap().is_allowed(END);
        (said, may_end)
    }

    fn tools() -> Vec<Tool> {
        vec![Tool {
            name: "add".into(),
            description: None,
            parameters: json!({
                "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
            }),
        }]
    }

    fn grammar(style: Style, after_words: bool, control: &impl Fn(&str) -> Option<u32>) -> String {
        let calls = calls(&tools(), 2, style, after_words, control);
        let (answer, words) = match after_words {
            true => ("WORDS | called", words(opener(style))),
            false => ("called", String::new()),
        };
        format!("start: answer\nanswer: {answer}\n{words}{calls}")
    }

    fn none(_: &str) -> Option<u32> {
        None
    }

    const CALL: &str = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 12}}\n</tool_call>";

    fn whole(grammar: &str, text: &str) {
        assert_eq!(follow(grammar, text), (text.len(), true), "{text}");
    }

    /// Nothing after the mark `|` may be said.
    fn partly(grammar: &str, text: &str) {
        let (before, after) = text.split_once('|').unwrap();
        let (said, _) = follow(grammar, &format!("{before}{after}"));
        assert_eq!(said, before.len(), "{text}");
    }

    #[test]
    fn words_are_free_and_calls_are_right() {
        let tagged = grammar(Style::Tagged, true, &none);
        for fine in [
            "Hello, <tool_ca ll>! {\"name\"",
            CALL,
            &format!("I will.\n{CALL}"),
            &format!("{CALL}\n{CALL}"),
            "{\"x\": [1]}",
            "{\"name\": \"Ada\"}",
            "",
        ] {
            whole(&tagged, fine);
        }
        for wrong in [
            "<tool_call>\n{\"name\": \"|sub\"",
            "Well <tool_call>|!",
            "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"|b\": 1}}",
        ] {
            partly(&tagged, wrong);
        }
        let three = format!("{CALL}\n{CALL}\n{CALL}");
        assert!(follow(&tagged, &three).0 < three.len());
    }

    #[test]
    fn every_style_can_be_followed() {
        let control = |name: &str| (name == "<tool_call>").then_some(OPEN);
        let call = CALL.replace("<tool_call>", "@");
        whole(
            &grammar(Style::Tagged, true, &control),
            &format!("Hi {call}"),
        );
        whole(&grammar(Style::Tagged, false, &control), &call);
        let body = "{\"name\": \"add\", \"arguments\": {\"a\": 1}}";
        let list = format!("[TOOL_CALLS][{body}, {body}]");
        whole(&grammar(Style::List, false, &none), &list);
        whole(&grammar(Style::List, true, &none), &format!("Hi {list}"));
        let plain = body.replace("arguments", "parameters");
        let grammar = grammar(Style::Plain, true, &none);
        whole(&grammar, &format!("{plain}; {plain}"));
        whole(&grammar, "Hi");
        whole(&grammar, &format!("\n\n{plain}"));
        whole(&grammar, "{\"x\": 1}");
        partly(&grammar, "{\"name\": \"|sub\"");
        partly(&grammar, "{\"n|\\u0061me\"");
    }
}
