//! guardrail_features BITS < JSONL > JSONL: the hashed features of each line's "text", a list of
//! buckets a line. What the training scripts in `models/guardrails` learn from.

use std::io::{BufRead, Write};

use microllm::guardrails::Features;

fn main() -> anyhow::Result<()> {
    let bits = std::env::args().nth(1).unwrap_or_else(|| "18".to_owned());
    let mut features = Features::new(bits.parse()?);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let row: serde_json::Value = serde_json::from_str(&line?)?;
        features.read(row["text"].as_str().unwrap_or_default());
        serde_json::to_writer(&mut out, features.buckets())?;
        writeln!(out)?;
    }
    Ok(())
}
