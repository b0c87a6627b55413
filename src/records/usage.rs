use super::{RecordError, UsageRow};

/// Hands rows to the one task that writes them, many to a transaction.
#[derive(Clone)]
pub struct UsageRecorder {}

impl UsageRecorder {
    /// Returns once the row is durable.
    pub async fn commit(&self, _row: UsageRow) -> Result<(), RecordError> {
        todo!()
    }

    /// For callers that cannot wait (a client that left): the row is queued, and written before
    /// [`UsageRecorder::close`] returns.
    pub fn commit_detached(&self, _row: UsageRow) {
        todo!()
    }
}
