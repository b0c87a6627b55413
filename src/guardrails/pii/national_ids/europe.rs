//! Europe. Weights are those that each state publishes.

use super::super::checksums::{ean, has_day, is_day, luhn, mod_11_10, number, weighted};
use super::{Id, Words};

pub(super) static IDS: [Id; 22] = [
    // Poland, PESEL: the month tells the century too.
    Id {
        forms: &["99999999999"],
        name: Words::new(r"(?i)(?-u:\b)pesel"),
        holds: |digits| {
            let month = digits.get(2..4).map_or(0, number) % 20;
            is_day(month, digits.get(4..6).map_or(0, number))
                && weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
        },
        alone: [0.4, 0.4],
    },
    // Germany, Steuer-Identifikationsnummer.
    Id {
        forms: &["99 999 999 999", "99999999999"],
        name: Words::new(
            r"(?i)(?-u:\b)(?:steuer-? ?id[a-z]{0,23}|steuerliche|idnr|steuernummer|tax|tin)",
        ),
        holds: |digits| digits.first() != Some(&0) && mod_11_10(digits),
        alone: [0.75, 0.3],
    },
    // France, numéro d'inscription au répertoire: sex, year, month; the last two check the rest.
    Id {
        forms: &["9 99 99 99 999 999 99", "999999999999999"],
        name: Words::new(
            r"(?i)(?-u:\b)(?:nir|insee|s[eé]curit[eé] sociale|num[eé]ro de s[eé]cu|carte vitale|ssn)",
        ),
        holds: |digits| {
            let month = digits.get(3..5).map_or(0, number);
            let rest = digits.get(..13).map_or(0, number);
            matches!(digits.first(), Some(1..=4 | 7 | 8))
                && matches!(month, 1..=12 | 20..=42 | 50..=99)
                && digits.get(13..).map_or(0, number) == 97 - rest % 97
        },
        alone: [0.97, 0.8],
    },
    // Netherlands, burgerservicenummer: the proof by 11.
    Id {
        forms: &["999999999", "9999.99.999", "999 999 999", "999-999-999"],
        name: Words::new(
            r"(?i)(?-u:\b)(?:bsn|burgerservice[a-z]{0,7}|sofi[a-z]{0,8}|citizen service)",
        ),
        holds: |digits| {
            let last = digits.last().copied().map_or(0, u32::from);
            let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
            sum % 11 == last && sum > 0
        },
        alone: [0.0, 0.0],
    },
    // Belgium, rijksregisternummer: 97 less the remainder, with a 2 before it since 2000.
    Id {
        forms: &["99.99.99-999.99", "99999999999"],
        name: Words::new(
            r"(?i)(?-u:\b)(?:rijksregister[a-z]{0,6}|registre national|num[eé]ro national|nrn|insz|niss|rrn)",
        ),
        holds: |digits| {
            let check = digits.get(9..).map_or(0, number);
            let rest = digits.get(..9).map_or(0, number);
            has_day(digits, 2, 4)
                && [rest, rest + 2_000_000_000]
                    .iter()
                    .any(|rest| 97 - rest % 97 == check)
        },
        alone: [0.97, 0.6],
    },
    // Sweden, personnummer; a co-ordination number has 60 added to the day.
    Id {
        forms: &[
            "999999-9999",
            "99999999-9999",
            "999999+9999",
            "9999999999",
            "999999999999",
        ],
        name: Words::new(
            r"(?i)(?-u:\b)(?:personnummer|person-?nr|samordningsnummer|personal (?:identity )?number)",
        ),
        holds: |digits| {
            let digits = digits
                .get(digits.len().saturating_sub(10)..)
                .unwrap_or_default();
            let day = digits.get(4..6).map_or(0, number);
            let month = digits.get(2..4).map_or(0, number);
            luhn(digits) && (is_day(month, day) || day > 60 && is_day(month, day - 60))
        },
        alone: [0.8, 0.25],
    },
    // Norway, fødselsnummer: two check digits.
    Id {
        forms: &["999999 99999", "99999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:f[øo]dselsnummer|personnummer|fnr|d-nummer)"),
        holds: |digits| {
            let day = digits.get(..2).map_or(0, number) % 40;
            is_day(digits.get(2..4).map_or(0, number) % 40, day)
                && weighted(digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
                && weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
        },
        alone: [0.85, 0.6],
    },
    // Denmark, CPR-nummer: no check digit since 2007.
    Id {
        forms: &["999999-9999", "9999999999", "999999 9999"],
        name: Words::new(r"(?i)(?-u:\b)(?:cpr|personnummer|cpr-?n(?:umme)?r)"),
        holds: |digits| has_day(digits, 2, 0),
        alone: [0.4, 0.0],
    },
    // Switzerland, AHV: EAN-13 of the country's 756.
    Id {
        forms: &["756.9999.9999.99", "999.9999.9999.99", "9999999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:ahv|avs|oasi|ahvn13|navs|sozialversicherung[a-z]{0,9})"),
        holds: |digits| digits.starts_with(&[7, 5, 6]) && ean(digits),
        alone: [0.97, 0.88],
    },
    // Portugal, número de identificação fiscal.
    Id {
        forms: &["999999999", "999 999 999"],
        name: Words::new(r"(?i)(?-u:\b)(?:nif|contribuinte|fiscal)"),
        holds: |digits| {
            matches!(digits.first(), Some(1 | 2 | 3 | 4 | 5 | 6 | 8 | 9)) && {
                let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
                let check = if sum % 11 < 2 { 0 } else { 11 - sum % 11 };
                digits.last().copied().map(u32::from) == Some(check)
            }
        },
        alone: [0.0, 0.0],
    },
    // Austria, Sozialversicherungsnummer: the fourth checks the rest.
    Id {
        forms: &["9999 999999", "9999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:svnr|sv-?nummer|sozialversicherung[a-z]{0,9}|e-?card)"),
        holds: |digits| {
            let check = digits.get(3).copied().map(u32::from);
            Some(weighted(digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11) == check
        },
        alone: [0.3, 0.0],
    },
    // Czechia and Slovakia, rodné číslo: women have 50 added to the month.
    Id {
        forms: &["999999/9999", "9999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:rodn[eé] [cč][ií]slo|r\.? ?[cč]\.?|birth number)"),
        holds: |digits| {
            let month = digits.get(2..4).map_or(0, number) % 50;
            is_day(month % 20, digits.get(4..6).map_or(0, number))
                && number(digits).is_multiple_of(11)
        },
        alone: [0.93, 0.3],
    },
    // Romania, cod numeric personal.
    Id {
        forms: &["9999999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:cnp|cod(?:ul)? numeric)"),
        holds: |digits| {
            let sum = weighted(digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
            let check = if sum == 10 { 1 } else { sum };
            matches!(digits.first(), Some(1..=8))
                && has_day(digits, 3, 5)
                && digits.last().copied().map(u32::from) == Some(check)
        },
        alone: [0.4, 0.4],
    },
    // Bulgaria, EGN: 20 and 40 added to the month tell the century.
    Id {
        forms: &["9999999999"],
        name: Words::with(r"(?i)(?-u:\b)(?:egn)", &["ЕГН"]),
        holds: |digits| {
            let month = digits.get(2..4).map_or(0, number) % 20;
            let sum = weighted(digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
            is_day(month, digits.get(4..6).map_or(0, number))
                && digits.last().copied().map(u32::from) == Some(sum)
        },
        alone: [0.0, 0.0],
    },
    // Greece, AMKA.
    Id {
        forms: &["99999999999"],
        name: Words::with(r"(?i)(?-u:\b)(?:amka)", &["ΑΜΚΑ"]),
        holds: |digits| has_day(digits, 2, 0) && luhn(digits),
        alone: [0.3, 0.3],
    },
    // Greece, AFM.
    Id {
        forms: &["999999999"],
        name: Words::with(r"(?i)(?-u:\b)(?:afm)", &["ΑΦΜ"]),
        holds: |digits| {
            let sum = weighted(digits, &[256, 128, 64, 32, 16, 8, 4, 2]);
            digits.last().copied().map(u32::from) == Some(sum % 11 % 10) && sum > 0
        },
        alone: [0.0, 0.0],
    },
    // Estonia and Lithuania, isikukood and asmens kodas.
    Id {
        forms: &["99999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:isikukood|asmens kodas|personal code)"),
        holds: |digits| {
            let first = weighted(digits, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
            let second = weighted(digits, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
            let check = if first < 10 { first } else { second % 10 };
            matches!(digits.first(), Some(1..=8))
                && has_day(digits, 3, 5)
                && digits.last().copied().map(u32::from) == Some(check)
        },
        alone: [0.4, 0.4],
    },
    // Croatia, OIB.
    Id {
        forms: &["99999999999"],
        name: Words::new(r"(?i)(?-u:\b)oib"),
        holds: mod_11_10,
        alone: [0.0, 0.0],
    },
    // Turkey, T.C. kimlik numarası: two check digits.
    Id {
        forms: &["99999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:t\.?c\.? ?k|kimlik|tckn|tc no)"),
        holds: |digits| {
            let odd = weighted(digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
            let even = weighted(digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
            let all = weighted(digits, &[1; 10]);
            let place = |at: usize| digits.get(at).copied().map(u32::from);
            digits.first() != Some(&0)
                && place(9) == Some((odd * 7 + 90 - even) % 10)
                && place(10) == Some(all % 10)
        },
        alone: [0.45, 0.45],
    },
    // United Kingdom, NHS number.
    Id {
        forms: &["999 999 9999", "9999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:nhs)"),
        holds: |digits| {
            let sum = weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            digits.last().copied().map(u32::from) == Some((11 - sum) % 11)
        },
        alone: [0.0, 0.0],
    },
    // United Kingdom, unique taxpayer reference: the first digit checks the rest.
    Id {
        forms: &["9999999999", "99999 99999"],
        name: Words::new(r"(?i)(?-u:\b)(?:utr|unique taxpayer|self.assessment)"),
        holds: |digits| {
            let rest = digits.get(1..).unwrap_or_default();
            let sum = weighted(rest, &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
            let checks = [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1];
            digits.first() == checks.get(sum as usize)
        },
        alone: [0.0, 0.0],
    },
    // Russia, INN of persons: two check digits.
    Id {
        forms: &["999999999999"],
        name: Words::with(r"(?i)(?-u:\b)inn(?-u:\b)", &["ИНН"]),
        holds: |digits| {
            let check = |weights: &[u32]| weighted(digits, weights) % 11 % 10;
            let place = |at: usize| digits.get(at).copied().map(u32::from);
            place(10) == Some(check(&[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]))
                && place(11) == Some(check(&[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]))
        },
        alone: [0.3, 0.3],
    },
];
