use std::sync::{Mutex, MutexGuard, PoisonError};

/// What work takes to write on, kept for the next: as many as were in use at the same time.
#[derive(Debug)]
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// One that nobody uses, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        self.lock().pop()
    }

    /// What was taken, or is new.
    pub(super) fn give(&self, one: T) {
        self.lock().push(one);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
