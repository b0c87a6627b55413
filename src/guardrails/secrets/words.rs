//! Passwords that are words: told from what else is said of passwords.

/// Of a password that is a word.
pub(super) const PLAIN: f32 = 0.55;

/// What is said of a password, and what programs give in its place.
const SAID: [&str; 126] = [
    "required",
    "optional",
    "wrong",
    "right",
    "correct",
    "incorrect",
    "invalid",
    "valid",
    "empty",
    "blank",
    "missing",
    "weak",
    "strong",
    "secure",
    "insecure",
    "safe",
    "unsafe",
    "secret",
    "hidden",
    "public",
    "private",
    "plain",
    "plaintext",
    "cleartext",
    "hash",
    "hashes",
    "bcrypt",
    "argon",
    "scrypt",
    "basic",
    "digest",
    "none",
    "null",
    "undefined",
    "false",
    "true",
    "string",
    "text",
    "varchar",
    "bytes",
    "bool",
    "boolean",
    "number",
    "integer",
    "object",
    "value",
    "input",
    "prompt",
    "stdin",
    "field",
    "label",
    "title",
    "type",
    "name",
    "username",
    "login",
    "email",
    "admin",
    "please",
    "enter",
    "repeat",
    "confirm",
    "forgot",
    "reset",
    "change",
    "update",
    "create",
    "delete",
    "never",
    "always",
    "already",
    "still",
    "longer",
    "shorter",
    "known",
    "unknown",
    "important",
    "sensitive",
    "different",
    "identical",
    "simple",
    "complex",
    "random",
    "stolen",
    "there",
    "their",
    "this",
    "that",
    "these",
    "those",
    "where",
    "which",
    "something",
    "anything",
    "nothing",
    "about",
    "available",
    "vault",
    "keyring",
    "keychain",
    "environment",
    "default",
    "passphrase",
    "example",
    "visible",
    "maybe",
    "short",
    "quite",
    "rather",
    "pretty",
    "almost",
    "perhaps",
    "broken",
    "forgotten",
    "frozen",
    "rotten",
    "strict",
    "lousy",
    "written",
    "shown",
    "given",
    "chosen",
    "somewhere",
    "elsewhere",
    "everywhere",
    "nowhere",
];

/// How words begin that are said of a password in German, Spanish, French, Portuguese, Italian and
/// Dutch. Their ends differ with what they are said of.
const SAID_ABROAD: [&str; 51] = [
    "abgelaufen",
    "bekannt",
    "benötigt",
    "erforderlich",
    "falsch",
    "geändert",
    "gelöscht",
    "gesperrt",
    "gültig",
    "korrekt",
    "richtig",
    "ungültig",
    "unbekannt",
    "vergessen",
    "zurückgesetzt",
    "bloque",
    "bloqué",
    "caducad",
    "correct",
    "expir",
    "inconnu",
    "incorre",
    "invalid",
    "inválid",
    "modifi",
    "obligato",
    "olvidad",
    "oubli",
    "vencid",
    "válid",
    "errad",
    "esquecid",
    "obrigat",
    "trocad",
    "bloccat",
    "corrett",
    "dimenticat",
    "errat",
    "obbligator",
    "richiest",
    "sbagliat",
    "scadut",
    "geblokkeerd",
    "gewijzigd",
    "onbekend",
    "ongeldig",
    "onjuist",
    "vergeten",
    "verlopen",
    "verplicht",
    "vereist",
];

/// Ends of what a password may be or have happen to it, rather than be called.
const ENDS: [&str; 12] = [
    "ed", "ing", "able", "ible", "ive", "ent", "ly", "ous", "ful", "less", "ment", "tion",
];

/// Parts of names of what holds a password.
const NAMES: [&str; 6] = ["pass", "pwd", "secret", "token", "user", "credential"];

/// What joins the words of a sentence.
const JOINTS: [&str; 18] = [
    "the", "your", "you", "and", "for", "with", "this", "that", "must", "not", "are", "was", "has",
    "have", "from", "will", "can", "please",
];

/// Whether it may be a password though it is a word.
pub(super) fn is_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_in = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.' | b'!');
    let mut words = lower.split(['_', '-', '.', '!']);
    // Of three words and more nothing is said in one.
    let is_said = words.clone().count() < 3 && words.any(|word| SAID.contains(&word));
    (5..=32).contains(&text.len())
        && text.bytes().all(is_in)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !is_said
        && !is_said_abroad(text)
        && !ENDS.iter().any(|end| lower.ends_with(end))
        && !NAMES.iter().any(|word| lower.contains(word))
}

/// Whether it is said of passwords in a language other than English.
pub(super) fn is_said_abroad(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_word = lower.chars().all(char::is_alphabetic);
    is_word && SAID_ABROAD.iter().any(|begin| lower.starts_with(begin))
}

/// Whether it may be a passphrase: some words that make no sentence.
pub(super) fn is_passphrase(text: &str) -> bool {
    let is_word = |word: &str| word.len() >= 3 && word.bytes().all(|b| b.is_ascii_lowercase());
    let words = text.split(' ');
    (4..=8).contains(&words.clone().count())
        && words.clone().all(is_word)
        && !words.clone().any(|word| JOINTS.contains(&word))
        && !NAMES.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_said_of_passwords_are_none() {
        for text in [
            "swordfish",
            "Kaninchen",
            "blue-rabbit",
            "letmein!",
            "correct-horse-battery",
        ] {
            assert!(is_password(text), "{text}");
        }
        assert!(is_passphrase("correct horse battery staple"));
        assert!(!is_passphrase("must not have been used before"));
        for text in [
            "required",
            "case-sensitive",
            "userPassword",
            "stored",
            "x",
            "Obligatoire",
            "falsches",
        ] {
            assert!(!is_password(text), "{text}");
        }
    }
}
