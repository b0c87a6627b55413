use std::io::{self, BufWriter};

use clap::{Args, Subcommand};

use super::Common;
use crate::app::Data;
use crate::records::{ExportFormat, export_usage};

/// `microllm usage`
#[derive(Debug, Subcommand)]
pub enum UsageCommand {
    /// Print every usage row; also while a server runs
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: Common,
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    format: ExportFormat,
}

pub async fn run(command: UsageCommand) -> anyhow::Result<()> {
    let UsageCommand::Export(args) = command;
    let config = args.common.load(Vec::new())?;
    let data = Data::open_existing(&config.data.dir).await?;
    export_usage(&data.store, args.format, BufWriter::new(io::stdout())).await?;
    data.store.close().await;
    Ok(())
}
