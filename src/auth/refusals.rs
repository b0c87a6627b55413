//! Credentials that opened nothing, told to the audit: the first of a kind at once, those that
//! follow together, so that nobody fills the disk by being refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::throttle::network;
use crate::records::{Actor, ActorKind, AuditEvent};
use crate::store::Store;

/// Each network is told of at most so often for each reason.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Networks and reasons that are told apart within that time. Those beyond are told of together,
/// by reason alone: an attacker may have any number of networks.
const MOST: usize = 30;

/// Counts refusals and tells the audit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Refusals {
    store: Store,
    counts: Arc<Mutex<Counts>>,
}

/// Whom a refusal counts for: a network, if it is told apart, and why.
type Subject = (Option<IpAddr>, &'static str);
type Counts = HashMap<Subject, Count>;

#[derive(Debug)]
struct Count {
    told_at: Option<Instant>,
    untold: u64,
    last: Refusal,
}

/// Somebody is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Why, in few words of our own: each is a line of its own in the audit.
    pub reason: &'static str,
    /// The public id of the key or session, if it is, or was, one.
    pub id: Option<String>,
    pub by: Actor,
}

/// A refusal with how many there were since the last that was told, itself included.
type Told = (Refusal, u64);

impl Refusals {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            counts: Arc::default(),
        }
    }

    /// Counts a refusal. When this returns it is in the audit, if it is the first for a while.
    pub async fn note(&self, refusal: Refusal) {
        let now = Instant::now();
        let (subject, is_first_untold, told) = count(&mut self.lock(), now, refusal);
        if is_first_untold {
            let later = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(TOLD_EVERY).await;
                let told = due(&mut later.lock(), Instant::now(), &subject);
                later.tell(told).await;
            });
        }
        if told.is_none() {
            return;
        }
        // Whoever hangs up does not keep it from being written.
        let this = self.clone();
        let written = tokio::spawn(async move { this.tell(told).await });
        if let Err(error) = written.await {
            tracing::error!(%error, "a refusal could not be told");
        }
    }

    /// Tells all that was counted and not told yet.
    pub async fn close(&self) {
        let left: Vec<Told> = {
            let mut counts = self.lock();
            let untold = counts.drain().filter(|(_, count)| count.untold > 0);
            untold
                .map(|(_, count)| (count.last, count.untold))
                .collect()
        };
        for told in left {
            self.tell(Some(told)).await;
        }
    }

    async fn tell(&self, told: Option<Told>) {
        let Some((refusal, count)) = told else {
            return;
        };
        // Of what was presented, not even a part is repeated.
        let id = refusal.id.as_deref().unwrap_or("unknown");
        let event = AuditEvent::about("access.denied", id)
            .with("error_code", refusal.reason)
            .with("count", count);
        if let Err(error) = self.store.audit(&refusal.by, &event).await {
            tracing::error!(%error, reason = refusal.reason, "a refusal is not in the audit");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one. Says what it counted for, whether somebody has to come back to tell of it, and what
/// is to be told now.
fn count(counts: &mut Counts, now: Instant, refusal: Refusal) -> (Subject, bool, Option<Told>) {
    let mut subject = (refusal.by.ip.map(network), refusal.reason);
    let mut refusal = refusal;
    if !counts.contains_key(&subject) {
        counts.retain(|_, count| count.untold > 0 || !count.is_due(now));
        if counts.len() >= MOST {
            subject.0 = None;
            refusal = refusal.of_many();
        }
    }
    let count = counts.entry(subject).or_insert_with(|| Count {
        told_at: None,
        untold: 0,
        last: refusal.clone(),
    });
    count.last = refusal;
    count.untold += 1;
    let told = count.take(now);
    (subject, told.is_none() && count.untold == 1, told)
}

/// What is to be told of a subject now.
fn due(counts: &mut Counts, now: Instant, subject: &Subject) -> Option<Told> {
    counts.get_mut(subject)?.take(now)
}

impl Count {
    fn is_due(&self, now: Instant) -> bool {
        self.told_at
            .is_none_or(|at| now.saturating_duration_since(at) >= TOLD_EVERY)
    }

    fn take(&mut self, now: Instant) -> Option<Told> {
        if self.untold == 0 || !self.is_due(now) {
            return None;
        }
        self.told_at = Some(now);
        Some((self.last.clone(), std::mem::take(&mut self.untold)))
    }
}

impl Refusal {
    /// One that stands for those of many networks.
    fn of_many(self) -> Self {
        Self {
            id: None,
            by: Actor {
                kind: ActorKind::Anonymous,
                id: None,
                user_id: None,
                ip: None,
                user_agent: None,
                at_ms: self.by.at_ms,
            },
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(ip: &str) -> Refusal {
        Refusal {
            reason: "unknown_api_key",
            id: None,
            by: Actor {
                kind: ActorKind::Anonymous,
                id: None,
                user_id: None,
                ip: ip.parse().ok(),
                user_agent: Some("agent".to_owned()),
                at_ms: 7,
            },
        }
    }

    fn told(counts: &mut Counts, now: Instant, ip: &str) -> Option<(Option<IpAddr>, u64)> {
        let (_, _, told) = count(counts, now, from(ip));
        told.map(|(refusal, count)| (refusal.by.ip, count))
    }

    #[test]
    fn a_network_is_told_of_once_a_minute_with_how_often_it_was_refused() {
        let (mut counts, start) = (Counts::new(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let ip = "2001:db8::1";
        assert_eq!(told(&mut counts, at(0), ip), Some((ip.parse().ok(), 1)));
        let (subject, is_first_untold, told_now) = count(&mut counts, at(1), from("2001:db8::2"));
        assert!(is_first_untold && told_now.is_none(), "the same /64");
        let (_, is_first_untold, _) = count(&mut counts, at(59), from(ip));
        assert!(!is_first_untold, "somebody comes back already");
        // Another reason is told of by itself.
        let other = Refusal {
            reason: "expired_api_key",
            ..from(ip)
        };
        assert!(count(&mut counts, at(59), other).2.is_some());
        assert_eq!(due(&mut counts, at(59), &subject), None);
        let (_, counted) = due(&mut counts, at(61), &subject).unwrap();
        assert_eq!(counted, 2);
        assert_eq!(due(&mut counts, at(200), &subject), None, "nothing is left");
        assert_eq!(told(&mut counts, at(62), ip), None);
        assert_eq!(told(&mut counts, at(121), ip), Some((ip.parse().ok(), 2)));
    }

    #[test]
    fn many_networks_are_told_of_together() {
        let (mut counts, now) = (Counts::new(), Instant::now());
        let mut rows = Vec::new();
        for n in 0..10_000_u32 {
            let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string();
            rows.extend(told(&mut counts, now, &ip));
        }
        assert_eq!(rows.len(), MOST + 1);
        assert_eq!(rows.last(), Some(&(None, 1)));
        assert_eq!(counts.len(), MOST + 1);
        let subject = (None, "unknown_api_key");
        let later = now + TOLD_EVERY;
        let (refusal, counted) = due(&mut counts, later, &subject).unwrap();
        assert_eq!(counted, 10_000 - MOST as u64 - 1);
        assert_eq!((refusal.by.ip, refusal.by.user_agent), (None, None));
        // Those who have gone make room.
        let ip = "192.0.2.1";
        assert_eq!(told(&mut counts, later, ip), Some((ip.parse().ok(), 1)));
    }
}
