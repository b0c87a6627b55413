use std::io::{self, Write};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::Common;
use crate::app::Data;
use crate::auth::{self, FirstCredentials, Passwords, Redacted, SetupError, names};
use crate::clock::Clock;
use crate::store::DataDir;

/// Address of the first administrator, unless chosen. Nothing is sent to it.
pub const ADMIN_EMAIL: &str = "admin@localhost";

/// `microllm init`
#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    common: Common,
    /// The administrator's address, for signing in
    #[arg(long, default_value = ADMIN_EMAIL, value_parser = names::email)]
    admin_email: String,
    /// Print one JSON object: admin_email, admin_password, api_key, admin_api_key
    #[arg(long)]
    json: bool,
}

/// What `init --json` prints: a contract for scripts.
#[derive(Serialize)]
pub struct CredentialsJson<'a> {
    admin_email: &'a str,
    admin_password: &'a Redacted,
    api_key: &'a Redacted,
    admin_api_key: &'a Redacted,
}

impl<'a> From<&'a FirstCredentials> for CredentialsJson<'a> {
    fn from(first: &'a FirstCredentials) -> Self {
        Self {
            admin_email: &first.admin_email,
            admin_password: &first.admin_password,
            api_key: &first.api_key.key,
            admin_api_key: &first.admin_api_key.key,
        }
    }
}

pub async fn run(args: InitArgs) -> anyhow::Result<()> {
    let config = args.common.load(Vec::new())?;
    let dir = DataDir::prepare(&config.data.dir)?;
    let data = Data::open(&dir).await?;
    let clock = Clock::system();
    let passwords = Passwords::new(&config.auth);
    let set_up = auth::set_up(
        &data.store,
        &data.secrets,
        &clock,
        &passwords,
        &args.admin_email,
    );
    let first = match set_up.await {
        Err(SetupError::AlreadySetUp) => anyhow::bail!(
            "{} is already set up, and its credentials are shown only once; \
             `microllm keys create` makes another key",
            dir.path().display()
        ),
        other => other?,
    };
    data.store.close().await;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &CredentialsJson::from(&first))?;
        writeln!(out)?;
    } else {
        write_credentials(&mut out, &first)?;
    }
    out.flush().context("cannot print the credentials")
}

/// The credentials for people, without telling them what to do next.
pub fn write_credentials(out: &mut impl Write, first: &FirstCredentials) -> io::Result<()> {
    writeln!(out, "Shown once; keep them safe:")?;
    writeln!(out, "  administrator  {}", first.admin_email)?;
    writeln!(out, "  password       {}", first.admin_password.expose())?;
    writeln!(out, "  API key        {}", first.api_key.key.expose())?;
    writeln!(out, "  admin API key  {}", first.admin_api_key.key.expose())
}
