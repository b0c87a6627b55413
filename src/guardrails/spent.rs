use std::time::{Duration, Instant};

use super::GuardName;

/// What each guard has taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent([Duration; GuardName::ALL.len()]);

impl Spent {
    /// Does a guard's work, and notes how long it takes.
    pub fn on<T>(&mut self, guard: GuardName, work: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let done = work();
        self.note(Some((guard, since)));
        done
    }

    /// A guard is done that began then.
    pub fn note(&mut self, done: Option<(GuardName, Instant)>) {
        let Some((guard, since)) = done else {
            return;
        };
        if let Some(spent) = self.0.get_mut(guard as usize) {
            *spent += since.elapsed();
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (spent, more) in self.0.iter_mut().zip(other.0) {
            *spent += more;
        }
    }

    /// The guards that have done anything.
    pub fn all(&self) -> impl Iterator<Item = (GuardName, Duration)> {
        let all = GuardName::ALL.into_iter().zip(self.0);
        all.filter(|(_, spent)| !spent.is_zero())
    }
}
