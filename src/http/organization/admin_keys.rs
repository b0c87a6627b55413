//! `/v1/organization/admin_api_keys`

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::{admin_scopes, expiry, name, paging, redacted};
use crate::app::App;
use crate::auth::{Administrator, AuthError, Authority, KeyOwner, KeyRules, NewKey, Permission};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::Deleted;
use crate::openai::admin::keys::{
    AdminApiKey, AdminKeyObject, AdminKeyOwner, CreateAdminApiKey, role_name,
};
use crate::openai::page::Page;
use crate::store::{KeyRing, KeyRow};

pub struct AdminKeysApi;

#[OpenApi(
    prefix_path = "/v1/organization/admin_api_keys",
    tag = "Tag::Administration"
)]
impl AdminKeysApi {
    /// List the admin API keys.
    #[oai(path = "/", method = "get", operation_id = "admin-api-keys-list")]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Begin after this id.
        after: Query<Option<String>>,
        /// 1 to 100.
        limit: Query<Option<i64>>,
        /// `asc` or `desc`.
        order: Query<Option<String>>,
    ) -> Result<Json<Page<AdminApiKey>>, ApiError> {
        admin.0.may(Permission::AdminKeysRead)?;
        let cursor = paging(after.0, limit.0, order.0.as_deref())?;
        let mut keys = Vec::new();
        for row in app.store.ring(KeyRing::Admin, &cursor, None).await? {
            keys.push(shown(&app, row, None).await?);
        }
        Ok(Json(Page::of(keys, cursor.limit - 1, |key| &key.id)))
    }

    /// Make an admin API key. Its value is in this answer and nowhere else.
    #[oai(path = "/", method = "post", operation_id = "admin-api-keys-create")]
    async fn create(
        &self,
        admin: Admin,
        app: Data<&App>,
        request: Json<CreateAdminApiKey>,
    ) -> Result<Json<AdminApiKey>, ApiError> {
        admin.0.may(Permission::AdminKeysWrite)?;
        let request = request.0;
        let scopes = within(&admin.0.authority, admin_scopes(request.scopes)?)?;
        let new = NewKey {
            name: name("name", &request.name)?,
            owner: KeyOwner::Admin(admin.0.user_id.clone()),
            expires_at: no_later(
                expiry(request.expires_in_seconds, admin.0.actor.at())?,
                own_end(&app, &admin.0).await?,
            ),
            rules: KeyRules {
                scopes,
                ..KeyRules::default()
            },
        };
        let issued = app.keys.issue(new, &admin.0.actor).await?;
        let value = issued.key.expose().to_owned();
        Ok(Json(shown(&app, issued.row, Some(value)).await?))
    }

    /// Tell about an admin API key.
    #[oai(path = "/:key_id", method = "get", operation_id = "admin-api-keys-get")]
    async fn retrieve(
        &self,
        admin: Admin,
        app: Data<&App>,
        key_id: Path<String>,
    ) -> Result<Json<AdminApiKey>, ApiError> {
        admin.0.may(Permission::AdminKeysRead)?;
        let row = app.store.key(KeyRing::Admin, &key_id).await?;
        let row = row.ok_or_else(|| ApiError::missing("admin API key"))?;
        Ok(Json(shown(&app, row, None).await?))
    }

    /// End an admin API key: it is refused from now on.
    #[oai(
        path = "/:key_id",
        method = "delete",
        operation_id = "admin-api-keys-delete"
    )]
    async fn delete(
        &self,
        admin: Admin,
        app: Data<&App>,
        key_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        admin.0.may(Permission::AdminKeysWrite)?;
        let missing = || ApiError::missing("admin API key");
        let (store, ring) = (&app.store, KeyRing::Admin);
        let row = store.key(ring, &key_id).await?.ok_or_else(missing)?;
        if !covers(&admin.0.authority, row.scopes.as_deref()) {
            let message = "A key cannot end one with scopes that it lacks.";
            return Err(AuthError::Forbidden(message).into());
        }
        if !store.delete_key(ring, &key_id, &admin.0.actor).await? {
            return Err(missing());
        }
        Ok(Json(Deleted::new("organization.admin_api_key", &key_id)))
    }
}

/// Nobody hands out more than they have.
fn within(
    authority: &Authority,
    asked: Option<Vec<String>>,
) -> Result<Option<Vec<String>>, ApiError> {
    let asked = asked.or_else(|| match authority {
        Authority::Key(own) => own.0.as_ref().map(|own| own.to_vec()),
        _ => None,
    });
    if !covers(authority, asked.as_deref()) {
        let message = "A key cannot make one with scopes that it lacks.";
        return Err(AuthError::Forbidden(message).into());
    }
    Ok(asked)
}

/// Whether somebody may do all that a key of these scopes may.
fn covers(authority: &Authority, scopes: Option<&[String]>) -> bool {
    let Authority::Key(own) = authority else {
        return true;
    };
    match (&own.0, scopes) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(own), Some(scopes)) => scopes.iter().all(|scope| own.contains(scope)),
    }
}

/// When the key that asks ends: what it makes ends with it.
async fn own_end(app: &App, admin: &Administrator) -> Result<Option<i64>, ApiError> {
    let (Authority::Key(_), Some(id)) = (&admin.authority, &admin.actor.id) else {
        return Ok(None);
    };
    let own = app.store.key(KeyRing::Admin, id).await?;
    Ok(own.and_then(|key| key.expires_at))
}

fn no_later(asked: Option<i64>, end: Option<i64>) -> Option<i64> {
    match (asked, end) {
        (Some(asked), Some(end)) => Some(asked.min(end)),
        (asked, end) => asked.or(end),
    }
}

async fn shown(app: &App, row: KeyRow, value: Option<String>) -> Result<AdminApiKey, ApiError> {
    let id = row.user_id.unwrap_or_default();
    let owner = app.store.person(&id).await?;
    Ok(AdminApiKey {
        object: AdminKeyObject::It,
        id: row.id,
        name: row.name,
        value,
        redacted_value: redacted("sk-mllm-admin-", &row.last4),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        owner: AdminKeyOwner {
            kind: "user".to_owned(),
            object: "organization.user".to_owned(),
            id,
            name: owner.as_ref().map_or_else(String::new, |o| o.name.clone()),
            created_at: owner.as_ref().map_or(0, |o| o.created_at),
            role: owner.map_or("reader", |o| role_name(o.role)).to_owned(),
        },
        scopes: row.scopes,
    })
}
