//! The one place that turns errors into HTTP: ours, and those of the framework.

use std::time::Duration;

use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, Response};
use poem_openapi::ApiResponse;
use poem_openapi::error::{AuthorizationError, ContentTypeError, ParsePathError};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};

use super::payload::Json;
use crate::auth::AuthError;
use crate::engine::EngineError;
use crate::openai::error::{ErrorBody, ErrorDetail};
use crate::pipeline::Failure;

const INVALID_REQUEST: &str = "invalid_request_error";
const RATE_LIMIT: &str = "rate_limit_error";
const SERVER: &str = "server_error";

/// An error as OpenAI would report it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub status: u16,
    /// `type` on the wire.
    pub kind: &'static str,
    pub message: String,
    pub param: Option<String>,
    pub code: Option<&'static str>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// An error that the caller can mend.
    pub fn request(
        status: StatusCode,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status: status.as_u16(),
            kind: INVALID_REQUEST,
            message: message.into(),
            param: None,
            code,
            retry_after: None,
        }
    }

    /// A bad request whose `param` is at fault.
    pub fn param(
        param: impl Into<String>,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::request(StatusCode::BAD_REQUEST, code, message)
        }
    }

    /// An error that the caller cannot mend. Says nothing of what went on inside.
    pub fn internal() -> Self {
        let message = "The server had an error while processing your request. Sorry about that!";
        Self {
            kind: SERVER,
            ..Self::request(StatusCode::INTERNAL_SERVER_ERROR, None, message)
        }
    }

    /// An error that time will mend.
    pub fn unavailable(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self {
            kind: SERVER,
            retry_after,
            ..Self::request(StatusCode::SERVICE_UNAVAILABLE, None, message)
        }
    }

    pub fn model_not_found(model: &str) -> Self {
        // What was asked for is echoed, but not a novel.
        let model: String = model.chars().take(128).collect();
        let message =
            format!("The model '{model}' does not exist or you do not have access to it.");
        Self {
            param: Some("model".to_owned()),
            ..Self::request(StatusCode::NOT_FOUND, Some("model_not_found"), message)
        }
    }

    /// The wire form.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                message: self.message.clone(),
                kind: self.kind.to_owned(),
                param: self.param.clone(),
                code: self.code.map(str::to_owned),
            },
        }
    }

    /// What [`poem::Error`] stands for, whoever raised it.
    pub fn of(error: &poem::Error) -> Self {
        if let Some(ours) = error.downcast_ref::<Self>() {
            return ours.clone();
        }
        if error.is::<AuthorizationError>() {
            let message = "You didn't provide an API key. You need to provide your API key in an \
                           Authorization header using Bearer auth (i.e. Authorization: Bearer \
                           YOUR_KEY).";
            return Self::request(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), message);
        }
        if error.is::<NotFoundError>() {
            let message = "Invalid URL: there is no such route.";
            return Self::request(StatusCode::NOT_FOUND, None, message);
        }
        if error.is::<MethodNotAllowedError>() {
            let message = "Not allowed to use this method on this route.";
            return Self::request(StatusCode::METHOD_NOT_ALLOWED, None, message);
        }
        if error.is::<ContentTypeError>() {
            let message = "Unsupported Content-Type: this route reads 'application/json' in UTF-8.";
            return Self::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, message);
        }
        if let Some(path) = error.downcast_ref::<ParsePathError>() {
            let message = format!("Invalid value for '{}' in the URL.", path.name);
            return Self::param(path.name, None, message);
        }
        if error.is::<ReadBodyError>() {
            let message = "The request body could not be read.";
            return Self::request(StatusCode::BAD_REQUEST, None, message);
        }
        let status = error.status();
        if status.is_client_error() {
            let reason = status.canonical_reason().unwrap_or("Bad Request");
            return Self::request(status, None, format!("{reason}."));
        }
        tracing::error!(error = %error, "unexpected error");
        Self::internal()
    }
}

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Invalid(invalid) => {
                Self::param(&invalid.param, invalid.code, &invalid.message)
            }
            Failure::UnknownModel(model) => Self::model_not_found(model),
            Failure::Engine(error) => Self::from(error),
            Failure::Record(_) => Self::unavailable(
                "Your request could not be recorded, and nothing is answered unrecorded. Please \
                 try again later.",
                None,
            ),
            Failure::Unread(told) => told.clone(),
            Failure::Stopping => Self {
                code: Some("server_shutdown"),
                ..Self::unavailable("The server is shutting down. Please try again.", None)
            },
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::from(&failure)
    }
}

impl From<&EngineError> for ApiError {
    fn from(error: &EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::ContextLength { .. } => {
                Self::param("messages", Some("context_length_exceeded"), message)
            }
            EngineError::Invalid { param, .. } => {
                Self::param(*param, Some("invalid_value"), message)
            }
            EngineError::Busy { retry_after } => Self {
                kind: RATE_LIMIT,
                retry_after: Some(*retry_after),
                ..Self::request(
                    StatusCode::TOO_MANY_REQUESTS,
                    Some("rate_limit_exceeded"),
                    message,
                )
            },
            EngineError::Unavailable { retry_after } => {
                Self::unavailable(message, Some(*retry_after))
            }
            EngineError::Failed(_) => Self::internal(),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::InvalidKey => Self::request(
                StatusCode::UNAUTHORIZED,
                Some("invalid_api_key"),
                error.to_string(),
            ),
            AuthError::WrongKind(_) => Self::request(
                StatusCode::FORBIDDEN,
                Some("insufficient_permissions"),
                error.to_string(),
            ),
            AuthError::Unavailable(why) => {
                tracing::error!(error = %why, "keys cannot be verified");
                Self::unavailable("Your API key cannot be verified at the moment.", None)
            }
        }
    }
}

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn as_response(&self) -> Response {
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = Response::builder()
            .status(self.status())
            .content_type(<Json<ErrorBody> as Payload>::CONTENT_TYPE)
            .body(Body::from_vec(body));
        let headers = response.headers_mut();
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            headers.insert("retry-after-ms", millis.into());
            // Whole seconds, rounded up: sooner would be in vain.
            headers.insert(header::RETRY_AFTER, millis.div_ceil(1000).into());
        }
        response
    }
}

/// What the OpenAPI document says of errors.
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        let documented = [
            (
                400,
                "Something in the request has to be mended; `param` says what.",
            ),
            (401, "The API key is missing or wrong."),
            (403, "The API key is for other routes."),
            (404, "There is no such model."),
            (413, "The request is too large."),
            (415, "The request is not JSON."),
            (
                429,
                "Too many are waiting already; `retry-after-ms` says when to come back.",
            ),
            (500, "The server is at fault."),
            (503, "Not ready yet, or not for the moment."),
        ];
        let response = |(status, description)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: <Json<ErrorBody> as Payload>::CONTENT_TYPE,
                schema: <Json<ErrorBody> as Payload>::schema_ref(),
            }],
            headers: vec![],
        };
        MetaResponses {
            responses: documented.into_iter().map(response).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        <Json<ErrorBody> as Payload>::register(registry);
    }
}
