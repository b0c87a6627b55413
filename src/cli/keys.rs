use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Common;
use crate::app::Data;
use crate::auth::{KeyOwner, KeyRules, Keys, NewKey, OnBehalfOf, names};
use crate::clock::Clock;
use crate::records::Actor;
use crate::store::{KeyKind, KeyRow, Store};

const DAY: i64 = 24 * 60 * 60;

/// `microllm keys`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, once
    Create(CreateArgs),
    /// List the keys, newest first
    List(ListArgs),
    /// End a key; a running server refuses it from now on
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    common: Common,
    /// What the key is for
    #[arg(long, value_parser = names::name)]
    name: String,
    /// A key for managing the organization instead of using models
    #[arg(long, conflicts_with = "project")]
    admin: bool,
    /// The project's id [default: the default project]
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Days until the key ends [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=36500))]
    expires_in_days: Option<i64>,
    /// One JSON object: id, api_key
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    common: Common,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    common: Common,
    /// The key's id, such as key_0190…
    id: String,
}

pub async fn run(command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Create(args) => create(args).await,
        KeysCommand::List(args) => list(args).await,
        KeysCommand::Revoke(args) => revoke(args).await,
    }
}

async fn open(common: &Common) -> anyhow::Result<(Store, Keys, Clock)> {
    let config = common.load(Vec::new())?;
    let Data { store, secrets } = Data::open_existing(&config.data.dir).await?;
    let clock = Clock::system();
    let keys = Keys::new(store.clone(), secrets, clock.clone());
    Ok((store, keys, clock))
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let (store, keys, clock) = open(&args.common).await?;
    let not_set_up = "nobody owns this server yet; run `microllm init` first";
    let owner = if args.admin {
        KeyOwner::Admin(store.first_user().await?.context(not_set_up)?.id)
    } else {
        let project = match &args.project {
            None => store.first_project().await?.context(not_set_up)?,
            Some(id) => store
                .project(id)
                .await?
                .filter(|project| project.archived_at.is_none())
                .with_context(|| format!("there is no project {id}"))?,
        };
        KeyOwner::Project {
            id: project.id,
            on_behalf_of: OnBehalfOf::Project,
        }
    };
    let new = NewKey {
        name: args.name,
        owner,
        expires_at: args
            .expires_in_days
            .map(|days| clock.now_secs() + days * DAY),
        rules: KeyRules::default(),
    };
    let issued = keys.issue(new, &Actor::command_line(&clock)).await?;
    store.close().await;
    let mut out = io::stdout().lock();
    let key = issued.key.expose();
    if args.json {
        writeln!(out, "{}", json!({ "id": issued.row.id, "api_key": key }))?;
    } else {
        writeln!(out, "{key}")?;
    }
    Ok(())
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let (store, _, clock) = open(&args.common).await?;
    let keys = store.keys().await?;
    store.close().await;
    let mut out = io::stdout().lock();
    for key in keys {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&key)?)?;
        } else {
            let kind = match key.kind {
                KeyKind::Project => "project",
                KeyKind::Admin => "admin",
            };
            let state = state(&key, clock.now_secs());
            let (id, last4, name) = (&key.id, &key.last4, &key.name);
            writeln!(out, "{id}  …{last4}  {kind:7}  {state:7}  {name}")?;
        }
    }
    Ok(())
}

async fn revoke(args: RevokeArgs) -> anyhow::Result<()> {
    let (store, keys, clock) = open(&args.common).await?;
    let revoked = keys.revoke(&args.id, &Actor::command_line(&clock)).await?;
    store.close().await;
    anyhow::ensure!(revoked, "there is no live key {}", args.id);
    writeln!(io::stderr(), "{} is revoked", args.id)?;
    Ok(())
}

fn state(key: &KeyRow, now: i64) -> &'static str {
    match key {
        KeyRow {
            revoked_at: Some(_),
            ..
        } => "revoked",
        KeyRow {
            expires_at: Some(at),
            ..
        } if *at <= now => "expired",
        _ => "live",
    }
}
