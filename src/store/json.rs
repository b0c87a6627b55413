//! Columns that hold JSON: lists and settings that are read and written as a whole.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// # Errors
/// [`StoreError::Invalid`] with `what` it was to be.
pub(super) fn from_json<T: DeserializeOwned>(
    text: &str,
    what: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Invalid(what))
}

/// # Errors
/// As [`from_json`].
pub(super) fn optional_json<T: DeserializeOwned>(
    text: Option<&str>,
    what: &'static str,
) -> Result<Option<T>, StoreError> {
    text.map(|text| from_json(text, what)).transpose()
}

/// Types of ours always have a JSON form.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
