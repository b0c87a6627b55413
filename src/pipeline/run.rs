//! A request that is being answered: its answer, made or kept, and its usage row.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::Stream;

use super::flight::{Bill, Paid, Seat, Tally};
use super::ledger::Ledger;
use super::storing::Storing;
use super::whole::Title;
use super::{Caller, Failure, Found, Step};
use crate::cache::Recorded;
use crate::engine::EngineError;
use crate::openai::completion::Usage;

/// An answer as one client reads it. Dropping it before its end leaves a `cancelled` usage row, and
/// stops the model if nobody else reads the same answer.
pub struct Run {
    title: Title,
    choices: u32,
    source: Source,
    /// Steps that were read before it was their turn.
    ahead: VecDeque<Step>,
    storing: Option<Storing>,
    ledger: Ledger,
    /// What the client is told in the end.
    usage: Usage,
    over: bool,
    cut_loop: Arc<AtomicBool>,
    waited: Waited,
}

/// Where the steps come from.
enum Source {
    Kept { answer: Arc<Recorded>, at: usize },
    Made(Seat),
}

/// Time that a request spends waiting for the model, not for anything else here.
#[derive(Debug, Clone, Default)]
pub struct Waited(Arc<Mutex<Times>>);

#[derive(Debug, Default)]
struct Times {
    over: Duration,
    /// Since when it waits now.
    since: Option<Instant>,
}

/// A wait that counts until this is dropped.
pub(super) struct Waiting<'a>(&'a Waited);

impl Waited {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what is yet to come.
    pub(super) fn begin(&self) -> Waiting<'_> {
        self.times().since = Some(Instant::now());
        Waiting(self)
    }

    fn take_off(&self, time: Duration) {
        let mut times = self.times();
        times.over = times.over.saturating_sub(time);
    }

    /// All of it so far.
    pub fn total(&self) -> Duration {
        let times = self.times();
        let now = times.since.map(|since| since.elapsed());
        times.over.saturating_add(now.unwrap_or_default())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut times = self.0.times();
        if let Some(since) = times.since.take() {
            times.over = times.over.saturating_add(since.elapsed());
        }
    }
}

impl Run {
    /// An answer that was found: it is given again, or being made, for this or for another request.
    pub(super) fn new(id: String, found: Found, caller: &Caller, ledger: Ledger) -> Self {
        let model = found.model.engine.info();
        let title = Title {
            id,
            created: caller.arrived_ms / 1000,
            model: model.id.clone(),
            system_fingerprint: model.system_fingerprint.clone(),
        };
        let source = match found.from {
            super::Source::Kept(answer) => Source::Kept { answer, at: 0 },
            super::Source::Made(seat) => Source::Made(seat),
        };
        Self {
            title,
            choices: found.n,
            source,
            ahead: VecDeque::new(),
            storing: found.storing,
            ledger,
            usage: Usage::new(0, 0, 0),
            over: false,
            cut_loop: caller.cut_loop.clone(),
            waited: caller.waited.clone(),
        }
    }

    /// What all of the answer says alike.
    pub fn title(&self) -> &Title {
        &self.title
    }

    /// The steps as they happen, ending with `Total` or the first failure.
    pub fn steps(self) -> impl Stream<Item = Result<Step, Failure>> + Send + 'static {
        futures_util::stream::unfold(self, |mut run| async move {
            let step = run.next().await?;
            Some((step, run))
        })
    }

    /// The next step; none after `Total` or a failure.
    pub async fn next(&mut self) -> Option<Result<Step, Failure>> {
        if self.over {
            return None;
        }
        let step = match self.ahead.pop_front() {
            Some(step) => Ok(step),
            None => self.step().await,
        };
        let step = match step {
            Ok(step) => self.settled(step).await,
            Err(failure) => {
                let bill = self.bill();
                self.ledger.answer(&bill);
                Err(self.ledger.failed(failure).await)
            }
        };
        self.over = matches!(step, Ok(Step::Total(_)) | Err(_));
        Some(step)
    }

    async fn step(&mut self) -> Result<Step, Failure> {
        let ended = || EngineError::Failed("an answer has no end".to_owned()).into();
        match &mut self.source {
            Source::Kept { answer, at } => {
                let step = answer.steps.get(*at).cloned();
                *at += 1;
                step.ok_or_else(ended)
            }
            Source::Made(seat) => {
                let waiting = self.waited.begin();
                let step = seat.next().await;
                drop(waiting);
                step.unwrap_or_else(|| Err(ended()))
            }
        }
    }

    /// Whoever sees the end of the last choice may take the answer for complete: it is recorded
    /// before.
    async fn settled(&mut self, step: Step) -> Result<Step, Failure> {
        match step {
            Step::End { index, .. } if index.saturating_add(1) >= self.choices => {
                let bill = self.bill();
                if !bill.is_free {
                    self.waited.take_off(bill.tally.guarding);
                }
                if bill.tally.cut_loop {
                    self.cut_loop.store(true, Ordering::Relaxed);
                }
                self.ledger.answer(&bill);
                self.usage = self.ledger.usage();
                if let Err(failure) = self.store(&step).await {
                    return Err(self.ledger.failed(failure).await);
                }
                self.ledger.completed().await?;
                Ok(step)
            }
            Step::Total(total) => Ok(Step::Total(self.told(total))),
            step => {
                if let Some(storing) = &mut self.storing {
                    storing.add(&step);
                }
                Ok(step)
            }
        }
    }

    /// The usage as it is recorded, with what is known of it besides.
    fn told(&self, total: Usage) -> Usage {
        let details = total.completion_tokens_details;
        self.usage.with_reasoning(details.reasoning_tokens)
    }

    /// Stores the answer, if it is to be, of which the end of the last choice is known.
    async fn store(&mut self, end: &Step) -> Result<(), Failure> {
        let Some(mut storing) = self.storing.take() else {
            return Ok(());
        };
        storing.add(end);
        // What comes after the last choice is stored too.
        loop {
            let step = self.step().await?;
            self.ahead.push_back(step.clone());
            match step {
                Step::Total(total) => {
                    storing.add(&Step::Total(self.told(total)));
                    return Ok(storing.write(self.title.clone()).await?);
                }
                step => storing.add(&step),
            }
        }
    }

    /// What this request has to do with what its answer has come to.
    fn bill(&self) -> Bill {
        match &self.source {
            Source::Kept { answer, .. } => Bill {
                tally: tally(answer),
                is_free: true,
                paid: Paid::default(),
                flight: None,
            },
            Source::Made(seat) => seat.bill(),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.over {
            let bill = self.bill();
            self.ledger.answer(&bill);
        }
    }
}

/// What a kept answer had come to.
fn tally(answer: &Recorded) -> Tally {
    let total = answer.steps.iter().rev().find_map(|step| match step {
        Step::Total(usage) => Some(usage),
        _ => None,
    });
    let finish = answer.steps.iter().find_map(|step| match step {
        Step::End { finish, .. } => Some(*finish),
        _ => None,
    });
    Tally {
        input: total.map_or(0, |usage| usage.prompt_tokens),
        output: total.map_or(0, |usage| usage.completion_tokens),
        finish,
        first_text: Some(Instant::now()),
        notes: answer.notes.clone(),
        cut_loop: answer.cut_loop,
        ..Tally::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_counts_while_it_lasts_and_once() {
        let waited = Waited::default();
        assert_eq!(waited.total(), Duration::ZERO);
        let waiting = waited.begin();
        std::thread::sleep(Duration::from_millis(5));
        assert!(waited.clone().total() >= Duration::from_millis(5));
        drop(waiting);
        let total = waited.total();
        assert!(total >= Duration::from_millis(5));
        assert_eq!(waited.total(), total);
        waited.take_off(Duration::from_secs(60));
        assert_eq!(waited.total(), Duration::ZERO);
    }
}
