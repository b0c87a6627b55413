//! Addresses, headers and commands with credentials.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::name::{name, opening};
use super::value::{self, Kind};
use super::{DISTINCT, STAND_IN, check, letters, random, secret};

pub(super) static PATTERNS: [Pattern; 9] = [
    secret(
        "connection_string",
        r#"(?i:(?-u:\b)(?:postgres(?:ql)?|mysqlx?|mariadb|mongodb|rediss?|valkeys?|amqps?|mssql|sqlserver|oracle|db2|clickhouse|cockroachdb|snowflake|cassandra|neo4j|bolt|couchbases?|influxdb|nats|kafka|mqtts?|stomp|ldaps?|smtps?|imaps?|s?ftps?|ssh|smb|rtsps?|vnc|redshift|trino|presto|hive|elasticsearch)(?:\+[a-z0-9_]{1,12}){0,2})://[^[:space:]:@/"'<>`]{0,128}:[^[:space:]@/"'<>`]{1,256}@[^[:space:]"'<>`]{1,4}"#,
        address,
    ),
    secret(
        "url_password",
        r#"(?i:(?-u:\b)(?:https?|git|svn|wss?|socks5h?|proxy)(?:\+[a-z]{1,8})?)://[^[:space:]:@/"'<>`]{0,128}:[^[:space:]@/"'<>`]{1,256}@[^[:space:]"'<>`]{1,4}"#,
        address,
    ),
    // RFC 7617
    secret(
        "basic_auth",
        r"(?i:(?-u:\b)basic)[ \t]{1,4}[A-Za-z0-9+/_=-]{8,}",
        basic,
    ),
    // RFC 6750
    secret(
        "bearer_token",
        r"(?i:(?-u:\b)bearer)[ \t:]{1,4}[A-Za-z0-9_.~+/=-]{12,}",
        bearer,
    ),
    // "Authorization: Token x", and what else stands before a token in its setting.
    secret(
        "generic_api_key",
        r#"(?i-u:secret|token|key|auth(?:orization)?)[A-Za-z0-9_-]{0,16}["']{0,2}[ \t]{0,4}[:=>][ \t]{0,4}["'{]{0,2}(?:[A-Za-z][A-Za-z0-9_-]{1,24}[ \t]){1,2}[A-Za-z0-9+/_.~=-]{16,}"#,
        scheme,
    ),
    // Sessions in cookies.
    secret(
        "session_cookie",
        r"(?i-u:cookie)[: \t][^\r\n]{0,120}?(?i-u:sess[a-z_]{0,12}|[a-z._]{0,12}sid|auth[a-z_]{0,12}|jwt)=[A-Za-z0-9%._~+/-]{16,}",
        |candidate| strong(candidate, candidate.text.rfind('=')? + 1),
    ),
    // Parameters of an address, by names that are too short to tell elsewhere.
    secret(
        "generic_api_key",
        r"[?&](?i-u:key|k|code|auth|sig|signature|app_?id|app_?key|hapikey|subscription-key|access|sid)=[A-Za-z0-9%._~+/=-]{16,}",
        parameter,
    ),
    secret(
        "password",
        r#"(?-u:\b)(?:curl|wget|http)[^\n]{0,120}?[ \t](?:-u|--user)[ =]{0,3}["']?(?:[^[:space:]:"'$<{]|\x0b){1,64}:[^\x00-\x20"']{4,}"#,
        |candidate| after(candidate, candidate.text.rfind(':')? + 1),
    ),
    secret(
        "password",
        r#"(?-u:\b)sshpass[ \t]{1,2}-p[ \t]{0,2}["']?[^\x00-\x20"']{4,}"#,
        |candidate| after(candidate, candidate.text.find("-p")? + 2),
    ),
];

/// The password between name and host.
fn address(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let start = text.find("://")? + 3;
    let end = text.rfind('@')?;
    let (name, password) = text.get(start..end)?.split_once(':')?;
    let part = end - password.len()..end;
    let score = match value::is_stand_in(password) {
        true => STAND_IN,
        // As in countless examples.
        false if password.eq_ignore_ascii_case(name) || is_usual(password) => 0.4,
        false => DISTINCT,
    };
    candidate.part(part, score)
}

fn is_usual(password: &str) -> bool {
    let lower = password.to_ascii_lowercase();
    [
        "pass", "password", "passwd", "pwd", "secret", "admin", "root", "token", "test", "guest",
    ]
    .contains(&lower.as_str())
}

fn basic(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let at = text.rfind([' ', '\t'])? + 1;
    let credentials = String::from_utf8(check::from_base64(text.get(at..)?)?).ok()?;
    let (_, password) = credentials.split_once(':')?;
    if credentials.contains(char::is_control) {
        return None;
    }
    let score = match password.is_empty() || value::is_stand_in(password) {
        true => STAND_IN,
        false => DISTINCT - 0.05,
    };
    candidate.part(at..text.len(), score)
}

fn bearer(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text.trim_end_matches('.');
    let at = text.rfind([' ', '\t', ':'])? + 1;
    value::rated(candidate, at..text.len(), Kind::Key)
}

fn scheme(candidate: &Candidate<'_>) -> Option<Verdict> {
    let (name, _) = name(candidate);
    let at = candidate.text.rfind([' ', '\t'])? + 1;
    (opening(&name, Kind::Secret) > 0.0).then(|| strong(candidate, at))?
}

fn parameter(candidate: &Candidate<'_>) -> Option<Verdict> {
    strong(candidate, candidate.text.find('=')? + 1)
}

/// What begins there, when it is surely a key.
fn strong(candidate: &Candidate<'_>, at: usize) -> Option<Verdict> {
    let text = candidate.text.trim_end_matches('.');
    let key = text.get(at..)?;
    let verdict = value::rated(candidate, at..text.len(), Kind::Key)?;
    let is_strong = verdict.score > STAND_IN && is_key(key) && !random::is_public(key);
    is_strong.then_some(Verdict {
        score: 0.7,
        ..verdict
    })
}

/// Random, or hexadecimal and as long as a key.
fn is_key(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    random::is_random(text) || (digits >= 3 && letters::share_of_words(text) < 0.35)
}

fn after(candidate: &Candidate<'_>, at: usize) -> Option<Verdict> {
    let text = candidate.text;
    let rest = text.get(at..)?;
    let at = text.len() - rest.trim_start_matches([' ', '\t', '"', '\'', '=']).len();
    value::rated(candidate, at..text.len(), Kind::Password)
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;

    #[test]
    fn passwords_in_addresses_are_found_alone() {
        for text in [
            "postgres://app:s3cr3t-Pw@db.internal:5432/app",
            "mongodb+srv://me:s3cr3t-Pw@cluster0.mongodb.net",
            "redis://:s3cr3t-Pw@10.0.0.1",
            "git clone https://ci:s3cr3t-Pw@git.internal/x.git",
            "curl -s -u ci:s3cr3t-Pw https://a.internal",
            "sshpass -p s3cr3t-Pw ssh me@host",
        ] {
            let found = likely(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].1, "s3cr3t-Pw", "{text}");
        }
        for text in [
            "postgres://user:password@localhost/db",
            "mysql://${USER}:${PASS}@host",
            "https://example.com:8080/a@b",
            "redis://user:<password>@host",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }

    #[test]
    fn headers_with_credentials_are_found() {
        let found = likely("Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1lNw==");
        assert_eq!(found[0].0, "basic_auth");
        assert!(likely("a basic understanding of things").is_empty());
        let found = likely("Authorization: Bearer 9f8Kq2LmZx7Vb3Nw5Rt1");
        assert_eq!(found[0].0, "bearer_token");
        for text in [
            "Authorization: Token 9f8Kq2LmZx7Vb3Nw5Rt1",
            "https://a.b/c?x=1&appid=9f8Kq2LmZx7Vb3Nw5Rt1",
            "Set-Cookie: lang=en; sessionid=9f8Kq2LmZx7Vb3Nw5Rt1; HttpOnly",
        ] {
            let found = likely(text);
            assert!(
                found.iter().any(|one| one.1 == "9f8Kq2LmZx7Vb3Nw5Rt1"),
                "{text}: {found:?}"
            );
        }
        for text in [
            "public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIXrZNKU3IDsQ9NAS5B",
            "https://a.b/c?code=confirmation-required&key=users-by-name",
            "Cookie: theme=dark; session=none",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
        assert!(likely("Bearer authentication-required").is_empty());
    }
}
