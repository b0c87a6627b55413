//! What an API key looks like: a prefix, 32 random bytes in hex, and the CRC-32 of all before.
//!
//! The prefix lets secret scanners find a leaked key and the checksum keeps them, and us, from
//! taking anything else for one. Fixed length, one alphabet: a double click selects it whole.

use rand::TryRngCore;
use rand::rngs::OsRng;

use super::{IssueError, Redacted};
use crate::store::KeyKind;

const PROJECT: &str = "sk-mllm-";
const ADMIN: &str = "sk-mllm-admin-";
const RANDOM_BYTES: usize = 32;
const CHECKSUM_HEX: usize = 8;

/// A fresh key.
///
/// # Errors
/// [`IssueError::Random`] when the operating system has no random bytes to give.
pub(super) fn generate(kind: KeyKind) -> Result<Redacted, IssueError> {
    let mut text = String::from(match kind {
        KeyKind::Project => PROJECT,
        KeyKind::Admin => ADMIN,
    });
    text.push_str(&hex::encode(random::<RANDOM_BYTES>()?));
    let checksum = checksum(&text);
    text.push_str(&checksum);
    Ok(Redacted::new(text))
}

/// Whether this could be a key at all: its form and checksum are right.
pub(super) fn is_well_formed(presented: &str) -> bool {
    let Some(body) = presented
        .strip_prefix(ADMIN)
        .or_else(|| presented.strip_prefix(PROJECT))
    else {
        return false;
    };
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if body.len() != RANDOM_BYTES * 2 + CHECKSUM_HEX || !body.bytes().all(is_hex) {
        return false;
    }
    let (covered, given) = presented.split_at(presented.len() - CHECKSUM_HEX);
    checksum(covered) == given
}

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], IssueError> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| IssueError::Random(error.to_string()))?;
    Ok(bytes)
}

fn checksum(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_are_well_formed_and_differ() {
        for kind in [KeyKind::Project, KeyKind::Admin] {
            let (a, b) = (generate(kind).unwrap(), generate(kind).unwrap());
            assert!(is_well_formed(a.expose()), "{}", a.expose());
            assert_ne!(a.expose(), b.expose());
        }
    }

    #[test]
    fn any_changed_character_is_noticed() {
        let key = generate(KeyKind::Project).unwrap();
        let key = key.expose();
        for at in 0..key.len() {
            let mut other: Vec<u8> = key.bytes().collect();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).unwrap();
            assert!(!is_well_formed(&other), "{other}");
        }
        for other in [
            &key[1..],
            &key[..key.len() - 1],
            &format!("{key}0"),
            &key.to_uppercase(),
            "",
            "sk-mllm-",
            "sk-mllm-é",
            &format!("sk-mllm-{}", "é".repeat(36)),
        ] {
            assert!(!is_well_formed(other), "{other}");
        }
    }
}
