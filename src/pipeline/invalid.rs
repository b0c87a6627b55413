//! What to tell a client whose request cannot be answered, in OpenAI's words.

use crate::cache::ControlsError;

/// A request that was understood but cannot be answered; `param` names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    pub param: String,
    pub code: Option<&'static str>,
    pub message: String,
}

impl From<ControlsError> for Invalid {
    fn from(error: ControlsError) -> Self {
        invalid(error.param, Some("invalid_value"), error.message)
    }
}

pub(super) fn below<T: std::fmt::Display>(kind: &str, param: &str, least: &T, value: T) -> Invalid {
    let code = match kind {
        "integer" => "integer_below_min_value",
        _ => "decimal_below_min_value",
    };
    let message = format!(
        "Invalid '{param}': {kind} below minimum value. \
         Expected a value >= {least}, but got {value} instead."
    );
    invalid(param, Some(code), message)
}

pub(super) fn above<T: std::fmt::Display>(kind: &str, param: &str, most: &T, value: T) -> Invalid {
    let code = match kind {
        "integer" => "integer_above_max_value",
        _ => "decimal_above_max_value",
    };
    let message = format!(
        "Invalid '{param}': {kind} above maximum value. \
         Expected a value <= {most}, but got {value} instead."
    );
    invalid(param, Some(code), message)
}

pub(super) fn too_long(param: &str, most: usize, length: usize) -> Invalid {
    let message = format!(
        "Invalid '{param}': string too long. Expected a string with maximum length {most}, \
         but got a string with length {length} instead."
    );
    invalid(param, Some("string_above_max_length"), message)
}

/// Refuses a name or an id that is too long, or has other signs than `pattern` says.
pub(super) fn check_signs(
    param: &str,
    text: &str,
    longest: usize,
    is_allowed: impl Fn(char) -> bool,
    pattern: &str,
) -> Result<(), Invalid> {
    if text.len() > longest {
        return Err(too_long(param, longest, text.len()));
    }
    if text.is_empty() || !text.chars().all(is_allowed) {
        let message = format!(
            "Invalid '{param}': string does not match pattern. \
             Expected a string that matches the pattern '{pattern}'."
        );
        return Err(invalid(param, Some("invalid_value"), message));
    }
    Ok(())
}

pub(super) fn unsupported(param: &str) -> Invalid {
    let message = format!("Unsupported parameter: '{param}' is not supported by this server.");
    invalid(param, Some("unsupported_parameter"), message)
}

pub(super) fn invalid_value(param: &str, value: &str, allowed: &str) -> Invalid {
    // What the client sent is echoed, but not a novel.
    let value: String = value.chars().take(64).collect();
    let message = format!("Invalid value: '{value}'. Supported values are: {allowed}.");
    invalid(param, Some("invalid_value"), message)
}

pub(super) fn invalid(
    param: &str,
    code: Option<&'static str>,
    message: impl Into<String>,
) -> Invalid {
    Invalid {
        param: param.to_owned(),
        code,
        message: message.into(),
    }
}
