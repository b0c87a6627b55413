use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{Datelike, TimeZone, Utc};
use tokio::sync::{Notify, Semaphore};

use super::meter::{Amount, Meter, Noted, Now, Scope, tightest};
use super::{LimitError, LimitSet, RateStatus, Used};
use crate::auth::Principal;
use crate::clock::Clock;
use crate::config::LimitsConfig;
use crate::store::Store;

/// Meters beyond which idle ones are looked for and forgotten.
const MANY: usize = 10_000;
/// Requests of one key that may wait for a limit at the same time.
const WAITING_PER_KEY: usize = 16;
/// Requests that may wait for limits at the same time.
const WAITING: usize = 1024;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Counts what everybody uses and says whether it is too much. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Limits {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    config: LimitsConfig,
    since: Instant,
    meters: Mutex<HashMap<Scope, Meter>>,
    /// Who waits for a limit: one of each key at a time tries again.
    lines: Mutex<HashMap<String, Arc<Semaphore>>>,
    waiting: Semaphore,
    freed: Notify,
}

/// A scope and the limits that it has for one request.
type Claim = (Scope, LimitSet);

/// What a request may use; given back, except for what it has used, when dropped.
#[derive(Debug)]
pub struct Permit {
    inner: Arc<Inner>,
    /// The key whose line it waits in.
    caller: String,
    claims: Vec<Claim>,
    reserved: Option<(Amount, Vec<Noted>)>,
}

impl Limits {
    /// `config` is what holds for each project and model unless set otherwise.
    pub fn new(store: Store, clock: Clock, config: LimitsConfig) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                clock,
                config,
                since: Instant::now(),
                meters: Mutex::default(),
                lines: Mutex::default(),
                waiting: Semaphore::new(WAITING),
                freed: Notify::new(),
            }),
        }
    }

    /// Lets a request in, or says why not. It counts from then on, whatever becomes of it.
    /// `model` is the model that is asked for, if it is served.
    ///
    /// Where a short wait would help, and the configuration allows it, it waits: each key's
    /// requests in order, no key in the way of another.
    ///
    /// # Errors
    /// [`LimitError`] of the tightest limit.
    pub async fn begin(
        &self,
        principal: &Principal,
        model: Option<&str>,
    ) -> Result<Permit, LimitError> {
        let claims = self.inner.claims(principal, model).await?;
        let inner = &self.inner;
        inner
            .patiently(&principal.key_id, || inner.enter(&claims))
            .await?;
        Ok(Permit {
            inner: inner.clone(),
            caller: principal.key_id.clone(),
            claims,
            reserved: None,
        })
    }

    /// How full the limits of somebody are, for an answer that does not use any. None when that
    /// cannot be told.
    pub async fn status(&self, principal: &Principal, models: &[String]) -> Option<RateStatus> {
        let mut claims = self.inner.claims(principal, None).await.ok()?;
        for model in models {
            claims.push(self.inner.model_claim(principal, model).await.ok()?);
        }
        Some(self.inner.status(&claims))
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
            claims.push(self.inner.model_claim(principal, model).await?);
        }
        self.inner.seed(&claims).await?;
        let now = self.inner.now();
        let mut meters = self.inner.meters();
        let rows = claims.into_iter().map(|(scope, limits)| {
            let used = meters.entry(scope.clone()).or_insert_with(Meter::new);
            let used = used.totals(now);
            (scope, limits, used)
        });
        Ok(rows.collect())
    }
}

impl Permit {
    /// Reserves the most that the request may use.
    ///
    /// # Errors
    /// [`LimitError`] of the tightest limit.
    pub async fn reserve(&mut self, tokens: u64, nanousd: u64) -> Result<(), LimitError> {
        let amount = Amount { tokens, nanousd };
        let (inner, claims) = (&self.inner, &self.claims);
        let attempt = || inner.reserve(claims, amount);
        let noted = inner.patiently(&self.caller, attempt).await?;
        self.reserved = Some((amount, noted));
        Ok(())
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

    /// What was used in the end takes the place of what was reserved.
    pub fn settle(&mut self, tokens: u64, nanousd: u64) {
        if let Some((reserved, noted)) = self.reserved.take() {
            let used = Amount { tokens, nanousd };
            self.inner.settle(&self.claims, reserved, &noted, used);
        }
    }

    /// How full the limits are now.
    pub fn status(&self) -> RateStatus {
        self.inner.status(&self.claims)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Nothing was used, as far as anybody has said.
        self.settle(0, 0);
        let mut meters = self.inner.meters();
        for (scope, _) in &self.claims {
            if let Some(meter) = meters.get_mut(scope) {
                meter.end_request();
            }
        }
        drop(meters);
        self.inner.freed.notify_waiters();
    }
}

impl Inner {
    fn meters(&self) -> MutexGuard<'_, HashMap<Scope, Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        let wall = self.clock.now_secs();
        let date = Utc.timestamp_opt(wall, 0).single();
        let month = date.map_or(0, |date| {
            i64::from(date.year()) * 12 + i64::from(date.month0())
        });
        Now {
            ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            day: wall.div_euclid(DAY_SECONDS),
            month,
        }
    }

    /// The scopes that limit a request.
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
        claims.retain(|(_, limits)| *limits != LimitSet::default());
        if let Some(model) = model {
            claims.push(self.model_claim(principal, model).await?);
        }
        self.seed(&claims).await?;
        Ok(claims)
    }

    async fn model_claim(&self, principal: &Principal, model: &str) -> Result<Claim, LimitError> {
        let row = self.store.rate_limit(&principal.project_id, model).await;
        let row = row.map_err(unavailable)?.unwrap_or_default();
        let set = |value: Option<i64>| value.map(|value| u64::try_from(value).unwrap_or(0));
        let config = &self.config;
        let per_day = Some(config.requests_per_day).filter(|limit| *limit > 0);
        let limits = LimitSet {
            requests_per_minute: set(row.requests_per_minute).or(Some(config.requests_per_minute)),
            tokens_per_minute: set(row.tokens_per_minute).or(Some(config.tokens_per_minute)),
            requests_per_day: set(row.requests_per_day).or(per_day),
            ..LimitSet::default()
        };
        let scope = Scope::Model(principal.project_id.as_str().into(), model.into());
        Ok((scope, limits))
    }

    /// Counts what was used before this process. At the first use of a scope, whatever is limited
    /// then: counted later, what it has used since would count twice.
    async fn seed(&self, claims: &[Claim]) -> Result<(), LimitError> {
        for (scope, _) in claims {
            let is_seeded = self
                .meters()
                .get(scope)
                .is_some_and(|meter| meter.is_seeded);
            if !is_seeded {
                let used = self.used_before(scope).await?;
                let now = self.now();
                let mut meters = self.meters();
                meters
                    .entry(scope.clone())
                    .or_insert_with(Meter::new)
                    .seed(now, used);
            }
        }
        Ok(())
    }

    async fn used_before(&self, scope: &Scope) -> Result<Used, LimitError> {
        let wall = self.clock.now_secs();
        let month = Utc.timestamp_opt(wall, 0).single();
        let month = month.and_then(|date| {
            let first = Utc.with_ymd_and_hms(date.year(), date.month(), 1, 0, 0, 0);
            first.single()
        });
        let month = month.map_or(0, |first| first.timestamp());
        let day = wall - wall.rem_euclid(DAY_SECONDS);
        // A model's limits have no month, and need not read one.
        let month = match scope {
            Scope::Model(..) => day,
            _ => month,
        };
        let store = &self.store;
        store
            .used_before(scope, wall - DAY_SECONDS, day, month)
            .await
            .map_err(unavailable)
    }

    fn enter(&self, claims: &[Claim]) -> Result<(), LimitError> {
        let now = self.now();
        let mut meters = self.meters();
        if meters.len() > MANY {
            // Not those that were filled from the records for this request.
            let is_own = |scope: &Scope| claims.iter().any(|(own, _)| own == scope);
            meters.retain(|scope, meter| is_own(scope) || !meter.is_idle(now));
        }
        worst(claims.iter().map(|(scope, limits)| {
            let meter = meters.entry(scope.clone()).or_insert_with(Meter::new);
            meter.check_request(now, limits)
        }))?;
        for (scope, _) in claims {
            if let Some(meter) = meters.get_mut(scope) {
                meter.take_request(now);
            }
        }
        Ok(())
    }

    fn reserve(&self, claims: &[Claim], amount: Amount) -> Result<Vec<Noted>, LimitError> {
        let now = self.now();
        let mut meters = self.meters();
        worst(claims.iter().map(|(scope, limits)| {
            let meter = meters.entry(scope.clone()).or_insert_with(Meter::new);
            meter.check(now, limits, amount)
        }))?;
        let noted = claims.iter().map(|(scope, _)| {
            let meter = meters.entry(scope.clone()).or_insert_with(Meter::new);
            meter.take(now, amount)
        });
        Ok(noted.collect())
    }

    fn settle(&self, claims: &[Claim], reserved: Amount, noted: &[Noted], used: Amount) {
        let mut meters = self.meters();
        for ((scope, _), noted) in claims.iter().zip(noted) {
            if let Some(meter) = meters.get_mut(scope) {
                meter.settle(*noted, reserved, used);
            }
        }
        drop(meters);
        self.freed.notify_waiters();
    }

    fn status(&self, claims: &[Claim]) -> RateStatus {
        let now = self.now();
        let mut meters = self.meters();
        let (mut requests, mut tokens) = (None, None);
        for (scope, limits) in claims {
            let meter = meters.entry(scope.clone()).or_insert_with(Meter::new);
            requests = tightest(requests, meter.requests(now, limits));
            tokens = tightest(tokens, meter.tokens(now, limits));
        }
        RateStatus { requests, tokens }
    }

    /// Tries at once, and then for as long as the configuration allows: in line with the other
    /// requests of the same caller, and in nobody else's way.
    async fn patiently<T>(
        &self,
        caller: &str,
        attempt: impl Fn() -> Result<T, LimitError>,
    ) -> Result<T, LimitError> {
        let patience = Duration::from_millis(self.config.longest_wait_ms);
        let first = attempt();
        if patience.is_zero() || !may_pass_within(&first, patience) {
            return first;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return first;
        };
        let line = self.line(caller);
        let ahead = Arc::strong_count(&line) - 1;
        if ahead > WAITING_PER_KEY {
            return first;
        }
        let until = Instant::now() + patience;
        let waited = tokio::time::timeout(patience, self.wait(&line, until, attempt)).await;
        drop(line);
        self.leave_line(caller);
        waited.unwrap_or(first)
    }

    async fn wait<T>(
        &self,
        line: &Semaphore,
        until: Instant,
        attempt: impl Fn() -> Result<T, LimitError>,
    ) -> Result<T, LimitError> {
        let _turn = line.acquire().await.map_err(|_| LimitError::Unavailable)?;
        loop {
            // Before the attempt, or what is freed right after it would go unnoticed.
            let freed = self.freed.notified();
            let tried = attempt();
            let left = until.saturating_duration_since(Instant::now());
            if !may_pass_within(&tried, left) {
                return tried;
            }
            if let Err(LimitError::Rate { retry_after, .. }) = tried {
                first_of(freed, tokio::time::sleep(retry_after)).await;
            }
        }
    }

    fn line(&self, caller: &str) -> Arc<Semaphore> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(caller.to_owned());
        line.or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }

    fn leave_line(&self, caller: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines
            .get(caller)
            .is_some_and(|line| Arc::strong_count(line) == 1)
        {
            lines.remove(caller);
        }
    }
}

fn unavailable(error: crate::store::StoreError) -> LimitError {
    tracing::error!(%error, "limits cannot be checked");
    LimitError::Unavailable
}

async fn first_of(a: impl Future<Output = ()>, b: impl Future<Output = ()>) {
    tokio::select! {
        () = a => {}
        () = b => {}
    }
}

fn may_pass_within<T>(tried: &Result<T, LimitError>, patience: Duration) -> bool {
    matches!(tried, Err(LimitError::Rate { retry_after, .. }) if *retry_after <= patience)
}

/// The refusal that lasts longest, if there is any.
fn worst(checks: impl Iterator<Item = Result<(), LimitError>>) -> Result<(), LimitError> {
    let lasts = |error: &LimitError| match error {
        LimitError::Rate { retry_after, .. } => *retry_after,
        _ => Duration::MAX,
    };
    match checks.filter_map(Result::err).max_by_key(lasts) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
