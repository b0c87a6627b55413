//! `/v1/guardrails`: what the guards would do. `/v1/moderations`: OpenAI's way to ask.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};

use super::Cut;
use super::auth::ApiKey;
use super::envelope::Trace;
use super::error::ApiError;
use super::payload::{Json, MaybeJson};
use super::spec::Tag;
use crate::app::App;
use crate::auth::KeyScope;
use crate::guardrails::{Action, Direction, Found, GuardName, Judgement, Place};
use crate::openai::moderation::{ModerationInput, ModerationRequest, ModerationResponse};
use crate::pipeline::{self, Failure, Invalid, MODERATION_MODEL};
use crate::records::MODERATIONS;

/// What records call these requests.
const CHECK: &str = "guardrails.check";
/// Texts in one request.
const MOST_TEXTS: usize = 1000;

pub struct GuardrailsApi;

/// A text to be looked at, as if it were on its way.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct GuardrailCheck {
    /// The policy's name; without it, the caller's own.
    pub policy: Option<String>,
    pub direction: TextDirection,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum TextDirection {
    /// To the model.
    Input,
    /// From the model.
    Output,
}

/// What a policy makes of a text.
#[derive(Debug, Clone, Serialize, Object)]
pub struct GuardrailVerdict {
    pub action: TextAction,
    /// What would go on; empty when it is blocked.
    pub text: String,
    /// All that was found, however unlikely.
    pub findings: Vec<GuardrailFinding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum TextAction {
    Allow,
    Mask,
    Block,
}

#[derive(Debug, Clone, Serialize, Object)]
pub struct GuardrailFinding {
    pub guard: TextGuard,
    /// In the guard's own terms, such as `email`.
    pub kind: String,
    /// How likely it is what it looks like, in [0, 1].
    pub score: f32,
    /// In Unicode code points.
    pub start: u64,
    /// In Unicode code points, exclusive.
    pub end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum TextGuard {
    Injection,
    Secrets,
    Pii,
    Toxicity,
    Output,
    Leak,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Guardrails")]
impl GuardrailsApi {
    /// Tell what a policy makes of a text. Nothing else comes of it.
    #[oai(
        path = "/guardrails/check",
        method = "post",
        operation_id = "checkGuardrails"
    )]
    async fn check(
        &self,
        key: ApiKey,
        app: Data<&App>,
        trace: Data<&Arc<Trace>>,
        cut: Data<&Cut>,
        request: MaybeJson<GuardrailCheck>,
    ) -> Result<Json<GuardrailVerdict>, ApiError> {
        key.0.may(KeyScope::ModelRequest)?;
        let caller = trace.caller(key.0, &cut);
        let GuardrailCheck {
            policy: name,
            direction,
            text,
        } = match request.0 {
            Ok(request) => request,
            Err(unread) => return Err(pipeline::refuse(&app, caller, CHECK, unread).await.into()),
        };
        let direction = Direction::from(direction);
        let judgement = pipeline::look(&app, caller, CHECK, "", move |guardrails, own| {
            let policy = match name {
                None => own.clone(),
                Some(name) => guardrails
                    .policies()
                    .get(&name)
                    .ok_or_else(|| no_policy(&name))?,
            };
            let place = Place::usual(direction);
            Ok(guardrails.judgement(&policy, direction, place, &text))
        });
        Ok(Json(judgement.await?.into()))
    }

    /// Score texts in OpenAI's categories: those that have `["text"]` in
    /// `category_applied_input_types`.
    #[oai(
        path = "/moderations",
        method = "post",
        operation_id = "createModeration"
    )]
    async fn moderate(
        &self,
        key: ApiKey,
        app: Data<&App>,
        trace: Data<&Arc<Trace>>,
        cut: Data<&Cut>,
        request: MaybeJson<ModerationRequest>,
    ) -> Result<Json<ModerationResponse>, ApiError> {
        key.0.may(KeyScope::ModelRequest)?;
        let caller = trace.caller(key.0, &cut);
        let input = match request.0 {
            Ok(request) => request.input,
            Err(unread) => {
                let failure = pipeline::refuse(&app, caller, MODERATIONS, unread);
                return Err(failure.await.into());
            }
        };
        let results = pipeline::look(
            &app,
            caller,
            MODERATIONS,
            MODERATION_MODEL,
            move |guardrails, policy| {
                let texts = texts(input)?;
                let scores = texts.iter().map(|text| {
                    let findings = guardrails.ask(GuardName::Toxicity, text, Place::User);
                    pipeline::scores(&findings, policy, Place::User)
                });
                Ok(scores.collect())
            },
        );
        Ok(Json(ModerationResponse {
            results: results.await?,
            id: app.clock.id("modr-"),
            model: MODERATION_MODEL.to_owned(),
        }))
    }
}

fn no_policy(name: &str) -> Failure {
    let name: String = name.chars().take(64).collect();
    Failure::Invalid(Invalid {
        param: "policy".to_owned(),
        code: Some("invalid_value"),
        message: format!("Invalid 'policy': there is no policy '{name}'."),
    })
}

/// What is to be judged, one text for each result.
fn texts(input: ModerationInput) -> Result<Vec<String>, Failure> {
    let wrong = |param: String, code, message: String| {
        let code = Some(code);
        Failure::Invalid(Invalid {
            param,
            code,
            message,
        })
    };
    let count = match &input {
        ModerationInput::One(_) => 1,
        ModerationInput::Many(texts) => texts.len(),
        ModerationInput::Parts(parts) => parts.len(),
    };
    if count == 0 || count > MOST_TEXTS {
        let message =
            format!("Invalid 'input': expected 1 to {MOST_TEXTS} texts, but got {count} instead.");
        return Err(wrong("input".to_owned(), "invalid_value", message));
    }
    match input {
        ModerationInput::One(text) => Ok(vec![text]),
        ModerationInput::Many(texts) => Ok(texts),
        ModerationInput::Parts(parts) => {
            let parts = parts.into_iter().enumerate().map(|(i, part)| {
                if part.kind != "text" {
                    let message = "Only parts of the type 'text' can be judged here.";
                    let param = format!("input[{i}].type");
                    return Err(wrong(param, "unsupported_value", message.to_owned()));
                }
                let param = format!("input[{i}].text");
                let message = format!("Missing required parameter: '{param}'.");
                part.text
                    .ok_or_else(|| wrong(param, "missing_required_parameter", message))
            });
            let parts: Vec<String> = parts.collect::<Result<_, _>>()?;
            Ok(vec![parts.join("\n")])
        }
    }
}

impl From<TextDirection> for Direction {
    fn from(direction: TextDirection) -> Self {
        match direction {
            TextDirection::Input => Self::Input,
            TextDirection::Output => Self::Output,
        }
    }
}

impl From<Judgement> for GuardrailVerdict {
    fn from(judgement: Judgement) -> Self {
        Self {
            action: match judgement.action {
                Action::Allow => TextAction::Allow,
                Action::Mask => TextAction::Mask,
                Action::Block => TextAction::Block,
            },
            text: judgement.text,
            findings: judgement.findings.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Found> for GuardrailFinding {
    fn from(found: Found) -> Self {
        Self {
            guard: match found.guard {
                GuardName::Injection => TextGuard::Injection,
                GuardName::Secrets => TextGuard::Secrets,
                GuardName::Pii => TextGuard::Pii,
                GuardName::Toxicity => TextGuard::Toxicity,
                GuardName::Output => TextGuard::Output,
                GuardName::Leak => TextGuard::Leak,
            },
            kind: found.kind.to_owned(),
            score: found.score,
            start: u64::try_from(found.start).unwrap_or(u64::MAX),
            end: u64::try_from(found.end).unwrap_or(u64::MAX),
        }
    }
}
