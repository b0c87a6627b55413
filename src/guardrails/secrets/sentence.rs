//! What a sentence calls a password, a key or a token, and the value that follows.

use std::ops::Range;

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::name::{called_key, called_password, called_secret, name, opening};
use super::value::{self, Kind};
use super::{letters, secret, words};

/// The value of a sentence: the password of this and that is so and so.
macro_rules! said {
    ($name:expr) => {
        concat!(
            $name,
            r#"[A-Za-z0-9_-]{0,12}[)"'`*]{0,3}(?:[ \t]{1,2}[A-Za-z0-9'_./@()-]{1,32}){0,6}?(?:[ \t]{1,2}(?i:is|was|are|be|to|as|ist|est|es|é|lautet|set to)(?:[ \t](?i:now|currently|still|just|actually|again|simply|literally|this|following|set to|changed to))?[:=]?|:)[[:space:]]{1,2}["'`*(]{0,3}[^\x00-\x20"'`<>*(][^\x00-\x20"'`<>]*"#
        )
    };
}

/// The value right after the name, on a command line or in a sentence: it has a digit.
macro_rules! told {
    ($name:expr) => {
        concat!(
            $name,
            r#"[A-Za-z_-]{0,16}s?[)"'`*]{0,3}[ \t]{1,4}["'`*(]{0,3}[^\x00-\x20"'`<>0-9]{0,80}[0-9][^\x00-\x20"'`<>]*"#
        )
    };
}

pub(super) static PATTERNS: [Pattern; 6] = [
    secret("password", said!(called_password!()), |candidate| {
        said(candidate, Kind::Password)
    }),
    secret("generic_api_key", said!(called_key!()), |candidate| {
        said(candidate, Kind::Key)
    }),
    secret("generic_secret", said!(called_secret!()), |candidate| {
        said(candidate, Kind::Secret)
    }),
    secret("password", told!(called_password!()), |candidate| {
        told(candidate, Kind::Password)
    }),
    secret("generic_api_key", told!(called_key!()), |candidate| {
        told(candidate, Kind::Key)
    }),
    secret("generic_secret", told!(called_secret!()), |candidate| {
        told(candidate, Kind::Secret)
    }),
];

fn said(candidate: &Candidate<'_>, kind: Kind) -> Option<Verdict> {
    let (name, _) = name(candidate);
    let text = candidate.text;
    let start = text.rfind(char::is_whitespace)? + 1;
    spoken(candidate, &name, start, kind)
}

fn told(candidate: &Candidate<'_>, kind: Kind) -> Option<Verdict> {
    let (name, end) = name(candidate);
    let rest = candidate.text.get(end..)?;
    let start = end + rest.rfind([' ', '\t'])? + 1;
    spoken(candidate, &name, start, kind)
}

/// A value in a sentence.
fn spoken(candidate: &Candidate<'_>, name: &str, start: usize, kind: Kind) -> Option<Verdict> {
    let opening = opening(name, kind);
    if opening < 0.6 {
        return None;
    }
    let text = candidate.text;
    let rest = text.get(start..)?;
    let start = text.len() - rest.trim_start_matches(['"', '\'', '`', '*', '(']).len();
    let rest = text.get(start..)?;
    let end = start
        + rest
            .trim_end_matches(['.', ',', ';', ':', ')', '*', ']', '}'])
            .len();
    let part: Range<usize> = start..end;
    let value = text.get(part.clone())?;
    let verdict = value::rated(candidate, part, kind)?;
    if opening < 1.0 && verdict.score < 0.6 {
        return None;
    }
    // What has no digit is a word more often than not.
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let before = text
        .get(..start)?
        .trim_end_matches(['"', '\'', '`', '*', '('])
        .trim_end();
    let is_called = ["is", ":", "was", "ist", "est", "es", "set to", "changed to"]
        .iter()
        .any(|link| before.to_ascii_lowercase().ends_with(link));
    let score = match has_digit {
        false if kind == Kind::Password && is_called && words::is_password(value) => words::PLAIN,
        false if letters::is_wordy(value) => 0.3_f32.min(verdict.score),
        _ if value.contains(['(', '[', '{', '=']) => (verdict.score - 0.3).max(0.0),
        _ => (verdict.score - 0.05).max(0.0),
    };
    let score = score * opening;
    Some(Verdict { score, ..verdict })
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;

    #[test]
    fn passwords_that_are_words_are_found_where_they_are_told() {
        for text in [
            "my password is swordfish",
            "The passphrase is \"correct-horse-battery\".",
        ] {
            assert!(!likely(text).is_empty(), "{text}");
        }
        for text in [
            "the password is required",
            "your password is case-sensitive",
            "its password was never changed",
            "the secret is patience",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
