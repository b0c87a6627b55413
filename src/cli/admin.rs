use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::Common;
use crate::app::Data;
use crate::auth::{Identity, IdentityError, OrgRole, Passwords, names};
use crate::clock::Clock;
use crate::records::Actor;
use crate::store::{Cursor, Store};

/// People read at a time.
const PAGE: u32 = 100;

/// `microllm admin`
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make an account and print its generated password, once
    Create(CreateArgs),
    /// Give an account another, generated password, and end its sessions
    ResetPassword(ResetArgs),
    /// Let nothing of somebody work: neither password nor sessions nor keys
    Disable(PersonArgs),
    /// Take that back; whoever was disabled has to sign in again
    Enable(PersonArgs),
    /// List the people
    List(ListArgs),
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    common: Common,
    /// Whose account; it is what they sign in with
    #[arg(value_name = "EMAIL", value_parser = names::email)]
    email: String,
    /// What to call them [default: nothing]
    #[arg(long, value_parser = names::name)]
    name: Option<String>,
    /// An owner manages everything; a reader uses models in their projects
    #[arg(long, value_enum, default_value_t = Role::Owner)]
    role: Role,
    /// One JSON object: id, email, password
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Owner,
    Reader,
}

#[derive(Debug, Args)]
pub struct ResetArgs {
    #[command(flatten)]
    common: Common,
    /// Whose account
    #[arg(value_name = "EMAIL")]
    email: String,
    /// Also remove the second factor and the recovery codes
    #[arg(long)]
    without_second_factor: bool,
    /// One JSON object: email, password
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct PersonArgs {
    #[command(flatten)]
    common: Common,
    /// Whose account
    #[arg(value_name = "EMAIL")]
    email: String,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    common: Common,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(command: AdminCommand) -> anyhow::Result<()> {
    match command {
        AdminCommand::Create(args) => create(args).await,
        AdminCommand::ResetPassword(args) => reset_password(args).await,
        AdminCommand::Disable(args) => set_disabled(args, true).await,
        AdminCommand::Enable(args) => set_disabled(args, false).await,
        AdminCommand::List(args) => list(args).await,
    }
}

async fn open(common: &Common) -> anyhow::Result<(Store, Identity, Actor)> {
    let config = common.load(Vec::new())?;
    let Data { store, secrets } = Data::open_existing(&config.data.dir).await?;
    let clock = Clock::system();
    let actor = Actor::command_line(&clock);
    let passwords = Passwords::new(&config.auth);
    let identity = Identity::new(store.clone(), secrets, clock, config.auth, passwords);
    Ok((store, identity, actor))
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let (store, identity, actor) = open(&args.common).await?;
    let role = match args.role {
        Role::Owner => OrgRole::Owner,
        Role::Reader => OrgRole::Reader,
    };
    let created = identity
        .create(
            &args.email,
            args.name.as_deref().unwrap_or_default(),
            role,
            &actor,
        )
        .await;
    store.close().await;
    let (id, password) = match created {
        Err(IdentityError::Taken) => anyhow::bail!(
            "there is an account {}; `microllm admin reset-password` gives it another password",
            args.email
        ),
        other => other?,
    };
    let password = password.expose();
    let mut out = io::stdout().lock();
    if args.json {
        let line = json!({ "id": id, "email": args.email, "password": password });
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "{password}")?;
    }
    Ok(())
}

async fn reset_password(args: ResetArgs) -> anyhow::Result<()> {
    let (store, identity, actor) = open(&args.common).await?;
    let password = identity
        .reset_password(&args.email, args.without_second_factor, &actor)
        .await;
    store.close().await;
    let password = password?.with_context(|| format!("there is no account {}", args.email))?;
    let password = password.expose();
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(
            out,
            "{}",
            json!({ "email": args.email, "password": password })
        )?;
    } else {
        writeln!(out, "{password}")?;
    }
    Ok(())
}

async fn set_disabled(args: PersonArgs, disabled: bool) -> anyhow::Result<()> {
    let (store, _, actor) = open(&args.common).await?;
    let id = store.person_id(&args.email).await?;
    let id = id.with_context(|| format!("there is no account {}", args.email))?;
    let edited = store
        .edit_person(&id, &actor, |person| {
            person.disabled_at = disabled.then(|| actor.at());
        })
        .await;
    store.close().await;
    edited?;
    let state = if disabled { "disabled" } else { "enabled" };
    writeln!(io::stderr(), "{} is {state}", args.email)?;
    Ok(())
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let (store, _, _) = open(&args.common).await?;
    let mut out = io::stdout().lock();
    let mut cursor = Cursor {
        after: None,
        descending: false,
        limit: PAGE,
    };
    loop {
        let page = store.people(&cursor, &[]).await?;
        let Some(last) = page.last() else {
            break;
        };
        cursor.after = Some(last.id.clone());
        for person in page {
            let role = match person.role {
                OrgRole::Owner => "owner",
                OrgRole::Reader => "reader",
            };
            let has_second_factor = person.second_factor_at.is_some();
            let is_disabled = person.disabled_at.is_some();
            if args.json {
                let line = json!({
                    "id": person.id,
                    "email": person.email,
                    "name": person.name,
                    "role": role,
                    "disabled": is_disabled,
                    "second_factor": has_second_factor,
                    "created_at": person.created_at,
                });
                writeln!(out, "{line}")?;
            } else {
                let state = if is_disabled { "disabled" } else { "enabled" };
                let factor = if has_second_factor { "2" } else { "1" };
                let (id, email) = (&person.id, &person.email);
                writeln!(out, "{id}  {role:6}  {state:8}  {factor} factor  {email}")?;
            }
        }
    }
    store.close().await;
    Ok(())
}
