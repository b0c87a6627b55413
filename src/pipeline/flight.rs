//! An answer in the making. One request makes it; others that ask for the same read along, each at
//! its own pace. It is made for as long as anybody reads.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Failure, Step};
use crate::cache::Key;
use crate::limits::Reservation;
use crate::openai::completion::Finish;

/// How many steps the answer may be ahead of whoever has read most of it.
const AHEAD: usize = 256;

/// Answers in the making, by what was asked. Cheap to clone.
#[derive(Clone, Default)]
pub struct Flights(Arc<Mutex<HashMap<Asked, Arc<Flight>>>>);

/// What was asked, and when kept answers were forgotten before: who asks after that wants none that was
/// begun before.
pub(super) type Asked = (Key, i64);

/// How somebody comes to an answer.
pub(super) enum Entered {
    /// By making it.
    Leads(Lead),
    /// By reading what another request makes.
    Follows(Seat),
}

impl Flights {
    /// Joins the answer to the same question, or begins one. An answer is kept whole for those who
    /// join later while it weighs no more than `largest` bytes.
    pub(super) fn enter(&self, asked: Asked, largest: usize) -> Entered {
        let mut flights = self.lock();
        if let Some(seat) = flights.get(&asked).and_then(Seat::join) {
            return Entered::Follows(seat);
        }
        let lead = Lead::new(Some((self.clone(), asked)), largest);
        flights.insert(asked, lead.flight.clone());
        Entered::Leads(lead)
    }

    /// An answer that nobody shares.
    pub(super) fn alone(largest: usize) -> Lead {
        Lead::new(None, largest)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Asked, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make an answer. Dropped before it is begun, it passes to whoever waits.
pub(super) struct Lead {
    flight: Arc<Flight>,
    listed: Option<(Flights, Asked)>,
    seat: Option<Seat>,
}

impl Lead {
    fn new(listed: Option<(Flights, Asked)>, largest: usize) -> Self {
        let flight = Arc::new(Flight {
            log: Mutex::new(Log {
                stage: Stage::Preparing,
                first: 0,
                steps: VecDeque::new(),
                weight: 0,
                keeps: Some(largest),
                end: None,
                tally: Tally::default(),
                readers: BTreeMap::new(),
                next_reader: 0,
                payer: None,
                paid: Paid::default(),
                left: Vec::new(),
            }),
            grown: watch::Sender::new(()),
            read: Notify::new(),
            deserted: CancellationToken::new(),
        });
        let seat = Seat::take(&flight, &mut flight.log());
        Self {
            seat: Some(seat),
            flight,
            listed,
        }
    }

    /// The answer, for whoever makes it.
    pub(super) fn flight(&self) -> Arc<Flight> {
        self.flight.clone()
    }

    /// The answer is begun. The seat is the reader's, the rest is to be kept until the answer is
    /// complete.
    pub(super) fn begin(mut self) -> (Option<Seat>, Listed) {
        self.flight.log().stage = Stage::Running;
        self.flight.grown.send_replace(());
        let listed = Listed {
            flight: self.flight.clone(),
            at: self.listed.take(),
        };
        (self.seat.take(), listed)
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let Some(listed) = self.listed.take() else {
            return;
        };
        self.flight.log().stage = Stage::Abandoned;
        drop(Listed {
            flight: self.flight.clone(),
            at: Some(listed),
        });
        self.flight.grown.send_replace(());
    }
}

/// Takes an answer off the list of those in the making when dropped.
pub(super) struct Listed {
    flight: Arc<Flight>,
    at: Option<(Flights, Asked)>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some((flights, asked)) = &self.at {
            let mut flights = flights.lock();
            // It may have been deserted, and another begun.
            let is_this = |there: &Arc<Flight>| Arc::ptr_eq(there, &self.flight);
            if flights.get(asked).is_some_and(is_this) {
                flights.remove(asked);
            }
        }
    }
}

/// An answer in the making.
pub(super) struct Flight {
    log: Mutex<Log>,
    /// Told of everything that is new in the log.
    grown: watch::Sender<()>,
    /// Told when somebody has read on.
    read: Notify,
    /// Nobody reads any more.
    pub(super) deserted: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may still turn out that it cannot be made.
    Preparing,
    Running,
    /// Whoever was to make it will not.
    Abandoned,
}

struct Log {
    stage: Stage,
    /// Number of the first step that is still here.
    first: usize,
    steps: VecDeque<Step>,
    weight: usize,
    /// All steps stay here while they weigh no more than this.
    keeps: Option<usize>,
    end: Option<Result<(), Failure>>,
    tally: Tally,
    /// Where each reader is.
    readers: BTreeMap<u64, usize>,
    next_reader: u64,
    /// The reader for whom the answer is made, if they are still here.
    payer: Option<u64>,
    paid: Paid,
    /// What those have reserved who have left: others read on, so that it may still be used, and who
    /// pays for it then has reserved nothing.
    left: Vec<Reservation>,
}

/// What an answer has come to so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// How long it waited for a place at the model.
    pub(super) queued: Duration,
    /// The model has the prompt; until then it costs nothing.
    pub(super) input: u32,
    pub(super) cached: u32,
    pub(super) output: u32,
    /// Of the first choice.
    pub(super) finish: Option<Finish>,
    pub(super) first_text: Option<Instant>,
    pub(super) notes: Option<String>,
    pub(super) cut_loop: bool,
    /// What the guards took.
    pub(super) guarding: Duration,
}

/// Tokens that somebody has paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Paid {
    pub(super) input: u32,
    pub(super) output: u32,
}

impl Flight {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the answer has come to.
    pub(super) fn tally(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.log().tally);
    }

    /// Adds to the answer.
    pub(super) fn push(&self, steps: impl IntoIterator<Item = Step>) {
        self.log().push(steps);
        self.grown.send_replace(());
    }

    /// Ends the answer: with its last steps, or with what went wrong.
    pub(super) fn end(&self, last: Result<Vec<Step>, Failure>) {
        let left = {
            let mut log = self.log();
            log.end = Some(last.map(|steps| log.push(steps)));
            std::mem::take(&mut log.left)
        };
        drop(left);
        self.grown.send_replace(());
    }

    /// Keeps what somebody has reserved who leaves, for as long as the answer is made for others.
    pub(super) fn leave(&self, reservation: Reservation) {
        let mut log = self.log();
        if log.end.is_none() && !log.readers.is_empty() {
            log.left.push(reservation);
        }
    }

    /// Waits until it is time to go on: somebody has read nearly all that there is.
    pub(super) async fn room(&self) {
        loop {
            let read = self.read.notified();
            if !self.log().is_far_ahead() {
                return;
            }
            read.await;
        }
    }

    /// All steps so far, if all are still here.
    pub(super) fn steps(&self) -> Option<Vec<Step>> {
        let log = self.log();
        log.keeps.map(|_| log.steps.iter().cloned().collect())
    }
}

impl Log {
    fn push(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            self.weight = self.weight.saturating_add(step.weight());
            self.steps.push_back(step);
        }
        if self.keeps.is_some_and(|most| self.weight > most) {
            self.keeps = None;
            self.trim();
        }
    }

    /// Forgets what everybody has read.
    fn trim(&mut self) {
        if self.keeps.is_some() {
            return;
        }
        let least = self.readers.values().min().copied().unwrap_or(usize::MAX);
        while self.first < least && self.steps.pop_front().is_some() {
            self.first += 1;
        }
    }

    fn is_far_ahead(&self) -> bool {
        let most = self.readers.values().max().copied().unwrap_or(0);
        let is_unread = self.first + self.steps.len() - most.max(self.first) > AHEAD;
        // What is not kept waits for the slowest.
        is_unread || (self.keeps.is_none() && self.steps.len() > AHEAD)
    }
}

/// A reader's place.
pub(super) struct Seat {
    flight: Arc<Flight>,
    id: u64,
    grown: watch::Receiver<()>,
}

/// What a reader has to do with what the answer has come to.
pub(super) struct Bill {
    pub(super) tally: Tally,
    /// It was made for somebody else.
    pub(super) is_free: bool,
    /// What others have paid of it already.
    pub(super) paid: Paid,
    /// Where it is still being made.
    pub(super) flight: Option<Arc<Flight>>,
}

impl Seat {
    fn take(flight: &Arc<Flight>, log: &mut Log) -> Self {
        let id = log.next_reader;
        log.next_reader += 1;
        log.readers.insert(id, 0);
        log.payer.get_or_insert(id);
        Self {
            flight: flight.clone(),
            id,
            grown: flight.grown.subscribe(),
        }
    }

    /// None when it is too late for this answer.
    fn join(flight: &Arc<Flight>) -> Option<Self> {
        let mut log = flight.log();
        let is_open = log.stage != Stage::Abandoned
            && log.keeps.is_some()
            && !log.readers.is_empty()
            && log.end.is_none();
        is_open.then(|| Self::take(flight, &mut log))
    }

    /// Waits until the answer is begun. False when it never will be.
    pub(super) async fn begun(&mut self) -> bool {
        loop {
            match self.flight.log().stage {
                Stage::Preparing => {}
                Stage::Running => return true,
                Stage::Abandoned => return false,
            }
            if self.grown.changed().await.is_err() {
                return false;
            }
        }
    }

    /// The next step. None after the last one.
    pub(super) async fn next(&mut self) -> Option<Result<Step, Failure>> {
        loop {
            if let Some(known) = self.known() {
                self.flight.read.notify_one();
                return known;
            }
            if self.grown.changed().await.is_err() {
                return None;
            }
        }
    }

    fn known(&self) -> Option<Option<Result<Step, Failure>>> {
        let mut log = self.flight.log();
        let first = log.first;
        let at = log.readers.get(&self.id).copied()?;
        if let Some(step) = log.steps.get(at - first).cloned() {
            log.readers.insert(self.id, at + 1);
            log.trim();
            return Some(Some(Ok(step)));
        }
        match &log.end {
            Some(Ok(())) => Some(None),
            Some(Err(failure)) => Some(Some(Err(failure.clone()))),
            None => None,
        }
    }

    /// What this reader has to pay. Somebody pays for everything, and nobody twice: the one for
    /// whom it is made, or, after they have left, whoever asks first.
    pub(super) fn bill(&self) -> Bill {
        let mut log = self.flight.log();
        let is_free = *log.payer.get_or_insert(self.id) != self.id;
        let paid = log.paid;
        if !is_free {
            log.paid = Paid {
                input: log.tally.input,
                output: log.tally.output,
            };
        }
        Bill {
            tally: log.tally.clone(),
            is_free,
            paid,
            flight: log.end.is_none().then(|| self.flight.clone()),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let is_deserted = {
            let mut log = self.flight.log();
            log.readers.remove(&self.id);
            // Somebody else pays for what is still to come.
            if log.end.is_none() {
                log.payer = log.payer.filter(|payer| *payer != self.id);
            }
            log.trim();
            log.readers.is_empty()
        };
        self.flight.read.notify_one();
        if is_deserted {
            self.flight.deserted.cancel();
        }
    }
}
