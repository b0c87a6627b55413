//! What `/auth` reads and writes. Requests have no `Debug`: they hold secrets.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use crate::auth::{IdentityError, Redacted, SignedIn, Tokens};
use crate::openai::admin::people::{OrgRoleName, ProjectRoleName};
use crate::store::{AccountRow, Membership, SessionRow};

/// Somebody who wants an account.
#[derive(Deserialize, Object)]
pub struct Register {
    pub email: String,
    /// 12 to 128 characters that are hard to guess.
    pub password: String,
    pub name: Option<String>,
    /// Of an invitation.
    pub invite_token: Option<String>,
}

#[derive(Deserialize, Object)]
pub struct Login {
    pub email: String,
    pub password: String,
    /// Of the second factor, if there is one: a code of the app, or a recovery code.
    pub code: Option<String>,
}

#[derive(Deserialize, Object)]
pub struct Refresh {
    pub refresh_token: String,
}

#[derive(Deserialize, Object)]
pub struct ChangePassword {
    pub current_password: String,
    /// 12 to 128 characters that are hard to guess.
    pub new_password: String,
}

#[derive(Deserialize, Object)]
pub struct BeginSecondFactor {
    pub password: String,
}

#[derive(Deserialize, Object)]
pub struct Code {
    pub code: String,
}

#[derive(Deserialize, Object)]
pub struct RemoveSecondFactor {
    pub password: String,
    pub code: String,
}

/// What somebody who is signed in holds.
#[derive(Serialize, Object)]
pub struct SessionTokens {
    pub token_type: TokenType,
    /// For the `Authorization` header, wherever an API key would do.
    pub access_token: String,
    /// Seconds that the access token lives.
    pub expires_in: i64,
    /// Gives the next two tokens, once. Used again, it ends the session.
    pub refresh_token: String,
    pub session: Session,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
pub enum TokenType {
    Bearer,
}

/// Somewhere that somebody is signed in.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Session {
    /// `auth.session`
    pub object: String,
    pub id: String,
    /// Whether it was begun with a second factor.
    pub second_factor: bool,
    /// Where it was begun.
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    /// Unix seconds, as all that follow.
    pub created_at: i64,
    pub refreshed_at: i64,
    /// When it ends unless it is refreshed.
    pub expires_at: i64,
    /// Whether this is the one that asks.
    pub current: bool,
}

/// Whoever asks.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Me {
    /// `auth.user`
    pub object: String,
    pub id: String,
    pub email: String,
    pub name: String,
    pub role: OrgRoleName,
    pub second_factor: bool,
    pub projects: Vec<MyProject>,
    /// The project that requests are in unless `OpenAI-Project` names another.
    pub default_project_id: Option<String>,
    /// Null for somebody who signs in elsewhere.
    pub session_id: Option<String>,
}

#[derive(Debug, Clone, Serialize, Object)]
pub struct MyProject {
    pub id: String,
    pub name: String,
    pub role: ProjectRoleName,
}

/// A second factor that is to be confirmed with a code.
#[derive(Serialize, Object)]
pub struct Enrolment {
    /// `auth.second_factor`
    pub object: String,
    /// For typing into an app.
    pub secret: String,
    /// For a QR code.
    pub otpauth_url: String,
}

/// Each gets somebody in once, in place of a code. Shown this once.
#[derive(Serialize, Object)]
pub struct RecoveryCodes {
    /// `auth.recovery_codes`
    pub object: String,
    pub recovery_codes: Vec<String>,
}

/// Sessions have ended.
#[derive(Debug, Clone, Serialize, Object)]
pub struct SessionsEnded {
    /// `auth.sessions.ended`
    pub object: String,
    pub ended: u64,
}

impl SessionTokens {
    pub fn of(tokens: Tokens) -> Self {
        let id = tokens.session.id.clone();
        Self {
            token_type: TokenType::Bearer,
            access_token: tokens.access.expose().to_owned(),
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh.expose().to_owned(),
            session: Session::of(tokens.session, Some(&id)),
        }
    }
}

impl Session {
    pub fn of(row: SessionRow, current: Option<&str>) -> Self {
        Self {
            object: "auth.session".to_owned(),
            current: current == Some(&row.id),
            id: row.id,
            second_factor: row.second_factor,
            ip_address: row.ip,
            user_agent: row.user_agent,
            created_at: row.created_at,
            refreshed_at: row.refreshed_at,
            expires_at: row.expires_at,
        }
    }
}

impl Me {
    pub fn of(
        who: &SignedIn,
        account: AccountRow,
        memberships: Vec<Membership>,
        default_project_id: Option<String>,
    ) -> Self {
        let project = |m: Membership| MyProject {
            id: m.project_id,
            name: m.project_name,
            role: m.role.into(),
        };
        Self {
            object: "auth.user".to_owned(),
            id: account.user_id,
            email: account.email,
            name: account.name,
            role: account.role.into(),
            second_factor: account.has_second_factor,
            projects: memberships.into_iter().map(project).collect(),
            default_project_id,
            session_id: who.session_id().ok().map(str::to_owned),
        }
    }
}

impl RecoveryCodes {
    pub fn of(codes: Vec<Redacted>) -> Self {
        Self {
            object: "auth.recovery_codes".to_owned(),
            recovery_codes: codes.iter().map(|code| code.expose().to_owned()).collect(),
        }
    }
}

/// A secret that came in; what cannot be one is refused before it costs anything.
///
/// # Errors
/// When it is longer than any.
pub fn secret(param: &'static str, text: String) -> Result<Redacted, IdentityError> {
    /// In bytes: 128 characters of four.
    const LONGEST: usize = 512;
    if text.len() > LONGEST {
        return Err(IdentityError::WrongProof(param));
    }
    Ok(Redacted::new(text))
}
