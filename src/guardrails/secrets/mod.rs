//! What opens doors: tokens of providers, keys, passwords.
//!
//! A token with a published form is found by that form, anything else by what stands before it.
//! - `check`: checksums, entropy, what stands in for a secret
//! - `forges`, `clouds`, `models`, `services`, `tools`: tokens of providers
//! - `keys`: our own keys, private keys, JSON web tokens
//! - `connection`: addresses and headers with credentials
//! - `assignment`, `sentence`, `listing`: what is called a password, a key or a token, in programs and
//!   settings, in sentences, and where name and value stand apart; `name` tells what opens something,
//!   `value` what may be one
//! - `accounts`: passwords beside names, in options of commands, in files of passwords
//! - `random`: what nothing calls so, beside a provider's name (`vendors`) or alone
//! - `letters`, `words`: what chance makes from what people write, and passwords that are words

mod accounts;
mod assignment;
mod check;
mod clouds;
mod connection;
mod forges;
mod keys;
mod letters;
mod listing;
mod models;
mod name;
mod random;
mod sentence;
mod services;
mod tools;
mod value;
mod vendors;
mod words;

use super::GuardName;
use super::patterns::{Candidate, Pattern, Verdict};

/// Of a token with a right checksum.
const CERTAIN: f32 = 0.99;
/// Of a token with a form that nothing else has.
const DISTINCT: f32 = 0.95;
/// Of a token with a form that other things might have by chance.
const LIKELY: f32 = 0.8;
/// Of a token that somebody seems to have made up, such as in a test.
const TYPED: f32 = 0.6;
/// Of something in a secret's form that opens nothing: below every threshold.
const STAND_IN: f32 = 0.2;

type Judge = fn(&Candidate<'_>) -> Option<Verdict>;

/// All of them.
pub(super) fn patterns() -> impl Iterator<Item = &'static Pattern> {
    let own = keys::PATTERNS.iter();
    own.chain(&forges::PATTERNS)
        .chain(&clouds::PATTERNS)
        .chain(&models::PATTERNS)
        .chain(&services::PATTERNS)
        .chain(&tools::PATTERNS)
        .chain(&connection::PATTERNS)
        .chain(&assignment::PATTERNS)
        .chain(&sentence::PATTERNS)
        .chain(&listing::PATTERNS)
        .chain(&accounts::PATTERNS)
        .chain(&random::PATTERNS)
}

const fn secret(kind: &'static str, regex: &'static str, judge: Judge) -> Pattern {
    Pattern {
        guard: GuardName::Secrets,
        kind,
        regex,
        judge,
    }
}

/// A token whose form nothing else has.
const fn token(kind: &'static str, regex: &'static str) -> Pattern {
    secret(kind, regex, |candidate| rated(candidate, DISTINCT))
}

/// A token whose form a name or a word might have too, were it not random.
const fn mixed(kind: &'static str, regex: &'static str) -> Pattern {
    secret(kind, regex, |candidate| {
        let digits = candidate.text.bytes().filter(u8::is_ascii_digit).count();
        let is_mixed = digits >= 2 || check::entropy(candidate.text) > 4.2;
        // Of mostly digits few letters are left to be words.
        let is_numeric = digits * 2 > candidate.text.len();
        let is_random = is_mixed && (is_numeric || !letters::is_wordy(candidate.text));
        is_random.then(|| rated(candidate, DISTINCT))?
    })
}

/// All of it, unless it stands in for a secret. A full stop at its end is the sentence's.
fn rated(candidate: &Candidate<'_>, score: f32) -> Option<Verdict> {
    let text = candidate.text.trim_end_matches('.');
    let score = match check::is_stand_in(text) {
        true => STAND_IN,
        false if check::is_typed(text) => score.min(TYPED),
        false => score,
    };
    candidate.part(0..text.len(), score)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;

    use super::super::patterns::{Patterns, Scan};
    use super::*;

    static ALL: LazyLock<Arc<Patterns>> =
        LazyLock::new(|| Arc::new(Patterns::new(patterns()).unwrap()));

    /// Kind, score and text of what is found.
    pub(super) fn found(text: &str) -> Vec<(&'static str, f32, String)> {
        let findings = Scan::new(ALL.clone(), Arc::new([])).finish(text);
        let findings = findings.into_iter();
        findings
            .map(|one| (one.kind, one.score, text[one.span].to_owned()))
            .collect()
    }

    /// What counts under the usual threshold, most likely first.
    pub(super) fn likely(text: &str) -> Vec<(&'static str, String)> {
        let mut found = found(text);
        found.retain(|one| one.1 >= 0.5);
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found.into_iter().map(|one| (one.0, one.2)).collect()
    }

    #[test]
    fn secrets_are_found_after_escapes_that_are_written_out() {
        let text = r#"{"stdout":"keys:\nAKIAQ3EGRIDXH5LMZP7B\nsk_live_51H8xYzAbCdEfGhIjKlMnOpQr\n\tpassword: x7!Kq2Lm\r\n"}"#;
        let found = likely(text);
        for secret in [
            "AKIAQ3EGRIDXH5LMZP7B",
            "sk_live_51H8xYzAbCdEfGhIjKlMnOpQr",
            "x7!Kq2Lm",
        ] {
            assert!(found.iter().any(|one| one.1 == secret), "{found:?}");
        }
        for text in [
            r"C:\new\test\build\release\fonts",
            r"\nabla \times \rho = \frac{a}{b}",
            r"grep -P '\bpass(word|wd)\b.*\n' C:\token\file",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
        for text in [
            r"psexec \\10.0.0.4 -u CORP\rob -p x7!Kq2Lm cmd",
            r"curl -u CORP\bob:x7!Kq2Lm https://a.internal",
            r"login: CORP\tom / x7!Kq2Lm",
        ] {
            let found = likely(text);
            assert!(found.iter().any(|one| one.1 == "x7!Kq2Lm"), "{text}");
        }
    }

    fn pieces() -> impl Strategy<Value = Vec<String>> {
        let told = prop_oneof![
            Just("password"),
            Just(" is "),
            Just("="),
            Just(": \""),
            Just("token"),
            Just("api_key"),
            Just("ghp_"),
            Just("eyJhbGciOi"),
            Just("sk-"),
            Just("AKIA"),
            Just("postgres://u:"),
            Just("@"),
            Just("\n"),
            Just("\\n"),
            Just("\\"),
            Just(" "),
            Just("-----BEGIN RSA PRIVATE KEY-----\n"),
            Just("\""),
            Just("Bearer "),
            Just("xoxb-"),
            Just("."),
            Just("for"),
            Just("key"),
            Just("--"),
        ];
        let any = prop_oneof![
            3 => told.prop_map(str::to_owned),
            2 => "[A-Za-z0-9+/_-]{1,24}",
            1 => "[A-Z2-7]{16}|[a-z0-9 .,é'`<>]{0,6}",
        ];
        prop::collection::vec(any, 0..24)
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(pieces in pieces(), cut in 1usize..9) {
            let text = pieces.concat();
            let all = ALL.clone();
            let mut scan = Scan::new(all.clone(), Arc::new([]));
            let mut by_pieces = Vec::new();
            let characters: Vec<char> = text.chars().collect();
            for piece in characters.chunks(cut) {
                by_pieces.extend(scan.push(&piece.iter().collect::<String>()));
            }
            by_pieces.extend(scan.finish(""));
            let mut at_once = Scan::new(all, Arc::new([])).finish(&text);
            for found in [&mut by_pieces, &mut at_once] {
                found.sort_by_key(|one| {
                    (one.span.start, one.span.end, one.kind, one.score.to_bits())
                });
            }
            prop_assert_eq!(by_pieces, at_once);
        }
    }
}
