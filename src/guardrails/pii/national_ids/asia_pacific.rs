//! Asia, Africa and the Pacific.

use super::super::checksums::{has_day, luhn, verhoeff, weighted};
use super::{Id, Words};

pub(super) static IDS: [Id; 12] = [
    // India, Aadhaar.
    Id {
        forms: &["9999 9999 9999", "9999-9999-9999", "999999999999"],
        name: Words::with(r"(?i)(?-u:\b)(?:aadh?aa?r|uidai|uid)", &["आधार"]),
        holds: |digits| matches!(digits.first(), Some(2..=9)) && verhoeff(digits),
        alone: [0.7, 0.3],
    },
    // Japan, My Number.
    Id {
        forms: &["999999999999", "9999-9999-9999", "9999 9999 9999"],
        name: Words::with(
            r"(?i)(?-u:\b)(?:my number|individual number)",
            &["マイナンバー", "個人番号"],
        ),
        holds: |digits| {
            let sum = weighted(digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
            let check = if sum < 2 { 0 } else { 11 - sum };
            digits.last().copied().map(u32::from) == Some(check)
        },
        alone: [0.0, 0.0],
    },
    // Korea, resident registration number: since 2020 the check digit is any.
    Id {
        forms: &["999999-9999999", "9999999999999"],
        name: Words::with(
            r"(?i)(?-u:\b)(?:rrn|resident registration|jumin)",
            &["주민"],
        ),
        holds: |digits| has_day(digits, 2, 4) && matches!(digits.get(6), Some(1..=9)),
        alone: [0.88, 0.0],
    },
    // China, resident identity number, ISO 7064 MOD 11-2 (with X: among those with letters).
    Id {
        forms: &["999999999999999999"],
        name: Words::with(
            r"(?i)(?-u:\b)(?:resident id|chinese id)",
            &["身份证", "身分證"],
        ),
        holds: |digits| {
            let sum = weighted(digits, &CHINA);
            matches!(digits.get(6..8), Some([1, 9] | [2, 0]))
                && has_day(digits, 10, 12)
                && sum % 11 == 1
        },
        alone: [0.95, 0.95],
    },
    // Australia, tax file number.
    Id {
        forms: &["999 999 999", "999-999-999", "999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:tfn|tax file)"),
        holds: |digits| weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11),
        alone: [0.0, 0.0],
    },
    // Australia, Medicare.
    Id {
        forms: &["9999 99999 9", "9999999999"],
        name: Words::new(r"(?i)(?-u:\b)medicare"),
        holds: |digits| {
            let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10;
            matches!(digits.first(), Some(2..=6))
                && digits.get(8).copied().map(u32::from) == Some(sum)
        },
        alone: [0.55, 0.0],
    },
    // New Zealand, IRD number.
    Id {
        forms: &["999-999-999", "999 999 999", "999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:ird|inland revenue)"),
        holds: |digits| {
            let check = |weights: &[u32]| (11 - weighted(digits, weights) % 11) % 11;
            let first = check(&[3, 2, 7, 6, 5, 4, 3, 2]);
            let check = if first < 10 {
                first
            } else {
                check(&[7, 4, 3, 2, 5, 2, 7, 6])
            };
            digits.last().copied().map(u32::from) == Some(check)
        },
        alone: [0.0, 0.0],
    },
    // South Africa, identity number: the eleventh digit tells citizens from residents.
    Id {
        forms: &["9999999999999"],
        name: Words::new(
            r"(?i)(?-u:\b)(?:sa id|south african id|rsa id|id number|identity number)",
        ),
        holds: |digits| {
            has_day(digits, 2, 4) && matches!(digits.get(10), Some(0..=2)) && luhn(digits)
        },
        alone: [0.4, 0.4],
    },
    // Malaysia, MyKad: a date and a place, no check digit.
    Id {
        forms: &["999999-99-9999"],
        name: Words::new(r"(?i)(?-u:\b)(?:mykad|nric|ic (?:no|number)|kad pengenalan)"),
        holds: |digits| has_day(digits, 2, 4),
        alone: [0.8, 0.8],
    },
    // Thailand, citizen number.
    Id {
        forms: &["9-9999-99999-99-9", "9999999999999"],
        name: Words::with(
            r"(?i)(?-u:\b)(?:thai id|citizen id)",
            &["บัตรประชาชน", "ประจำตัวประชาชน"],
        ),
        holds: |digits| {
            let sum = weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            matches!(digits.first(), Some(1..=8))
                && digits.last().copied().map(u32::from) == Some((11 - sum) % 10)
        },
        alone: [0.95, 0.0],
    },
    // United Arab Emirates, identity number: 784 and the year of birth.
    Id {
        forms: &["999-9999-9999999-9", "999999999999999"],
        name: Words::new(r"(?i)(?-u:\b)emirates id"),
        holds: |digits| {
            digits.starts_with(&[7, 8, 4])
                && matches!(digits.get(3..5), Some([1, 9] | [2, 0]))
                && luhn(digits)
        },
        alone: [0.97, 0.8],
    },
    // Israel, teudat zehut.
    Id {
        forms: &["999999999"],
        name: Words::with(r"(?i)(?-u:\b)teudat zehut", &["תעודת זהות", "ת.ז"]),
        holds: luhn,
        alone: [0.0, 0.0],
    },
];

/// Powers of two modulo 11, from the 17th down.
pub(super) const CHINA: [u32; 18] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1];
