//! OpenAI's wire types, as its own SDK declares them. The OpenAPI document is generated from them.
//!
//! - [`chat`]: what a chat completion is asked with
//! - [`completion`]: what it is answered with, whole or in chunks
//! - [`model`]: the models' listing
//! - [`error`]: the body of every error

pub mod chat;
pub mod completion;
pub mod error;
pub mod model;
