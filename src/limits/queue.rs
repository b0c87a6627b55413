//! Who waits for a limit. Callers take turns, and each caller's requests keep their order.

use std::collections::VecDeque;

/// Requests of one caller that may wait at the same time.
const MOST_PER_CALLER: usize = 16;
/// Requests that may wait at the same time.
const MOST: usize = 1024;

#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Callers who have something waiting, in the order of their turns.
    lines: VecDeque<Line<T>>,
    next_ticket: u64,
}

/// What one caller has waiting, oldest first.
#[derive(Debug)]
struct Line<T> {
    caller: String,
    waiters: VecDeque<(u64, T)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            lines: VecDeque::new(),
            next_ticket: 0,
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn len(&self) -> usize {
        self.lines.iter().map(|line| line.waiters.len()).sum()
    }

    /// Whether more wait, of this caller or in all, than may.
    pub(super) fn is_over(&self, caller: &str) -> bool {
        let line = self.lines.iter().find(|line| line.caller == caller);
        line.is_some_and(|line| line.waiters.len() > MOST_PER_CALLER) || self.len() > MOST
    }

    /// Returns a ticket to leave with.
    pub(super) fn join(&mut self, caller: &str, waiter: T) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        match self.lines.iter_mut().find(|line| line.caller == caller) {
            Some(line) => line.waiters.push_back((ticket, waiter)),
            None => self.lines.push_back(Line {
                caller: caller.to_owned(),
                waiters: VecDeque::from([(ticket, waiter)]),
            }),
        }
        ticket
    }

    /// None when it has had its turn.
    pub(super) fn get(&self, ticket: u64) -> Option<&T> {
        let mut all = self.lines.iter().flat_map(|line| &line.waiters);
        all.find_map(|(t, waiter)| (*t == ticket).then_some(waiter))
    }

    /// None when it has had its turn.
    pub(super) fn get_mut(&mut self, ticket: u64) -> Option<&mut T> {
        let mut all = self.lines.iter_mut().flat_map(|line| &mut line.waiters);
        all.find_map(|(t, waiter)| (*t == ticket).then_some(waiter))
    }

    /// Those who are asked before it, in their order.
    pub(super) fn ahead_of(&self, ticket: u64) -> impl Iterator<Item = &T> {
        let longest = self.lines.iter().map(|line| line.waiters.len()).max();
        let places = 0..longest.unwrap_or(0);
        let all = places.flat_map(|at| {
            let lines = self.lines.iter();
            lines.filter_map(move |line| line.waiters.get(at))
        });
        all.take_while(move |(t, _)| *t != ticket)
            .map(|(_, waiter)| waiter)
    }

    /// As [`Queue::leave`], but its caller's turn is over.
    pub(super) fn leave_served(&mut self, ticket: u64) -> Option<T> {
        let (line, at) = self.place(ticket)?;
        self.take(line, at, true)
    }

    /// None when it has had its turn.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<T> {
        let (line, at) = self.place(ticket)?;
        self.take(line, at, false)
    }

    fn place(&self, ticket: u64) -> Option<(usize, usize)> {
        self.lines.iter().enumerate().find_map(|(line, waiting)| {
            let at = waiting.waiters.iter().position(|(t, _)| *t == ticket)?;
            Some((line, at))
        })
    }

    /// Takes out the first that `answer` has something for: the oldest of each caller are asked
    /// before the second oldest. Its caller's turn is over then.
    pub(super) fn serve<R>(
        &mut self,
        mut answer: impl FnMut(&mut T) -> Option<R>,
    ) -> Option<(T, R)> {
        let longest = self.lines.iter().map(|line| line.waiters.len()).max()?;
        for at in 0..longest {
            for line in 0..self.lines.len() {
                let waiter = self.lines.get_mut(line);
                let waiter = waiter.and_then(|line| line.waiters.get_mut(at));
                if let Some(answer) = waiter.and_then(|(_, waiter)| answer(waiter)) {
                    return Some((self.take(line, at, true)?, answer));
                }
            }
        }
        None
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let waiters = self.lines.iter().flat_map(|line| &line.waiters);
        waiters.map(|(_, waiter)| waiter)
    }

    fn take(&mut self, line: usize, at: usize, is_turn: bool) -> Option<T> {
        let waiting = self.lines.get_mut(line)?;
        let (_, waiter) = waiting.waiters.remove(at)?;
        let is_empty = waiting.waiters.is_empty();
        if (is_turn || is_empty)
            && let Some(waiting) = self.lines.remove(line)
            && !is_empty
        {
            self.lines.push_back(waiting);
        }
        Some(waiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(waiting: &[(&str, u32)]) -> (Queue<u32>, Vec<u64>) {
        let mut queue = Queue::default();
        let tickets = waiting
            .iter()
            .map(|(caller, waiter)| queue.join(caller, *waiter));
        let tickets = tickets.collect();
        (queue, tickets)
    }

    fn order(mut queue: Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.serve(|_| Some(())).map(|(waiter, ())| waiter)).collect()
    }

    #[test]
    fn callers_take_turns() {
        let (queue, _) = queue(&[("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)]);
        assert_eq!(order(queue), [1, 4, 5, 2, 6, 3]);
    }

    #[test]
    fn whoever_leaves_is_not_served_and_costs_no_turn() {
        let (mut queue, tickets) = queue(&[("a", 1), ("a", 2), ("b", 3)]);
        assert_eq!(queue.leave(tickets[0]), Some(1));
        assert_eq!(queue.leave(tickets[0]), None);
        assert_eq!(queue.len(), 2);
        assert_eq!(order(queue), [2, 3]);
    }

    #[test]
    fn whoever_cannot_be_served_is_passed_over() {
        let (mut queue, _) = queue(&[("a", 1), ("a", 2), ("b", 3)]);
        let mut asked = Vec::new();
        let served = queue.serve(|waiter| {
            asked.push(*waiter);
            (*waiter == 2).then_some("served")
        });
        assert_eq!(served, Some((2, "served")));
        assert_eq!(asked, [1, 3, 2]);
        assert_eq!(order(queue), [3, 1]);
    }

    #[test]
    fn one_caller_cannot_fill_it() {
        let many: Vec<_> = (0..17).map(|waiter| ("a", waiter)).collect();
        let (mut queue, tickets) = queue(&many);
        queue.join("b", 0);
        assert!(queue.is_over("a"));
        assert!(!queue.is_over("b"));
        queue.leave(tickets[16]);
        assert!(!queue.is_over("a"));
    }
}
