//! What is asked of limits, and why it is not to be had.

use std::time::Duration;

use super::meter::{Amount, Scope};
use super::{LimitError, LimitSet};

/// A scope and the limits that it has for one request; perhaps none.
pub(super) type Claim = (Scope, LimitSet);

/// What is asked of limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ask {
    /// To come in.
    Request,
    /// To use so much.
    Use(Amount),
}

impl Ask {
    /// Who wants to come in is not in the way of who is in and wants to get on.
    pub(super) fn competes_with(self, other: Self) -> bool {
        matches!(self, Self::Request) == matches!(other, Self::Request)
    }
}

/// Why a request cannot be let in.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) ask: Ask,
    /// All that have no room for it.
    pub(super) scopes: Vec<Scope>,
    /// The one that lasts longest.
    pub(super) error: LimitError,
}

impl Refusal {
    /// None: nothing was in the way.
    pub(super) fn of(ask: Ask, refused: impl Iterator<Item = (Scope, LimitError)>) -> Option<Self> {
        let (scopes, errors): (Vec<_>, Vec<_>) = refused.unzip();
        let lasts = |error: &LimitError| error.retry_after().unwrap_or(Duration::MAX);
        let error = errors.into_iter().max_by_key(lasts)?;
        Some(Self { ask, scopes, error })
    }

    /// Whether somebody who asks for this would push in.
    pub(super) fn is_before(&self, claims: &[Claim], ask: Ask) -> bool {
        let is_same = |(scope, _): &Claim| self.scopes.contains(scope);
        self.ask.competes_with(ask) && claims.iter().any(is_same)
    }
}

pub(super) fn may_pass_within(error: &LimitError, patience: Duration) -> bool {
    error.retry_after().is_some_and(|wait| wait <= patience)
}
