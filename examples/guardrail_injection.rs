//! guardrail_injection BITS < JSONL > JSONL: what the injection guard's model sees of each line's
//! "text": a list of `[buckets, families]`, all of the text first and then its windows. What
//! `models/guardrails/train_injection.py` learns from.

use std::io::{BufRead, Write};

use microllm::guardrails::Trainer;

fn main() -> anyhow::Result<()> {
    let bits = std::env::args().nth(1).unwrap_or_else(|| "18".to_owned());
    let mut trainer = Trainer::new(bits.parse()?)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let row: serde_json::Value = serde_json::from_str(&line?)?;
        let rows = trainer.rows(row["text"].as_str().unwrap_or_default());
        serde_json::to_writer(&mut out, &rows)?;
        writeln!(out)?;
    }
    Ok(())
}
