use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fnv::FnvHashMap;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::claim::{Ask, Claim, Refusal, may_pass_within};
use super::meter::{Amount, Meter, Noted, Scope, tightest};
use super::permit::{Held, Permit};
use super::queue::Queue;
use super::shared::Shared;
use super::source::Source;
use super::{LimitError, LimitSet, RateStatus};
use crate::auth::Principal;
use crate::clock::Clock;
use crate::config::LimitsConfig;
use crate::shared::Redis;
use crate::store::Store;

/// Meters beyond which idle ones are looked for and forgotten.
const MANY: usize = 10_000;

/// Counts what everybody uses and says whether it is too much. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Limits {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    source: Source,
    config: LimitsConfig,
    /// Counts for all processes together. None: what follows counts for this one.
    shared: Option<Arc<Shared>>,
    /// Locked before `meters`, where both are.
    waiting: Mutex<Waiting>,
    meters: Mutex<Meters>,
}

/// Nobody can choose the names in it, so that a hash needs no protection from that.
type Meters = FnvHashMap<Scope, Meter>;

/// Who waits for a limit.
#[derive(Debug, Default)]
struct Waiting {
    queue: Queue<Waiter>,
    /// When somebody looks whether time alone lets in who waits.
    alarm: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    claims: Arc<[Claim]>,
    ask: Ask,
    until: Instant,
    /// Why it waits.
    refusal: LimitError,
    turn: oneshot::Sender<Result<Share, LimitError>>,
}

/// What was counted for a request; given back, except for what it has used, when dropped.
#[derive(Debug)]
pub(super) struct Share {
    inner: Arc<Inner>,
    claims: Arc<[Claim]>,
    taken: Taken,
}

#[derive(Debug)]
enum Taken {
    Request,
    Tokens {
        reserved: Amount,
        noted: Vec<Noted>,
        /// As far as anybody has said.
        used: Amount,
    },
}

/// Takes its request out of the line when nobody waits for it any more.
struct Spot<'a> {
    inner: &'a Arc<Inner>,
    ticket: u64,
}

impl Drop for Spot<'_> {
    fn drop(&mut self) {
        let left = self.inner.waiting().queue.leave(self.ticket);
        if left.is_some() {
            // Others may have waited for nothing but this one.
            self.inner.serve();
        }
    }
}

impl Limits {
    /// `config` is what holds for each project and model unless set otherwise.
    pub fn new(store: Store, clock: Clock, config: LimitsConfig) -> Self {
        Self::with(Source::new(store, clock), config, None)
    }

    /// Limits that hold for all processes which use the same Redis together. `records` names the
    /// database: processes with the same have the same records of what was used before. Call within
    /// a tokio runtime.
    pub fn shared(
        store: Store,
        clock: Clock,
        config: LimitsConfig,
        redis: Redis,
        records: String,
    ) -> Self {
        let source = Source::new(store, clock);
        let shared = Shared::start(redis, records, source.clone());
        Self::with(source, config, Some(shared))
    }

    fn with(source: Source, config: LimitsConfig, shared: Option<Arc<Shared>>) -> Self {
        Self {
            inner: Arc::new(Inner {
                source,
                config,
                shared,
                waiting: Mutex::default(),
                meters: Mutex::default(),
            }),
        }
    }

    /// Lets a request in, or says why not. It counts from then on, whatever becomes of it.
    /// `model` is the model that is asked for, if it is served.
    ///
    /// Where a short wait would help, and the configuration allows it, it waits: each key's
    /// requests in order, keys in turns.
    ///
    /// # Errors
    /// [`LimitError`] of the tightest limit.
    pub async fn begin(
        &self,
        principal: &Principal,
        model: Option<&str>,
    ) -> Result<Permit, LimitError> {
        let claims: Arc<[Claim]> = self.inner.claims(principal, model).await?.into();
        let caller = principal.key_id.clone();
        let request = self.inner.hold(&caller, &claims, Ask::Request).await?;
        Ok(Permit::new(self.inner.clone(), caller, claims, request))
    }

    /// How many requests wait now, in this process.
    pub fn waiting(&self) -> usize {
        match &self.inner.shared {
            Some(shared) => shared.waiting(),
            None => self.inner.waiting().queue.len(),
        }
    }

    /// Tells other processes the last of what this one has used.
    pub async fn close(&self) {
        if let Some(shared) = &self.inner.shared {
            shared.close().await;
        }
    }

    /// How full the limits of somebody are, for an answer that does not use any. None when that
    /// cannot be told.
    pub async fn status(&self, principal: &Principal, models: &[String]) -> Option<RateStatus> {
        let mut claims = self.inner.claims(principal, None).await.ok()?;
        for model in models {
            claims.push(self.inner.model_claim(principal, model));
        }
        Some(match &self.inner.shared {
            Some(shared) => shared.status(&claims).await,
            None => self.inner.status(&claims),
        })
    }

    /// Each scope that limits somebody: its limits, and what is used of them.
    ///
    /// # Errors
    /// [`LimitError::Unavailable`] when the records cannot be read.
    pub async fn report(
        &self,
        principal: &Principal,
        models: &[String],
    ) -> Result<Vec<(Scope, LimitSet, LimitSet)>, LimitError> {
        let mut claims = self.inner.claims(principal, None).await?;
        for model in models {
            claims.push(self.inner.model_claim(principal, model));
        }
        self.inner.seed(&claims).await?;
        claims.retain(|(_, limits)| *limits != LimitSet::default());
        let used = match &self.inner.shared {
            Some(shared) => shared.report(&claims).await,
            None => self.inner.totals(&claims),
        };
        let rows = claims.into_iter().zip(used);
        Ok(rows
            .map(|((scope, limits), used)| (scope, limits, used))
            .collect())
    }
}

impl Share {
    /// What was used in the end takes the place of what was reserved when it is given back.
    pub(super) fn settle(&mut self, amount: Amount) {
        if let Taken::Tokens { used, .. } = &mut self.taken {
            *used = amount;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut meters = self.inner.meters();
        for (i, (scope, _)) in self.claims.iter().enumerate() {
            match (meters.get_mut(scope), &self.taken) {
                (Some(meter), Taken::Request) => meter.end_request(),
                (
                    Some(meter),
                    Taken::Tokens {
                        reserved,
                        noted,
                        used,
                    },
                ) => {
                    if let Some(noted) = noted.get(i) {
                        meter.settle(*noted, *reserved, *used);
                    }
                }
                (None, _) => {}
            }
        }
        drop(meters);
        self.inner.serve();
    }
}

impl Inner {
    fn meters(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scopes that a request counts for.
    async fn claims(
        &self,
        principal: &Principal,
        model: Option<&str>,
    ) -> Result<Vec<Claim>, LimitError> {
        let limits = &principal.limits;
        let mut claims = vec![
            (
                Scope::Key(principal.key_id.as_str().into()),
                limits.key.clone(),
            ),
            (
                Scope::Project(principal.project_id.as_str().into()),
                limits.project.clone(),
            ),
            (Scope::Organization, limits.organization.clone()),
        ];
        if let Some(user) = &principal.user_id {
            claims.push((Scope::User(user.as_str().into()), limits.user.clone()));
        }
        // Also what is not limited now: a limit that is set later counts what was used before.
        if let Some(model) = model {
            claims.push(self.model_claim(principal, model));
        }
        self.seed(&claims).await?;
        Ok(claims)
    }

    fn model_claim(&self, principal: &Principal, model: &str) -> Claim {
        let own = principal.limits.models.get(model);
        let set = |limit: fn(&LimitSet) -> Option<u64>| own.and_then(limit);
        let config = &self.config;
        let per_day = Some(config.requests_per_day).filter(|limit| *limit > 0);
        let limits = LimitSet {
            requests_per_minute: set(|own| own.requests_per_minute)
                .or(Some(config.requests_per_minute)),
            tokens_per_minute: set(|own| own.tokens_per_minute).or(Some(config.tokens_per_minute)),
            requests_per_day: set(|own| own.requests_per_day).or(per_day),
            ..LimitSet::default()
        };
        let scope = Scope::Model(principal.project_id.as_str().into(), model.into());
        (scope, limits)
    }

    /// Counts what was used before this process. At the first use of a scope, whatever is limited
    /// then: counted later, what it has used since would count twice.
    async fn seed(&self, claims: &[Claim]) -> Result<(), LimitError> {
        if let Some(shared) = &self.shared {
            return shared.learn(claims).await;
        }
        for (scope, _) in claims {
            let is_seeded = self
                .meters()
                .get(scope)
                .is_some_and(|meter| meter.is_seeded);
            if !is_seeded {
                let used = self.source.used_before(scope).await?;
                let now = self.source.now();
                let mut meters = self.meters();
                meters
                    .entry(scope.clone())
                    .or_insert_with(Meter::new)
                    .seed(now, used);
            }
        }
        Ok(())
    }

    fn check(&self, meters: &mut Meters, claims: &[Claim], ask: Ask) -> Result<(), Refusal> {
        let now = self.source.now();
        let refusals = claims.iter().filter_map(|(scope, limits)| {
            let meter = meters.entry(scope.clone()).or_insert_with(Meter::new);
            let checked = match ask {
                Ask::Request => meter.check_request(now, limits),
                Ask::Use(amount) => meter.check(now, limits, amount),
            };
            Some((scope.clone(), checked.err()?))
        });
        match Refusal::of(ask, refusals) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// Counts what was checked.
    fn take(self: &Arc<Self>, meters: &mut Meters, claims: &Arc<[Claim]>, ask: Ask) -> Share {
        let now = self.source.now();
        let own = claims.iter().map(|(scope, _)| scope.clone());
        let taken = match ask {
            Ask::Request => {
                for scope in own {
                    let meter = meters.entry(scope).or_insert_with(Meter::new);
                    meter.take_request(now);
                }
                Taken::Request
            }
            Ask::Use(reserved) => {
                let noted = own.map(|scope| {
                    let meter = meters.entry(scope).or_insert_with(Meter::new);
                    meter.take(now, reserved)
                });
                Taken::Tokens {
                    reserved,
                    noted: noted.collect(),
                    used: Amount::default(),
                }
            }
        };
        Share {
            inner: self.clone(),
            claims: claims.clone(),
            taken,
        }
    }

    /// Forgets what nobody uses, when there is much of it.
    fn tidy(&self, claims: &[Claim]) {
        let now = self.source.now();
        let mut meters = self.meters();
        if meters.len() > MANY {
            // Not those that were filled from the records for this request.
            let is_own = |scope: &Scope| claims.iter().any(|(own, _)| own == scope);
            meters.retain(|scope, meter| is_own(scope) || !meter.is_idle(now));
        }
    }

    pub(super) fn status(&self, claims: &[Claim]) -> RateStatus {
        let now = self.source.now();
        let mut meters = self.meters();
        let (mut requests, mut tokens) = (None, None);
        for (scope, limits) in claims {
            let meter = meters.entry(scope.clone()).or_insert_with(Meter::new);
            requests = tightest(requests, meter.requests(now, limits));
            tokens = tightest(tokens, meter.tokens(now, limits));
        }
        RateStatus { requests, tokens }
    }

    fn totals(&self, claims: &[Claim]) -> Vec<LimitSet> {
        let now = self.source.now();
        let mut meters = self.meters();
        let used = claims.iter().map(|(scope, _)| {
            let meter = meters.entry(scope.clone()).or_insert_with(Meter::new);
            meter.counts(now).totals()
        });
        used.collect()
    }

    pub(super) async fn hold(
        self: &Arc<Self>,
        caller: &str,
        claims: &Arc<[Claim]>,
        ask: Ask,
    ) -> Result<Held, LimitError> {
        match &self.shared {
            Some(shared) => {
                let patience = Duration::from_millis(self.config.longest_wait_ms);
                let share = shared.patiently(caller, claims, ask, patience).await;
                share.map(Held::Shared)
            }
            None => self.patiently(caller, claims, ask).await.map(Held::Here),
        }
    }

    /// Tries for as long as the configuration allows, behind whoever waits already.
    async fn patiently(
        self: &Arc<Self>,
        caller: &str,
        claims: &Arc<[Claim]>,
        ask: Ask,
    ) -> Result<Share, LimitError> {
        self.tidy(claims);
        let patience = Duration::from_millis(self.config.longest_wait_ms);
        if patience.is_zero() {
            let mut meters = self.meters();
            let checked = self.check(&mut meters, claims, ask);
            checked.map_err(|refusal| refusal.error)?;
            return Ok(self.take(&mut meters, claims, ask));
        }
        let (turn, mut mine) = oneshot::channel();
        let waiter = Waiter {
            claims: claims.clone(),
            ask,
            until: Instant::now() + patience,
            refusal: LimitError::Unavailable,
            turn,
        };
        let ticket = self.waiting().queue.join(caller, waiter);
        let _spot = Spot {
            inner: self,
            ticket,
        };
        self.serve();
        let is_over = self.waiting().queue.is_over(caller);
        let patience = if is_over { Duration::ZERO } else { patience };
        if let Ok(answer) = tokio::time::timeout(patience, &mut mine).await {
            return answer.unwrap_or(Err(LimitError::Unavailable));
        }
        let why = self.waiting().queue.get(ticket).map(|w| w.refusal.clone());
        match why {
            Some(refusal) => Err(refusal),
            // At the last moment.
            None => mine.try_recv().unwrap_or(Err(LimitError::Unavailable)),
        }
    }

    /// Lets in those whose turn it is, now that something may have changed.
    fn serve(self: &Arc<Self>) {
        let mut waiting = self.waiting();
        if waiting.queue.len() == 0 {
            return;
        }
        let mut meters = self.meters();
        let mut untaken = Vec::new();
        loop {
            let mut ahead = Vec::new();
            let answer = |waiter: &mut Waiter| self.answer(&mut meters, &mut ahead, waiter);
            let Some((waiter, answer)) = waiting.queue.serve(answer) else {
                break;
            };
            untaken.extend(waiter.turn.send(answer).err());
        }
        drop(meters);
        self.set_alarm(&mut waiting);
        // What nobody takes is given back, and needs the locks.
        drop(waiting);
        drop(untaken);
    }

    /// None when a request has to go on waiting: for its limits, or for those `ahead` of it who
    /// wait for one of the same.
    fn answer(
        self: &Arc<Self>,
        meters: &mut Meters,
        ahead: &mut Vec<Refusal>,
        waiter: &mut Waiter,
    ) -> Option<Result<Share, LimitError>> {
        let (claims, ask) = (&waiter.claims, waiter.ask);
        match self.check(meters, claims, ask) {
            Err(refusal) => {
                let left = waiter.until.saturating_duration_since(Instant::now());
                if !may_pass_within(&refusal.error, left) {
                    return Some(Err(refusal.error));
                }
                waiter.refusal = refusal.error.clone();
                ahead.push(refusal);
                None
            }
            Ok(()) => match ahead.iter().find(|ahead| ahead.is_before(claims, ask)) {
                Some(ahead) => {
                    waiter.refusal = ahead.error.clone();
                    None
                }
                None => Some(Ok(self.take(meters, claims, ask))),
            },
        }
    }

    /// Time alone may let somebody in: looks again when it could.
    fn set_alarm(self: &Arc<Self>, waiting: &mut Waiting) {
        let wait = waiting.queue.iter().filter_map(|w| w.refusal.retry_after());
        let Some(wait) = wait.min() else {
            return;
        };
        let at = Instant::now() + wait;
        if waiting.alarm.is_some_and(|sooner| sooner <= at) {
            return;
        }
        // Without a runtime nobody waits any more.
        if let Ok(runtime) = Handle::try_current() {
            waiting.alarm = Some(at);
            let inner = Arc::downgrade(self);
            runtime.spawn(async move {
                tokio::time::sleep_until(at.into()).await;
                if let Some(inner) = inner.upgrade() {
                    let mut waiting = inner.waiting();
                    waiting.alarm = waiting.alarm.filter(|next| *next != at);
                    drop(waiting);
                    inner.serve();
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
