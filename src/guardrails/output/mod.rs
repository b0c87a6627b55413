//! What an answer could do to whoever displays it. Each finding says what is harmless in its place:
//! a sign or a name that is replaced, so that what a browser or a terminal would have run is read.
//!
//! What takes a place never repeats any of what stood there but names that are known: findings that
//! overlap are one place, and what one of them lets through would not be looked at again.

mod html;
mod links;
mod target;
mod terminal;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;

use super::patterns::{Candidate, Pattern, Verdict};

/// What the address of something dangerous begins with instead: a fragment, which leads nowhere.
const BLOCKED: &str = "#blocked:";

/// All of them.
pub(super) fn patterns() -> impl Iterator<Item = &'static Pattern> {
    html::PATTERNS
        .iter()
        .chain(&links::PATTERNS)
        .chain(&terminal::PATTERNS)
}

/// That a part of the candidate becomes this.
fn replaced(
    candidate: &Candidate<'_>,
    part: std::ops::Range<usize>,
    harmless: impl Into<String>,
    score: f32,
) -> Option<Verdict> {
    let mut verdict = candidate.part(part, score)?;
    verdict.harmless = Some(harmless.into());
    Some(verdict)
}
