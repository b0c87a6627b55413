use std::sync::Arc;

use super::claim::{Ask, Claim};
use super::limiter::{self, Inner};
use super::meter::Amount;
use super::{LimitError, RateStatus, shared};

/// What a request may use; given back, except for what it has used, when dropped.
#[derive(Debug)]
pub struct Permit {
    inner: Arc<Inner>,
    /// The key whose line it waits in.
    caller: String,
    claims: Arc<[Claim]>,
    reserved: Option<Held>,
    /// What is reserved is more than nothing.
    is_more: bool,
    /// After `reserved`: that is given back first.
    _request: Held,
    /// Where limits are shared: how full they were a moment ago.
    rates: Option<RateStatus>,
}

/// What was reserved by who has left, counted until it is dropped.
#[derive(Debug)]
pub struct Reservation {
    _held: Held,
}

/// What is counted, wherever it is.
#[derive(Debug)]
pub(super) enum Held {
    Here(limiter::Share),
    Shared(shared::Share),
}

impl Held {
    fn rates(&self) -> Option<RateStatus> {
        match self {
            Self::Here(_) => None,
            Self::Shared(share) => Some(share.rates),
        }
    }
}

impl Permit {
    /// A request that was let in: `request` is what counts for it already.
    pub(super) fn new(
        inner: Arc<Inner>,
        caller: String,
        claims: Arc<[Claim]>,
        request: Held,
    ) -> Self {
        Self {
            inner,
            caller,
            claims,
            reserved: None,
            is_more: false,
            rates: request.rates(),
            _request: request,
        }
    }

    /// Reserves the most that the request may use: nothing, for an answer that is made for somebody
    /// else. What is used of it is counted all the same; whoever has nothing left is refused.
    ///
    /// # Errors
    /// [`LimitError`] of the tightest limit.
    pub async fn reserve(&mut self, tokens: u64, nanousd: u64) -> Result<(), LimitError> {
        let ask = Ask::Use(Amount { tokens, nanousd });
        let reserved = self.inner.hold(&self.caller, &self.claims, ask).await?;
        self.rates = reserved.rates().or(self.rates);
        self.is_more = tokens > 0 || nanousd > 0;
        self.reserved = Some(reserved);
        Ok(())
    }

    /// Whether anything is reserved, if only nothing.
    pub fn has_reserved(&self) -> bool {
        self.reserved.is_some()
    }

    /// The most tokens that any request of this caller could ever be given.
    pub fn most_tokens(&self) -> Option<u64> {
        let limits = self.claims.iter().flat_map(|(_, limits)| {
            [
                limits.tokens_per_minute,
                limits.tokens_per_day,
                limits.tokens_per_month,
            ]
        });
        limits.flatten().min()
    }

    /// What was used in the end takes the place of what was reserved as soon as what is returned is
    /// dropped.
    pub fn settle(&mut self, tokens: u64, nanousd: u64) -> Option<Reservation> {
        let amount = Amount { tokens, nanousd };
        let mut held = self.reserved.take();
        match &mut held {
            Some(Held::Here(share)) => share.settle(amount),
            Some(Held::Shared(share)) => share.settle(amount),
            None => {}
        }
        held.filter(|_| self.is_more)
            .map(|held| Reservation { _held: held })
    }

    /// How full the limits are now; where they are shared, as they were when this was counted.
    pub fn status(&self) -> RateStatus {
        match self.rates {
            Some(rates) => rates,
            None => self.inner.status(&self.claims),
        }
    }
}
