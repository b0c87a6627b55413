//! Passwords that are words: told from what else is said of passwords.

/// What is said of a password, and what programs give in its place.
const SAID: [&str; 106] = [
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
];

/// Ends of what a password may be or have happen to it, rather than be called.
const ENDS: [&str; 12] = [
    "ed", "ing", "able", "ible", "ive", "ent", "ly", "ous", "ful", "less", "ment", "tion",
];

/// Whether it may be a password though it is a word.
pub(super) fn is_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_in = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.' | b'!');
    let is_said = |word: &str| SAID.contains(&word);
    (5..=24).contains(&text.len())
        && text.bytes().all(is_in)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !lower.split(['_', '-', '.', '!']).any(is_said)
        && !ENDS.iter().any(|end| lower.ends_with(end))
        && !["pass", "pwd", "secret", "token", "user", "credential"]
            .iter()
            .any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_said_of_passwords_are_none() {
        for text in ["swordfish", "Kaninchen", "blue-rabbit", "letmein!"] {
            assert!(is_password(text), "{text}");
        }
        for text in ["required", "case-sensitive", "userPassword", "stored", "x"] {
            assert!(!is_password(text), "{text}");
        }
    }
}
