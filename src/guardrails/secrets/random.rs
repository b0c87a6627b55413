//! Random strings that nothing names: what machines make up, and no word, hash or address looks
//! like.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::{check, secret, value};

/// Characters of the longest: what is longer is a file, a picture or a certificate.
const LONGEST: usize = 160;
/// Characters of the shortest with letters of both cases.
const SHORTEST: usize = 20;
/// Characters of the shortest with letters of one case.
const SHORTEST_OF_ONE_CASE: usize = 24;
/// Characters before it that may say what it is.
const NEAR: usize = 40;
/// Of something that nothing but chance tells from a secret.
const BARE: f32 = 0.55;

/// What is random too and opens nothing, when it stands close before.
const OTHERS: [&str; 28] = [
    "sha1",
    "sha2",
    "sha3",
    "sha5",
    "sha-",
    "md5",
    "hash",
    "digest",
    "checksum",
    "integrity",
    "fingerprint",
    "base64",
    "etag",
    "commit",
    "revision",
    "uuid",
    "guid",
    "nonce",
    "public",
    "cursor",
    "h1:",
    "://",
    "www.",
    "name\"",
    "id:",
    "id\":",
    "id=",
    "alphabet",
];

pub(super) static PATTERNS: [Pattern; 1] = [secret(
    "random_string",
    r"(?-u:\b)[A-Za-z0-9][A-Za-z0-9+/=_~.-]{19,159}",
    random,
)];

fn random(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let is_part = |c: char| is_in(c) || c == '%';
    if text.len() >= LONGEST || candidate.before.ends_with(is_part) || is_blob(candidate) {
        return None;
    }
    let near = candidate.before.len().saturating_sub(NEAR);
    let near = candidate.before.ceil_char_boundary(near);
    let near = candidate.before.get(near..)?.to_ascii_lowercase();
    // A name in a program and its value: what is before the last equals sign is none of it.
    let whole = text.trim_end_matches(['.', '=', '-', '_', '/', '~']);
    let (start, name) = match whole.rfind('=') {
        Some(at) => (at + 1, whole.get(..at)?.to_ascii_lowercase()),
        None => (0, String::new()),
    };
    let part = whole.get(start..)?;
    let lower = part.to_ascii_lowercase();
    let is_other = |word: &&str| near.contains(*word) || name.contains(word.trim_end_matches(':'));
    let is_known = ["sha", "eyj", "mii"]
        .iter()
        .any(|begin| lower.starts_with(begin));
    if OTHERS.iter().any(|word| is_other(&word)) || is_known || is_in_address(candidate.before) {
        return None;
    }
    let part = start..start + longest(part)?.len();
    let value = whole.get(part.clone())?;
    let score = match check::is_stand_in(value) || check::is_typed(value) {
        true => super::STAND_IN,
        false => BARE,
    };
    is_random(value).then(|| candidate.part(part, score))?
}

/// All of it, unless it is a path or the name of a machine or file.
fn longest(text: &str) -> Option<&str> {
    let is_path = text
        .split(['/', '.'])
        .any(|part| part.len() > 3 && value::is_wordy(part));
    (!is_path).then_some(text)
}

/// What names a place is not a secret; parameters that are have names.
fn is_in_address(before: &str) -> bool {
    let last = before.rsplit(|c: char| c.is_whitespace() || "\"'<>(".contains(c));
    last.take(1)
        .any(|last| last.contains("://") || last.contains(['&', '%']))
}

fn is_in(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=_~.-".contains(c)
}

/// A line of base64 that others stand before, or with the usual length of one.
fn is_blob(candidate: &Candidate<'_>) -> bool {
    let is_line = |line: &str| line.len() >= 40 && line.chars().all(is_in);
    let before = candidate.before;
    let last = before.trim_end_matches(|c: char| c.is_whitespace() || "\"'+\\".contains(c));
    let last = last.rsplit(['\n', '"', '\'', ' ']).next();
    let begins_line = before.is_empty() || before.ends_with(['\n', ' ', '\t', '"']);
    let is_usual = matches!(candidate.text.len(), 64 | 72 | 76) && !before.is_empty();
    last.is_some_and(is_line) || (begins_line && is_usual && before.ends_with('\n'))
}

/// Whether chance made it: of many kinds of characters, without words.
pub(super) fn is_random(text: &str) -> bool {
    let count = |is: fn(&u8) -> bool| text.bytes().filter(is).count();
    let upper = count(u8::is_ascii_uppercase);
    let lower = count(u8::is_ascii_lowercase);
    let digits = count(u8::is_ascii_digit);
    let others = text.len() - upper - lower - digits;
    if others * 5 > text.len() || value::share_of_words(text) > 0.3 {
        return false;
    }
    let entropy = check::entropy(text);
    let of_both = text.len() >= SHORTEST && upper >= 3 && lower >= 3 && digits >= 2;
    // Hexadecimal digits are those of hashes.
    let beyond = text
        .bytes()
        .filter(|b| b.is_ascii_alphabetic() && b.to_ascii_lowercase() > b'f')
        .count();
    let is_one_case = upper == 0 || lower == 0;
    let of_one = text.len() >= SHORTEST_OF_ONE_CASE && is_one_case && digits >= 4 && beyond >= 5;
    (of_both && entropy >= 3.7 && beyond > 0) || (of_one && entropy >= 3.5)
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;

    #[test]
    fn random_strings_are_found_without_a_name() {
        for token in [
            "9f8Kq2LmZx7Vb3Nw5Rt1",
            "q7Zp_0Xr4-Lk2Mv9Tb6Yw1Hs8Dj3",
            "k3j9x0q7w2m5z8v1t4r6p0n2",
            "wJ4rXUt9FEM3K7MDxNG/bPxRf+CYzQ2kL8vTn5Sa",
        ] {
            for text in [
                format!("try {token} please"),
                format!("foo('{token}')"),
                format!("acme={token}\n"),
            ] {
                let found = likely(&text);
                assert!(found.iter().any(|one| one.1 == token), "{text}: {found:?}");
            }
        }
    }

    #[test]
    fn what_only_looks_random_is_none() {
        for text in [
            "commit 3c59dc048e8850243be8079a5c74d079a1b2c3d4",
            "\"integrity\": \"sha512-9f8Kq2LmZx7Vb3Nw5Rt19f8Kq2LmZx7Vb3Nw5Rt1==\"",
            "golang.org/x/net v0.1.0 h1:9f8Kq2LmZx7Vb3Nw5Rt1q7Zp0Xr4Lk2Mv9Tb6Yw1=",
            "id: 123e4567-e89b-12d3-a456-426614174000",
            "D3DKMTSignalSynchronizationObject2FromCpu",
            "https://docs.acme.io/d/9f8Kq2LmZx7Vb3Nw5Rt1/edit",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUA",
            "static/js/main.9f8Kq2LmZx.chunk.js",
            "the file report-2024-01-02T03-04-05Z-final.pdf",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
