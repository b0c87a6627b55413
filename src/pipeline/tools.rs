//! Tools, and what an answer has to look like, in the engine's terms.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::calls::Tools;
use crate::engine::{Form, Tool};
use crate::openai::tools::{
    self as wire, Grammar, ResponseFormat, ToolChoice, ToolChoiceObject, ToolName,
};

use super::invalid::{Invalid, check_signs, invalid, invalid_value, too_long};

/// OpenAI's own bound.
const MOST_TOOLS: usize = 128;
const LONGEST_NAME: usize = 64;
const LONGEST_DESCRIPTION: usize = 16 * 1024;
/// Bytes of all schemas of a request, written out, and of a grammar. Far above what OpenAI takes.
const LONGEST_SCHEMA: usize = 256 * 1024;
/// Objects and arrays within each other.
const DEEPEST_SCHEMA: usize = 64;
/// Calls in one answer that has to be calls: a small model would go on for ever.
const MOST_CALLS: u32 = 8;

/// What a request says of tools and forms.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// What the model is told of.
    pub(super) tools: Vec<Tool>,
    pub(super) form: Form,
    /// What counts as a call; none: nothing does.
    pub(super) calls: Option<Arc<Tools>>,
}

/// Who is to be called.
enum Choice {
    None,
    Auto,
    Required,
    Named(String),
}

pub(super) fn wanted(
    tools: Option<Vec<wire::Tool>>,
    choice: Option<ToolChoice>,
    parallel: Option<bool>,
    format: Option<ResponseFormat>,
) -> Result<Wanted, Invalid> {
    let form = match format {
        Some(format) => response_format(format)?,
        None => Form::Free,
    };
    let given = tools.unwrap_or_default();
    if given.is_empty() {
        return match choice {
            Some(ToolChoice::Mode(mode)) if mode == "none" || mode == "auto" => Ok(Wanted {
                form,
                ..Wanted::default()
            }),
            None => Ok(Wanted {
                form,
                ..Wanted::default()
            }),
            Some(ToolChoice::Mode(mode)) if mode != "required" => {
                Err(invalid_value("tool_choice", &mode, MODES))
            }
            Some(_) => Err(invalid(
                "tool_choice",
                None,
                "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are \
                 specified.",
            )),
        };
    }
    let mut all = all(given)?;
    let (choice, allowed) = chosen(choice, &all)?;
    if let Some(allowed) = allowed {
        all.retain(|tool| allowed.contains(&tool.tool.name));
    }
    let most = (parallel == Some(false)).then_some(1);
    let enforced = |all: &[Checked], most: u32| {
        all.iter()
            .all(|tool| tool.grammar.is_none())
            .then(|| Form::Calls {
                tools: all.iter().map(|tool| tool.tool.clone()).collect(),
                most,
            })
            .ok_or_else(only_by_name)
    };
    let mut calls = Tools {
        functions: names(&all, false),
        customs: names(&all, true),
        most,
        ..Tools::default()
    };
    let mut form = form;
    match choice {
        Choice::None => {
            return Ok(Wanted {
                form,
                ..Wanted::default()
            });
        }
        Choice::Auto => {
            if all.iter().any(|tool| tool.grammar.is_some()) {
                return Err(only_by_name());
            }
            if form != Form::Free || all.iter().any(|tool| tool.is_strict) {
                form = Form::Either {
                    tools: all.iter().map(Checked::as_strict_as_asked).collect(),
                    most: most.unwrap_or(MOST_CALLS),
                    form: Box::new(form),
                };
            }
        }
        Choice::Required => form = enforced(&all, most.unwrap_or(MOST_CALLS))?,
        Choice::Named(name) => {
            let one: Vec<Checked> = all
                .iter()
                .filter(|t| t.tool.name == name)
                .cloned()
                .collect();
            calls = Tools {
                functions: names(&one, false),
                customs: names(&one, true),
                most: Some(1),
                is_named: true,
                is_bare: one.iter().any(|tool| tool.grammar.is_some()),
                only: None,
            };
            form = match one.first().and_then(|tool| tool.grammar.clone()) {
                Some(grammar) => grammar,
                None => enforced(&one, 1)?,
            };
        }
    }
    Ok(Wanted {
        tools: all.into_iter().map(|tool| tool.tool).collect(),
        form,
        calls: Some(Arc::new(calls)),
    })
}

const MODES: &str = "'none', 'auto', and 'required'";

/// A tool that is right.
#[derive(Debug, Clone)]
struct Checked {
    tool: Tool,
    is_custom: bool,
    /// Its arguments are promised to keep to their schema even if it need not be called.
    is_strict: bool,
    grammar: Option<Form>,
}

impl Checked {
    fn as_strict_as_asked(&self) -> Tool {
        let mut tool = self.tool.clone();
        if !self.is_strict {
            tool.parameters = json!({"type": "object"});
        }
        tool
    }
}

fn names(tools: &[Checked], customs: bool) -> Vec<String> {
    let some = tools.iter().filter(|tool| tool.is_custom == customs);
    some.map(|tool| tool.tool.name.clone()).collect()
}

fn only_by_name() -> Invalid {
    invalid(
        "tools",
        Some("unsupported_value"),
        "A custom tool with a grammar can only be called when 'tool_choice' names it.",
    )
}

fn all(given: Vec<wire::Tool>) -> Result<Vec<Checked>, Invalid> {
    if given.len() > MOST_TOOLS {
        let message = format!(
            "Invalid 'tools': array too long. Expected an array with maximum length {MOST_TOOLS}, \
             but got an array with length {} instead.",
            given.len()
        );
        return Err(invalid("tools", Some("array_above_max_length"), message));
    }
    let mut seen = HashSet::new();
    let mut size = 0;
    let mut all = Vec::with_capacity(given.len());
    for (i, tool) in given.into_iter().enumerate() {
        let at = |field: &str| format!("tools[{i}].{field}");
        let missing = |field: &str| missing(&at(field));
        let checked = match tool.kind.as_str() {
            "function" => {
                let function = tool.function.ok_or_else(|| missing("function"))?;
                check_name(&at("function.name"), &function.name)?;
                describe(&at("function.description"), function.description.as_deref())?;
                let param = at("function.parameters");
                let parameters = parameters(&param, function.parameters)?;
                size += check_schema(&param, &parameters)?;
                Checked {
                    tool: Tool {
                        name: function.name,
                        description: function.description,
                        parameters,
                    },
                    is_custom: false,
                    is_strict: function.strict == Some(true),
                    grammar: None,
                }
            }
            "custom" => {
                let custom = tool.custom.ok_or_else(|| missing("custom"))?;
                check_name(&at("custom.name"), &custom.name)?;
                describe(&at("custom.description"), custom.description.as_deref())?;
                let grammar = match custom.format {
                    None => None,
                    Some(format) => match format.kind.as_str() {
                        "text" => None,
                        "grammar" => {
                            let grammar = format
                                .grammar
                                .ok_or_else(|| missing("custom.format.grammar"))?;
                            Some(grammar_form(&at("custom.format.grammar"), grammar)?)
                        }
                        other => {
                            let param = at("custom.format.type");
                            return Err(invalid_value(&param, other, "'text' and 'grammar'"));
                        }
                    },
                };
                Checked {
                    tool: Tool {
                        name: custom.name,
                        description: custom.description,
                        parameters: json!({
                            "type": "object",
                            "properties": {"input": {"type": "string"}},
                            "required": ["input"],
                            "additionalProperties": false,
                        }),
                    },
                    is_custom: true,
                    is_strict: true,
                    grammar,
                }
            }
            other => return Err(invalid_value(&at("type"), other, "'function' and 'custom'")),
        };
        if !seen.insert(checked.tool.name.clone()) {
            let message = format!(
                "Invalid 'tools': there are two of the name '{}'.",
                checked.tool.name
            );
            return Err(invalid(
                &at("function.name"),
                Some("invalid_value"),
                message,
            ));
        }
        all.push(checked);
    }
    if size > LONGEST_SCHEMA {
        return Err(too_long("tools", LONGEST_SCHEMA, size));
    }
    Ok(all)
}

/// What is to be called, and which of the tools may be at all.
fn chosen(
    choice: Option<ToolChoice>,
    all: &[Checked],
) -> Result<(Choice, Option<HashSet<String>>), Invalid> {
    let known = |param: &str, name: Option<ToolName>| {
        let name = name.ok_or_else(|| missing(param))?.name;
        if all.iter().any(|tool| tool.tool.name == name) {
            return Ok(name);
        }
        let message =
            format!("Invalid value for 'tool_choice': there is no tool '{name}' in 'tools'.");
        Err(invalid("tool_choice", Some("invalid_value"), message))
    };
    let mode = |param: &str, mode: &str, allowed: &str| match mode {
        "auto" => Ok(Choice::Auto),
        "required" => Ok(Choice::Required),
        other => Err(invalid_value(param, other, allowed)),
    };
    let object: ToolChoiceObject = match choice {
        None => return Ok((Choice::Auto, None)),
        Some(ToolChoice::Mode(word)) if word == "none" => return Ok((Choice::None, None)),
        Some(ToolChoice::Mode(word)) => return Ok((mode("tool_choice", &word, MODES)?, None)),
        Some(ToolChoice::Tool(object)) => object,
    };
    match object.kind.as_str() {
        "function" => {
            let name = known("tool_choice.function", object.function)?;
            Ok((Choice::Named(name), None))
        }
        "custom" => {
            let name = known("tool_choice.custom", object.custom)?;
            Ok((Choice::Named(name), None))
        }
        "allowed_tools" => {
            let param = "tool_choice.allowed_tools";
            let allowed = object.allowed_tools.ok_or_else(|| missing(param))?;
            let mut names = HashSet::new();
            for (i, tool) in allowed.tools.into_iter().enumerate() {
                let param = format!("{param}.tools[{i}].function");
                names.insert(known(&param, tool.function.or(tool.custom))?);
            }
            if names.is_empty() {
                let message = format!("Invalid '{param}.tools': empty array.");
                return Err(invalid(
                    &format!("{param}.tools"),
                    Some("empty_array"),
                    message,
                ));
            }
            let mode = mode(
                &format!("{param}.mode"),
                &allowed.mode,
                "'auto' and 'required'",
            )?;
            Ok((mode, Some(names)))
        }
        other => {
            let allowed = "'function', 'custom', and 'allowed_tools'";
            Err(invalid_value("tool_choice.type", other, allowed))
        }
    }
}

fn response_format(format: ResponseFormat) -> Result<Form, Invalid> {
    match format.kind.as_str() {
        "text" => Ok(Form::Free),
        "json_object" => Ok(Form::Json(json!({"type": "object"}))),
        "json_schema" => {
            let missing = |param: &str| missing(param);
            let given = format
                .json_schema
                .ok_or_else(|| missing("response_format.json_schema"))?;
            check_name("response_format.json_schema.name", &given.name)?;
            let description = given.description.as_deref();
            describe("response_format.json_schema.description", description)?;
            let param = "response_format.json_schema.schema";
            let schema = given.schema.ok_or_else(|| missing(param))?;
            if !schema.is_object() {
                let message = format!("Invalid type for '{param}': expected an object.");
                return Err(invalid(param, Some("invalid_type"), message));
            }
            let size = check_schema(param, &schema)?;
            if size > LONGEST_SCHEMA {
                return Err(too_long(param, LONGEST_SCHEMA, size));
            }
            Ok(Form::Json(schema))
        }
        "grammar" => {
            let param = "response_format.grammar";
            let grammar = format.grammar.ok_or_else(|| missing(param))?;
            grammar_form(param, grammar)
        }
        other => {
            let allowed = "'text', 'json_object', 'json_schema', and 'grammar'";
            Err(invalid_value("response_format.type", other, allowed))
        }
    }
}

fn grammar_form(param: &str, grammar: Grammar) -> Result<Form, Invalid> {
    let definition = grammar.definition;
    if definition.len() > LONGEST_SCHEMA {
        let param = format!("{param}.definition");
        return Err(too_long(&param, LONGEST_SCHEMA, definition.len()));
    }
    match grammar.syntax.as_str() {
        "lark" => Ok(Form::Lark(definition)),
        "regex" => Ok(Form::Regex(definition)),
        other => Err(invalid_value(
            &format!("{param}.syntax"),
            other,
            "'lark' and 'regex'",
        )),
    }
}

fn parameters(param: &str, given: Option<Value>) -> Result<Value, Invalid> {
    let nothing = || json!({"type": "object", "properties": {}, "additionalProperties": false});
    match given {
        None => Ok(nothing()),
        Some(Value::Object(schema)) if schema.is_empty() => Ok(nothing()),
        Some(Value::Object(schema)) => match schema.get("type") {
            Some(kind) if kind != "object" => {
                let message = format!(
                    "Invalid schema for '{param}': schema must be a JSON Schema of \
                     'type: \"object\"', got 'type: {kind}'."
                );
                Err(invalid(param, Some("invalid_function_parameters"), message))
            }
            _ => Ok(Value::Object(schema)),
        },
        Some(_) => {
            let message = format!("Invalid type for '{param}': expected an object.");
            Err(invalid(param, Some("invalid_type"), message))
        }
    }
}

/// How many bytes it takes, written out.
fn check_schema(param: &str, schema: &Value) -> Result<usize, Invalid> {
    fn depth(value: &Value) -> usize {
        let deepest = |values: &mut dyn Iterator<Item = &Value>| values.map(depth).max();
        match value {
            Value::Array(items) => 1 + deepest(&mut items.iter()).unwrap_or(0),
            Value::Object(fields) => 1 + deepest(&mut fields.values()).unwrap_or(0),
            _ => 0,
        }
    }
    // The request's own parser has bounded how deep this can go.
    if depth(schema) > DEEPEST_SCHEMA {
        let message =
            format!("Invalid schema for '{param}': it is nested more than {DEEPEST_SCHEMA} deep.");
        return Err(invalid(param, Some("invalid_schema"), message));
    }
    Ok(schema.to_string().len())
}

/// The name of a tool, or of a form.
pub(super) fn check_name(param: &str, name: &str) -> Result<(), Invalid> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    check_signs(param, name, LONGEST_NAME, is_allowed, "^[a-zA-Z0-9_-]+$")
}

fn describe(param: &str, description: Option<&str>) -> Result<(), Invalid> {
    match description {
        Some(text) if text.len() > LONGEST_DESCRIPTION => {
            Err(too_long(param, LONGEST_DESCRIPTION, text.len()))
        }
        _ => Ok(()),
    }
}

fn missing(param: &str) -> Invalid {
    let message = format!("Missing required parameter: '{param}'.");
    invalid(param, Some("missing_required_parameter"), message)
}
