//! What the script is asked, and what it answers.

use std::sync::LazyLock;
use std::time::Duration;

use deadpool_redis::redis::{Script, ScriptInvocation};
use serde::Serialize;

use super::super::meter::{Amount, Counts, NANOUSD_PER_CENT, Scope, Used, kind, tightest};
use super::super::{LimitError, LimitSet, Rate};
use crate::shared::Redis;

static VISIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("visit.lua")));

/// Numbers in an answer for each scope.
const ROW: usize = 15;

/// What a process asks of the counts.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Visit {
    /// The process.
    pub me: String,
    /// Which records it reads what was used before from.
    pub records: String,
    /// It is new.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub join: bool,
    /// Its names before, whose counts nobody can be sure of any more.
    pub retire: Vec<String>,
    /// It ends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub leave: bool,
    pub ask: Kind,
    pub tokens: u64,
    pub costs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle: Option<Vec<Settled>>,
    pub scopes: Vec<Given>,
    /// Unix milliseconds in the place of the server's own clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<u64>,
    #[serde(skip)]
    pub names: Vec<Scope>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    #[default]
    Nothing,
    Request,
    Use,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Given {
    pub limits: WireLimits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<Used>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<Own>,
}

/// A [`LimitSet`], costs in billionths of a dollar.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct WireLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    rpm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpd: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    td: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cd: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cm: Option<u64>,
}

impl From<&LimitSet> for WireLimits {
    fn from(limits: &LimitSet) -> Self {
        let nanousd =
            |cents: Option<u64>| cents.map(|cents| cents.saturating_mul(NANOUSD_PER_CENT));
        Self {
            rpm: limits.requests_per_minute,
            rpd: limits.requests_per_day,
            tpm: limits.tokens_per_minute,
            c: limits.concurrent_requests,
            td: limits.tokens_per_day,
            tm: limits.tokens_per_month,
            cd: nanousd(limits.cents_per_day),
            cm: nanousd(limits.cents_per_month),
        }
    }
}

/// What a process holds of a scope, and what it has used of it without telling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Own {
    pub running: u64,
    pub held: Vec<OnDay>,
    pub requests_minute: u64,
    pub requests_day: u64,
    pub tokens_minute: u64,
    pub spent: Vec<OnDay>,
    /// Unix milliseconds: the first of it was used then.
    pub since: i64,
}

/// An amount that counts for one day (UTC, since 1970).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct OnDay {
    pub day: i64,
    pub tokens: u64,
    pub costs: u64,
}

/// A request has ended, or what it has used is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Settled {
    /// Places in [`Visit::scopes`].
    pub scopes: Vec<usize>,
    pub ended: bool,
    /// Where the reservation is noted; empty: nowhere.
    pub slots: Vec<u64>,
    pub day: i64,
    pub reserved: WireAmount,
    pub used: WireAmount,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct WireAmount {
    pub tokens: u64,
    pub costs: u64,
}

impl From<Amount> for WireAmount {
    fn from(amount: Amount) -> Self {
        Self {
            tokens: amount.tokens,
            costs: amount.nanousd,
        }
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nobody there knows the process.
    Gone,
    /// What these scopes have used before has to be told first.
    Unseeded(Vec<usize>),
    Seen(Seen),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// What was asked was counted; otherwise some of the rows say why not.
    pub is_taken: bool,
    /// Processes that were there lately, this one among them.
    pub processes: u64,
    /// UTC, since 1970.
    pub day: i64,
    pub rows: Vec<Row>,
}

/// How one scope is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Row {
    refused: u64,
    used: u64,
    wait: u64,
    /// Where tokens are noted.
    pub slot: u64,
    pub counts: Counts,
    /// Milliseconds until the windows are empty.
    requests_minute_ms: u64,
    requests_day_ms: u64,
    tokens_minute_ms: u64,
}

/// Something that the script never answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strange;

impl Visit {
    pub(super) fn call(&self, redis: &Redis) -> ScriptInvocation<'static> {
        let question = serde_json::to_string(self).unwrap_or_default();
        let mut call = VISIT.arg(question);
        call.key(redis.key("{limits}:processes"));
        for scope in &self.names {
            let name = match scope {
                Scope::Key(id) => format!("{{limits}}:key:{id}"),
                Scope::User(id) => format!("{{limits}}:user:{id}"),
                Scope::Project(id) => format!("{{limits}}:project:{id}"),
                Scope::Organization => "{limits}:organization".to_owned(),
                Scope::Model(project, model) => format!("{{limits}}:model:{project}:{model}"),
            };
            for part in ["b", "o", "m", "mr", "mt", "d", "dr"] {
                call.key(redis.key(&format!("{name}:{part}")));
            }
        }
        call
    }
}

impl Answer {
    pub(super) fn read(numbers: &[i64]) -> Result<Self, Strange> {
        let (status, rest) = numbers.split_first().ok_or(Strange)?;
        match status {
            1 => Ok(Self::Gone),
            2 => {
                let scopes = rest.iter().map(|at| usize::try_from(*at));
                Ok(Self::Unseeded(
                    scopes.collect::<Result<_, _>>().map_err(|_| Strange)?,
                ))
            }
            0 | 3 => {
                let [processes, day, rows @ ..] = rest else {
                    return Err(Strange);
                };
                if rows.len() % ROW != 0 {
                    return Err(Strange);
                }
                Ok(Self::Seen(Seen {
                    is_taken: *status == 0,
                    processes: u64::try_from(*processes).map_err(|_| Strange)?,
                    day: *day,
                    rows: rows.chunks(ROW).map(Row::read).collect::<Result<_, _>>()?,
                }))
            }
            _ => Err(Strange),
        }
    }
}

impl Row {
    fn read(numbers: &[i64]) -> Result<Self, Strange> {
        let mut numbers = numbers.iter().map(|number| u64::try_from(*number));
        let mut next = || numbers.next().ok_or(Strange)?.map_err(|_| Strange);
        let (refused, used, wait, slot) = (next()?, next()?, next()?, next()?);
        let (requests_minute, requests_minute_ms) = (next()?, next()?);
        let (requests_day, requests_day_ms) = (next()?, next()?);
        let (tokens_minute, tokens_minute_ms) = (next()?, next()?);
        Ok(Self {
            refused,
            used,
            wait,
            slot,
            counts: Counts {
                requests_minute,
                requests_day,
                tokens_minute,
                running: next()?,
                tokens_day: next()?,
                nanousd_day: next()?,
                tokens_month: next()?,
                nanousd_month: next()?,
            },
            requests_minute_ms,
            requests_day_ms,
            tokens_minute_ms,
        })
    }

    /// Why the scope has no room, if it has none.
    pub(super) fn refusal(&self, limits: &LimitSet, requested: u64) -> Option<LimitError> {
        let rate = |kind, limit: Option<u64>, requested| LimitError::Rate {
            kind,
            limit: limit.unwrap_or(0),
            used: self.used,
            requested,
            retry_after: Duration::from_millis(self.wait),
        };
        let quota = |kind, limit: Option<u64>| LimitError::Quota {
            kind,
            limit: limit.unwrap_or(0),
        };
        Some(match self.refused {
            0 => return None,
            1 => rate(kind::CONCURRENT, limits.concurrent_requests, 1),
            2 => rate(kind::REQUESTS_MINUTE, limits.requests_per_minute, 1),
            3 => rate(kind::REQUESTS_DAY, limits.requests_per_day, 1),
            4 => LimitError::TooLarge {
                limit: limits.tokens_per_minute.unwrap_or(0),
                requested,
            },
            5 => rate(kind::TOKENS_MINUTE, limits.tokens_per_minute, requested),
            6 => quota(kind::TOKENS_DAY, limits.tokens_per_day),
            7 => quota(kind::TOKENS_MONTH, limits.tokens_per_month),
            8 => quota(kind::CENTS_DAY, limits.cents_per_day),
            _ => quota(kind::CENTS_MONTH, limits.cents_per_month),
        })
    }

    pub(super) fn requests(&self, limits: &LimitSet) -> Option<Rate> {
        let used = &self.counts;
        let minute = left(
            used.requests_minute,
            self.requests_minute_ms,
            limits.requests_per_minute,
        );
        let day = left(
            used.requests_day,
            self.requests_day_ms,
            limits.requests_per_day,
        );
        tightest(minute, day)
    }

    pub(super) fn tokens(&self, limits: &LimitSet) -> Option<Rate> {
        left(
            self.counts.tokens_minute,
            self.tokens_minute_ms,
            limits.tokens_per_minute,
        )
    }
}

fn left(used: u64, empty_in: u64, limit: Option<u64>) -> Option<Rate> {
    let limit = limit?;
    Some(Rate {
        limit,
        remaining: limit.saturating_sub(used),
        reset: Duration::from_millis(empty_in),
    })
}
