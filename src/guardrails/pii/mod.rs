//! Personal data that has a form: addresses, numbers, accounts, documents. A regular expression
//! proposes; check digits, reserved ranges and the words before it decide. Names of people and
//! street addresses have no form, and are not looked for.
//!
//! Scores: 0.95 and more with a check digit or an unmistakable form and a name before it, 0.8 to
//! 0.95 with either, 0.5 to 0.7 for a form alone that is seldom something else; less than that is
//! more likely something else.
//!
//! - `checksums`, `context`: what judges ask
//! - `email`, `phone`, `network`, `payment`, `crypto`: the same everywhere
//! - `us`, `national_ids`, `documents`, `dates`: people in registers

mod checksums;
mod context;
mod crypto;
mod dates;
mod documents;
mod email;
mod national_ids;
mod network;
mod payment;
mod phone;
mod us;

#[cfg(test)]
mod tests;

use super::GuardName;
use super::patterns::{Candidate, Pattern, Verdict};

/// All of them.
pub(super) fn patterns() -> impl Iterator<Item = &'static Pattern> {
    let everywhere = email::PATTERNS
        .iter()
        .chain(&phone::PATTERNS)
        .chain(&network::PATTERNS)
        .chain(&payment::PATTERNS)
        .chain(&crypto::PATTERNS);
    everywhere
        .chain(&us::PATTERNS)
        .chain(&national_ids::PATTERNS)
        .chain(&documents::PATTERNS)
        .chain(&dates::PATTERNS)
}

const fn pattern(
    kind: &'static str,
    regex: &'static str,
    judge: fn(&Candidate<'_>) -> Option<Verdict>,
) -> Pattern {
    Pattern {
        guard: GuardName::Pii,
        kind,
        regex,
        judge,
    }
}
