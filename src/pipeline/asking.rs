//! The two ways to ask a model.

use crate::app::App;
use crate::cache::CacheParam;
use crate::engine::Sampling;
use crate::openai::chat::ChatRequest;
use crate::openai::legacy::CompletionRequest;
use crate::openai::moderation::ModerationParam;

use super::invalid::Invalid;
use super::storing::Storing;
use super::validate::Asked;
use super::{Caller, prompts, validate};

/// What a client sent.
pub(super) enum Asking {
    Chat(Box<ChatRequest>),
    Completion(Box<CompletionRequest>),
}

impl Asking {
    pub(super) fn model(&self) -> &str {
        match self {
            Self::Chat(request) => &request.model,
            Self::Completion(request) => &request.model,
        }
    }

    /// What it wants of the cache.
    pub(super) fn cache(&mut self) -> Option<CacheParam> {
        match self {
            Self::Chat(request) => request.cache.take(),
            Self::Completion(request) => request.cache.take(),
        }
    }

    /// What it wants to know of the guards.
    pub(super) fn moderation(&mut self) -> Option<ModerationParam> {
        match self {
            Self::Chat(request) => request.moderation.take(),
            Self::Completion(_) => None,
        }
    }

    /// Where the answer is to be stored.
    ///
    /// # Errors
    /// As [`Storing::of`].
    pub(super) fn storing(
        &mut self,
        app: &App,
        caller: &Caller,
    ) -> Result<Option<Storing>, Invalid> {
        match self {
            Self::Chat(request) => Storing::of(app, caller, request),
            Self::Completion(_) => Ok(None),
        }
    }

    /// The request in the engine's terms; `defaults` are the model's.
    ///
    /// # Errors
    /// [`Invalid`] names what the caller can mend.
    pub(super) fn check(self, tenant: &str, defaults: &Sampling) -> Result<Asked, Invalid> {
        match self {
            Self::Chat(request) => validate::check(*request, tenant, defaults),
            Self::Completion(request) => prompts::check(*request, tenant, defaults),
        }
    }
}
