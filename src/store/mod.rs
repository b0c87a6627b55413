//! The database: every SQL statement of the program lives here.

/// A handle to the SQLite database.
#[derive(Clone)]
pub struct Store {}
