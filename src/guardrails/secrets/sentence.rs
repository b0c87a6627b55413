//! What a sentence calls a password, a key or a token, and the value that follows.

use std::ops::Range;

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::name::{
    called_key, called_password, called_secret, is_english, is_other, name, opening,
};
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

/// What a value in a sentence may stand behind.
const OPENING: [char; 5] = ['"', '\'', '`', '*', '('];

/// What there is for passwords and is none, beside what names of variables tell.
const FOR_PASSWORDS: [&str; 18] = [
    "prompt",
    "input",
    "box",
    "screen",
    "dialog",
    "form",
    "button",
    "link",
    "email",
    "vault",
    "generator",
    "checker",
    "strength",
    "rules",
    "requirements",
    "change",
    "recovery",
    "protection",
];

fn said(candidate: &Candidate<'_>, kind: Kind) -> Option<Verdict> {
    let (name, end) = name(candidate);
    let text = candidate.text;
    if is_of_password(&name, text.get(end..)?) {
        return None;
    }
    let start = text.rfind(char::is_whitespace)? + 1;
    // A verb stands in no program.
    let is_verb = !text.get(..start)?.trim_end().ends_with(':');
    if !is_verb && is_call(text, start) {
        return None;
    }
    spoken(candidate, &name, start, kind)
}

fn told(candidate: &Candidate<'_>, kind: Kind) -> Option<Verdict> {
    let (name, end) = name(candidate);
    let rest = candidate.text.get(end..)?;
    let start = end + rest.rfind([' ', '\t'])? + 1;
    if is_call(candidate.text, start) {
        return None;
    }
    spoken(candidate, &name, start, kind)
}

/// Whether the word after the name makes it another thing's: a password manager is no password.
fn is_of_password(name: &str, rest: &str) -> bool {
    let next = rest.split_whitespace().next().unwrap_or_default();
    let next = next.trim_matches(|c: char| !c.is_alphanumeric());
    let next = next.to_ascii_lowercase();
    FOR_PASSWORDS.contains(&next.as_str()) || is_other(&format!("{name}_{next}"))
}

/// Whether a call begins there, or behind what may open a value.
fn is_call(text: &str, start: usize) -> bool {
    let value = text.get(start..).unwrap_or_default();
    value::is_call(value.trim_start_matches(OPENING))
}

/// A value in a sentence.
fn spoken(candidate: &Candidate<'_>, name: &str, start: usize, kind: Kind) -> Option<Verdict> {
    let opening = opening(name, kind);
    if opening < 0.6 {
        return None;
    }
    let text = candidate.text;
    let rest = text.get(start..)?;
    let start = text.len() - rest.trim_start_matches(OPENING).len();
    let rest = text.get(start..)?;
    let end = start
        + rest
            .trim_end_matches(['.', ',', ';', ':', ')', '*', ']', '}', '\\'])
            .len();
    let part: Range<usize> = start..end;
    let value = text.get(part.clone())?;
    let verdict = value::rated(candidate, part, kind)?;
    if opening < 1.0 && verdict.score < 0.6 {
        return None;
    }
    // What has no digit is a word more often than not.
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let before = text.get(..start)?;
    let is_quoted = before.ends_with(['"', '\'', '`', '*']);
    let before = before.trim_end_matches(OPENING).trim_end();
    let before = before.to_ascii_lowercase();
    let is_english = is_english(text);
    let is_called = match is_english {
        true => ["is", ":", "was", "set to", "changed to"]
            .iter()
            .any(|link| before.ends_with(link)),
        // Where no ends of words tell what is only said of a password, marks must.
        false => is_quoted || before.ends_with(':'),
    };
    let is_word = !is_english && !is_called && value.chars().all(char::is_alphabetic);
    let score = match has_digit {
        false if kind == Kind::Password && is_word => 0.3_f32.min(verdict.score),
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
            "Passwort: Kaninchen",
            "Mein Passwort ist \"Kaninchen\"",
            "Mein Passwort ist Sommer2024!",
            "mi contraseña es Verano2024",
            "Mijn wachtwoord is zomer24",
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

    #[test]
    fn what_is_said_of_a_password_is_none_in_other_languages_either() {
        for text in [
            "Mein Passwort ist abgelaufen, was tun?",
            "Das Passwort ist falsch.",
            "Mein Kennwort ist gesperrt",
            "Das Passwort ist vergessen",
            "Das Passwort ist ungültig",
            "Passwort: erforderlich",
            "Passwort: ungültig",
            "mi contraseña es incorrecta",
            "contraseña: olvidada",
            "Le mot de passe est invalide",
            "Mot de passe : obligatoire",
            "Mijn wachtwoord is verlopen",
            "Het wachtwoord is onjuist",
            "A senha é inválida",
            "Senha: inválida",
            "La password: obbligatoria",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
        let found = likely("Mot de passe : Soleil2024!");
        assert_eq!(found[0].1, "Soleil2024!");
    }

    #[test]
    fn types_and_rules_of_passwords_are_none() {
        for text in [
            "password VARCHAR(255) NOT NULL,",
            "`password` char(60) NOT NULL",
            "password NVARCHAR(128)",
            "password varchar2(64)",
            "password DECIMAL(10,2)",
            "password: String(255)",
            "password: Optional(String(64))",
            "password: z.string().min(8).max(64)",
            "password: z.string().min(8, \"too short\").max(64),",
            "password: yup.string().required().min(8),",
            "password: Joi.string().min(8).max(64).required()",
            "password: faker.internet.password(12)",
            "password: constr(min_length=8)",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
        for text in [
            "password: abc(123)def",
            "my password is Summer(2024)",
            "(the password is hunter2)",
        ] {
            assert!(!likely(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_there_is_for_passwords_is_none() {
        for text in [
            "My password manager is Bitwarden",
            "The password reset is broken",
            "The password policy is strict",
            "the password prompt is frozen",
            "The password field is swordfish-coloured",
            "The password is somewhere in my notes",
            "The API key id is 9f8Kq2LmZx7Vb3Nw5Rt1",
            "{\"pw_short\": \"The password is too short\"}",
            "{\"pw_short\": \"Das Passwort ist zu kurz.\"}",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
