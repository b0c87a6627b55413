//! guardrail_vectors DATA_DIR < JSONL > JSONL: for each line's "text" the vectors of its windows, as
//! the injection guard gets them from the installed encoder. What
//! `models/guardrails/train_injection_nets.py` learns from.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::Context;
use microllm::engine::load;
use microllm::guardrails::Trainer;
use microllm::models::Library;

/// Windows of a text that are read: no training needs more of one.
const WINDOWS: usize = 3;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = std::env::args().nth(1).context("DATA_DIR is missing")?;
    let library = Library::open(&PathBuf::from(dir).join("models"))?;
    let encoder = load::encoder(&library).await?;
    let encoder = encoder.context("the encoder's model is not installed")?;
    let trainer = Trainer::new(18)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let row: serde_json::Value = serde_json::from_str(&line?)?;
        let mut windows = trainer.windows(row["text"].as_str().unwrap_or_default());
        windows.truncate(WINDOWS);
        let windows: Vec<&str> = windows.iter().map(String::as_str).collect();
        let vectors = match windows.as_slice() {
            [] => Vec::new(),
            windows => encoder.vectors(windows)?,
        };
        serde_json::to_writer(&mut out, &vectors)?;
        writeln!(out)?;
    }
    Ok(())
}
