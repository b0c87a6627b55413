//! Numbers that states give to people. Where a check digit alone is no proof, their name has to be
//! said too.

mod americas;
mod asia_pacific;
mod europe;
mod letters;

use super::checksums::digits;
use super::context::{Words, is_joined, is_other, joined};
use super::pattern;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

pub static PATTERNS: [Pattern; 3] = [
    pattern(
        "national_id",
        concat!(r"(?-u:\b)", r"[0-9]{8,18}(?-u:\b)", joined!()),
        in_digits,
    ),
    pattern(
        "national_id",
        concat!(
            r"(?-u:\b)",
            r"(?:[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}",
            r"|[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}|[0-9]{3}\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}",
            r"|[0-9]{6}[-+][0-9]{7}|[0-9]{6}[-+/][0-9]{4}|[0-9]{8}[-+][0-9]{4}|[0-9]{6}-[0-9]{2}-[0-9]{4}|[0-9]{6} [0-9]{5}",
            r"|[0-9]{3}-[0-9]{4}-[0-9]{7}-[0-9]|[0-9]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]|[0-9]{2}-[0-9]{8}-[0-9]",
            r"|[0-9] [0-9]{2} [0-9]{2} [0-9]{2} [0-9]{3} [0-9]{3} [0-9]{2}|[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}",
            r"|[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}(?:[ -][0-9]{1,4})?|[0-9]{3}[ -][0-9]{3}[ -][0-9]{3}|[0-9]{4} [0-9]{5} [0-9]|[0-9]{4} [0-9]{6}|[0-9]{5} [0-9]{5}|[0-9]{3} [0-9]{3} [0-9]{4})(?-u:\b)",
            joined!()
        ),
        in_digits,
    ),
    pattern("national_id", letters::REGEX, letters::judge),
];

/// A number of digits.
struct Id {
    /// How it is written, with 9 for any digit.
    forms: &'static [&'static str],
    /// What it is called.
    name: Words,
    /// Check digits, dates and reserved ranges.
    holds: fn(&[u8]) -> bool,
    /// The score without its name: for the first form, and for the others.
    alone: [f32; 2],
}

/// What any of them may be called.
static ANY: Words = Words::new(
    r"(?i)(?-u:\b)(?:national id[a-z]{0,8}|id (?:number|no|card)|identity|identification|personal (?:id|number|code)|citizen|tax id|dni|c[eé]dula|national_id|id_number)(?-u:\b)",
);

fn in_digits(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let form: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    let digits = digits(text);
    if is_joined(candidate.before) || digits.windows(2).all(|two| two.first() == two.last()) {
        return None;
    }
    let all = europe::IDS
        .iter()
        .chain(&americas::IDS)
        .chain(&asia_pacific::IDS);
    let fitting = all.filter_map(|id| {
        let at = id.forms.iter().position(|known| *known == form)?;
        (id.holds)(&digits).then_some((id, id.alone.get(at.min(1)).copied()?))
    });
    let scores = fitting.map(|(id, alone)| match () {
        () if id.name.name(candidate) => 0.99,
        () if ANY.name(candidate) => f32::max(alone, 0.85),
        () if is_other(candidate) => alone * 0.5,
        () => alone,
    });
    let best = scores.max_by(f32::total_cmp)?;
    (best > 0.25).then(|| candidate.whole(best))?
}

#[cfg(test)]
mod tests;
