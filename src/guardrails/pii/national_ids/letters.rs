//! Numbers with letters in them.

use super::super::checksums::{digits, has_day, number, weighted};
use super::super::context::{Words, is_joined, is_other};
use super::asia_pacific::CHINA;
use crate::guardrails::patterns::{Candidate, Verdict};

pub(super) const REGEX: &str = concat!(
    r"(?-u:\b)(?:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
    r"|[0-9]{8}[- ]?[A-Za-z]|[XYZxyz]-?[0-9]{7}-?[A-Za-z]",
    r"|[A-Z]{3} ?[A-Z]{3} ?[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2} ?[A-Z][0-9LMNP-V]{3}[A-Z]",
    r"|[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]|[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]",
    r"|[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]|[STFGM][0-9]{7}[A-Z]",
    r"|[A-Z][12][0-9]{8}|[0-9]{7}[A-W][A-IW]?",
    r"|[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-[0-9Kk]|[0-9]{17}[Xx]|[12] [0-9]{2} [0-9]{2} 2[AB] [0-9]{3} [0-9]{3} [0-9]{2}|[12][0-9]{4}2[AB][0-9]{8})",
    r"(?-u:\b)(?:-[0-9A-Za-z])?|(?-u:\b)[A-Z]{1,2}[0-9]{6}\([0-9A]\)"
);

/// A number with letters.
struct Id {
    /// How it is written, with 9 for any digit and A for any letter.
    forms: &'static [&'static str],
    name: Words,
    /// Of signs without blanks and marks, in capitals.
    holds: fn(&str) -> bool,
    alone: f32,
}

pub(super) fn judge(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    if is_joined(candidate.before) {
        return None;
    }
    let form: String = text.chars().map(form).collect();
    let signs: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let fitting = IDS
        .iter()
        .filter(|id| id.forms.contains(&form.as_str()) && (id.holds)(&signs));
    let scores = fitting.map(|id| match () {
        () if id.name.name(candidate) => 0.99,
        () if super::ANY.name(candidate) => f32::max(id.alone, 0.88),
        () if is_other(candidate) => id.alone * 0.6,
        () => id.alone,
    });
    let best = scores.max_by(f32::total_cmp)?;
    (best > 0.25).then(|| candidate.whole(best))?
}

fn form(c: char) -> char {
    match c {
        '0'..='9' => '9',
        'A'..='Z' | 'a'..='z' => 'A',
        other => other,
    }
}

static IDS: [Id; 15] = [
    // United Kingdom, National Insurance number: no check digit, some prefixes are not given out.
    Id {
        forms: &["AA 99 99 99 A", "AA999999A", "AA999999 A", "AA 999999 A"],
        name: Words::new(
            r"(?i)(?-u:\b)(?:nino|national insurance|ni (?:no|number)|insurance number)",
        ),
        holds: |signs| {
            !matches!(
                signs.get(..2),
                Some("BG" | "GB" | "KN" | "NK" | "NT" | "TN" | "ZZ")
            )
        },
        alone: 0.75,
    },
    // Spain, DNI: the letter is the number modulo 23.
    Id {
        forms: &["99999999A", "99999999-A", "99999999 A"],
        name: Words::new(r"(?i)(?-u:\b)(?:dni|nif|documento)"),
        holds: |signs| spanish(signs, ""),
        alone: 0.85,
    },
    // Spain, NIE.
    Id {
        forms: &["A9999999A", "A-9999999-A", "A9999999-A"],
        name: Words::new(r"(?i)(?-u:\b)(?:nie|extranjer[oí])"),
        holds: |signs| match signs.get(..1) {
            Some("X") => spanish(signs, "0"),
            Some("Y") => spanish(signs, "1"),
            Some("Z") => spanish(signs, "2"),
            _ => false,
        },
        alone: 0.9,
    },
    // Italy, codice fiscale.
    Id {
        forms: &["AAAAAA99A99A999A", "AAA AAA 99A99 A999A"],
        name: Words::new(r"(?i)(?-u:\b)(?:codice fiscale|c\.?f\.?)"),
        holds: italian,
        alone: 0.97,
    },
    // Mexico, CURP.
    Id {
        forms: &["AAAA999999AAAAAA99", "AAAA999999AAAAAAA9"],
        name: Words::new(r"(?i)(?-u:\b)curp"),
        holds: mexican,
        alone: 0.97,
    },
    // India, permanent account number: the fourth letter tells who holds it.
    Id {
        forms: &["AAAAA9999A"],
        name: Words::new(r"(?i)(?-u:\b)(?:pan|permanent account|income tax)"),
        holds: |_| true,
        alone: 0.7,
    },
    // Finland, henkilötunnus: a number modulo 31.
    Id {
        forms: &[
            "999999-999A",
            "999999-9999",
            "999999A999A",
            "999999A9999",
            "999999+999A",
            "999999+9999",
        ],
        name: Words::new(r"(?i)(?-u:\b)(?:hetu|henkil[oö]tunnus|personbeteckning)"),
        holds: |signs| {
            const CHECKS: &str = "0123456789ABCDEFHJKLMNPRSTUVWXY";
            let digits = digits(signs.get(..signs.len() - 1).unwrap_or_default());
            let check = CHECKS.chars().nth((number(&digits) % 31) as usize);
            has_day(&digits, 2, 0) && signs.chars().last() == check
        },
        alone: 0.9,
    },
    // Singapore, NRIC and FIN.
    Id {
        forms: &["A9999999A"],
        name: Words::new(r"(?i)(?-u:\b)(?:nric|fin|singapore)"),
        holds: singaporean,
        alone: 0.9,
    },
    // Taiwan, national identification number: the letter is the place.
    Id {
        forms: &["A999999999"],
        name: Words::with(r"(?i)(?-u:\b)(?:taiwan)", &["身分證", "身份證"]),
        holds: taiwanese,
        alone: 0.7,
    },
    // Hong Kong, identity card.
    Id {
        forms: &["A999999(9)", "A999999(A)", "AA999999(9)", "AA999999(A)"],
        name: Words::with(r"(?i)(?-u:\b)(?:hkid|hong kong)", &["身份證"]),
        holds: |signs| {
            let values = signs.chars().rev().map(|c| match c {
                '0'..='9' => c.to_digit(10).unwrap_or(0),
                'A' if signs.ends_with('A') => 10,
                _ => u32::from(c) - u32::from('A') + 10,
            });
            let sum: u32 = values.zip(1..).map(|(value, weight)| value * weight).sum();
            // A blank counts 36 where a single letter begins.
            let blank = if signs.len() == 8 { 36 * 9 } else { 0 };
            (sum + blank).is_multiple_of(11)
        },
        alone: 0.95,
    },
    // Ireland, PPS number.
    Id {
        forms: &["9999999A", "9999999AA"],
        name: Words::new(r"(?i)(?-u:\b)(?:pps[n]?|personal public service)"),
        holds: |signs| {
            let letter = |at: usize| {
                signs
                    .chars()
                    .nth(at)
                    .map_or(0, |c| u32::from(c) - u32::from('@'))
            };
            let second = if signs.ends_with('W') { 0 } else { letter(8) };
            let sum = weighted(&digits(signs), &[8, 7, 6, 5, 4, 3, 2]) + second * 9;
            letter(7) % 23 == sum % 23
        },
        alone: 0.4,
    },
    // Chile, RUT: modulo 11.
    Id {
        forms: &["99.999.999-9", "99.999.999-A", "9.999.999-9", "9.999.999-A"],
        name: Words::new(r"(?i)(?-u:\b)(?:rut|run)(?-u:\b)"),
        holds: chilean,
        alone: 0.9,
    },
    Id {
        forms: &["99999999-9", "99999999-A"],
        name: Words::new(r"(?i)(?-u:\b)(?:rut|run)(?-u:\b)"),
        holds: chilean,
        alone: 0.3,
    },
    // China, resident identity number whose check is ten.
    Id {
        forms: &["99999999999999999A"],
        name: Words::with(
            r"(?i)(?-u:\b)(?:resident id|chinese id)",
            &["身份证", "身分證"],
        ),
        holds: |signs| {
            let digits = digits(signs);
            has_day(&digits, 10, 12) && (weighted(&digits, &CHINA) + 10) % 11 == 1
        },
        alone: 0.97,
    },
    // France, births in Corsica.
    Id {
        forms: &["9 99 99 9A 999 999 99", "999999A99999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:nir|s[eé]curit[eé] sociale)"),
        holds: |signs| {
            let as_digits = signs.replace("2A", "19").replace("2B", "18");
            let digits = digits(&as_digits);
            let rest = digits.get(..13).map_or(0, number);
            digits.get(13..).map_or(0, number) == 97 - rest % 97
        },
        alone: 0.97,
    },
];

fn spanish(signs: &str, prefix: &str) -> bool {
    let number = number(&[&digits(prefix)[..], &digits(signs)].concat());
    let letter = "TRWAGMYFPDXBNJZSQVHLCKE"
        .chars()
        .nth((number % 23) as usize);
    signs.chars().last() == letter
}

/// The sum of values that differ between odd and even places, modulo 26. Digits may be written as
/// letters where two people would have the same.
fn italian(signs: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let value = |c: char| {
        c.to_digit(10)
            .unwrap_or_else(|| u32::from(c) - u32::from('A'))
    };
    let places = signs.chars().take(15).enumerate();
    let sum: u32 = places
        .map(|(index, c)| match index % 2 {
            0 => ODD.get(value(c) as usize).copied().unwrap_or(0),
            _ => value(c),
        })
        .sum();
    signs.chars().last().map(value) == Some(sum % 26)
}

fn mexican(signs: &str) -> bool {
    let value = |c: char| match c {
        '0'..='9' => c.to_digit(10).unwrap_or(0),
        'A'..='N' => u32::from(c) - u32::from('A') + 10,
        // Ñ has 24.
        _ => u32::from(c) - u32::from('A') + 11,
    };
    let weights = (2..=18).rev();
    let sum: u32 = signs
        .chars()
        .zip(weights)
        .map(|(c, weight)| value(c) * weight)
        .sum();
    has_day(&digits(signs), 2, 4)
        && signs.chars().last().and_then(|c| c.to_digit(10)) == Some((10 - sum % 10) % 10)
}

fn chilean(signs: &str) -> bool {
    let rest = signs.get(..signs.len() - 1).unwrap_or_default();
    let sum: u32 = digits(rest)
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7].iter().cycle())
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum();
    let check = "0K987654321".chars().nth((sum % 11) as usize);
    signs.chars().last() == check
}

fn singaporean(signs: &str) -> bool {
    let sum = weighted(&digits(signs), &[2, 7, 6, 5, 4, 3, 2]);
    let (sum, checks) = match signs.get(..1) {
        Some("S") => (sum, "JZIHGFEDCBA"),
        Some("T") => (sum + 4, "JZIHGFEDCBA"),
        Some("F") => (sum, "XWUTRQPNMLK"),
        Some("G") => (sum + 4, "XWUTRQPNMLK"),
        _ => return false,
    };
    signs.chars().last() == checks.chars().nth((sum % 11) as usize)
}

fn taiwanese(signs: &str) -> bool {
    const PLACES: &str = "ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Some(place) = signs.chars().next().and_then(|first| PLACES.find(first)) else {
        return false;
    };
    let place = place as u32 + 10;
    let sum = place / 10 + place % 10 * 9 + weighted(&digits(signs), &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    sum.is_multiple_of(10)
}
