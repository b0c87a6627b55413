//! A private OpenAI in one binary. Requests travel one way:
//! `http -> auth -> admission -> engine -> records -> http`, spelled out in [`pipeline`].

mod allocator;
pub mod app;
pub mod auth;
pub mod cache;
pub mod calls;
pub mod cli;
pub mod clock;
pub mod config;
mod crowd;
pub mod engine;
pub mod guardrails;
pub mod http;
mod huge_pages;
pub mod limits;
pub mod metrics;
pub mod models;
pub mod openai;
pub mod pipeline;
pub mod records;
pub mod runtime;
pub mod shared;
pub mod store;
