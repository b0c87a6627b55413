use std::io::{self, BufWriter, Write};

use clap::{Args, Subcommand};

use super::Common;
use crate::app::Data;
use crate::clock::Clock;
use crate::records::{Actor, AuditFormat, Head, export_audit, verify_audit, write_export};

/// `microllm audit`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no row was changed, removed or moved; names the first that was
    Verify(VerifyArgs),
    /// Write all rows out, one a line
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    common: Common,
    /// A head that was printed earlier and kept elsewhere: shows whether rows are missing at the end
    #[arg(long, value_name = "SEQ:HASH", value_parser = head)]
    head: Option<Head>,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: Common,
    /// Only rows after this one
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: i64,
    #[arg(long, value_enum, default_value_t = AuditFormat::Jsonl)]
    format: AuditFormat,
}

pub async fn run(command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Verify(args) => verify(args).await,
        AuditCommand::Export(args) => export(args).await,
    }
}

async fn verify(args: VerifyArgs) -> anyhow::Result<()> {
    let config = args.common.load(Vec::new())?;
    let data = Data::open_existing(&config.data.dir).await?;
    let verified = verify_audit(&data.store, args.head.as_ref()).await;
    data.store.close().await;
    let head = verified?;
    writeln!(
        io::stderr(),
        "{} rows, none changed, removed or moved; the head is",
        head.seq
    )?;
    writeln!(io::stdout(), "{}:{}", head.seq, head.hash)?;
    Ok(())
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let config = args.common.load(Vec::new())?;
    let data = Data::open_existing(&config.data.dir).await?;
    let by = Actor::command_line(&Clock::system());
    let export = export_audit(&data.store, &by, args.after, args.format).await?;
    write_export(export, BufWriter::new(io::stdout())).await?;
    data.store.close().await;
    Ok(())
}

fn head(text: &str) -> Result<Head, String> {
    let parts = text.split_once(':').and_then(|(seq, hash)| {
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        Some((seq.parse().ok()?, hash.to_lowercase())).filter(|_| is_hash)
    });
    let (seq, hash) = parts.ok_or("expected SEQ:HASH as `microllm audit verify` prints it")?;
    Ok(Head { seq, hash })
}
