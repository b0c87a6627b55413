use super::keys::mint;
use super::{
    IssueError, IssuedKey, KeyOwner, KeyRules, NewKey, OnBehalfOf, OrgRole, PasswordError,
    Passwords, Redacted, Secrets,
};
use crate::clock::Clock;
use crate::limits::LimitSet;
use crate::records::Actor;
use crate::store::{FirstRows, ProjectRow, Store, StoreError, UserRow};

/// What the first start made, for its owner to read once.
#[derive(Debug, Clone)]
pub struct FirstCredentials {
    pub admin_email: String,
    pub admin_password: Redacted,
    /// Of the default project.
    pub api_key: IssuedKey,
    pub admin_api_key: IssuedKey,
}

/// The first start failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The credentials of the first start are never shown again.
    #[error("this server is already set up")]
    AlreadySetUp,
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an administrator with a generated password, the default project and a key for each.
///
/// # Errors
/// [`SetupError::AlreadySetUp`] when there is an administrator; nothing is changed then.
pub async fn set_up(
    store: &Store,
    secrets: &Secrets,
    clock: &Clock,
    passwords: &Passwords,
    admin_email: &str,
) -> Result<FirstCredentials, SetupError> {
    if store.is_set_up().await? {
        return Err(SetupError::AlreadySetUp);
    }
    let admin_password = Passwords::generate()?;
    let now = clock.now_secs();
    let administrator = UserRow {
        id: clock.id("user-"),
        email: admin_email.to_owned(),
        password_hash: passwords.hash(&admin_password).await?,
        role: OrgRole::Owner,
        created_at: now,
    };
    let project = ProjectRow {
        id: clock.id("proj_"),
        name: "Default project".to_owned(),
        limits: LimitSet::default(),
        guardrail_policy: None,
        data_retention: "organization_default".to_owned(),
        created_at: now,
        archived_at: None,
    };
    let key = |name: &str, owner| {
        let name = name.to_owned();
        mint(
            secrets,
            clock,
            NewKey {
                name,
                owner,
                expires_at: None,
                rules: KeyRules::default(),
            },
        )
    };
    let api_key = key(
        "First key",
        KeyOwner::Project {
            id: project.id.clone(),
            on_behalf_of: OnBehalfOf::User(administrator.id.clone()),
        },
    )?;
    let admin_api_key = key("First admin key", KeyOwner::Admin(administrator.id.clone()))?;
    let first = FirstRows {
        administrator,
        project,
        keys: vec![api_key.row.clone(), admin_api_key.row.clone()],
    };
    if !store.set_up(&first, &Actor::server(clock)).await? {
        return Err(SetupError::AlreadySetUp);
    }
    Ok(FirstCredentials {
        admin_email: admin_email.to_owned(),
        admin_password,
        api_key,
        admin_api_key,
    })
}
