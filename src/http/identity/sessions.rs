//! `/auth/sessions`

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::wire::{Session as SessionObject, SessionsEnded};
use crate::app::App;
use crate::http::auth::Session;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::Deleted;
use crate::openai::page::Page;

pub struct SessionsApi;

#[OpenApi(prefix_path = "/auth/sessions", tag = "Tag::Identity")]
impl SessionsApi {
    /// List where one is signed in, latest first.
    #[oai(path = "/", method = "get", operation_id = "list-sessions")]
    async fn list(
        &self,
        session: Session,
        app: Data<&App>,
    ) -> Result<Json<Page<SessionObject>>, ApiError> {
        let rows = app.identity.sessions(&session.0).await?;
        let current = session.0.session_id().ok();
        let all: Vec<_> = rows
            .into_iter()
            .map(|row| SessionObject::of(row, current))
            .collect();
        let length = u32::try_from(all.len()).unwrap_or(u32::MAX);
        Ok(Json(Page::of(all, length, |session| &session.id)))
    }

    /// Sign out everywhere else.
    #[oai(path = "/", method = "delete", operation_id = "end-other-sessions")]
    async fn end_others(
        &self,
        session: Session,
        app: Data<&App>,
    ) -> Result<Json<SessionsEnded>, ApiError> {
        let ended = app.identity.end_other_sessions(&session.0).await?;
        Ok(Json(SessionsEnded {
            object: "auth.sessions.ended".to_owned(),
            ended,
        }))
    }

    /// Sign out somewhere.
    #[oai(path = "/:session_id", method = "delete", operation_id = "end-session")]
    async fn end(
        &self,
        session: Session,
        app: Data<&App>,
        session_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        if !app.identity.end_session(&session.0, &session_id).await? {
            return Err(ApiError::missing("session"));
        }
        Ok(Json(Deleted::new("auth.session", &session_id)))
    }
}
