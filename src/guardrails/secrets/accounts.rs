//! Credentials that nothing calls so: beside a user's name, in options of commands, in SQL, in files
//! of passwords.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::value::{self, Kind};
use super::{DISTINCT, STAND_IN, check, letters, secret};

pub(super) static PATTERNS: [Pattern; 7] = [
    // Options of commands that take a password.
    secret(
        "password",
        r#"(?:(?-u:\b)(?i-u:psexec(?:\.exe)?|mysql(?:dump|admin|import)?|mariadb|docker|podman|az[ ]login|redis-cli|ldap[a-z]{3,9}|smbclient|mongo(?:sh|dump|export)?|htpasswd|winrs|evil-winrm|l?ftp|cqlsh|xfreerdp|rabbitmqadmin|crackmapexec|net use)[ \t](?:[^\r\n]{0,160}?[ \t])?-(?:p|a|w|passin)[ =]?["']?|(?i-u:SecureString|net user)[ \t(]{1,3}(?:-[A-Za-z]{1,14}[ \t]{1,3}){0,3}(?:[A-Za-z0-9_.-]{1,32}[ \t]{1,3})?\\?["']?)[^\x00-\x20"'`<>,;)\\]{5,}"#,
        option,
    ),
    secret(
        "bearer_token",
        r#"(?-u:\b)--(?:oauth2-bearer|header-token)[ =]["']?[^\x00-\x20"'`<>,;]{12,}"#,
        last,
    ),
    // What SQL gives a user: IDENTIFIED BY 'x', PASSWORD 'x', PASSWORD('x').
    secret(
        "password",
        r#"(?i-u:identified[ \t]{1,3}(?:with[ \t]{1,3}[a-z0-9_]{1,32}[ \t]{1,3})?(?:by|as)(?:[ \t]{1,3}password)?|(?-u:\b)password)[ \t(]{1,3}['"][^'"[:space:]]{4,64}['"]"#,
        quoted,
    ),
    // A line of .pgpass: host:port:database:user:password.
    // https://www.postgresql.org/docs/current/libpq-pgpass.html
    secret(
        "password",
        r"(?-u:\b)[A-Za-z*][A-Za-z0-9.*-]{0,64}:(?:[0-9]{4,5}|\*):[^[:space:]:/]{1,32}:[^[:space:]:/]{1,32}:[^\x00-\x20:]{5,}",
        |candidate| at(candidate, candidate.text.rfind(':')? + 1, 0.6),
    ),
    // What crypt(3) makes of a password, as in /etc/shadow and htpasswd: it can be guessed.
    secret(
        "password_hash",
        r"\$(?:1|2[abxy]|5|6|7|8|9|y|apr1|argon2(?:id|i|d))\$[A-Za-z0-9./$=,+]{20,}",
        |candidate| match check::is_stand_in(candidate.text) {
            true => candidate.whole(STAND_IN),
            false => candidate.whole(0.6),
        },
    ),
    // What docker, npm and others keep: base64 of name and password.
    secret(
        "basic_auth",
        r#"(?:"_?auth"[[:space:]]{0,3}:[[:space:]]{0,3}"|(?-u:\b)_auth[ \t]{0,2}=[ \t]{0,2})[A-Za-z0-9+/_=-]{8,}"#,
        docker,
    ),
    // "login admin:hunter2", "credentials are root / hunter2"
    secret(
        "password",
        r#"(?-u:\b)(?:(?i-u:log[ -]?ins?(?:[ ]data)?|credentials?|creds?|account)(?:[ \t](?:is|are|with|as|using|to|for[ ][A-Za-z]{1,16}))?[ \t]{0,2}[:=]?[[:space:]]{1,2}["'`]?[A-Za-z][A-Za-z0-9._@\\\x0b-]{1,40}["'`]?(?:[/|]|(?::|[ \t]{1,2}[/|:-][ \t]{1,2}))|(?i-u:root|admin|administrator|sysadmin)["'`]?(?::|[ \t]{1,2}[/|:-][ \t]{1,2}))["'`]?[^\x00-\x20"'`<>,;/:][^\x00-\x20"'`<>,;]{4,}"#,
        beside,
    ),
];

fn option(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    // These two have no option for it.
    let begin = text.get(..3)?.to_ascii_lowercase();
    if begin == "sec" || begin == "net" {
        return last(candidate);
    }
    let option = text.rfind([' ', '\t'])? + 1;
    let last = text.get(option..)?;
    // The value may be glued to its option.
    let start = match last.strip_prefix('-') {
        Some(_) => option + 2,
        None => option,
    };
    let rest = text.get(start..)?;
    let start = text.len() - rest.trim_start_matches(['"', '\'', '=']).len();
    let verdict = at(candidate, start, 0.3)?;
    // Of this one nothing else follows the option.
    let is_only = text.get(..6)?.eq_ignore_ascii_case("psexec");
    let is_word = is_only && verdict.score > STAND_IN && verdict.score < 0.5;
    match is_word {
        true => Some(Verdict {
            score: 0.55,
            ..verdict
        }),
        false => (verdict.score > 0.5).then_some(verdict),
    }
}

/// Its last word.
fn last(candidate: &Candidate<'_>) -> Option<Verdict> {
    let is_between = |c: char| c.is_whitespace() || "\"'=(\\".contains(c);
    let word = candidate.text.trim_end_matches('=').rfind(is_between)? + 1;
    at(candidate, word, 0.6)
}

fn quoted(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text.get(..candidate.text.len() - 1)?;
    let start = text.rfind(['"', '\''])? + 1;
    let word = text.get(start..)?;
    let is_said = value::is_stand_in(word) || word.contains(['%', '$', '?']) || word.len() < 5;
    let is_sql = candidate
        .text
        .to_ascii_lowercase()
        .starts_with("identified");
    if value::is_something_else(word) || (!is_sql && letters::is_wordy(word)) {
        return None;
    }
    let score = if is_said { STAND_IN } else { 0.7 };
    candidate.part(start..text.len(), score)
}

fn docker(candidate: &Candidate<'_>) -> Option<Verdict> {
    let end = candidate.text.trim_end_matches('=').rfind(['"', '=', ' ']);
    let start = end? + 1;
    let credentials = String::from_utf8(check::from_base64(candidate.text.get(start..)?)?).ok()?;
    let (name, password) = credentials.split_once(':')?;
    let is_text = !credentials.contains(char::is_control) && !name.is_empty();
    let score = match value::is_stand_in(password) {
        true => STAND_IN,
        false => DISTINCT - 0.05,
    };
    (is_text && !password.is_empty()).then(|| candidate.part(start..candidate.text.len(), score))?
}

/// A password beside a name.
fn beside(candidate: &Candidate<'_>) -> Option<Verdict> {
    let is_between = |c: char| c.is_whitespace() || "\"'`:/|".contains(c);
    let start = candidate.text.rfind(is_between)? + 1;
    at(candidate, start, 0.75)
}

/// What begins there, when it is likely enough a password.
fn at(candidate: &Candidate<'_>, start: usize, least: f32) -> Option<Verdict> {
    let rest = candidate.text.get(start..)?;
    let end = start
        + rest
            .trim_end_matches(['.', ',', ')', ']', '}', '\\', '*'])
            .len();
    let verdict = value::rated(candidate, start..end, Kind::Password)?;
    (verdict.score >= least).then_some(Verdict {
        score: verdict.score - 0.05,
        ..verdict
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;

    #[test]
    fn passwords_are_found_beside_names_and_options() {
        for text in [
            "psexec \\\\10.0.0.4 -u bob -p x7!Kq2Lm cmd",
            "mysql -h db -u root -px7!Kq2Lm shop",
            "redis-cli -h cache -a x7!Kq2Lm ping",
            "ConvertTo-SecureString -String \"x7!Kq2Lm\" -AsPlainText",
            "CREATE USER bob IDENTIFIED BY 'x7!Kq2Lm';",
            "ALTER ROLE bob WITH PASSWORD 'x7!Kq2Lm';",
            "db.internal:5432:shop:bob:x7!Kq2Lm",
            "login admin:x7!Kq2Lm",
            "credentials: bob / x7!Kq2Lm",
            "it is root / x7!Kq2Lm now",
            "http login is admin:x7!Kq2Lm.",
        ] {
            let found = likely(text);
            assert!(
                found.iter().any(|one| one.1 == "x7!Kq2Lm"),
                "{text}: {found:?}"
            );
        }
        // {"auths": {"hub": {"auth": base64 of bob:x7!Kq2Lm}}}
        let found = likely(r#"{"auths":{"hub":{"auth":"Ym9iOng3IUtxMkxt"}}}"#);
        assert_eq!(found[0].0, "basic_auth");
        assert_eq!(likely("_auth=Ym9iOng3IUtxMkxt")[0].0, "basic_auth");
        let found = likely("bob:$apr1$q8Zk2LmX$hT5vB9nR3wY7cD1eF6gJ0.");
        assert_eq!(found[0].0, "password_hash");
    }

    #[test]
    fn names_and_options_are_no_passwords() {
        for text in [
            "docker run -p 8080:80 -p 127.0.0.1:5432:5432 nginx",
            "mysql -u root -p shop",
            "root:x:0:0:root:/root:/bin/bash",
            "the login page at admin/index2.html",
            "log in as admin: then open the page",
            "sign in with Google or GitHub - whichever2 you like",
            "CREATE USER bob IDENTIFIED BY '%s'",
            "<input type=\"password\" name=\"p1\">",
            "account 12:30:45 to 13:00:00",
            "a price of $5$ or $6$ each",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
