//! Attempts to guess a password, counted so that an attacker gets few of them and the owner of the
//! account still gets in.
//!
//! An attempt from an address that the account was never used from counts for the address, whatever
//! the account, and for the account, whatever the address: many addresses are no way around. One
//! from an address that the account was used from counts for the two together only: whatever an
//! attacker does elsewhere, the owner is not locked out at home.

mod shared;

pub use shared::{Attempts, SharedAttempt};

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Failures that cost nothing but the time of a hash.
const FREE: u32 = 10;
/// The first wait after those; each further failure doubles it.
const FIRST_WAIT_MS: u64 = 1000;
const LONGEST_WAIT_MS: u64 = 15 * 60 * 1000;
/// Failures are forgiven one by one, each after so long.
const FORGIVEN_MS: u64 = 5 * 60 * 1000;
/// The same for an IPv6 /48: a single customer may have one, or many customers share it.
const SITE_FREE: u32 = 20;
/// Failures of an account from new addresses before all new addresses have to wait.
const ACCOUNT_FREE: u32 = 50;
/// A refusal is told to the audit at most so often for each subject.
const TOLD_EVERY_MS: u64 = 60 * 1000;
/// Subjects that are remembered at most; those that tried longest ago are forgotten first.
const MOST: u64 = 100_000;
/// After so long without an attempt everything is forgiven.
const FORGOTTEN: Duration = Duration::from_secs(6 * 60 * 60);

/// Who tries, or is tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Address(IpAddr),
    /// The IPv6 /48 around it.
    Site(IpAddr),
    Account(String),
    Known(String, Option<IpAddr>),
}

#[derive(Debug, Default)]
struct Count {
    failures: u32,
    /// Until when failures were forgiven, in milliseconds of a clock that never goes back.
    at: u64,
    blocked_until: u64,
    /// How many attempts there were: tells whether another came after one.
    attempts: u64,
    told_at: Option<u64>,
}

/// Counts attempts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Throttle {
    counts: Cache<Subject, Arc<Mutex<Count>>>,
    since: std::time::Instant,
}

/// An attempt that was let through; it counts as a failure until it is [`Attempt::forgiven`].
#[derive(Debug)]
pub struct Attempt {
    /// With the number of the attempt at each.
    counts: Vec<(Arc<Mutex<Count>>, u64)>,
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub retry_after: Duration,
    /// Nobody was told of a refusal of this subject lately.
    pub is_news: bool,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            counts: Cache::builder()
                .max_capacity(MOST)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(FORGOTTEN)
                .build(),
            since: std::time::Instant::now(),
        }
    }
}

impl Throttle {
    /// Lets an attempt through, or says when to come back. `account` is whatever names it, whether
    /// it exists or not; `is_known`: the account was used from this address before.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn begin(
        &self,
        account: &str,
        address: Option<IpAddr>,
        is_known: bool,
    ) -> Result<Attempt, Refusal> {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.begin_at(now, account, address, is_known)
    }

    fn begin_at(
        &self,
        now: u64,
        account: &str,
        address: Option<IpAddr>,
        is_known: bool,
    ) -> Result<Attempt, Refusal> {
        let subjects = subjects(account, address, is_known);
        let mut counts = Vec::with_capacity(subjects.len());
        for (subject, free) in subjects {
            let count = self.counts.get_with(subject, Arc::default);
            let outcome = lock(&count).fail(now, free);
            match outcome {
                Ok(number) => counts.push((count, number)),
                Err(refusal) => {
                    // What was counted for the others did not happen.
                    Attempt { counts }.forgiven();
                    return Err(refusal);
                }
            }
        }
        Ok(Attempt { counts })
    }
}

impl Attempt {
    /// It was no guess.
    pub fn forgiven(self) {
        for (count, number) in &self.counts {
            let mut count = lock(count);
            count.failures = count.failures.saturating_sub(1);
            // Another's wait is not ours to end: else guesses between two good sign-ins were free.
            if count.attempts == *number {
                count.blocked_until = 0;
            }
        }
    }
}

impl Count {
    fn fail(&mut self, now: u64, free: u32) -> Result<u64, Refusal> {
        if now < self.blocked_until {
            let told = self.told_at.replace(now);
            let is_news = told.is_none_or(|at| now.saturating_sub(at) >= TOLD_EVERY_MS);
            if !is_news {
                self.told_at = told;
            }
            return Err(Refusal {
                retry_after: Duration::from_millis(self.blocked_until - now),
                is_news,
            });
        }
        if self.failures == 0 {
            self.at = now;
        }
        let periods = now.saturating_sub(self.at) / FORGIVEN_MS;
        self.at += periods * FORGIVEN_MS;
        let forgiven = u32::try_from(periods).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_sub(forgiven) + 1;
        self.attempts += 1;
        if let Some(over) = self.failures.checked_sub(free) {
            let wait = FIRST_WAIT_MS.saturating_mul(1 << over.min(20));
            self.blocked_until = now + wait.min(LONGEST_WAIT_MS);
        }
        Ok(self.attempts)
    }
}

/// What an attempt counts for, and how many failures are free there.
fn subjects(account: &str, address: Option<IpAddr>, is_known: bool) -> Vec<(Subject, u32)> {
    let address = address.map(network);
    let account = account.to_lowercase();
    match address {
        Some(address) if !is_known => {
            let mut subjects = vec![(Subject::Address(address), FREE)];
            subjects.extend(site(address).map(|site| (Subject::Site(site), SITE_FREE)));
            subjects.push((Subject::Account(account), ACCOUNT_FREE));
            subjects
        }
        address => vec![(Subject::Known(account, address), FREE)],
    }
}

/// Who has many IPv6 networks has them side by side.
fn site(network: IpAddr) -> Option<IpAddr> {
    match network {
        IpAddr::V6(v6) => Some(IpAddr::V6((v6.to_bits() >> 80 << 80).into())),
        IpAddr::V4(_) => None,
    }
}

/// Whoever has an IPv6 address has at least 2^64 of them.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        },
        v4 => v4,
    }
}

fn lock(count: &Mutex<Count>) -> std::sync::MutexGuard<'_, Count> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
