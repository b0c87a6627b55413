//! The Americas, without the United States.

use super::super::checksums::{luhn, number, weighted};
use super::{Id, Words};

pub(super) static IDS: [Id; 4] = [
    // Brazil, CPF: two check digits.
    Id {
        forms: &["999.999.999-99", "99999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:cpf|cadastro de pessoa)"),
        holds: |digits| {
            let first = modulo_11(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
            let second = modulo_11(digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
            digits.ends_with(&[first, second])
        },
        alone: [0.97, 0.45],
    },
    // Brazil, CNPJ: companies, and persons who trade.
    Id {
        forms: &["99.999.999/9999-99", "99999999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:cnpj|cadastro nacional)"),
        holds: |digits| {
            let first = modulo_11(digits, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
            let second = modulo_11(digits, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
            digits.ends_with(&[first, second])
        },
        alone: [0.97, 0.6],
    },
    // Canada, social insurance number.
    Id {
        forms: &["999 999 999", "999-999-999", "999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:sin|social insurance|assurance sociale|nas)(?-u:\b)"),
        holds: |digits| !matches!(digits.first(), Some(0 | 8)) && luhn(digits),
        alone: [0.3, 0.0],
    },
    // Argentina, CUIT and CUIL.
    Id {
        forms: &["99-99999999-9", "99999999999"],
        name: Words::new(r"(?i)(?-u:\b)(?:cuit|cuil)"),
        holds: |digits| {
            let sum = weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
            matches!(
                digits.get(..2).map(number),
                Some(20 | 23 | 24 | 25 | 26 | 27 | 30 | 33 | 34)
            ) && digits.last().copied().map(u32::from) == Some((11 - sum) % 11)
        },
        alone: [0.92, 0.4],
    },
];

/// Brazil's check digit: 11 less the remainder, 0 for more than 9.
fn modulo_11(digits: &[u8], weights: &[u32]) -> u8 {
    let remainder = weighted(digits, weights) % 11;
    if remainder < 2 {
        0
    } else {
        (11 - remainder) as u8
    }
}
