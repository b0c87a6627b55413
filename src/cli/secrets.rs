use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::Common;
use crate::app::Data;
use crate::auth::rotate_signing;
use crate::clock::Clock;
use crate::records::{Actor, AuditEvent};
use crate::store::DataDir;

/// `microllm secrets`
#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Sign access tokens with a new key; a running server notices within a second
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
pub struct RotateArgs {
    #[command(flatten)]
    common: Common,
    /// Let no token that was signed before count: for a key that others may have
    #[arg(long)]
    at_once: bool,
}

pub async fn run(command: SecretsCommand) -> anyhow::Result<()> {
    let SecretsCommand::Rotate(args) = command;
    let config = args.common.load(Vec::new())?;
    let data = Data::open_existing(&config.data.dir).await?;
    let dir = DataDir::prepare(&config.data.dir)?;
    let clock = Clock::system();
    // First the record: what cannot be audited does not happen.
    let event = AuditEvent::about("secrets.rotated", "signing").with("at_once", args.at_once);
    let actor = Actor::command_line(&clock);
    data.store.audit(&actor, &event).await?;
    data.store.close().await;
    let _lock = dir.lock()?;
    let id = rotate_signing(&dir.secrets(), clock.now_secs(), args.at_once)?;
    writeln!(
        io::stderr(),
        "access tokens are signed with {id} from now on"
    )?;
    Ok(())
}
