use std::io::{self, BufRead, BufWriter, Write};
use std::time::Instant;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Common;
use crate::app::AppError;
use crate::guardrails::{Direction, Guardrails, Judgement, Place, Policies, UseEncoder};

/// `microllm guardrails`
#[derive(Debug, Subcommand)]
pub enum GuardrailsCommand {
    /// Say what a policy makes of texts: reads and writes JSON Lines, needs neither server nor model
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    common: Common,
    /// The policy's name [default: the one of the configuration]
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Which way the texts go: to the model or from it
    #[arg(long, value_enum)]
    direction: Direction,
    /// Whose words they are [default: the person's, or the model's]
    #[arg(long, value_enum)]
    place: Option<Place>,
    /// Add to each line how long it took, in microseconds
    #[arg(long)]
    timing: bool,
}

/// A line of the input.
#[derive(Deserialize)]
struct Line {
    /// Returned as it is.
    #[serde(default)]
    id: Value,
    text: String,
}

/// A line of the output.
#[derive(Serialize)]
struct Checked {
    id: Value,
    #[serde(flatten)]
    judgement: Judgement,
    #[serde(skip_serializing_if = "Option::is_none")]
    micros: Option<u128>,
}

pub async fn run(command: GuardrailsCommand) -> anyhow::Result<()> {
    let GuardrailsCommand::Check(args) = command;
    let config = args.common.load(Vec::new())?;
    let guardrails = Guardrails::unkeyed(Policies::load(config.guardrails.dir())?)?;
    let name = args
        .policy
        .unwrap_or_else(|| config.guardrails.policy.clone());
    let policy = guardrails.policies().get(&name);
    let policy = policy.with_context(|| format!("there is no policy '{name}'"))?;
    if let Some(encoder) = super::serve::encoder(&config).await? {
        guardrails.set_encoder(encoder);
    } else if policy.encoder() == UseEncoder::Required {
        return Err(AppError::NoEncoder(policy.name.clone()).into());
    }
    guardrails.warm_up(&policy);
    let place = args.place.unwrap_or(Place::usual(args.direction));
    let mut out = BufWriter::new(io::stdout().lock());
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let line = line.context("cannot read the standard input")?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line)
            .with_context(|| format!("line {}: not what is expected", number + 1))?;
        let since = Instant::now();
        let judgement = guardrails.judgement(&policy, args.direction, place, &line.text);
        let micros = args.timing.then(|| since.elapsed().as_micros());
        let checked = Checked {
            id: line.id,
            judgement,
            micros,
        };
        serde_json::to_writer(&mut out, &checked)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
