//! Numbers of the registers of the United States.

use super::checksums::{digits, luhn, number};
use super::context::{Words, goes_on, is_joined, is_other, joined, linked};
use super::pattern;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

/// Three, two and four digits, with what may say afterwards what they are.
macro_rules! three_two_four {
    () => {
        concat!(
            r"(?-u:\b)",
            r"[0-9]{3}(?:-[0-9]{2}-| - ?[0-9]{2} - ?| [0-9]{2} |\.[0-9]{2}\.|[0-9]{2})[0-9]{4}(?-u:\b)(?:",
            r"(?:[,.]? \(?(?:(?:is|as|was) (?:my|his|her|their|the|your) )?(?i:ssn|social security|itin)(?-u:\b))|",
            joined!(),
            ")"
        )
    };
}

pub static PATTERNS: [Pattern; 5] = [
    // SSA: no area 000, 666 or 9xx, no group 00, no serial number 0000.
    pattern("us_ssn", three_two_four!(), ssn),
    // IRS: area 9xx, groups 50 to 65, 70 to 88, 90 to 92 and 94 to 99.
    pattern("us_itin", three_two_four!(), itin),
    pattern(
        "tax_id",
        concat!(r"(?-u:\b)[0-9]{2}-[0-9]{7}(?-u:\b)", joined!()),
        ein,
    ),
    // CMS: National Provider Identifier, Luhn with 80840 before it.
    pattern(
        "medical_id",
        concat!(
            r"(?-u:\b)(?i:npi|national provider identifier)",
            linked!(),
            r"[12][0-9]{9}(?-u:\b)"
        ),
        |candidate| {
            let start = candidate.text.len().checked_sub(10)?;
            let mut of_issuer = vec![8, 0, 8, 4, 0];
            of_issuer.extend(digits(candidate.text.get(start..)?));
            let score = if luhn(&of_issuer) { 0.98 } else { 0.4 };
            candidate.part(start..candidate.text.len(), score)
        },
    ),
    // CMS: Medicare Beneficiary Identifier, letters without S, L, O, I, B, Z.
    pattern(
        "medical_id",
        r"(?-u:\b)[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y][0-9]-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y][0-9]-?[AC-HJKMNP-RT-Y]{2}[0-9]{2}(?-u:\b)",
        |candidate| {
            let is_named = MEDICARE.are_in(candidate.before);
            candidate.whole(if is_named { 0.98 } else { 0.75 })
        },
    ),
];

static SSN: Words = Words::new(
    r"(?i)(?-u:\b)(?:ssns?|social security|social|soc\.? sec|ss ?(?:no|#|num)|seguro social|taxpayer|tin|ssn_?(?:number)?)(?-u:\b)|ssn",
);
static ITIN: Words = Words::new(r"(?i)(?-u:\b)(?:itin|taxpayer|tax id|tin)(?-u:\b)");
static EIN: Words = Words::new(
    r"(?i)(?-u:\b)(?:f?ein|employer identification|employer id|tax(?:payer)? id(?:entification)?|tin|federal id|federal tax|irs)(?-u:\b)",
);
static MEDICARE: Words = Words::new(r"(?i)(?-u:\b)(?:medicare|mbi|beneficiary)(?-u:\b)");

/// What a number of this form is written like, and its three parts.
struct Parts<'a> {
    text: &'a str,
    form: Form,
    area: u64,
    group: u64,
    serial: u64,
    /// What it is called afterwards.
    after: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Dashes,
    Blanks,
    Dots,
    Plain,
}

impl<'a> Parts<'a> {
    fn of(candidate: &Candidate<'a>) -> Option<Self> {
        if is_joined(candidate.before) {
            return None;
        }
        let mut ends = candidate.text.match_indices(|c: char| c.is_ascii_digit());
        let end = ends.nth(8).map(|(at, _)| at + 1)?;
        let (text, after) = candidate.text.split_at_checked(end)?;
        if !after.is_empty() && goes_on(candidate.text) && after.len() == 2 {
            return None;
        }
        let form = match text.as_bytes().get(3) {
            Some(b'-') => Form::Dashes,
            Some(b'.') => Form::Dots,
            Some(b' ') if text.contains('-') => Form::Dashes,
            Some(b' ') => Form::Blanks,
            _ => Form::Plain,
        };
        let digits = digits(text);
        Some(Self {
            text,
            form,
            area: number(digits.get(..3)?),
            group: number(digits.get(3..5)?),
            serial: number(digits.get(5..)?),
            after,
        })
    }

    fn are_named(&self, words: &Words, candidate: &Candidate<'_>) -> bool {
        words.are_in(self.after) || words.name(candidate)
    }
}

fn ssn(candidate: &Candidate<'_>) -> Option<Verdict> {
    let parts = Parts::of(candidate)?;
    if matches!(parts.area, 0 | 666 | 900..) || parts.group == 0 || parts.serial == 0 {
        return None;
    }
    let score = match (parts.are_named(&SSN, candidate), parts.form) {
        (true, Form::Dashes | Form::Blanks) => 0.99,
        (true, _) => 0.96,
        (false, Form::Dashes) if is_other(candidate) => 0.45,
        (false, Form::Dashes) => 0.9,
        (false, Form::Blanks) if !is_other(candidate) => 0.55,
        (false, Form::Dots) if !is_other(candidate) => 0.3,
        _ => return None,
    };
    candidate.part(0..parts.text.len(), score)
}

fn itin(candidate: &Candidate<'_>) -> Option<Verdict> {
    let parts = Parts::of(candidate)?;
    if parts.area < 900 || !matches!(parts.group, 50..=65 | 70..=88 | 90..=92 | 94..=99) {
        return None;
    }
    let is_named = parts.are_named(&ITIN, candidate) || parts.are_named(&SSN, candidate);
    let score = match (is_named, parts.form) {
        (true, _) => 0.97,
        (false, Form::Dashes) if !is_other(candidate) => 0.8,
        _ => return None,
    };
    candidate.part(0..parts.text.len(), score)
}

/// Prefixes are those of the campuses that give them out.
fn ein(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    if is_joined(candidate.before) || goes_on(text) {
        return None;
    }
    let prefix = number(&digits(text.get(..2)?));
    let is_given = !matches!(
        prefix,
        0 | 7..=9 | 17..=19 | 28..=29 | 49 | 69..=70 | 78..=79 | 89 | 96..=97
    );
    match (EIN.name(candidate), is_given) {
        (true, true) => candidate.whole(0.96),
        (true, false) => candidate.whole(0.6),
        (false, true) if !is_other(candidate) => candidate.whole(0.4),
        _ => None,
    }
}
