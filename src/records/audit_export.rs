use futures_util::stream::{self, Stream};

use super::export::{ExportError, json_lines};
use super::syslog::Sender;
use super::{Actor, AuditEvent};
use crate::store::{AuditRow, Store};

const PAGE: u32 = 1000;

/// How audit rows are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AuditFormat {
    /// One JSON object a line.
    Jsonl,
    /// One RFC 5424 message a line, all fields in its structured data.
    Syslog,
}

/// The audit after row `after`, in the order of recording, as text, a page in memory at a time. That
/// it is exported is audited first, and is its last row: what is written meanwhile is for the next
/// export, otherwise this one might never end.
///
/// # Errors
/// When it cannot be audited; the stream's, when the database cannot be read.
pub async fn export_audit(
    store: &Store,
    by: &Actor,
    after: i64,
    format: AuditFormat,
) -> Result<impl Stream<Item = Result<Vec<u8>, ExportError>> + Send + use<>, ExportError> {
    let event = AuditEvent::about("audit.exported", "audit").with("after", after);
    store.audit(by, &event).await?;
    let last = store.last_audit_seq().await?;
    let write = move |rows: &[AuditRow]| match format {
        AuditFormat::Jsonl => json_lines(rows),
        AuditFormat::Syslog => {
            let sender = Sender::here();
            let lines = rows.iter().map(|row| sender.message(row));
            Ok(lines.collect::<String>().into_bytes())
        }
    };
    let start = (store.clone(), after);
    Ok(stream::try_unfold(
        start,
        move |(store, after)| async move {
            if after >= last {
                return Ok(None);
            }
            let mut rows = store.audit_page(after, PAGE).await?;
            rows.retain(|row| row.seq <= last);
            let Some(read) = rows.last().map(|row| row.seq) else {
                return Ok(None);
            };
            Ok(Some((write(&rows)?, (store, read))))
        },
    ))
}
