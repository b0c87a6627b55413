//! From the `Authorization` header to a [`Principal`]. Declared before the body in every
//! operation, so that nobody's body is read before it is known whose it is.

use std::sync::Arc;

use poem::http::header;
use poem::{Request, Result};
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use poem_openapi::error::AuthorizationError;

use super::envelope::Trace;
use super::error::ApiError;
use crate::app::App;
use crate::auth::Principal;

/// The caller, known by an API key: `Authorization: Bearer sk-…`. Keys in URLs are not read.
#[derive(SecurityScheme)]
#[oai(
    ty = "bearer",
    rename = "ApiKey",
    bearer_format = "sk-…",
    checker = "verify"
)]
pub struct ApiKey(pub Principal);

async fn verify(request: &Request, bearer: Bearer) -> Result<Principal> {
    // With two of them, somebody on the way might have checked the other one.
    if request
        .headers()
        .get_all(header::AUTHORIZATION)
        .iter()
        .count()
        != 1
    {
        return Err(AuthorizationError.into());
    }
    let Some(app) = request.data::<App>() else {
        return Err(ApiError::internal().into());
    };
    let principal = app
        .keys
        .verify(&bearer.token)
        .await
        .map_err(ApiError::from)?;
    if let Some(trace) = request.data::<Arc<Trace>>() {
        let _ = trace.key_id.set(principal.key_id.clone());
    }
    Ok(principal)
}
