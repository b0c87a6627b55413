use std::io::{self, BufWriter};

use chrono::{DateTime, NaiveDate, NaiveTime};
use clap::{Args, Subcommand};

use super::Common;
use crate::app::Data;
use crate::clock::Clock;
use crate::records::{Actor, ExportFormat, export_usage, write_export};
use crate::store::UsageFilter;

/// `microllm usage`
#[derive(Debug, Subcommand)]
pub enum UsageCommand {
    /// Print usage rows; also while a server runs
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: Common,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    format: ExportFormat,
    /// Only requests of this time or later: an RFC 3339 date, with or without a time, or unix
    /// seconds; without an offset UTC is meant
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Only requests before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// Only of this project; may be given more than once
    #[arg(long, value_name = "ID")]
    project: Vec<String>,
}

pub async fn run(command: UsageCommand) -> anyhow::Result<()> {
    let UsageCommand::Export(args) = command;
    let config = args.common.load(Vec::new())?;
    let data = Data::open_existing(&config.data.dir).await?;
    for id in &args.project {
        let project = data.store.project(id).await?;
        anyhow::ensure!(project.is_some(), "there is no project {id}");
    }
    let by = Actor::command_line(&Clock::system());
    let filter = UsageFilter {
        from_ms: args.since,
        until_ms: args.until,
        project_ids: args.project,
        user_id: None,
    };
    let export = export_usage(&data.store, &by, filter, args.format).await?;
    write_export(export, BufWriter::new(io::stdout())).await?;
    data.store.close().await;
    Ok(())
}

/// In unix milliseconds.
fn time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds.saturating_mul(1000));
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .map_err(|_| "expected 2026-01-31, 2026-01-31T12:00:00Z or unix seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_are_dates_moments_or_seconds() {
        let noon = 1_767_268_800_000;
        for same in [
            "2026-01-01T12:00:00Z",
            "2026-01-01T13:00:00+01:00",
            "1767268800",
        ] {
            assert_eq!(time(same), Ok(noon), "{same}");
        }
        assert_eq!(time("2026-01-01"), Ok(noon - 12 * 3_600_000));
        for wrong in ["", "yesterday", "2026-02-30", "1.5", "2026-01-01T12:00:00"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
