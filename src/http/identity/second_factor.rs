//! `/auth/second_factor`

use poem::web::Data;
use poem_openapi::OpenApi;

use super::me;
use super::wire::{
    BeginSecondFactor, Code, Enrolment, Me, RecoveryCodes, RemoveSecondFactor, secret,
};
use crate::app::App;
use crate::http::auth::Session;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;

pub struct SecondFactorApi;

#[OpenApi(prefix_path = "/auth/second_factor", tag = "Tag::Identity")]
impl SecondFactorApi {
    /// Begin to set up an authenticator app. It is asked for once it is confirmed.
    #[oai(path = "/", method = "post", operation_id = "begin-second-factor")]
    async fn begin(
        &self,
        session: Session,
        app: Data<&App>,
        body: Json<BeginSecondFactor>,
    ) -> Result<Json<Enrolment>, ApiError> {
        let password = secret("password", body.0.password)?;
        let new = app
            .identity
            .begin_second_factor(&session.0, &password)
            .await?;
        Ok(Json(Enrolment {
            object: "auth.second_factor".to_owned(),
            secret: new.secret.expose().to_owned(),
            otpauth_url: new.url.expose().to_owned(),
        }))
    }

    /// Confirm the app with its code. Tells the recovery codes, once; all other sessions end.
    #[oai(
        path = "/confirm",
        method = "post",
        operation_id = "confirm-second-factor"
    )]
    async fn confirm(
        &self,
        session: Session,
        app: Data<&App>,
        body: Json<Code>,
    ) -> Result<Json<RecoveryCodes>, ApiError> {
        let code = secret("code", body.0.code)?;
        let codes = app
            .identity
            .confirm_second_factor(&session.0, &code)
            .await?;
        Ok(Json(RecoveryCodes::of(codes)))
    }

    /// Replace the recovery codes.
    #[oai(
        path = "/recovery_codes",
        method = "post",
        operation_id = "renew-recovery-codes"
    )]
    async fn renew(
        &self,
        session: Session,
        app: Data<&App>,
        body: Json<Code>,
    ) -> Result<Json<RecoveryCodes>, ApiError> {
        let code = secret("code", body.0.code)?;
        let codes = app.identity.renew_recovery_codes(&session.0, &code).await?;
        Ok(Json(RecoveryCodes::of(codes)))
    }

    /// Sign in without a second factor from now on.
    #[oai(
        path = "/remove",
        method = "post",
        operation_id = "remove-second-factor"
    )]
    async fn remove(
        &self,
        session: Session,
        app: Data<&App>,
        body: Json<RemoveSecondFactor>,
    ) -> Result<Json<Me>, ApiError> {
        let password = secret("password", body.0.password)?;
        let code = secret("code", body.0.code)?;
        app.identity
            .remove_second_factor(&session.0, &password, &code)
            .await?;
        me(&app, &session.0).await
    }
}
