//! Providers whose keys have no form of their own, and what else may be named before a key: such keys are
//! hexadecimal, a UUID or random letters, and known by the name before them on the same line.

use std::sync::LazyLock;

use super::check;
use super::letters;

/// Providers of services with such keys, sorted; what a word begins with.
static PROVIDERS: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("providers.txt").lines().collect());

/// What may be a key, and much else, when it is given to a name with this in it.
const HINTS: [&str; 8] = [
    "access",
    "private",
    "licence",
    "license",
    "signature",
    "salt",
    "hmac",
    "auth",
];

/// Where one of these is named too, what follows is anything's number.
const OTHERS: [&str; 34] = [
    "id",
    "ids",
    "commit",
    "hash",
    "sha",
    "sha1",
    "sha256",
    "md5",
    "digest",
    "version",
    "revision",
    "ref",
    "uuid",
    "guid",
    "trace",
    "request",
    "ray",
    "public",
    "url",
    "uri",
    "image",
    "checksum",
    "author",
    "authority",
    "path",
    "file",
    "log",
    "logs",
    "identifier",
    "account",
    "etag",
    "build",
    "span",
    "integrity",
];

/// Words before a key that may name its provider.
const WORDS: usize = 6;
/// Characters in which they stand.
const NEAR: usize = 64;

/// Whether a provider is named before it on its line.
pub(super) fn is_named(before: &str) -> bool {
    let line = line(before);
    let words = || words(&line).take(WORDS);
    let is_provider = |word: &str| {
        let at = PROVIDERS.partition_point(|provider| *provider <= word);
        let provider = at.checked_sub(1).and_then(|at| PROVIDERS.get(at));
        provider.is_some_and(|provider| word.starts_with(provider))
    };
    words().any(is_provider) && !words().any(|word| OTHERS.contains(&word)) && !ends_with_id(before)
}

/// Whether it is given to something that may be a key.
pub(super) fn is_hinted(before: &str) -> bool {
    let is_mark = |c: char| c.is_whitespace() || ":=>\"'`({[-".contains(c);
    let named = before.trim_end_matches(is_mark);
    let marks = before.get(named.len()..).unwrap_or_default();
    let line = line(named);
    let is_given = marks.contains([':', '=', '>']) && !marks.contains('\n');
    let name = line
        .rsplit(|c: char| c.is_whitespace() || "\"'<>(,;".contains(c))
        .next();
    let name = name.unwrap_or_default();
    let mut parts = words(name);
    let is_hint = |part: &str| part == "pat" || HINTS.iter().any(|hint| part.contains(hint));
    is_given && parts.clone().any(is_hint) && !parts.any(|part| OTHERS.contains(&part))
}

/// The end of a name in camel case.
fn ends_with_id(before: &str) -> bool {
    before
        .trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
        .ends_with("Id")
}

/// The end of its line, in lower case.
fn line(before: &str) -> String {
    let at = before.ceil_char_boundary(before.len().saturating_sub(NEAR));
    let near = before.get(at..).unwrap_or_default();
    let line = near.rsplit('\n').next().unwrap_or_default();
    line.to_ascii_lowercase()
}

/// Its words from the last on.
fn words(line: &str) -> impl Iterator<Item = &str> + Clone {
    line.rsplit(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Whether it is as keys of these are: hexadecimal or a UUID.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let lines = text.bytes().filter(|byte| *byte == b'-').count();
    let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    digits >= 24 && digits + lines == text.len() && has_letters && check::entropy(text) > 2.8
}

/// Letters and digits in a mixture that words have not.
pub(super) fn is_dense(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let others = text
        .bytes()
        .filter(|byte| !byte.is_ascii_alphanumeric())
        .count();
    let rest = text.len() - digits - others;
    digits >= 3 && rest >= 3 && others * 6 <= text.len() && letters::share_of_words(text) < 0.35
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;
    use super::*;

    #[test]
    fn providers_are_sorted_and_none_begins_with_another() {
        assert!(PROVIDERS.is_sorted_by(|a, b| a < b && !b.starts_with(a)));
    }
    #[test]
    fn keys_are_found_by_their_providers_name() {
        for (text, key) in [
            (
                "datadog: 3c59dc048e8850243be8079a5c74d079",
                "3c59dc048e8850243be8079a5c74d079",
            ),
            (
                "const mailgunAuth = '3c59dc048e8850243be8079a5c74d079'",
                "3c59dc048e8850243be8079a5c74d079",
            ),
            (
                "hubspot 76a836c8-469d-4426-8a3b-194ca930b7a1",
                "76a836c8-469d-4426-8a3b-194ca930b7a1",
            ),
            ("algolia admin - \"k3j9x0q7w2m5z8v1\"", "k3j9x0q7w2m5z8v1"),
        ] {
            let found = likely(text);
            assert!(found.iter().any(|one| one.1 == key), "{text}: {found:?}");
        }
    }

    #[test]
    fn other_numbers_of_providers_are_none() {
        for text in [
            "datadog request id 3c59dc048e8850243be8079a5c74d079",
            "sentry commit 3c59dc048e8850243be8079a5c74d079a1b2c3d4",
            "the cloudflare ray: 3c59dc048e8850243be8079a5c74d079",
            "STRIPE_PRICE=price_9f8Kq2LmZx7Vb3Nw",
            "stripe-python-client-library",
            "zoom into the picture-of-the-day-2024-01-02",
            "authority: 3c59dc048e8850243be8079a5c74d079",
            "hubspotPortalId = \"76a836c8-469d-4426-8a3b-194ca930b7a1\"",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
