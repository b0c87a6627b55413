//! What tells a secret from something else.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const FORGIVING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Words of what stands in for a secret in documents.
const STAND_INS: [&str; 19] = [
    "example",
    "xxxx",
    "your",
    "placeholder",
    "dummy",
    "sample",
    "redacted",
    "changeme",
    "change_me",
    "change-me",
    "insert",
    "replace",
    "****",
    "....",
    "fixme",
    "removed",
    "masked",
    "hidden",
    "notreal",
];

/// Bits per character.
pub(super) fn entropy(text: &str) -> f32 {
    let mut counts = [0u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = text.len() as f32;
    let shares = counts.iter().filter(|count| **count > 0);
    shares
        .map(|count| *count as f32 / total)
        .map(|share| -share * share.log2())
        .sum()
}

/// Whether it is of the kind that people write where a secret is to be put.
pub(super) fn is_stand_in(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    STAND_INS.iter().any(|word| lower.contains(word)) || has_long_run(text) || entropy(text) < 2.0
}

/// Whether it has letters or digits in a row, as people type when they make something up.
pub(super) fn is_typed(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["12345678", "abcdefgh", "qwertyui", "87654321"]
        .iter()
        .any(|row| lower.contains(row))
}

/// Six times the same character.
fn has_long_run(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .windows(6)
        .any(|window| window.iter().all(|byte| Some(byte) == window.first()))
}

/// Whether a text ends in the CRC-32 of what is before, in six digits of base 62, as GitHub's and
/// npm's tokens do.
/// <https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>
pub(super) fn has_base62_checksum(body: &str) -> bool {
    let Some((covered, given)) = body
        .len()
        .checked_sub(6)
        .and_then(|at| body.split_at_checked(at))
    else {
        return false;
    };
    let mut rest = crc32fast::hash(covered.as_bytes()) as usize;
    given.bytes().rev().all(|byte| {
        let digit = BASE62.get(rest % 62);
        rest /= 62;
        digit == Some(&byte)
    })
}

/// Whether a text ends in the CRC-32 of what is before, in hex.
pub(super) fn has_hex_checksum(text: &str) -> bool {
    let at = text.len().checked_sub(8);
    let parts = at.and_then(|at| text.split_at_checked(at));
    parts.is_some_and(|(covered, given)| {
        u32::from_str_radix(given, 16) == Ok(crc32fast::hash(covered.as_bytes()))
    })
}

/// What base64 stands for, of either alphabet and with or without padding.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = match text.contains(['-', '_']) {
        true => &URL_SAFE,
        false => &STANDARD,
    };
    GeneralPurpose::new(alphabet, FORGIVING).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_that_are_published() {
        // Of a token that GitHub's users publish as an example; it is of no account.
        let body = "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17";
        assert!(has_base62_checksum(body));
        assert!(!has_base62_checksum(&body.replace('z', "y")));
        assert!(!has_base62_checksum("0mLq17é"));
        assert!(has_hex_checksum("123456789cbf43926"));
        assert!(!has_hex_checksum("é"));
    }

    #[test]
    fn entropy_is_of_characters() {
        assert!((entropy("abcd") - 2.0).abs() < 1e-6);
        assert_eq!(entropy(""), 0.0);
    }

    #[test]
    fn stand_ins_are_told_from_secrets() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
            "ghp_000000000000",
        ] {
            assert!(is_stand_in(text), "{text}");
        }
        assert!(!is_stand_in("AKIA2E0A8F3B244C9986"));
    }
}
