//! What a value is called, and whether what is called so opens something.

use super::super::patterns::Candidate;
use super::value::Kind;

/// What people make up; English first, then the larger European and Asian languages.
macro_rules! called_password {
    () => {
        r"(?i:pass(?:wor[dt]|wd|phrase|code|wrd)?|pwd|(?-u:\b)pw|kennwort|contrase[ñn]a|mot de passe|senha|wachtwoord|hasło|пароль|密码|密碼|パスワード|비밀번호)"
    };
}

/// What machines make up.
macro_rules! called_key {
    () => {
        r"(?i:key|token|schlüssel|chave|密钥|令牌)"
    };
}

/// What either makes up.
macro_rules! called_secret {
    () => {
        r"(?i:secret|credentials?|creds?)"
    };
}

pub(super) use {called_key, called_password, called_secret};

/// Words in names of what is no secret though a part is called so.
const NOT_SECRET: [&str; 72] = [
    "public",
    "pub",
    "hash",
    "hashed",
    "sha",
    "sha1",
    "sha256",
    "md5",
    "digest",
    "fingerprint",
    "checksum",
    "integrity",
    "url",
    "uri",
    "path",
    "file",
    "filename",
    "dir",
    "name",
    "type",
    "field",
    "label",
    "count",
    "length",
    "len",
    "size",
    "limit",
    "max",
    "min",
    "policy",
    "expires",
    "expiry",
    "expiration",
    "ttl",
    "timeout",
    "index",
    "primary",
    "foreign",
    "cache",
    "sort",
    "partition",
    "group",
    "next",
    "page",
    "cursor",
    "continuation",
    "csrf",
    "xsrf",
    "idempotency",
    "dedup",
    "version",
    "format",
    "regex",
    "pattern",
    "column",
    "placeholder",
    "hint",
    "error",
    "message",
    "reset",
    "author",
    "eos",
    "bos",
    "pad",
    "object",
    "row",
    "translation",
    "native",
    "desc",
    "description",
    "model",
    "encoding",
];

/// Words that begin like what opens something.
const NOT_BEGUN: [&str; 6] = [
    "tokeni", "credit", "secretar", "keyboard", "keyword", "passiv",
];

/// Kinds of keys that open something.
const OPENING: [&str; 26] = [
    "api",
    "access",
    "auth",
    "private",
    "account",
    "master",
    "encrypt",
    "sign",
    "secret",
    "app",
    "subscription",
    "service",
    "licen",
    "storage",
    "shared",
    "session",
    "webhook",
    "admin",
    "jwt",
    "client",
    "server",
    "deploy",
    "ssh",
    "token",
    "write",
    "hmac",
];

/// The name that is given a value: what the context has of it, and where it ends.
pub(super) fn name(candidate: &Candidate<'_>) -> (String, usize) {
    let is_in = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let begins = candidate.before.trim_end_matches(is_in).len();
    let first = candidate.before.get(begins..).unwrap_or_default();
    // A name of several words ends with the last of them.
    let first_words = match starts_with(candidate.text, "mot de passe") {
        true => "mot de ".len(),
        false => 0,
    };
    let last_word = candidate.text.get(first_words..).unwrap_or_default();
    let end = last_word
        .find(|c| !is_in(c))
        .map_or(0, |length| first_words + length);
    let rest = candidate.text.get(..end).unwrap_or_default();
    // A word before it: an API key, an access token.
    let words = candidate.before.get(..begins).unwrap_or_default();
    let is_sentence = first.is_empty() && words.ends_with(' ');
    let mut last = words
        .trim_end()
        .rsplit(|c: char| c.is_whitespace() || c == '"');
    let word = last.next().filter(|_| is_sentence).unwrap_or_default();
    (snake_case(&[word, "_", first, rest].concat()), end)
}

/// Whether a text begins so, whatever the case of ASCII letters.
fn starts_with(text: &str, beginning: &str) -> bool {
    let begun = text.get(..beginning.len());
    begun.is_some_and(|begun| begun.eq_ignore_ascii_case(beginning))
}

/// Whether a password is called so in English, in which more is known of what is said of it.
pub(super) fn is_english(called: &str) -> bool {
    ["pass", "pwd", "pw"]
        .iter()
        .any(|name| starts_with(called, name))
        && !starts_with(called, "passwort")
}

/// A name in lower case with a line between its words.
fn snake_case(name: &str) -> String {
    let mut words = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && was_lower {
            words.push('_');
        }
        was_lower = c.is_lowercase();
        match c.is_alphanumeric() {
            true => words.extend(c.to_lowercase()),
            false => words.push('_'),
        }
    }
    words
}

/// How likely what has this name opens something, of what is likely a secret by its form.
pub(super) fn opening(name: &str, kind: Kind) -> f32 {
    if is_other(name) {
        return 0.0;
    }
    match kind {
        Kind::Password if is_compound(name) => 0.0,
        Kind::Password | Kind::Secret => 1.0,
        Kind::Key if OPENING.iter().any(|part| name.contains(part)) => 1.0,
        // A map has keys too; those of somebody or something are in doubt.
        Kind::Key
            if ["_key", "_token"]
                .iter()
                .any(|end| name.len() > end.len() + 1 && name.ends_with(end)) =>
        {
            0.9
        }
        Kind::Key if name.ends_with("token") => 0.8,
        Kind::Key if name.ends_with("key") => 0.65,
        Kind::Key => 0.0,
    }
}

/// Whether what has this name is no secret, whatever its value looks like.
pub(super) fn is_other(name: &str) -> bool {
    let is_word = |word: &str| {
        NOT_SECRET.contains(&word) || NOT_BEGUN.iter().any(|begin| word.starts_with(begin))
    };
    name.split('_').any(is_word) || is_reference(name)
}

/// Whether a value stands after such a name.
pub(super) fn is_of_other(before: &str) -> bool {
    let is_mark = |c: char| c.is_whitespace() || ":=>\"'`[(".contains(c);
    let named = before.trim_end_matches(is_mark);
    let is_given = before
        .get(named.len()..)
        .is_some_and(|marks| marks.contains([':', '=']));
    let is_in = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name = named.get(named.trim_end_matches(is_in).len()..);
    is_given && name.is_some_and(|name| is_other(&snake_case(name)))
}

/// The name of something else that leads to a secret.
fn is_reference(name: &str) -> bool {
    let ends = [
        "id", "ids", "ref", "source", "manager", "store", "provider", "results", "arn",
    ];
    let last = name.rsplit('_').next().unwrap_or_default();
    ends.contains(&last) || ["keyid", "keyids"].iter().any(|end| last.ends_with(end))
}

/// A compass, a passage, to pass, what begins like the abbreviation.
fn is_compound(name: &str) -> bool {
    let last = name.rsplit('_').next().unwrap_or_default();
    let rest = last.strip_prefix("pw").unwrap_or_default();
    if rest.starts_with(|c: char| c.is_ascii_alphabetic() && c != 'd') {
        return true;
    }
    let Some((before, rest)) = name.rsplit_once("pass") else {
        return false;
    };
    let known = ["word", "wort", "wd", "phrase", "code", "wrd"];
    let is_longer = rest.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_known = before.ends_with("mot_de_") || known.iter().any(|word| rest.starts_with(word));
    (is_longer && !is_known)
        || ["com", "by", "tres", "sur", "en", "mini", "over"]
            .iter()
            .any(|part| before.ends_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_opens_something() {
        for (name, kind) in [
            ("dbPassword", Kind::Password),
            ("ADMIN_PASS", Kind::Password),
            ("X-Api-Key", Kind::Key),
            ("authorizationToken", Kind::Key),
            ("client_secret", Kind::Secret),
        ] {
            assert_eq!(opening(&snake_case(name), kind), 1.0, "{name}");
        }
        for (name, kind) in [
            ("passage", Kind::Password),
            ("compass", Kind::Password),
            ("password_hash", Kind::Password),
            ("publicKey", Kind::Key),
            ("keys", Kind::Key),
            ("next_page_token", Kind::Key),
            ("credentialsId", Kind::Secret),
        ] {
            assert_eq!(opening(&snake_case(name), kind), 0.0, "{name}");
        }
    }
}
