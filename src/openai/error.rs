//! The body of every error.

use poem_openapi::Object;
use serde::Serialize;

/// What a client gets instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Object)]
#[oai(rename = "ErrorResponse")]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

/// What went wrong. All four keys are always there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Object)]
#[oai(rename = "Error")]
pub struct ErrorDetail {
    /// For a person.
    pub message: String,
    /// The kind, such as `invalid_request_error`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// The field of the request to mend, such as `messages[0].content`.
    pub param: Option<String>,
    /// For a program, such as `model_not_found`.
    pub code: Option<String>,
}
