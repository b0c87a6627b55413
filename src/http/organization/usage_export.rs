//! `/v1/organization/usage/export`: the rows themselves, not sums of them.

use futures_util::{Stream, TryStreamExt};
use poem::Body;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Binary;
use poem_openapi::{ApiResponse, OpenApi, ResponseContent};

use crate::app::App;
use crate::auth::Permission;
use crate::auth::names::LONGEST_NAME;
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::query::List;
use crate::http::spec::Tag;
use crate::records::{ExportError, ExportFormat, export_usage};
use crate::store::UsageFilter;

/// Projects in one question.
const MOST_PROJECTS: usize = 100;

pub struct UsageExportApi;

#[derive(ApiResponse)]
enum UsageExport {
    /// The rows, as `microllm usage export` writes them.
    #[oai(status = 200)]
    Rows(UsageExportBody),
}

#[derive(ResponseContent)]
enum UsageExportBody {
    #[oai(content_type = "application/jsonl")]
    Jsonl(Binary<Body>),
    #[oai(content_type = "text/csv; charset=utf-8")]
    Csv(Binary<Body>),
}

#[OpenApi(prefix_path = "/v1/organization/usage", tag = "Tag::Administration")]
impl UsageExportApi {
    /// Export usage rows, in the order of recording. It is audited. Ours.
    #[oai(path = "/export", method = "get", operation_id = "export-usage")]
    async fn export(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// `jsonl`, as by default, or `csv`.
        format: Query<Option<String>>,
        /// Only requests of this time or later, in unix seconds.
        start_time: Query<Option<i64>>,
        /// Only requests before this time, in unix seconds.
        end_time: Query<Option<i64>>,
        /// Only of these projects.
        #[oai(name = "project_ids[]", default)]
        project_ids: List<String>,
    ) -> Result<UsageExport, ApiError> {
        // It reads every row there is: not for everybody who owns a project.
        admin.0.may(Permission::UsageRead)?;
        let projects = project_ids.0;
        if projects.len() > MOST_PROJECTS || projects.iter().any(|id| id.len() > LONGEST_NAME) {
            let message = format!("Invalid 'project_ids': at most {MOST_PROJECTS} ids.");
            let code = Some("array_above_max_length");
            return Err(ApiError::param("project_ids", code, message));
        }
        let (start, end) = (start_time.0, end_time.0);
        if let (Some(start), Some(end)) = (start, end)
            && end <= start
        {
            let message = "Invalid 'end_time': expected a time after 'start_time'.";
            return Err(ApiError::param("end_time", Some("invalid_value"), message));
        }
        let filter = UsageFilter {
            from_ms: start.map(|second| second.saturating_mul(1000)),
            until_ms: end.map(|second| second.saturating_mul(1000)),
            project_ids: projects,
            user_id: None,
        };
        let format = match format.0.as_deref() {
            None | Some("jsonl") => ExportFormat::Jsonl,
            Some("csv") => ExportFormat::Csv,
            Some(_) => {
                let message = "Invalid 'format': supported values are 'jsonl' and 'csv'.";
                return Err(ApiError::param("format", Some("invalid_value"), message));
            }
        };
        let export = export_usage(&app.store, &admin.0.actor, filter, format).await?;
        let rows = streamed(export);
        Ok(UsageExport::Rows(match format {
            ExportFormat::Jsonl => UsageExportBody::Jsonl(rows),
            ExportFormat::Csv => UsageExportBody::Csv(rows),
        }))
    }
}

/// An export as a body. One that fails in the middle breaks the connection: a part must not pass
/// for the whole.
pub fn streamed(
    export: impl Stream<Item = Result<Vec<u8>, ExportError>> + Send + 'static,
) -> Binary<Body> {
    let export = export.map_err(|error| {
        tracing::error!(%error, "an export broke off");
        std::io::Error::other(error)
    });
    Binary(Body::from_bytes_stream(export))
}
