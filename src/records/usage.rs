use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::{RecordError, UsageRow};
use crate::crowd::gather;
use crate::store::{Store, WORTH_SUMMING};

/// Rows that may wait for the writer; beyond it, each waits for room in a task of its own.
const QUEUE: usize = 4096;
/// Rows in one transaction at most, so that no answer waits for an endless batch; fewer than
/// [`Store::insert_usage`] takes.
const BATCH: usize = 512;

/// Hands rows to the one task that writes them, many to a transaction. Cheap to clone.
///
/// While a batch is on its way to the disk the next one gathers, so there is no artificial delay:
/// alone, a row costs one transaction; in a crowd, many share the cost of one, half of it at a time,
/// so that the rest is worked for while the disk is waited for.
#[derive(Debug, Clone)]
pub struct UsageRecorder {
    queue: mpsc::Sender<Job>,
    /// Rows that wait for room in the queue.
    overflow: Arc<watch::Sender<usize>>,
}

#[derive(Debug)]
enum Job {
    Write {
        row: Box<UsageRow>,
        /// None for a caller that left.
        done: Option<oneshot::Sender<Result<(), RecordError>>>,
    },
    /// Write what came before, then end.
    Close(oneshot::Sender<()>),
}

impl UsageRecorder {
    /// Starts the writing task; call within a tokio runtime.
    pub fn start(store: Store) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(write_batches(store, jobs));
        Self {
            queue,
            overflow: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Hands the row over; what is returned waits until it is durable. Dropping that does not take
    /// the row back.
    ///
    /// # Errors
    /// [`RecordError`] when the row could not be written (the disk is full) or the recorder is
    /// closed: the answer must not be acknowledged.
    pub fn commit(
        &self,
        row: UsageRow,
    ) -> impl Future<Output = Result<(), RecordError>> + Send + use<> {
        let (done, outcome) = oneshot::channel();
        self.hand_over(Job::Write {
            row: Box::new(row),
            done: Some(done),
        });
        // A writer that is gone, or dies, drops the sender.
        async move { outcome.await.unwrap_or_else(|_| Err(closed())) }
    }

    /// For callers that cannot wait (a client that left): the row is queued, and written before
    /// [`UsageRecorder::close`] returns. A row that cannot be written goes to the log, whole.
    pub fn commit_detached(&self, row: UsageRow) {
        self.hand_over(Job::Write {
            row: Box::new(row),
            done: None,
        });
    }

    /// Queues the job now, or as soon as there is room, whether or not the caller stays.
    fn hand_over(&self, job: Job) {
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(job)) => job.log_if_lost(),
            Err(mpsc::error::TrySendError::Full(job)) => {
                // Handed over by a destructor after the runtime: nobody is left to write it.
                let Ok(runtime) = Handle::try_current() else {
                    return job.log_if_lost();
                };
                // As many as there are requests in flight, which admission bounds.
                self.overflow.send_modify(|waiting| *waiting += 1);
                let this = self.clone();
                runtime.spawn(async move {
                    if let Err(mpsc::error::SendError(job)) = this.queue.send(job).await {
                        job.log_if_lost();
                    }
                    this.overflow.send_modify(|waiting| *waiting -= 1);
                });
            }
        }
    }

    /// Whether rows are still accepted; for readiness.
    pub fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Writes every row that was handed over, then refuses more.
    pub async fn close(&self) {
        // The sender of `overflow` is held by `self`, so waiting cannot fail.
        let _ = self.overflow.subscribe().wait_for(|n| *n == 0).await;
        let (done, closed) = oneshot::channel();
        if self.queue.send(Job::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

async fn write_batches(store: Store, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    // How many an earlier process left is not known.
    let mut unsummed = WORTH_SUMMING;
    let mut taken = 0;
    let mut summing: Option<JoinHandle<()>> = None;
    loop {
        if unsummed >= WORTH_SUMMING && summing.as_ref().is_none_or(JoinHandle::is_finished) {
            unsummed = 0;
            summing = Some(tokio::spawn(sum_up(store.clone())));
        }
        let most = half(taken, jobs.len());
        taken = gather(&mut jobs, &mut batch, most).await;
        if taken == 0 {
            return;
        }
        unsummed = unsummed.saturating_add(taken);
        let closing = write_batch(&store, &mut batch).await;
        if !closing.is_empty() {
            if let Some(summing) = summing {
                // Nothing is lost: a sum is one transaction, and the rows of one that is broken off
                // are summed up after the next start.
                summing.abort();
                let _ = summing.await;
            }
            // What slipped in behind `Close` still counts.
            jobs.close();
            while jobs.recv_many(&mut batch, BATCH).await > 0 {
                write_batch(&store, &mut batch).await;
            }
            for done in closing {
                let _ = done.send(());
            }
            return;
        }
    }
}

/// How many rows to take at most, `last` having been written and `waiting` being there: all of these,
/// or half of those who come and go. If all of them waited for the disk at once, the processors would
/// wait with them; with nobody there when a batch is done it is less and less, until somebody is.
fn half(last: usize, waiting: usize) -> usize {
    let half = last.saturating_add(waiting) / 2;
    half.max(waiting).clamp(1, BATCH)
}

async fn sum_up(store: Store) {
    if let Err(error) = store.sum_up_usage().await {
        // Nothing is lost: whoever reads adds the rows themselves.
        tracing::error!(%error, "usage could not be summed up");
    }
}

/// Writes the batch and tells everyone; returns who asked to close.
async fn write_batch(store: &Store, batch: &mut Vec<Job>) -> Vec<oneshot::Sender<()>> {
    let rows: Vec<&UsageRow> = batch.iter().filter_map(Job::row).collect();
    let written = match rows.as_slice() {
        [] => Ok(Vec::new()),
        rows => store.insert_usage(rows).await,
    };
    let mut written = match written {
        Ok(written) => Ok(written.into_iter()),
        Err(error) => {
            tracing::error!(%error, rows = rows.len(), "usage rows could not be written");
            Err(RecordError(error.to_string()))
        }
    };
    let mut closing = Vec::new();
    for job in batch.drain(..) {
        let outcome = match (&job, &mut written) {
            (Job::Close(_), _) => Ok(()),
            (_, Err(error)) => Err(error.clone()),
            (_, Ok(written)) => match written.next() {
                Some(true) => Ok(()),
                _ => Err(RecordError("this request id was recorded before".into())),
            },
        };
        if outcome.is_err() {
            job.log_if_lost();
        }
        match job {
            Job::Close(done) => closing.push(done),
            Job::Write { done: None, .. } => {}
            Job::Write {
                done: Some(done), ..
            } => {
                // A caller that stopped waiting does not want to know.
                let _ = done.send(outcome);
            }
        }
    }
    closing
}

impl Job {
    fn row(&self) -> Option<&UsageRow> {
        match self {
            Job::Write { row, .. } => Some(row),
            Job::Close(_) => None,
        }
    }

    /// The last place where a row is kept when nobody is left to be told that it failed.
    fn log_if_lost(&self) {
        if let Job::Write { row, done } = self
            && done.as_ref().is_none_or(oneshot::Sender::is_closed)
        {
            let row = serde_json::to_string(row).unwrap_or_default();
            tracing::error!(row, "a usage row was not stored");
        }
    }
}

fn closed() -> RecordError {
    RecordError("the recorder is closed".into())
}

#[cfg(test)]
mod tests;
