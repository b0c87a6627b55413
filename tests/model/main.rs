//! The real engine with real weights: what a user would notice of a quantized model.
//!
//! The default model is fetched if it is not on this machine yet; without it these tests fail.

#![cfg(feature = "mistral")]
// A test's helpers may end it.
#![allow(clippy::expect_used, clippy::panic)]

mod answers;
mod embeddings;
mod encoder;
mod forms;
mod harness;
mod limits;
mod reuse;
mod sampling;
