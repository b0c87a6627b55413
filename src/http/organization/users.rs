//! `/v1/organization/users`

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::roles::{OWNER, READER};
use super::{limits, optional_name, paging};
use crate::app::App;
use crate::auth::{Administrator, OrgRole, Permission};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::query::List;
use crate::http::spec::Tag;
use crate::openai::admin::Deleted;
use crate::openai::admin::people::{OrganizationUser, UpdateUser};
use crate::openai::page::Page;

/// Addresses in one question.
const MOST_EMAILS: usize = 100;

pub struct UsersApi;

#[OpenApi(prefix_path = "/v1/organization/users", tag = "Tag::Administration")]
impl UsersApi {
    /// List the people of the organization.
    #[oai(path = "/", method = "get", operation_id = "list-users")]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Begin after this id.
        after: Query<Option<String>>,
        /// 1 to 100.
        limit: Query<Option<i64>>,
        /// Only people with these addresses.
        #[oai(name = "emails[]", default)]
        emails: List<String>,
    ) -> Result<Json<Page<OrganizationUser>>, ApiError> {
        admin.0.may(Permission::UsersRead)?;
        let cursor = paging(after.0, limit.0, None)?;
        if emails.0.len() > MOST_EMAILS {
            let message = format!("Invalid 'emails': at most {MOST_EMAILS} entries.");
            return Err(ApiError::param("emails", None, message));
        }
        let people = app.store.people(&cursor, &emails.0).await?;
        let people = people.into_iter().map(|p| OrganizationUser::of(p, None));
        Ok(Json(Page::of(people.collect(), cursor.limit - 1, |user| {
            &user.id
        })))
    }

    /// Tell about a person.
    #[oai(path = "/:user_id", method = "get", operation_id = "retrieve-user")]
    async fn retrieve(
        &self,
        admin: Admin,
        app: Data<&App>,
        user_id: Path<String>,
    ) -> Result<Json<OrganizationUser>, ApiError> {
        admin.0.may(Permission::UsersRead)?;
        Ok(Json(user(&app, &user_id, true).await?))
    }

    /// Change a person's role, limits or name, or disable them. It holds from the next request on.
    #[oai(path = "/:user_id", method = "post", operation_id = "modify-user")]
    async fn update(
        &self,
        admin: Admin,
        app: Data<&App>,
        user_id: Path<String>,
        request: Json<UpdateUser>,
    ) -> Result<Json<OrganizationUser>, ApiError> {
        admin.0.may(Permission::UsersWrite)?;
        let request = request.0;
        let role = match (request.role, request.role_id.as_deref()) {
            (Some(role), _) => Some(role.into()),
            (None, None) => None,
            (None, Some(id)) => Some(org_role(id)?),
        };
        if role == Some(OrgRole::Owner) {
            admin.0.may_make_owners()?;
        }
        may_change(&app, &admin.0, &user_id).await?;
        let name = optional_name("name", request.name.as_deref())?;
        let new_limits = request.limits.map(limits).transpose()?;
        if new_limits.is_some() {
            admin.0.may(Permission::LimitsWrite)?;
        }
        let now = admin.0.actor.at();
        let edited = app.store.edit_person(&user_id, &admin.0.actor, |person| {
            person.role = role.unwrap_or(person.role);
            if let Some(name) = name {
                person.name = name;
            }
            if let Some(limits) = new_limits {
                person.limits = limits;
            }
            match request.disabled {
                Some(true) => person.disabled_at = person.disabled_at.or(Some(now)),
                Some(false) => person.disabled_at = None,
                None => {}
            }
        });
        edited.await?;
        Ok(Json(user(&app, &user_id, true).await?))
    }

    /// Remove a person: they are signed out, their keys end, what is known of them is erased.
    #[oai(path = "/:user_id", method = "delete", operation_id = "delete-user")]
    async fn delete(
        &self,
        admin: Admin,
        app: Data<&App>,
        user_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        admin.0.may(Permission::UsersWrite)?;
        may_change(&app, &admin.0, &user_id).await?;
        let store = &app.store;
        store
            .erase_person(&user_id, &admin.0.actor, "user.deleted")
            .await?;
        Ok(Json(Deleted::new("organization.user", &user_id)))
    }
}

/// A person; with their projects only for who may know of all projects.
pub async fn user(app: &App, id: &str, projects: bool) -> Result<OrganizationUser, ApiError> {
    let person = app.store.person(id).await?;
    let person = person.ok_or_else(|| ApiError::missing("user"))?;
    let memberships = match projects {
        true => Some(app.store.memberships(id).await?),
        false => None,
    };
    Ok(OrganizationUser::of(person, memberships))
}

/// Owners are changed only by who could make one: else a key for people would shut out all others.
pub async fn may_change(app: &App, admin: &Administrator, id: &str) -> Result<(), ApiError> {
    let person = app.store.person(id).await?;
    if person.is_some_and(|person| person.role == OrgRole::Owner) {
        admin.may_make_owners()?;
    }
    Ok(())
}

/// The organization's role of this id.
pub fn org_role(id: &str) -> Result<OrgRole, ApiError> {
    match id {
        OWNER => Ok(OrgRole::Owner),
        READER => Ok(OrgRole::Reader),
        _ => {
            let message = format!("Invalid 'role_id': supported are '{OWNER}' and '{READER}'.");
            Err(ApiError::param("role_id", Some("invalid_value"), message))
        }
    }
}
