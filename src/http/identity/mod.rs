//! `/auth`: signing in and out, one's own account.

mod second_factor;
mod sessions;
mod wire;

use poem::Request;
use poem::web::Data;
use poem_openapi::OpenApi;

use super::auth::{Session, visitor};
use super::error::ApiError;
use super::organization::{email, optional_name};
use super::payload::Json;
use super::spec::Tag;
use crate::app::App;
use crate::auth::{NewAccount, SignIn, SignedIn};
use crate::openai::admin::Deleted;
use wire::{ChangePassword, Login, Me, Refresh, Register, SessionTokens, secret};

/// All of `/auth`.
pub type IdentityApi = (
    AccountApi,
    sessions::SessionsApi,
    second_factor::SecondFactorApi,
);

pub fn api() -> IdentityApi {
    (
        AccountApi,
        sessions::SessionsApi,
        second_factor::SecondFactorApi,
    )
}

pub struct AccountApi;

#[OpenApi(prefix_path = "/auth", tag = "Tag::Identity")]
impl AccountApi {
    /// Make an account, where the server allows it, and sign in.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        request: &Request,
        app: Data<&App>,
        body: Json<Register>,
    ) -> Result<Json<SessionTokens>, ApiError> {
        let Register {
            email: address,
            password,
            name,
            invite_token,
        } = body.0;
        let new = NewAccount {
            email: email("email", &address)?,
            name: optional_name("name", name.as_deref())?.unwrap_or_default(),
            password: secret("password", password)?,
            invite_token: invite_token
                .map(|token| secret("invite_token", token))
                .transpose()?,
        };
        let tokens = app.identity.register(new, &visitor(request)).await?;
        Ok(Json(SessionTokens::of(tokens)))
    }

    /// Sign in.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        request: &Request,
        app: Data<&App>,
        body: Json<Login>,
    ) -> Result<Json<SessionTokens>, ApiError> {
        let Login {
            email: address,
            password,
            code,
        } = body.0;
        let with = SignIn {
            email: email("email", &address)?,
            password: secret("password", password)?,
            code: code.map(|code| secret("code", code)).transpose()?,
        };
        let tokens = app.identity.sign_in(with, &visitor(request)).await?;
        Ok(Json(SessionTokens::of(tokens)))
    }

    /// Give the next tokens of a session.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        request: &Request,
        app: Data<&App>,
        body: Json<Refresh>,
    ) -> Result<Json<SessionTokens>, ApiError> {
        let token = secret("refresh_token", body.0.refresh_token)?;
        let tokens = app.identity.refresh(&token, &visitor(request)).await?;
        Ok(Json(SessionTokens::of(tokens)))
    }

    /// Sign out: the session's tokens do not count any more.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, session: Session, app: Data<&App>) -> Result<Json<Deleted>, ApiError> {
        let who = session.0;
        app.identity.sign_out(&who).await?;
        Ok(Json(Deleted::new("auth.session", who.session_id()?)))
    }

    /// Tell who asks.
    #[oai(path = "/me", method = "get", operation_id = "me")]
    async fn me(&self, session: Session, app: Data<&App>) -> Result<Json<Me>, ApiError> {
        me(&app, &session.0).await
    }

    /// Change one's password. All other sessions end.
    #[oai(path = "/password", method = "post", operation_id = "change-password")]
    async fn change_password(
        &self,
        session: Session,
        app: Data<&App>,
        body: Json<ChangePassword>,
    ) -> Result<Json<Me>, ApiError> {
        let current = secret("current_password", body.0.current_password)?;
        let new = secret("new_password", body.0.new_password)?;
        app.identity
            .change_password(&session.0, &current, &new)
            .await?;
        me(&app, &session.0).await
    }
}

async fn me(app: &App, who: &SignedIn) -> Result<Json<Me>, ApiError> {
    let user_id = &who.person.user_id;
    let account = app.store.account_of(user_id).await?;
    let account = account.ok_or_else(|| ApiError::missing("user"))?;
    let memberships = app.store.memberships(user_id).await?;
    let acting = app.store.acting_project(user_id, None).await?;
    let default = acting.map(|project| project.id);
    Ok(Json(Me::of(who, account, memberships, default)))
}
