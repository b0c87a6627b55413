use std::io::Write;

use futures_util::TryStreamExt;

use super::UsageRow;
use crate::store::{Store, StoreError};

/// How rows are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line.
    Jsonl,
    /// With a header line; text that a spreadsheet might run as a formula is led by `'`.
    Csv,
}

/// The export stopped in the middle.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write the export: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes every usage row, in the order of recording, a page in memory at a time.
///
/// # Errors
/// When the database cannot be read or `out` not be written.
pub async fn export_usage(
    store: &Store,
    format: ExportFormat,
    mut out: impl Write,
) -> Result<(), ExportError> {
    let rows = store.usage_rows();
    let mut rows = std::pin::pin!(rows);
    match format {
        ExportFormat::Jsonl => {
            while let Some(row) = rows.try_next().await? {
                serde_json::to_writer(&mut out, &row).map_err(std::io::Error::from)?;
                out.write_all(b"\n")?;
            }
        }
        ExportFormat::Csv => {
            let mut csv = csv::WriterBuilder::new()
                .has_headers(false)
                .from_writer(&mut out);
            csv.write_record(CSV_COLUMNS).map_err(io_error)?;
            while let Some(row) = rows.try_next().await? {
                csv.serialize(disarmed(row)).map_err(io_error)?;
            }
            csv.flush()?;
        }
    }
    Ok(out.flush()?)
}

/// The fields of [`UsageRow`], in order; written also when there are no rows.
const CSV_COLUMNS: [&str; 17] = [
    "request_id",
    "created_at_ms",
    "api_key_id",
    "project_id",
    "model",
    "endpoint",
    "stream",
    "status",
    "outcome",
    "finish_reason",
    "error",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "queue_ms",
    "first_token_ms",
    "duration_ms",
];

/// A client chooses the model's name; it must not become a formula in a spreadsheet.
fn disarmed(mut row: UsageRow) -> UsageRow {
    let optional = [&mut row.finish_reason, &mut row.error];
    for text in [&mut row.request_id, &mut row.model]
        .into_iter()
        .chain(optional.into_iter().flatten())
    {
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            text.insert(0, '\'');
        }
    }
    row
}

fn io_error(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}
