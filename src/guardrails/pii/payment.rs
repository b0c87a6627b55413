//! Cards and bank accounts.

use iban::{Iban, IbanLike};

use super::checksums::{digits, luhn, number, weighted};
use super::context::{Words, goes_on, is_joined, is_other, joined, linked};
use super::pattern;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

pub static PATTERNS: [Pattern; 6] = [
    // ISO/IEC 7812: 12 to 19 digits, mostly in fours; American Express and Diners Club 4-6-5, 4-6-4.
    pattern(
        "credit_card",
        concat!(
            r"(?-u:\b)",
            r"(?:[0-9]{12,19}|[0-9]{4}(?:(?: ?- ?|  ?|\.)[0-9]{4}){2}(?: ?- ?|  ?|\.)[0-9]{1,4}(?:[ -][0-9]{1,3})?",
            r"|[0-9]{4}[ .-][0-9]{6}[ .-][0-9]{4,5}|[0-9]{4}[ -][0-9]{4}[ -][0-9]{5}|[0-9]{6}[ -][0-9]{8,13})(?-u:\b)",
            joined!()
        ),
        card,
    ),
    // ISO 13616: at most 34 characters, on paper in fours.
    pattern(
        "iban",
        concat!(
            r"(?-u:\b)",
            r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}(?-u:\b)"
        ),
        iban,
    ),
    pattern(
        "us_bank_routing",
        concat!(
            r"(?-u:\b)(?i:routing|aba|rtn|transit)",
            linked!(),
            r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9](?-u:\b)",
            joined!()
        ),
        routing,
    ),
    pattern(
        "bank_account",
        concat!(
            r"(?-u:\b)(?i:account|acct|acc|a/c|konto|kontonummer|compte|cuenta|conto|conta|rekening|rekeningnummer)",
            linked!(),
            r"[0-9][0-9 -]{4,20}[0-9](?-u:\b)",
            joined!()
        ),
        account,
    ),
    pattern(
        "bank_account",
        concat!(
            r"(?-u:\b)(?i:sort ?code)",
            linked!(),
            r"[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}(?-u:\b)"
        ),
        |candidate| candidate.part(last_number(candidate.text)..candidate.text.len(), 0.85),
    ),
    // ISO 9362: four letters of the bank, the country, two of the place, three of the branch.
    pattern(
        "swift_bic",
        concat!(
            r"(?-u:\b)(?i:swift|bic)(?:[ /](?i:bic|swift))?",
            linked!(),
            r"[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?-u:\b)"
        ),
        bic,
    ),
];

static CARD: Words = Words::with(
    r"(?i)(?-u:\b)(?:cards?|visa|master ?card|amex|american express|credit|debit|cc|pan|carte|kreditkarte|karte|kartennummer|tarjeta|cart[aã]o|carta|discover|jcb|diners|maestro|union ?pay|rupay|kreditkort|creditcard|card_?(?:no|num|number)|pay(?:ment|ing)?|charged?|billing)(?-u:\b)",
    &["信用卡", "カード", "카드", "карт"],
);
static BANK: Words = Words::new(
    r"(?i)(?-u:\b)(?:bank|banking|checking|savings?|wire|deposit|iban|sort code|routing|konto|girokonto|bancaria|bancaire|transfer)(?-u:\b)",
);

/// A card's number may be followed by three digits that are no part of it.
fn card(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    if goes_on(text) || is_joined(candidate.before) {
        return None;
    }
    let shorter = text.rfind([' ', '-']);
    let ends = [Some(text.len()), shorter].into_iter().flatten();
    let (end, digits) = ends
        .map(|end| (end, digits(text.get(..end).unwrap_or_default())))
        .find(|(_, digits)| (12..=19).contains(&digits.len()) && luhn(digits))?;
    let is_grouped = digits.len() < end;
    let alone = issuer(&digits)?;
    let score = match (CARD.name(candidate), is_other(candidate)) {
        (true, _) => 0.99,
        (false, true) if is_grouped && alone > 0.8 => 0.7,
        (false, true) => alone - 0.35,
        (false, false) if is_grouped => alone + 0.05,
        (false, false) => alone,
    };
    candidate.part(0..end, score)
}

/// How likely a number is a card's that begins like those of an issuer, with their length, when
/// nothing says what it is.
fn issuer(digits: &[u8]) -> Option<f32> {
    let first = |length: usize| digits.get(..length).map_or(0, number);
    let length = digits.len();
    let score = match (first(2), first(4), length) {
        // Visa, Mastercard, American Express.
        (40..=49, _, 16) | (51..=55, _, 16) | (_, 2221..=2720, 16) | (34 | 37, _, 15) => 0.9,
        (40..=49, _, 13 | 19) => 0.6,
        // Discover, UnionPay, JCB.
        (65, _, 16) | (_, 6011 | 6440..=6499, 16) | (62, _, 16) | (_, 3528..=3589, 16) => 0.85,
        (62 | 65 | 81, _, 17..=19) | (_, 6011 | 6440..=6499 | 3528..=3589, 17..=19) => 0.6,
        (_, 2131 | 1800, 15) | (35, _, 16) => 0.6,
        // Diners Club.
        (36 | 38 | 39, _, 14) | (_, 3000..=3059 | 3095, 14) => 0.6,
        // Mir, Troy, RuPay, Verve, Elo, Hipercard.
        (_, 2200..=2204, 16..=19) | (_, 9792, 16) => 0.7,
        (60 | 81 | 82, _, 16) | (_, 5060..=5069 | 5080..=5089 | 6360..=6399, 16..=19) => 0.6,
        // Maestro.
        (_, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 | 604 | 6390, _) => 0.6,
        (50 | 56..=58 | 67, _, _) => 0.45,
        _ => return None,
    };
    Some(score)
}

/// The regular expression takes what follows for a part of it; the country's length tells.
fn iban(candidate: &Candidate<'_>) -> Option<Verdict> {
    if is_joined(candidate.before) {
        return None;
    }
    let mut compact = String::new();
    let mut signs = candidate.text.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        if matches!(sign, ' ' | '-') {
            continue;
        }
        compact.push(sign.to_ascii_uppercase());
        let is_end = signs
            .peek()
            .is_none_or(|(_, next)| matches!(next, ' ' | '-'));
        if is_end && compact.len() >= 15 && is_iban(&compact) {
            return candidate.part(0..at + 1, 0.98);
        }
    }
    None
}

/// A country's inner structure may be newer than the crate's: length and check digits are enough.
fn is_iban(compact: &str) -> bool {
    match compact.parse::<Iban>() {
        Ok(_) => true,
        Err(iban::ParseIbanError::InvalidBban(base)) => {
            let same = |other: &str| base.country_code() == other;
            // Those who say what their accounts look like differently than the crate does.
            same("XK") || same("LY")
        }
        Err(_) => false,
    }
}

/// Where the last run of digits begins, blanks and dashes within it.
pub(super) fn last_number(text: &str) -> usize {
    let not = text.rfind(|c: char| !matches!(c, '0'..='9' | ' ' | '-' | '.' | '/'));
    let start = not.map_or(0, |at| at + 1);
    let start = text.floor_char_boundary(start);
    let rest = text.get(start..).unwrap_or_default();
    start + rest.find(|c: char| c.is_ascii_digit()).unwrap_or(0)
}

fn routing(candidate: &Candidate<'_>) -> Option<Verdict> {
    let start = last_number(candidate.text);
    let digits = digits(candidate.text.get(start..)?);
    let is_valid = digits.len() == 9
        && weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && matches!(
            digits.get(..2).map(number),
            Some(0..=12 | 21..=32 | 61..=72 | 80)
        );
    candidate.part(
        start..candidate.text.len(),
        if is_valid { 0.97 } else { 0.55 },
    )
}

fn account(candidate: &Candidate<'_>) -> Option<Verdict> {
    if goes_on(candidate.text) {
        return None;
    }
    let start = last_number(candidate.text);
    let name = candidate.text.get(..start)?;
    let digits = digits(candidate.text.get(start..)?);
    if !(6..=18).contains(&digits.len())
        || digits.len() >= 12 && luhn(&digits) && issuer(&digits).is_some()
    {
        return None;
    }
    static NUMBER: Words = Words::new(r"(?i)(?:no|num|nr|number|#|kontonummer|rekening|n°)");
    let score = match (BANK.are_in(candidate.before), NUMBER.are_in(name)) {
        (true, true) => 0.9,
        (true, false) => 0.75,
        (false, true) => 0.65,
        (false, false) => 0.4,
    };
    candidate.part(start..candidate.text.len(), score)
}

fn bic(candidate: &Candidate<'_>) -> Option<Verdict> {
    let start = candidate.text.rfind(|c: char| !c.is_ascii_alphanumeric())? + 1;
    let country = candidate.text.get(start + 4..start + 6)?;
    let is_known = COUNTRIES.split(' ').any(|known| known == country);
    is_known.then(|| candidate.part(start..candidate.text.len(), 0.9))?
}

/// ISO 3166-1 alpha-2.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";
