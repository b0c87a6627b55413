//! The administration's wire types: OpenAI's, and what this server adds to them.
//!
//! - [`audit`]: entries of the audit log
//! - [`keys`]: API keys of projects, and admin keys
//! - [`people`]: users, invitations, roles
//! - [`projects`]: projects, their members, service accounts, models and rates
//! - [`settings`]: budgets, spend alerts, retention
//! - [`usage`]: what was used, and what it cost

pub mod audit;
pub mod cache;
pub mod keys;
pub mod people;
pub mod projects;
pub mod settings;
pub mod usage;

use poem_openapi::Object;
use serde::Serialize;

/// Declares the type of an `object` field that has one value only.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident = $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, poem_openapi::Enum)]
        pub enum $name {
            #[serde(rename = $text)]
            #[oai(rename = $text)]
            It,
        }
    };
}
use object;

/// Something is no more.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Deleted {
    pub id: String,
    /// What it was, and `.deleted`.
    pub object: String,
    pub deleted: bool,
}

impl Deleted {
    pub fn new(object: &str, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            object: format!("{object}.deleted"),
            deleted: true,
        }
    }
}
