use std::io::Write;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};

use super::{Actor, AuditEvent, UsageRow};
use crate::store::{Store, StoreError, UsageFilter};

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

/// Usage rows in the order of recording, as text, a page in memory at a time. That it is exported is
/// audited first.
///
/// # Errors
/// When it cannot be audited; the stream's, when the database cannot be read.
pub async fn export_usage(
    store: &Store,
    by: &Actor,
    filter: UsageFilter,
    format: ExportFormat,
) -> Result<impl Stream<Item = Result<Vec<u8>, ExportError>> + Send + use<>, ExportError> {
    let mut event = AuditEvent::about("usage.exported", "usage")
        .with("from_ms", filter.from_ms)
        .with("until_ms", filter.until_ms)
        .with("project_ids", filter.project_ids.clone());
    if let [project] = filter.project_ids.as_slice() {
        event = event.in_project(project);
    }
    store.audit(by, &event).await?;
    let header = match format {
        ExportFormat::Jsonl => Vec::new(),
        ExportFormat::Csv => csv_text(|csv| Ok(csv.write_record(CSV_COLUMNS)?))?,
    };
    let pages = store.usage_pages(filter);
    let pages = pages.map(move |page| match format {
        ExportFormat::Jsonl => json_lines(&page?),
        ExportFormat::Csv => csv_text(|csv| {
            let rows = page?.into_iter();
            rows.map(disarmed)
                .try_for_each(|row| Ok(csv.serialize(row)?))
        }),
    });
    Ok(stream::once(async { Ok(header) }).chain(pages))
}

/// Writes an export out.
///
/// # Errors
/// Those of the export, and when `out` cannot be written.
pub async fn write_export(
    export: impl Stream<Item = Result<Vec<u8>, ExportError>>,
    mut out: impl Write,
) -> Result<(), ExportError> {
    let mut export = std::pin::pin!(export);
    while let Some(page) = export.try_next().await? {
        out.write_all(&page)?;
    }
    Ok(out.flush()?)
}

/// One JSON object a line.
pub(super) fn json_lines<T: serde::Serialize>(rows: &[T]) -> Result<Vec<u8>, ExportError> {
    let mut text = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut text, row).map_err(std::io::Error::from)?;
        text.push(b'\n');
    }
    Ok(text)
}

fn csv_text(
    write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> Result<(), ExportError>,
) -> Result<Vec<u8>, ExportError> {
    let mut csv = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    write(&mut csv)?;
    csv.into_inner().map_err(|error| error.into_error().into())
}

/// The fields of [`UsageRow`], in order; written also when there are no rows.
const CSV_COLUMNS: [&str; 21] = [
    "request_id",
    "created_at_ms",
    "api_key_id",
    "project_id",
    "user_id",
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
    "cost_nanousd",
    "guardrails",
    "cache",
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

impl From<csv::Error> for ExportError {
    fn from(error: csv::Error) -> Self {
        Self::Write(match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => std::io::Error::other(format!("{other:?}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;
    use crate::app::Data;
    use crate::clock::Clock;
    use crate::store::DataDir;

    fn row(id: &str, model: &str) -> UsageRow {
        UsageRow {
            request_id: id.into(),
            created_at_ms: 1_700_000_000_123,
            api_key_id: "key_1".into(),
            project_id: "proj_1".into(),
            user_id: None,
            model: model.into(),
            endpoint: "chat.completions".into(),
            stream: false,
            status: 404,
            outcome: Outcome::Failed,
            finish_reason: None,
            error: Some("model_not_found".into()),
            input_tokens: 1,
            output_tokens: 0,
            cached_tokens: 0,
            queue_ms: 0,
            first_token_ms: None,
            duration_ms: 3,
            cost_nanousd: 0,
            guardrails: None,
            cache: None,
        }
    }

    async fn exported(format: ExportFormat, rows: &[UsageRow]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::prepare(dir.path()).unwrap();
        let store = Data::open(&data).await.unwrap().store;
        let rows: Vec<&UsageRow> = rows.iter().collect();
        for some in rows.chunks(1000) {
            store.insert_usage(some).await.unwrap();
        }
        let (by, all) = (Actor::server(&Clock::system()), UsageFilter::default());
        let mut out = Vec::new();
        let export = export_usage(&store, &by, all, format).await.unwrap();
        write_export(export, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn json_lines_hold_every_field() {
        let rows = [row("req_1", "a"), row("req_2", "b\n\"")];
        let text = exported(ExportFormat::Jsonl, &rows).await;
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        for (line, row) in lines.iter().zip(&rows) {
            assert_eq!(line, &serde_json::to_value(row).unwrap());
        }
        assert_eq!(lines[0]["outcome"], "failed");
        assert!(lines[0]["finish_reason"].is_null());
    }

    #[tokio::test]
    async fn csv_has_a_header_and_no_formulas() {
        let rows = [row("req_1", "=cmd()"), row("req_2", "a,\"b\"\nc")];
        let text = exported(ExportFormat::Csv, &rows).await;
        let mut csv = csv::Reader::from_reader(text.as_bytes());
        let typed = serde_json::to_value(&rows[0]).unwrap();
        let header = csv.headers().unwrap().clone();
        assert_eq!(header.len(), typed.as_object().unwrap().len());
        let records: Vec<_> = csv.records().map(Result::unwrap).collect();
        let model = |i: usize| {
            let at = header.iter().position(|name| name == "model").unwrap();
            records[i][at].to_owned()
        };
        assert_eq!(model(0), "'=cmd()");
        assert_eq!(model(1), "a,\"b\"\nc");
        assert_eq!(&records[0][0], "req_1");
        assert_eq!(exported(ExportFormat::Csv, &[]).await.lines().count(), 1);
    }

    #[test]
    fn csv_columns_are_the_fields_in_order() {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.serialize(row("req_1", "a")).unwrap();
        let text = String::from_utf8(csv.into_inner().unwrap()).unwrap();
        assert_eq!(text.lines().next().unwrap(), CSV_COLUMNS.join(","));
    }

    #[tokio::test]
    async fn more_than_a_page_is_exported_once_and_in_order() {
        let rows: Vec<_> = (0..2500).map(|i| row(&format!("req_{i}"), "a")).collect();
        let text = exported(ExportFormat::Jsonl, &rows).await;
        let ids: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|row| row["request_id"].as_str().unwrap().to_owned())
            .collect();
        let expected: Vec<_> = rows.into_iter().map(|row| row.request_id).collect();
        assert_eq!(ids, expected);
    }
}
