//! What is given as a password, a key or a token: how likely it is one.

use std::ops::Range;

use super::super::patterns::{Candidate, Verdict};
use super::letters::{is_wordy, share_of_words};
use super::{check, words};

/// What something is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// People make these up.
    Password,
    /// Machines do.
    Key,
    /// Anything called secret: either.
    Secret,
}

/// What is less likely is not told.
const LEAST: f32 = 0.2;

/// What stands where a secret is to be put, beside what `check` knows.
const MARKS: [&str; 19] = [
    "${",
    "$(",
    "{{",
    "}}",
    "<",
    "%s",
    "%(",
    "%{",
    "#{",
    "process.env",
    "environ",
    "getenv",
    "env.",
    "env[",
    "secrets.",
    "config.",
    "config[",
    "vars.",
    "->",
];

/// What a secret is said to be where none is given, by its letters.
const NAMES: [&str; 18] = [
    "password",
    "passwort",
    "passwd",
    "pass",
    "pwd",
    "mypassword",
    "userpassword",
    "newpassword",
    "oldpassword",
    "dbpassword",
    "secret",
    "mysecret",
    "secretkey",
    "token",
    "mytoken",
    "apikey",
    "key",
    "string",
];

/// Words with digits, and what is measured in digits.
const WORDS: [&str; 16] = [
    "sha", "md5", "base64", "base32", "utf", "oauth", "hs256", "rs256", "es256", "aes", "rsa",
    "argon2", "pbkdf2", "http", "ed25519", "2fa",
];

/// Names of rules for what is entered as a password.
const RULES: [&str; 16] = [
    "required",
    "required_with",
    "required_if",
    "nullable",
    "sometimes",
    "bail",
    "string",
    "min",
    "max",
    "between",
    "size",
    "confirmed",
    "same",
    "different",
    "current_password",
    "regex",
];

/// Whether it stands in for a secret.
pub(super) fn is_stand_in(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let variable = text.strip_prefix('$').filter(|name| is_name(name));
    let is_variable =
        variable.is_some_and(|name| !has_digit(name) || text.to_ascii_uppercase() == text);
    // The closing one may be cut off.
    let marked = text
        .strip_prefix('[')
        .map(|text| text.trim_end_matches(']'));
    let is_marked = marked.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_alphabetic()))
        || (text.starts_with('[') && text.ends_with(']'));
    is_variable
        || is_marked
        || (text.starts_with('%') && text.ends_with('%'))
        || MARKS.iter().any(|mark| lower.contains(mark))
        || is_named(&lower)
        || (text.len() > 5 && check::is_stand_in(text))
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_named(lower: &str) -> bool {
    let letters = lower.bytes().filter(u8::is_ascii_alphabetic);
    !has_digit(lower) && NAMES.iter().any(|name| letters.clone().eq(name.bytes()))
}

/// A part of a candidate, by how likely it is what it is called. None: it is something else.
pub(super) fn rated(candidate: &Candidate<'_>, part: Range<usize>, kind: Kind) -> Option<Verdict> {
    let text = candidate.text.get(part.clone())?;
    if is_something_else(text) {
        return None;
    }
    let score = match kind {
        _ if is_stand_in(text) => super::STAND_IN,
        Kind::Password => password(text),
        Kind::Key => key(text),
        Kind::Secret => key(text).max(password(text) - 0.12),
    };
    if score < LEAST {
        return None;
    }
    candidate.part(part, score)
}

/// Addresses, paths, calls, dates, names of things in programs.
pub(super) fn is_something_else(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_word = |word: &&str| {
        let rest = lower.strip_prefix(*word);
        rest.is_some_and(|rest| rest.len() <= 4 || rest.starts_with(':'))
    };
    let is_path = ["/", "./", "~/", "../"]
        .iter()
        .any(|root| text.starts_with(root));
    let is_call = text.contains('(') && (text.ends_with(')') || text.ends_with("();"));
    text.contains("://")
        || ["npm:", "file:", "workspace:"]
            .iter()
            .any(|scheme| lower.starts_with(scheme))
        || (is_path && (is_wordy(text) || text.len() < 24))
        || is_call
        || WORDS.iter().any(is_word)
        || is_mail(text)
        || is_amount(&lower)
        || is_access(text)
        || is_rules(text)
        || is_host(text)
        || text.contains("::")
}

/// A call or a chain of calls, as of the type of a column or a rule of a form: `VARCHAR(255)`,
/// `z.string().min(8)`. Its end may be cut off.
pub(super) fn is_call(text: &str) -> bool {
    let Some((name, rest)) = text.split_once('(') else {
        return false;
    };
    let is_in = |c: char| c.is_ascii_alphanumeric() || "_.$".contains(c);
    let is_named = name.chars().all(is_in)
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$');
    is_named
        && match rest.split_once(')') {
            Some((_, after)) => after.is_empty() || after.starts_with(['.', ',', ';', ')', '[']),
            None => name.contains('.') || is_wordy(name),
        }
}

/// Rules that a form in PHP has for what is entered: `required|min:8`.
fn is_rules(text: &str) -> bool {
    text.split('|').all(|rule| {
        let (name, argument) = rule.split_once(':').unwrap_or((rule, ""));
        RULES.contains(&name) && argument.bytes().all(|b| b.is_ascii_graphic())
    })
}

fn is_mail(text: &str) -> bool {
    let host = text.split_once('@').map(|(_, host)| host);
    host.is_some_and(|host| {
        let end = host.rsplit_once('.').map(|(_, end)| end);
        end.is_some_and(|end| end.len() >= 2 && end.bytes().all(|b| b.is_ascii_alphabetic()))
    })
}

/// Numbers with a unit, a version, a date or a time.
fn is_amount(lower: &str) -> bool {
    let rest = lower.trim_start_matches(['v', '$', '#', '+', '-', '=', '>']);
    let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || ".,-/:%".contains(c));
    let has_marks = rest.len() > digits.len() && rest.contains(['.', '-', '/', ':', '%', ',']);
    let units = [
        "",
        "s",
        "m",
        "h",
        "d",
        "k",
        "b",
        "ms",
        "kb",
        "mb",
        "gb",
        "px",
        "em",
        "st",
        "nd",
        "rd",
        "th",
        "min",
        "bit",
        "bits",
        "byte",
        "bytes",
        "day",
        "days",
        "hours",
        "minutes",
        "seconds",
        "chars",
        "char",
        "character",
        "characters",
        "word",
        "words",
        "digit",
        "digits",
        "tokens",
        "x",
    ];
    let unit = digits.trim_matches(['-', '.', ')', ']', '}']);
    rest.len() > digits.len() && units.contains(&unit) && (has_marks || !unit.is_empty())
}

/// A field of something: names with points between.
fn is_access(text: &str) -> bool {
    let mut names = text
        .split(['.', ':', '[', ']'])
        .filter(|name| !name.is_empty());
    let count = names.clone().count();
    count > 1 && names.all(|name| is_name(name) && is_wordy(name))
}

/// The name of a machine, in lower case.
fn is_host(text: &str) -> bool {
    let Some((name, end)) = text.rsplit_once('.') else {
        return false;
    };
    let is_in = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (2..=6).contains(&end.len())
        && end.bytes().all(|b| b.is_ascii_lowercase())
        && name.bytes().all(is_in)
        && name.contains(|c: char| c.is_ascii_lowercase())
}

fn is_name(text: &str) -> bool {
    let is_in = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.bytes().all(is_in) && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn password(text: &str) -> f32 {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    let (digit, letter) = (has(u8::is_ascii_digit), has(u8::is_ascii_alphabetic));
    let inner = text.trim_end_matches(['.', '!', '?', ':', ')', '*']);
    let symbol = inner
        .bytes()
        .any(|byte| byte.is_ascii_punctuation() && !b"_-.'/".contains(&byte));
    match text.chars().count() {
        0..=4 => 0.1,
        5.. if digit && letter && symbol => 0.85,
        5.. if digit && letter => 0.75,
        6.. if letter && symbol => 0.65,
        6.. if digit => 0.6,
        8.. if letter && !is_wordy(text) && !words::is_said_abroad(text) => 0.55,
        _ => 0.3,
    }
}

fn key(text: &str) -> f32 {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    let (digit, letter) = (has(u8::is_ascii_digit), has(u8::is_ascii_alphabetic));
    let cases = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let entropy = check::entropy(text);
    let share = share_of_words(text);
    // With that many digits, letters are hardly words.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let others = text.bytes().filter(|b| !b.is_ascii_alphanumeric()).count();
    let is_dense = digits * 5 >= text.len() && others * 6 <= text.len();
    if (share >= 0.7 && !is_dense) || !letter || !(digit || cases) || text.contains(' ') {
        return 0.2;
    }
    match text.len() {
        16.. if check::is_typed(text) => 0.65,
        20.. if digit && entropy > 3.0 => 0.85,
        24.. if entropy > 4.0 => 0.75,
        18.. if cases && share < 0.4 && entropy > 3.5 => 0.65,
        16.. if digit && entropy > 3.0 => 0.75,
        10.. if digit && entropy > 2.8 => 0.6,
        12.. if cases && share < 0.3 && entropy > 3.0 => 0.6,
        _ => 0.3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_secret_is_something_else() {
        for text in [
            "https://a.b/c",
            "/etc/app/key.pem",
            "get_token()",
            "bob@a.com",
            "8-character",
            "sha256",
            "2024-01-02",
            "v1.2.3",
            "self.password",
            "user.token.value",
            "32bytes",
            "required|min:8|confirmed",
            "min:8",
        ] {
            assert!(is_something_else(text), "{text}");
        }
        for text in ["hunter2", "Summer2024!", "9f8Kq2LmZx7Vb3Nw5Rt1", "P@ssw0rd"] {
            assert!(!is_something_else(text), "{text}");
        }
    }

    #[test]
    fn calls_are_told_by_their_names() {
        for text in [
            "VARCHAR(255)",
            "varchar(255),email",
            "z.string().min(8).max(64)",
            "z.string().min(8",
            "Optional(String(64))",
        ] {
            assert!(is_call(text), "{text}");
        }
        for text in ["Pass(word)123", "x7(Kq2Lm!", "(x7Kq2Lm)", "x7!Kq(2)"] {
            assert!(!is_call(text), "{text}");
        }
    }

    #[test]
    fn variables_stand_in_for_secrets() {
        for text in [
            "${DB_PASS}",
            "$DB_PASS",
            "<token>",
            "{{ x }}",
            "%PASS%",
            "process.env.X",
        ] {
            assert!(is_stand_in(text), "{text}");
        }
        assert!(!is_stand_in("$ummer24Rain"));
    }
}
