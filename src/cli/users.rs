use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use futures_util::{Stream, TryStreamExt};
use serde::Serialize;

use super::Common;
use crate::app::Data;
use crate::clock::Clock;
use crate::records::Actor;
use crate::store::{Store, StoreError, UsageFilter};

/// `microllm users`
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Write out all that is stored about a person, as JSON
    Export(ExportArgs),
    /// Remove a person and what is known of them; records keep their id
    Erase(EraseArgs),
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: Common,
    /// The person's e-mail address or id
    #[arg(value_name = "EMAIL|ID")]
    who: String,
    /// A new file, which only its owner may read [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct EraseArgs {
    #[command(flatten)]
    common: Common,
    /// The person's e-mail address or id
    #[arg(value_name = "EMAIL|ID")]
    who: String,
    /// It cannot be undone
    #[arg(long, required = true)]
    yes: bool,
}

pub async fn run(command: UsersCommand) -> anyhow::Result<()> {
    match command {
        UsersCommand::Export(args) => export(args).await,
        UsersCommand::Erase(args) => erase(args).await,
    }
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let config = args.common.load(Vec::new())?;
    let data = Data::open_existing(&config.data.dir).await?;
    let id = id_of(&data.store, &args.who).await?;
    let out: Box<dyn Write> = match &args.out {
        None => Box::new(io::stdout()),
        Some(path) => {
            let new = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path);
            Box::new(new.with_context(|| format!("cannot make {}", path.display()))?)
        }
    };
    write_person(&data.store, &id, BufWriter::new(out)).await?;
    data.store.close().await;
    Ok(())
}

/// One object; its lists of rows are written as they are read.
async fn write_person(store: &Store, id: &str, mut out: impl Write) -> anyhow::Result<()> {
    let by = Actor::command_line(&Clock::system());
    let record = store.person_record(id, &by).await?;
    let record = serde_json::to_value(record.with_context(|| unknown(id))?)?;
    out.write_all(b"{")?;
    for (name, value) in record.as_object().into_iter().flatten() {
        writeln!(out, "\"{name}\":{value},")?;
    }
    write!(out, "\"audit\":")?;
    write_list(&mut out, store.audit_of_person(id)).await?;
    write!(out, ",\n\"stored_completions\":")?;
    write_list(&mut out, store.stored_of_person(id)).await?;
    write!(out, ",\n\"usage\":")?;
    let theirs = UsageFilter {
        user_id: Some(id.to_owned()),
        ..UsageFilter::default()
    };
    write_list(&mut out, store.usage_pages(theirs)).await?;
    writeln!(out, "}}")?;
    Ok(out.flush()?)
}

async fn write_list<T: Serialize>(
    out: &mut impl Write,
    pages: impl Stream<Item = Result<Vec<T>, StoreError>>,
) -> anyhow::Result<()> {
    let mut pages = std::pin::pin!(pages);
    let mut before = "[\n";
    while let Some(page) = pages.try_next().await? {
        for row in page {
            out.write_all(before.as_bytes())?;
            serde_json::to_writer(&mut *out, &row)?;
            before = ",\n";
        }
    }
    let end: &[u8] = if before == ",\n" { b"]" } else { b"[]" };
    Ok(out.write_all(end)?)
}

async fn erase(args: EraseArgs) -> anyhow::Result<()> {
    let config = args.common.load(Vec::new())?;
    let data = Data::open_existing(&config.data.dir).await?;
    let id = id_of(&data.store, &args.who).await?;
    let by = Actor::command_line(&Clock::system());
    data.store.erase_person(&id, &by, "user.deleted").await?;
    data.store.close().await;
    writeln!(io::stderr(), "{id} is erased")?;
    Ok(())
}

async fn id_of(store: &Store, who: &str) -> anyhow::Result<String> {
    let found = match who.contains('@') {
        true => store.person_id(who).await?,
        false => store.person(who).await?.map(|person| person.id),
    };
    found.with_context(|| unknown(who))
}

fn unknown(who: &str) -> String {
    format!("there is no user {who}")
}
