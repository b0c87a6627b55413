//! Lists that are read a page at a time, as OpenAI's administration has them.

use poem_openapi::Object;
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use serde::Serialize;

use super::model::ListObject;

/// Entries of a page unless asked for, as at OpenAI.
pub const DEFAULT_LIMIT: u32 = 20;
/// Entries of a page at most.
pub const MOST: u32 = 100;

/// A page of a list. The next one is asked for with `after` = `last_id`.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Page<T: Type + ParseFromJSON + ToJSON + Send + Sync> {
    pub object: ListObject,
    pub data: Vec<T>,
    /// Null on an empty page.
    pub first_id: Option<String>,
    /// Null on an empty page.
    pub last_id: Option<String>,
    pub has_more: bool,
}

impl<T: Type + ParseFromJSON + ToJSON + Send + Sync> Page<T> {
    /// The page of these entries, of which one more than `limit` was read to see whether there is
    /// more.
    pub fn of(mut entries: Vec<T>, limit: u32, id: impl Fn(&T) -> &str) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        Self {
            object: ListObject::List,
            first_id: entries.first().map(|entry| id(entry).to_owned()),
            last_id: entries.last().map(|entry| id(entry).to_owned()),
            data: entries,
            has_more,
        }
    }
}
