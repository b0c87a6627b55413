//! OpenAI's wire types, as its own SDK declares them. The OpenAPI document is generated from them.
//!
//! - [`admin`]: the administration
//! - [`chat`]: what a chat completion is asked with
//! - [`completion`]: what it is answered with, whole or in chunks
//! - [`legacy`]: prompts that are continued
//! - [`model`]: the models' listing
//! - [`moderation`]: texts that are judged
//! - [`stored`]: chat completions that were stored
//! - [`page`]: lists a page at a time
//! - [`embedding`]: texts and their vectors
//! - [`error`]: the body of every error

pub mod admin;
pub mod chat;
pub mod completion;
pub mod embedding;
pub mod error;
pub mod legacy;
pub mod model;
pub mod moderation;
pub mod page;
pub mod stored;
pub mod tools;
