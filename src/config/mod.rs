//! The configuration: one file, overridable by the environment, every key typed.

/// Everything that can be set.
#[derive(Debug, Clone, Default)]
pub struct Config {}
