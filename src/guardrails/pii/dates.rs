//! Dates of birth. A date is one only where something before it says so.

use super::checksums::{digits, is_day, number};
use super::context::{Words, sentence};
use super::pattern;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

/// Beginnings of the names of months in ten languages.
macro_rules! month {
    () => {
        r"(?i:jan|feb|f[eé]v|m[aä]r|apr|avr|abr|m[aä]i|may|maj|mei|mag|maggio|jun|jui|giu|jul|lug|aug|ao[uû]|ago|sep|set|oct|okt|ott|out|nov|dec|dez|d[eé]c|dic|gen|ene|mrt|styc|lut|kwi|cze|lip|sie|wrz|pa[zź]|lis|gru|stu)[a-zà-ž]{0,8}"
    };
}

pub static PATTERNS: [Pattern; 2] = [
    pattern(
        "date_of_birth",
        concat!(
            r"(?-u:\b)",
            r"(?:[0-9]{1,2}(?: ?[./-] ?)[0-9]{1,2}(?: ?[./-] ?)(?:[0-9]{4}|[0-9]{2})|[0-9]{4}(?: ?[./-] ?)[0-9]{1,2}(?: ?[./-] ?)[0-9]{1,2}|(?:19|20)[0-9]{6}|(?:19|20)[0-9]{2} ?[年년] ?[0-9]{1,2} ?[月월] ?[0-9]{1,2} ?[日일]?)"
        ),
        in_digits,
    ),
    pattern(
        "date_of_birth",
        concat!(
            r"(?-u:\b)",
            r"(?:[0-9]{1,2}(?:st|nd|rd|th|er|º|ª|\.)?[ .-]{0,2}(?:of |de |d')?",
            month!(),
            r"(?:[ .,/-]{1,2}|,? del? |,? of )[0-9]{2,4}|",
            month!(),
            r"[ .-]{1,2}[0-9]{1,2}(?:st|nd|rd|th)?(?:,? |, ?|-)[0-9]{4})(?-u:\b)"
        ),
        named,
    ),
];

static BIRTH: Words = Words::with(
    concat!(
        r"(?i)(?-u:\b)(?:(?:born|d\.? ?o\.? ?b\.?|dob|date_?of_?birth|date of birth|birth ?dates?|birth ?days?|birth_?date|birth",
        r"|geboren|geburtsdatum|geburtstag|geb|date de naissance|naissance|anniversaire|nacid[oa]|fecha de nacimiento|nacimiento|cumplea[nñ]os|naci",
        r"|nat[oa] (?:il|a)|data di nascita|nascita|compleanno|geboortedatum|verjaardag|data de nascimento|nascimento|nascid[oa]|nasci|anivers[aá]rio",
        r"|f[oø]dt|f[oø]dselsdato|f[oø]dselsdag|f[oö]delsedatum|f[oö]dd|syntynyt|syntym[aä]aika|urodzon[ya]|data urodzenia|narozen[aaáý]?|datum narozen[ií]|sz[uü]letett",
        r"|do[gğ]um tarihi|n[aă]scut[aă]?|data na[sș]terii|tanggal lahir|ng[aà]y sinh)(?:(?-u:\b)|[.:])",
        r"|n[ée]e?(?:\(e\))? (?:le|en)(?-u:\b))",
    ),
    &[
        "родил",
        "Родил",
        "рожден",
        "Рожден",
        "народжен",
        "生年月日",
        "出生",
        "誕生",
        "생년월일",
        "생일",
        "γεννή",
        "Γεννή",
        "تاريخ الميلاد",
        "जन्म",
    ],
);

/// What else may have a date after a birth was spoken of.
static OTHER: Words = Words::new(
    r"(?i)(?-u:\b)(?:dated|expir[a-z]+|issued?|signed|due|until|since|updated|created|today|joined|hired|admitted|appointment|visit|died|death|passed|married)(?-u:\b)",
);

fn in_digits(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits = digits(candidate.text);
    let parts: Vec<u64> = candidate
        .text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .filter_map(|part| part.parse().ok())
        .collect();
    let (year, a, b) = match *parts.as_slice() {
        [year, month, day] if year > 31 => (year, month, day),
        [a, b, year] => (year, a, b),
        [_] => (
            number(digits.get(..4)?),
            number(digits.get(4..6)?),
            number(digits.get(6..)?),
        ),
        _ => return None,
    };
    let is_year = matches!(year, 0..=99 | 1880..=2100);
    let is_date = is_year && (is_day(a, b) || is_day(b, a));
    is_date.then(|| named(candidate))?
}

fn named(candidate: &Candidate<'_>) -> Option<Verdict> {
    let at = BIRTH.last(candidate.before)?;
    let between = candidate.before.get(at..)?;
    let is_near = between.chars().count() <= 16 && !between.contains("\n\n");
    if OTHER.are_in(between) || !is_near && sentence(between) != between {
        return None;
    }
    let score = match between.chars().count() {
        0..=16 => 0.96,
        17..=40 => 0.85,
        _ => 0.5,
    };
    candidate.whole(score)
}
