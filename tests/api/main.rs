//! The whole HTTP stack: a real server on a free port, a real database in a temporary directory,
//! and an engine that does what the test's script says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod administration;
mod audit_api;
mod browser;
mod cache;
mod cache_shared;
mod chat;
mod completions;
mod crash;
mod embedder;
mod embeddings;
mod engine;
mod errors;
mod generated;
mod guardrails;
mod harness;
mod health;
mod identity;
mod jwt_attacks;
mod leaving;
mod limits;
mod matrix;
mod queue;
mod raw;
mod redis;
mod several;
mod shutdown;
mod spec;
mod stored;
mod stream;
mod tools;
mod usage;
mod usage_api;
mod validation;
