use std::collections::VecDeque;
use std::time::Duration;

/// Parts of a span that are told apart: an entry is forgotten at most this part of the span late.
const SLOTS: u64 = 600;

/// What was used within a span of time that ends now.
///
/// Never forgets too early: in no span of that length is more counted out than went in. Holds one
/// number for each part of the span in which something was used, so it is bounded however much is.
#[derive(Debug, Clone)]
pub struct Window {
    /// Milliseconds of one slot.
    slot_ms: u64,
    /// Slot numbers, ascending, with what was used in each.
    used: VecDeque<(u64, u64)>,
    sum: u64,
}

impl Window {
    pub fn new(span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            slot_ms: (span / SLOTS).max(1),
            used: VecDeque::new(),
            sum: 0,
        }
    }

    /// What is used at this moment, in milliseconds of any clock that never goes back.
    pub fn used(&mut self, now: u64) -> u64 {
        let slot = now / self.slot_ms;
        while let Some((first, amount)) = self.used.front().copied() {
            // Whatever was used at the very end of that slot is a whole span old.
            if slot < first + SLOTS + 1 {
                break;
            }
            self.sum -= amount;
            self.used.pop_front();
        }
        self.sum
    }

    /// Uses some. Returns where it is noted, for [`Window::adjust`].
    pub fn add(&mut self, now: u64, amount: u64) -> u64 {
        // Time may seem to go back by a little between threads.
        let last = self.used.back().map_or(0, |(slot, _)| *slot);
        let slot = (now / self.slot_ms).max(last);
        match self.used.back_mut() {
            Some((last, used)) if *last == slot => *used += amount,
            _ => self.used.push_back((slot, amount)),
        }
        self.sum += amount;
        slot
    }

    /// What was noted there as `old` turned out to be `new`. What is forgotten stays so.
    pub fn adjust(&mut self, slot: u64, old: u64, new: u64) {
        let Ok(at) = self.used.binary_search_by_key(&slot, |(slot, _)| *slot) else {
            return;
        };
        if let Some((_, used)) = self.used.get_mut(at) {
            let rest = used.saturating_sub(old);
            self.sum = self.sum - *used + rest + new;
            *used = rest + new;
        }
    }

    /// Milliseconds until so much is free below the limit; none when it never will be.
    pub fn wait_for(&mut self, now: u64, amount: u64, limit: u64) -> Option<u64> {
        let room = limit.checked_sub(amount)?;
        let mut used = self.used(now);
        let mut wait = 0;
        for (slot, amount) in &self.used {
            if used <= room {
                break;
            }
            used -= amount;
            wait = ((slot + SLOTS + 1) * self.slot_ms).saturating_sub(now);
        }
        Some(wait)
    }

    /// Milliseconds until nothing is used.
    pub fn empty_in(&mut self, now: u64) -> u64 {
        self.used(now);
        let last = self.used.back();
        last.map_or(0, |(slot, _)| {
            ((slot + SLOTS + 1) * self.slot_ms).saturating_sub(now)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPAN: u64 = 60_000;

    proptest! {
        /// Against a list of everything that was ever let in.
        #[test]
        fn no_span_holds_more_than_the_limit(
            steps in prop::collection::vec((0_u64..5_000, 1_u64..40), 1..400),
            limit in 50_u64..200,
        ) {
            let mut window = Window::new(Duration::from_millis(SPAN));
            let mut let_in: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for (step, amount) in steps {
                now += step;
                let recent = |span: u64| -> u64 {
                    let recent = let_in.iter().filter(|(at, _)| at + span > now);
                    recent.map(|(_, amount)| amount).sum()
                };
                if window.used(now) + amount <= limit {
                    window.add(now, amount);
                    prop_assert!(recent(SPAN) + amount <= limit);
                    let_in.push((now, amount));
                } else {
                    // A slot and a bit late at most.
                    prop_assert!(recent(SPAN + 2 * SPAN / SLOTS) + amount > limit);
                    let wait = window.wait_for(now, amount, limit);
                    let wait = wait.expect("amounts are below the limit");
                    prop_assert!(wait > 0);
                    prop_assert!(window.clone().used(now + wait) + amount <= limit);
                    prop_assert!(window.clone().used(now + wait - 1) + amount > limit);
                }
            }
            let empty = window.empty_in(now);
            prop_assert_eq!(window.used(now + empty), 0);
        }

        #[test]
        fn what_is_adjusted_counts_as_if_it_had_been_so_from_the_beginning(
            amounts in prop::collection::vec((0_u64..2_000, 0_u64..100, 0_u64..100), 1..200),
        ) {
            let mut window = Window::new(Duration::from_millis(SPAN));
            let mut plain = window.clone();
            let mut now = 0;
            for (step, reserved, settled) in amounts {
                now += step;
                let slot = window.add(now, reserved);
                window.adjust(slot, reserved, settled);
                plain.add(now, settled);
                prop_assert_eq!(window.used(now), plain.used(now));
            }
            prop_assert!(window.used.len() <= usize::try_from(SLOTS + 1).unwrap());
        }
    }
}
