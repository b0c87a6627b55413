//! Redis that works, and Redis that does not.

#[path = "../support/redis.rs"]
pub mod support;
