//! `/v1/organization/invites`. Nothing is sent: whoever invites hands the token over.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::projects::may_give;
use super::{email, paging};
use crate::app::App;
use crate::auth::{Permission, Purpose, tokens};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::Deleted;
use crate::openai::admin::people::{
    CreateInvite, Invite, InviteObject, InviteProject, InviteStatus, OrgRoleName,
};
use crate::openai::page::Page;
use crate::store::{InviteRow, InvitedProject};

/// Seconds that an invitation can be accepted.
const LIFE: i64 = 7 * 24 * 60 * 60;
/// Projects in one invitation.
const MOST_PROJECTS: usize = 100;

pub struct InvitesApi;

#[OpenApi(prefix_path = "/v1/organization/invites", tag = "Tag::Administration")]
impl InvitesApi {
    /// List the invitations.
    #[oai(path = "/", method = "get", operation_id = "list-invites")]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Begin after this id.
        after: Query<Option<String>>,
        /// 1 to 100.
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<Invite>>, ApiError> {
        admin.0.may(Permission::UsersRead)?;
        let cursor = paging(after.0, limit.0, None)?;
        let rows = app.store.invites(&cursor).await?;
        let now = admin.0.actor.at();
        let invites = rows.into_iter().map(|row| shown(row, now, None));
        Ok(Json(Page::of(
            invites.collect(),
            cursor.limit - 1,
            |invite| &invite.id,
        )))
    }

    /// Invite somebody. The answer has the `token` that they register with, once.
    #[oai(path = "/", method = "post", operation_id = "inviteUser")]
    async fn create(
        &self,
        admin: Admin,
        app: Data<&App>,
        request: Json<CreateInvite>,
    ) -> Result<Json<Invite>, ApiError> {
        admin.0.may(Permission::UsersWrite)?;
        let request = request.0;
        if request.role == OrgRoleName::Owner {
            admin.0.may_make_owners()?;
        }
        let email = email("email", &request.email)?;
        if app.store.person_id(&email).await?.is_some() {
            return Err(ApiError::conflict(
                "Somebody with this address is in the organization already.",
            ));
        }
        let projects = request.projects.unwrap_or_default();
        if projects.len() > MOST_PROJECTS {
            let message = format!("Invalid 'projects': at most {MOST_PROJECTS} entries.");
            return Err(ApiError::param("projects", None, message));
        }
        for (i, project) in projects.iter().enumerate() {
            may_give(&admin.0, &project.id, project.role.into())?;
            let found = app.store.project(&project.id).await?;
            if found.is_none_or(|project| project.archived_at.is_some()) {
                let param = format!("projects[{i}].id");
                let message = format!("Invalid '{param}': there is no such project.");
                return Err(ApiError::param(param, Some("invalid_value"), message));
            }
        }
        let token = tokens::generate("inv")?;
        let now = admin.0.actor.at();
        let row = InviteRow {
            id: app.clock.id("invite-"),
            email,
            role: request.role.into(),
            projects: projects
                .into_iter()
                .map(|project| InvitedProject {
                    id: project.id,
                    role: project.role.into(),
                })
                .collect(),
            created_at: now,
            expires_at: now + LIFE,
            accepted_at: None,
        };
        let digest = app
            .secrets
            .derive(Purpose::Tokens, token.expose().as_bytes());
        app.store
            .insert_invite(&row, &digest, &admin.0.actor)
            .await?;
        Ok(Json(shown(row, now, Some(token.expose().to_owned()))))
    }

    /// Tell about an invitation.
    #[oai(path = "/:invite_id", method = "get", operation_id = "retrieve-invite")]
    async fn retrieve(
        &self,
        admin: Admin,
        app: Data<&App>,
        invite_id: Path<String>,
    ) -> Result<Json<Invite>, ApiError> {
        admin.0.may(Permission::UsersRead)?;
        let row = app.store.invite(&invite_id).await?;
        let row = row.ok_or_else(|| ApiError::missing("invitation"))?;
        Ok(Json(shown(row, admin.0.actor.at(), None)))
    }

    /// Take an invitation back.
    #[oai(
        path = "/:invite_id",
        method = "delete",
        operation_id = "delete-invite"
    )]
    async fn delete(
        &self,
        admin: Admin,
        app: Data<&App>,
        invite_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        admin.0.may(Permission::UsersWrite)?;
        if !app.store.delete_invite(&invite_id, &admin.0.actor).await? {
            return Err(ApiError::missing("invitation"));
        }
        Ok(Json(Deleted::new("organization.invite", &invite_id)))
    }
}

fn shown(row: InviteRow, now: i64, token: Option<String>) -> Invite {
    let status = match row.accepted_at {
        Some(_) => InviteStatus::Accepted,
        None if row.expires_at <= now => InviteStatus::Expired,
        None => InviteStatus::Pending,
    };
    Invite {
        object: InviteObject::It,
        id: row.id,
        email: row.email,
        role: row.role.into(),
        status,
        created_at: row.created_at,
        expires_at: row.expires_at,
        accepted_at: row.accepted_at,
        projects: row
            .projects
            .into_iter()
            .map(|project| InviteProject {
                id: project.id,
                role: project.role.into(),
            })
            .collect(),
        token,
    }
}
