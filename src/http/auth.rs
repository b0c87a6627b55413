//! From the `Authorization` header to whoever is asking. Declared before the body in every
//! operation, so that nobody's body is read before it is known whose it is.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use poem::http::header;
use poem::{Request, Result};
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use poem_openapi::error::AuthorizationError;

use super::envelope::Trace;
use super::error::{ApiError, INSUFFICIENT_PERMISSIONS};
use crate::app::App;
use crate::auth::{Administrator, AuthError, Identity, Principal, SignedIn};
use crate::records::{Actor, ActorKind};

/// A user agent may be of any length; the audit keeps this many characters, which are ASCII.
const LONGEST_USER_AGENT: usize = 256;

/// OpenAI's header for the project that a request is in.
const PROJECT: &str = "openai-project";
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whose word about where a request comes from is taken.
#[derive(Debug, Clone)]
pub struct TrustedProxies(pub Arc<[IpNet]>);

/// The caller, known by an API key or an access token: `Authorization: Bearer …`. Keys in URLs are
/// not read.
#[derive(SecurityScheme)]
#[oai(
    ty = "bearer",
    rename = "ApiKey",
    bearer_format = "sk-…",
    checker = "verify"
)]
pub struct ApiKey(pub Principal);

/// The caller of an administration route, known by an admin API key or an access token.
#[derive(SecurityScheme)]
#[oai(
    ty = "bearer",
    rename = "AdminApiKey",
    bearer_format = "sk-…",
    checker = "verify_admin"
)]
pub struct Admin(pub Administrator);

/// A person, known by an access token.
#[derive(SecurityScheme)]
#[oai(
    ty = "bearer",
    rename = "AccessToken",
    bearer_format = "JWT",
    checker = "verify_session"
)]
pub struct Session(pub SignedIn);

async fn verify(request: &Request, bearer: Bearer) -> Result<Principal> {
    let app = checked(request)?;
    let token = &bearer.token;
    let verified = if Identity::is_token(token) {
        let project = project(request)?;
        let from = visitor(request);
        app.identity.principal(token, project, from).await
    } else {
        app.keys.verify(token).await
    };
    let principal = verified.map_err(|error| refused(request, token, error))?;
    trace_key(request, &principal.key_id);
    if let Some(trace) = request.data::<Arc<Trace>>() {
        let _ = trace.caller.set(principal.clone());
        let _ = trace.visitor.set(visitor(request));
    }
    Ok(principal)
}

async fn verify_admin(request: &Request, bearer: Bearer) -> Result<Administrator> {
    let app = checked(request)?;
    let (token, from) = (&bearer.token, visitor(request));
    let verified = if Identity::is_token(token) {
        app.identity.administrator(token, from).await
    } else {
        app.keys.verify_admin(token, from).await
    };
    let administrator = verified.map_err(|error| refused(request, token, error))?;
    trace_actor(request, &administrator.actor);
    Ok(administrator)
}

async fn verify_session(request: &Request, bearer: Bearer) -> Result<SignedIn> {
    let app = checked(request)?;
    let token = &bearer.token;
    let verified = if Identity::is_token(token) {
        app.identity.signed_in(token, visitor(request)).await
    } else {
        Err(AuthError::NotAToken)
    };
    let who = verified.map_err(|error| refused(request, token, error))?;
    trace_actor(request, &who.actor);
    Ok(who)
}

/// The project that a request names. A key is of one project, whatever the header says.
fn project(request: &Request) -> Result<Option<&str>> {
    let Some(value) = request.headers().get(PROJECT) else {
        return Ok(None);
    };
    let Ok(value) = value.to_str() else {
        let message = "Invalid 'OpenAI-Project' header.";
        return Err(ApiError::param("OpenAI-Project", Some("invalid_value"), message).into());
    };
    Ok(Some(value).filter(|id| !id.is_empty()))
}

/// The application, for a request with one `Authorization` header.
fn checked(request: &Request) -> Result<&App> {
    let headers = request.headers().get_all(header::AUTHORIZATION);
    // With two of them, somebody on the way might have checked the other one.
    if headers.iter().count() != 1 {
        return Err(AuthorizationError.into());
    }
    request
        .data::<App>()
        .ok_or_else(|| ApiError::internal().into())
}

/// What to tell somebody who is not let in; the trace is told more.
fn refused(request: &Request, presented: &str, error: AuthError) -> ApiError {
    let is_token = Identity::is_token(presented);
    let reason = match &error {
        AuthError::InvalidKey if is_token => "invalid_access_token",
        AuthError::InvalidKey => "unknown_api_key",
        AuthError::Ended { .. } if is_token => "ended_session",
        AuthError::Ended {
            is_expired: true, ..
        } => "expired_api_key",
        AuthError::Ended { .. } => "ended_api_key",
        AuthError::Expired => "expired_access_token",
        AuthError::NotAToken => "not_an_access_token",
        AuthError::Forbidden(_) => INSUFFICIENT_PERMISSIONS,
        AuthError::SecondFactor => "second_factor_required",
        AuthError::UnknownProject => "unknown_project",
        AuthError::Hidden | AuthError::Unavailable(_) => return error.into(),
    };
    if let AuthError::Ended { id, .. } = &error {
        trace_key(request, id);
    }
    if let Some(trace) = request.data::<Arc<Trace>>() {
        let _ = trace.visitor.set(visitor(request));
        let _ = trace.refused.set(reason);
    }
    error.into()
}

/// By key or session, else by person.
fn trace_actor(request: &Request, actor: &Actor) {
    if let Some(trace) = request.data::<Arc<Trace>>() {
        let _ = trace.visitor.set(actor.clone());
    }
    if let Some(id) = actor.id.as_ref().or(actor.user_id.as_ref()) {
        trace_key(request, id);
    }
}

fn trace_key(request: &Request, id: &str) {
    if let Some(trace) = request.data::<Arc<Trace>>() {
        let _ = trace.key_id.set(id.to_owned());
    }
}

/// Whoever sends this request, before they are known: for the audit, and for counting attempts.
pub fn visitor(request: &Request) -> Actor {
    let user_agent = request.headers().get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|agent| agent.to_str().ok());
    Actor {
        kind: ActorKind::Anonymous,
        id: None,
        user_id: None,
        ip: address(request),
        user_agent: user_agent
            .map(|agent| agent.get(..LONGEST_USER_AGENT).unwrap_or(agent).to_owned()),
        at_ms: request
            .data::<Arc<Trace>>()
            .map_or(0, |trace| trace.arrived_ms),
    }
}

/// Where a request comes from: the connection, unless a trusted proxy holds its other end and says
/// who it is for. Each proxy adds whom it got a request from at the end of the header; what is before
/// the last one that is not trusted may be made up.
fn address(request: &Request) -> Option<IpAddr> {
    let peer = request.remote_addr().as_socket_addr().map(|a| a.ip())?;
    let Some(TrustedProxies(trusted)) = request.data::<TrustedProxies>() else {
        return Some(peer);
    };
    let is_trusted = |ip: &IpAddr| {
        let ip = ip.to_canonical();
        trusted.iter().any(|network| network.contains(&ip))
    };
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let headers = request.headers().get_all(FORWARDED_FOR);
    let said: Vec<&[u8]> = headers
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .collect();
    let mut nearest = peer;
    for hop in said.iter().rev() {
        // What a client writes before what the proxies add must not hide that.
        let hop = std::str::from_utf8(hop).ok();
        let Some(ip) = hop.and_then(|hop| hop.trim().parse().ok()) else {
            break;
        };
        nearest = ip;
        if !is_trusted(&ip) {
            break;
        }
    }
    Some(nearest)
}
