//! Edits of single rows: what was, what is asked for, and what the audit is told.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::records::AuditEvent;

/// An event that tells what an edit changed: the fields that differ, as they were and as they are.
/// None when nothing differs.
pub(super) fn changed<T: Serialize>(
    kind: &'static str,
    id: &str,
    before: &T,
    after: &T,
) -> Option<AuditEvent> {
    let fields = |row: &T| match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, mut after) = (fields(before), fields(after));
    for name in before.keys() {
        // What is gone has changed too.
        after.entry(name).or_insert(Value::Null);
    }
    let (mut was, mut is) = (Map::new(), Map::new());
    for (name, value) in after {
        if before.get(&name) != Some(&value) {
            let old = before.get(&name).cloned().unwrap_or_default();
            was.insert(name.clone(), old);
            is.insert(name, value);
        }
    }
    if is.is_empty() {
        return None;
    }
    let event = AuditEvent::about(kind, id);
    Some(event.with("changes_requested", is).with("before", was))
}
