//! Check digits. Each function says which standard it follows; digits are values from 0 to 9.

/// The digits of a text, without whatever stands between them.
pub fn digits(text: &str) -> Vec<u8> {
    let digits = text.bytes().filter(u8::is_ascii_digit);
    digits.map(|digit| digit - b'0').collect()
}

/// The number that digits stand for. At most 19 of them.
pub fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0_u64, |number, digit| {
        number.wrapping_mul(10).wrapping_add(u64::from(*digit))
    })
}

/// The sum of digits times weights. What has no weight does not count.
pub fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    let products = digits.iter().zip(weights);
    products
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum()
}

/// ISO/IEC 7812-1 (Luhn): cards and many other numbers. The last digit is the check digit.
pub fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let doubled = u32::from(*digit) * (1 + index as u32 % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// Verhoeff's scheme over the symmetries of a pentagon, as Aadhaar uses it.
pub fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |digit: u8, times: usize| {
        (0..times).fold(digit, |digit, _| {
            PERMUTATION
                .get(usize::from(digit))
                .copied()
                .unwrap_or(digit)
        })
    };
    let product = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a - b) % 5,
        (false, false) => (5 + a - b) % 5,
    };
    let places = digits.iter().rev().enumerate();
    places.fold(0, |check, (index, digit)| {
        product(check, permuted(*digit, index % 8))
    }) == 0
}

/// ISO/IEC 7064 MOD 11,10: the tax numbers of Germany and Croatia.
pub fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else {
        return false;
    };
    let product = rest.iter().fold(10_u32, |product, digit| {
        let sum = (product + u32::from(*digit)) % 10;
        let sum = if sum == 0 { 10 } else { sum };
        sum * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// EAN-13 and its like: weights 1 and 3 in turn from the right.
pub fn ean(digits: &[u8]) -> bool {
    let places = digits.iter().rev().enumerate();
    let sum: u32 = places
        .map(|(index, digit)| u32::from(*digit) * if index % 2 == 0 { 1 } else { 3 })
        .sum();
    sum.is_multiple_of(10)
}

/// ICAO 9303 (machine-readable travel documents): weights 7, 3, 1; `<` is 0, A is 10.
pub fn icao(field: &str, check: char) -> bool {
    let values = field.chars().map(|c| c.to_digit(36).unwrap_or(0));
    let weights = [7, 3, 1].into_iter().cycle();
    let sum: u32 = values
        .zip(weights)
        .map(|(value, weight)| value * weight)
        .sum();
    check.to_digit(10).unwrap_or(0) == sum % 10
}

/// Whether day and month of some year are possible. Two digits of a year do not tell its length.
pub fn is_day(month: u64, day: u64) -> bool {
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 29,
        1..=12 => 31,
        _ => return false,
    };
    (1..=longest).contains(&day)
}

/// Whether digits begin with a date: two of its parts, where `at` is the place of the month and of
/// the day.
pub fn has_day(digits: &[u8], month_at: usize, day_at: usize) -> bool {
    let two = |at: usize| digits.get(at..at + 2).map(number);
    matches!((two(month_at), two(day_at)), (Some(month), Some(day)) if is_day(month, day))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples_hold() {
        assert!(luhn(&digits("4111 1111 1111 1111")));
        assert!(!luhn(&digits("4111 1111 1111 1112")));
        assert!(!luhn(&[0; 16]));
        assert!(verhoeff(&digits("2363")));
        assert!(mod_11_10(&digits("86095742719")));
        assert!(ean(&digits("7569217076985")));
        assert!(icao("L898902C3", '6'));
        assert!(is_day(2, 29) && !is_day(2, 30) && !is_day(13, 1) && !is_day(0, 1));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_noticed(
            number in prop::collection::vec(0_u8..10, 8..19),
            place in 0_usize..8,
            other in 1_u8..10,
        ) {
            for holds in [luhn, verhoeff, mod_11_10, ean] {
                let checked = (0..10).map(|check| {
                    let mut checked = number.clone();
                    checked.push(check);
                    checked
                });
                if let Some(right) = checked.into_iter().find(|checked| holds(checked)) {
                    let mut wrong = right.clone();
                    wrong[place] = (wrong[place] + other) % 10;
                    prop_assert!(!holds(&wrong));
                }
            }
        }
    }
}
