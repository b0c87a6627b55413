//! Whether the process lives, and whether it can answer. Neither asks who wants to know.

use std::time::Duration;

use poem::web::Data;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Serialize;

use super::payload::Json;
use super::spec::Tag;
use crate::app::App;

/// A probe that hangs is worse than one that fails.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct HealthApi;

/// Alive.
#[derive(Debug, Serialize, Object)]
struct Liveness {
    status: Status,
}

/// What can be used. Every part is named, whether it can be or not.
#[derive(Debug, Serialize, Object)]
struct Readiness {
    /// `ok` only if all parts are; `degraded` if requests are answered all the same.
    status: Status,
    /// Whether all models are loaded and answering.
    models: Status,
    /// Whether the database answers.
    store: Status,
    /// Whether Redis answers, if it is configured: without it limits and caches are this server's
    /// own, and requests are answered.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<Status>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "HealthStatus", rename_all = "snake_case")]
enum Status {
    Ok,
    Degraded,
    Unavailable,
}

impl From<bool> for Status {
    fn from(fine: bool) -> Self {
        if fine {
            Status::Ok
        } else {
            Status::Unavailable
        }
    }
}

#[derive(ApiResponse)]
enum ReadinessResponse {
    /// Requests can be answered.
    #[oai(status = 200)]
    Ready(Json<Readiness>),
    /// Requests cannot be answered; the body names the part that is not ready.
    #[oai(status = 503)]
    Unavailable(Json<Readiness>),
}

#[OpenApi(prefix_path = "/health", tag = "Tag::Health")]
impl HealthApi {
    /// Whether the process lives. Looks at nothing else.
    #[oai(path = "/liveness", method = "get", operation_id = "liveness")]
    async fn liveness(&self) -> Json<Liveness> {
        Json(Liveness { status: Status::Ok })
    }

    /// Another spelling of `/health/liveness`.
    #[oai(path = "/liveliness", method = "get", operation_id = "liveliness")]
    async fn liveliness(&self) -> Json<Liveness> {
        self.liveness().await
    }

    /// Whether requests can be answered now.
    #[oai(path = "/readiness", method = "get", operation_id = "readiness")]
    async fn readiness(&self, app: Data<&App>) -> ReadinessResponse {
        let models = app.models.is_ready();
        let pinged = tokio::time::timeout(PATIENCE, app.store.ping()).await;
        // A database that cannot be written to is of no use either: nothing is answered unrecorded.
        let store = matches!(pinged, Ok(Ok(()))) && app.usage.is_open();
        // Asked even if nobody else does: it is how a probe sees that it is back.
        let redis = match &app.redis {
            Some(redis) => Some(redis.ping().await.is_ok()),
            None => None,
        };
        let readiness = Json(Readiness {
            status: match (models && store, redis) {
                (true, Some(false)) => Status::Degraded,
                (fine, _) => fine.into(),
            },
            models: models.into(),
            store: store.into(),
            redis: redis.map(Status::from),
        });
        if models && store {
            ReadinessResponse::Ready(readiness)
        } else {
            ReadinessResponse::Unavailable(readiness)
        }
    }
}
