//! Numbers of documents. Most have no check digit and look like any number, so that only their name
//! before them tells.

use super::checksums::icao;
use super::context::{Words, linked};
use super::pattern;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

/// A value of letters and digits, in groups perhaps.
macro_rules! value {
    () => {
        r"[A-Za-z0-9]{1,14}(?:[ -][A-Za-z0-9]{0,10}[0-9][A-Za-z0-9]{0,6}){0,4}(?-u:\b)"
    };
}

pub static PATTERNS: [Pattern; 6] = [
    pattern(
        "passport",
        concat!(
            r"(?:(?-u:\b)(?i:passports?|passeport|pasaporte|passaporto|passaporte|paspoort|reisepass|reisepassnummer|passnummer|paszport[a-z]{0,2}|pasaport|passport_?(?:no|num|number|id))|паспорт\p{L}{0,2}|护照号?码?|旅券番号|パスポート番?号?|여권 ?번?호?)",
            linked!(),
            value!()
        ),
        |candidate| valued(candidate, 6..=12, 0.88),
    ),
    // ICAO 9303, the second line of a passport's two.
    pattern(
        "passport",
        r"(?-u:\b)[A-Z0-9<]{9}[0-9][A-Z<]{3}[0-9]{7}[MFX<][0-9]{7}[A-Z0-9<]{14}[0-9<][0-9]",
        machine_readable,
    ),
    pattern(
        "driver_license",
        concat!(
            r"(?:(?-u:\b)(?i:driver(?:'?s?'?|s'|’s)?[ _-]?licen[cs]e|driving[ _-]?(?:licen[cs]e|permit)|drivers?[ _-]?permit|dl|führerschein[a-z]{0,9}|fuehrerschein[a-z]{0,9}|permis de conduire|(?:licencia|permiso|carn[eé]t?) de conduc[a-z]{2,4}|patente di guida|patente|rijbewijs[a-z]{0,8}|carta de condu[cç][aã]o|cnh|prawo jazdy|prawa jazdy|k[oø]rekort[a-z]{0,8}|körkort[a-z]{0,8}|licen[cs]e)|водительск\p{L}{2,3} удостоверени\p{L}|运转免许|运驾驶证|驾驶证号?|運転免許証?番?号?)",
            linked!(),
            value!()
        ),
        license,
    ),
    pattern(
        "national_id",
        concat!(
            r"(?:(?-u:\b)(?i:national id(?:entity|entification)?(?: card)?|national insurance|identity card|id[ -]card|identification card|identity number|identification number|personal(?:ausweis[a-z]{0,8}| id(?:entification)?(?: code)?)|ausweis[a-z]{0,8}|carte (?:nationale )?d'identit[eé]|carta d'identit[aà]|codice fiscale|dni|nie|nif|c[eé]dula[a-z]{0,2}|curp|cpf|cnpj|rg|pesel|bsn|nino|aadhaar|aadhar|nric|tfn|sin|personnummer|fødselsnummer|henkil[oö]tunnus|citizen id|resident id|emirates id)|身份证号?码?|マイナンバー|個人番号|주민등록번호)",
            linked!(),
            value!()
        ),
        |candidate| valued(candidate, 7..=20, 0.62),
    ),
    pattern(
        "tax_id",
        concat!(
            r"(?:(?-u:\b)(?i:vat|vat id|tva|ust-?id(?:nr|-?nr)?\.?|umsatzsteuer-?id|p\.? ?iva|partita iva|btw(?:-nummer)?|utr|unique taxpayer reference|tax ?payer|tax(?:payer)?[ _-]?(?:id|identification|reference|file)|tin|steuernummer|steuer-?nr\.?|steuer-?id(?:entifikationsnummer)?|num[eé]ro fiscal|siret|siren|inn)|ИНН)",
            linked!(),
            r"(?:[A-Z]{2} ?)?",
            value!()
        ),
        |candidate| valued(candidate, 8..=15, 0.65),
    ),
    // Numbers of patients.
    pattern(
        "medical_id",
        concat!(
            r"(?-u:\b)(?i:nhs|medical record|mrn|patient|health (?:insurance|card|plan)|medicare|medicaid|krankenversicherten[a-z]{0,8}|versichertennummer)",
            linked!(),
            value!()
        ),
        |candidate| valued(candidate, 6..=14, 0.75),
    ),
];

/// Words that a value is not.
static NOT: Words = Words::new(
    r"(?i)^(?:page|plate|section|act|version|v|in|on|by|since|until|from|of|the|rfc|gpl|apache|mit|bsd|cc|mpl|lgpl|agpl|expires?|expired|issued|valid|renewal|fee|photo|class)(?-u:\b)",
);

/// A value of so many letters and digits, at the end of a name and what links them.
fn valued(
    candidate: &Candidate<'_>,
    lengths: std::ops::RangeInclusive<usize>,
    score: f32,
) -> Option<Verdict> {
    let text = candidate.text;
    let start = value_start(text)?;
    let (end, signs) = value_end(text, start, *lengths.end());
    let value = text.get(start..end)?;
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = lengths.contains(&signs) && digits >= 4 && digits * 2 >= signs.min(8);
    if !is_plain || NOT.are_in(value) || is_date(value) {
        return None;
    }
    candidate.part(start..end, score)
}

/// Where the value begins: with the first word that has a digit and what it is grouped with.
fn value_start(text: &str) -> Option<usize> {
    let mut words = text.rmatch_indices(|c: char| !c.is_ascii_alphanumeric());
    let digit = text.find(|c: char| c.is_ascii_digit())?;
    let start = words.find(|(at, _)| *at < digit);
    let start = start.map_or(0, |(at, sign)| at + sign.len());
    // Letters of a series may stand apart: "AB 123456".
    let head = text.get(..start)?;
    let series = head.strip_suffix([' ', '-']).map(|head| {
        let at = head.rfind(|c: char| !c.is_ascii_uppercase());
        at.map_or(0, |at| at + 1)
    });
    let series = series.filter(|at| {
        let letters = head
            .get(*at..)
            .unwrap_or_default()
            .trim_end_matches([' ', '-']);
        (1..=4).contains(&letters.len()) && !matches!(letters, "ID" | "NO" | "NR" | "IS" | "NUM")
    });
    Some(series.unwrap_or(start))
}

/// Whole groups, as long as they are not too long together.
fn value_end(text: &str, start: usize, longest: usize) -> (usize, usize) {
    let mut end = start;
    let mut signs = 0;
    let mut at = start;
    for group in text
        .get(start..)
        .unwrap_or_default()
        .split_inclusive([' ', '-'])
    {
        let length = group.trim_end_matches([' ', '-']).len();
        if signs + length > longest {
            break;
        }
        signs += length;
        end = at + length;
        at += group.len();
    }
    (end, signs)
}

/// A year, a month and a day are no number of a document.
fn is_date(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    matches!(parts.as_slice(), [year, month, day] if year.len() == 4 && month.len() == 2 && day.len() == 2)
}

/// "License" alone is mostly software's.
fn license(candidate: &Candidate<'_>) -> Option<Verdict> {
    let head = candidate.text.get(..7)?.to_ascii_lowercase();
    let is_short = head.starts_with("dl");
    let is_vague = head.starts_with("licens") || head.starts_with("licenc");
    if is_vague && !head.starts_with("licencia") {
        static DRIVER: Words =
            Words::new(r"(?i)(?-u:\b)(?:driver[a-z]{0,2}|driv(?:e|ing)|dmv|state)(?-u:\b)");
        return DRIVER
            .are_in(candidate.before)
            .then(|| valued(candidate, 5..=20, 0.7))?;
    }
    valued(candidate, 5..=20, if is_short { 0.7 } else { 0.88 })
}

fn machine_readable(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let check = |at: usize| text.get(at..).and_then(|rest| rest.chars().next());
    let holds = |from: usize, to: usize| {
        let field = text.get(from..to);
        matches!((field, check(to)), (Some(field), Some(check)) if icao(field, check))
    };
    let all = holds(0, 9) && holds(13, 19) && holds(21, 27);
    all.then(|| candidate.whole(0.99))?
}
