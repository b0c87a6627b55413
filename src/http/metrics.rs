//! `GET /metrics`, for Prometheus.

use poem::web::Data;
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi};

use super::auth::Admin;
use super::error::ApiError;
use super::spec::Tag;
use crate::app::App;
use crate::auth::Permission;

pub struct MetricsApi;

#[derive(ApiResponse)]
enum MetricsResponse {
    /// All metrics, in OpenMetrics' text format.
    #[oai(
        status = 200,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )]
    Text(PlainText<String>),
}

#[OpenApi(tag = "Tag::Health")]
impl MetricsApi {
    /// What is counted and measured since the server started. Models' names are among it, so it is
    /// for those who may see usage: give Prometheus an admin key with that scope.
    #[oai(path = "/metrics", method = "get", operation_id = "metrics")]
    async fn metrics(&self, admin: Admin, app: Data<&App>) -> Result<MetricsResponse, ApiError> {
        admin.0.may(Permission::UsageRead)?;
        let text = app.metrics.text().map_err(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            ApiError::internal()
        })?;
        Ok(MetricsResponse::Text(PlainText(text)))
    }
}
