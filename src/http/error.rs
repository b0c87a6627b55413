//! The one place that turns errors into HTTP: ours, and those of the framework.

use std::time::Duration;

use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, Response};
use poem_openapi::ApiResponse;
use poem_openapi::error::{AuthorizationError, ContentTypeError, ParseParamError, ParsePathError};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};

use super::payload::Json;
use crate::auth::{AuthError, IdentityError, IssueError, PasswordError};
use crate::engine::EngineError;
use crate::limits::LimitError;
use crate::openai::error::{ErrorBody, ErrorDetail};
use crate::pipeline::{Failure, GuardFailure};
use crate::records::ExportError;
use crate::store::{PersonError, StoreError};

const INVALID_REQUEST: &str = "invalid_request_error";
const RATE_LIMIT: &str = "rate_limit_error";
const SERVER: &str = "server_error";
const QUOTA: &str = "insufficient_quota";
/// The `code` of what somebody who is known may not do.
pub const INSUFFICIENT_PERMISSIONS: &str = "insufficient_permissions";
/// The database may be back by then.
const STORE_RETRY: Duration = Duration::from_secs(1);

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

    /// Whoever asks is not let in.
    fn unauthorized(code: &'static str, message: String) -> Self {
        Self::request(StatusCode::UNAUTHORIZED, Some(code), message)
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

    /// What is not there, or not for this caller.
    pub fn missing(what: &str) -> Self {
        let message = format!("There is no such {what}.");
        Self::request(StatusCode::NOT_FOUND, None, message)
    }

    /// What cannot be done as things are.
    pub fn conflict(message: &str) -> Self {
        Self::request(StatusCode::CONFLICT, Some("conflict"), message)
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
            let message = "You didn't provide an API key. You need to provide your API key, or an \
                           access token, in an Authorization header using Bearer auth (i.e. \
                           Authorization: Bearer YOUR_KEY).";
            return Self::request(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), message);
        }
        if error.is::<NotFoundError>() {
            let message = "Invalid URL: there is no such route.";
            return Self::request(StatusCode::NOT_FOUND, Some("unknown_url"), message);
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
        if let Some(query) = error.downcast_ref::<ParseParamError>() {
            // The framework's words; it has no other sign of a parameter that is not there.
            if query.reason.ends_with("expects an input value.") {
                let message = format!("Missing required parameter: '{}'.", query.name);
                return Self::param(query.name, Some("missing_required_parameter"), message);
            }
            let message = format!("Invalid value for '{}' in the query.", query.name);
            return Self::param(query.name, Some("invalid_value"), message);
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
            Failure::Limit(error) => Self::from(error),
            Failure::Guard(error) => Self::from(error),
            Failure::Record(_) => Self::unavailable(
                "Your request could not be recorded, and nothing is answered unrecorded. Please \
                 try again later.",
                None,
            ),
            Failure::Refused(told) => told.clone(),
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

impl From<&GuardFailure> for ApiError {
    fn from(error: &GuardFailure) -> Self {
        let message = error.to_string();
        match error {
            GuardFailure::Blocked { param, .. } => {
                Self::param(param, Some("content_filter"), message)
            }
            GuardFailure::Unavailable => Self {
                code: Some("guardrails_unavailable"),
                ..Self::unavailable(message, None)
            },
        }
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        Self::from(&error)
    }
}

impl From<&LimitError> for ApiError {
    fn from(error: &LimitError) -> Self {
        let over = |kind, code, retry_after| Self {
            kind,
            retry_after,
            ..Self::request(StatusCode::TOO_MANY_REQUESTS, Some(code), error.to_string())
        };
        match error {
            LimitError::Rate {
                kind, retry_after, ..
            } => {
                let kind = if kind.starts_with("tokens") {
                    "tokens"
                } else {
                    "requests"
                };
                over(kind, "rate_limit_exceeded", Some(*retry_after))
            }
            LimitError::TooLarge { .. } => over("tokens", "rate_limit_exceeded", None),
            LimitError::Quota { .. } => over(QUOTA, QUOTA, None),
            LimitError::Unavailable => Self::unavailable(error.to_string(), Some(STORE_RETRY)),
        }
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
            AuthError::InvalidKey | AuthError::Ended { .. } => {
                Self::unauthorized("invalid_api_key", error.to_string())
            }
            AuthError::NotAToken => Self::unauthorized("invalid_access_token", error.to_string()),
            AuthError::Expired => Self::unauthorized("token_expired", error.to_string()),
            AuthError::SecondFactor => Self::request(
                StatusCode::FORBIDDEN,
                Some("second_factor_required"),
                error.to_string(),
            ),
            AuthError::Forbidden(_) => Self::request(
                StatusCode::FORBIDDEN,
                Some(INSUFFICIENT_PERMISSIONS),
                error.to_string(),
            ),
            AuthError::UnknownProject => Self {
                param: Some("OpenAI-Project".to_owned()),
                ..Self::request(
                    StatusCode::NOT_FOUND,
                    Some("project_not_found"),
                    error.to_string(),
                )
            },
            AuthError::Hidden => Self::request(StatusCode::NOT_FOUND, None, error.to_string()),
            AuthError::Unavailable(why) => {
                tracing::error!(error = %why, "keys cannot be verified");
                Self::unavailable("Your API key cannot be verified at the moment.", None)
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::ActorEnded) {
            return AuthError::InvalidKey.into();
        }
        tracing::error!(%error, "the database failed");
        Self::unavailable(
            "The server cannot read or write its records at the moment.",
            Some(STORE_RETRY),
        )
    }
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Store(error) => error.into(),
            ExportError::Write(error) => {
                tracing::error!(%error, "an export cannot be written");
                Self::internal()
            }
        }
    }
}

impl From<IssueError> for ApiError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a key cannot be made");
                Self::internal()
            }
        }
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        let message = error.to_string();
        match error {
            IdentityError::WrongCredentials => Self::unauthorized("invalid_credentials", message),
            IdentityError::SecondFactorNeeded => Self {
                param: Some("code".to_owned()),
                ..Self::unauthorized("second_factor_required", message)
            },
            IdentityError::InvalidRefreshToken => {
                Self::unauthorized("invalid_refresh_token", message)
            }
            IdentityError::TooManyAttempts { retry_after } => Self {
                kind: RATE_LIMIT,
                retry_after: Some(retry_after),
                ..Self::request(
                    StatusCode::TOO_MANY_REQUESTS,
                    Some("too_many_attempts"),
                    message,
                )
            },
            IdentityError::Closed { .. } => {
                Self::request(StatusCode::FORBIDDEN, Some("registration_closed"), message)
            }
            IdentityError::NotInvited => {
                Self::param("invite_token", Some("invalid_value"), message)
            }
            IdentityError::Weak { param, .. } => Self::param(param, Some("weak_password"), message),
            IdentityError::WrongProof(param) => Self::param(param, Some("invalid_value"), message),
            IdentityError::Taken
            | IdentityError::HasSecondFactor
            | IdentityError::NoSecondFactor
            | IdentityError::NotHere => Self::conflict(&message),
            IdentityError::Password(PasswordError::Busy { retry_after }) => {
                Self::unavailable(message, Some(retry_after))
            }
            IdentityError::Password(PasswordError::Failed(why)) => {
                tracing::error!(error = %why, "a password could not be processed");
                Self::internal()
            }
            IdentityError::Issue(error) => error.into(),
            IdentityError::Store(error) => error.into(),
            IdentityError::Auth(error) => error.into(),
        }
    }
}

impl From<PersonError> for ApiError {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Unknown => Self::missing("user"),
            PersonError::LastOwner => Self::conflict(
                "This is the last active owner of the organization: name another first.",
            ),
            PersonError::Store(error) => error.into(),
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
        if self.status() == StatusCode::TOO_MANY_REQUESTS && self.retry_after.is_none() {
            // SDKs would try again at once, in vain.
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
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
            (
                401,
                "The API key, access token or password is missing or wrong.",
            ),
            (403, "Not allowed to this caller, who is known."),
            (404, "There is no such thing, or not for the caller."),
            (409, "It cannot be done as things are."),
            (413, "The request is too large."),
            (415, "The request is not JSON."),
            (
                429,
                "A limit is reached, or too many are waiting; `retry-after-ms` says when to come back.",
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
