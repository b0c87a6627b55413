//! What a text calls a password, a key or a token: in programs and settings.
//!
//! A match begins with what it is called, not with the name that this is a part of: nothing is
//! held back in a stream before that. So the rest of the name is looked for in the context.

use super::super::folded::ESCAPE;
use super::super::patterns::{Candidate, Pattern, Verdict};
use super::name::{called_key, called_password, called_secret, name, opening};
use super::value::{self, Kind};
use super::{letters, secret, words};

/// The value of a name: in a program, a setting, a table, an element, a call.
macro_rules! assigned {
    ($name:expr) => {
        concat!(
            $name,
            r#"[A-Za-z0-9_.-]{0,24}\\?["'`\]*]{0,3}[[:space:]]{0,16}(?::[ \t]{0,2}[A-Za-z&'? ]{1,16}=|[:=]{1,3}>?|->|[|]{1,2}|[,(>{]|-[ \t])[ \t*]{0,8}"#,
            r#"(?:(?:[[:space:]]{1,24}|[A-Za-z(]{0,9}\\?)"[^"\r\n]{1,200}|(?:[[:space:]]{1,24}|[A-Za-z(]{0,9})'[^'\r\n]{1,200}|`[^`\r\n]{1,200}|[^\x00-\x20"'`<>,;\\])[^\x00-\x20"'`<>\\]*"#
        )
    };
}

pub(super) static PATTERNS: [Pattern; 3] = [
    secret("password", assigned!(called_password!()), |candidate| {
        assigned(candidate, Kind::Password)
    }),
    secret("generic_api_key", assigned!(called_key!()), |candidate| {
        assigned(candidate, Kind::Key)
    }),
    secret("generic_secret", assigned!(called_secret!()), |candidate| {
        assigned(candidate, Kind::Secret)
    }),
];

fn assigned(candidate: &Candidate<'_>, kind: Kind) -> Option<Verdict> {
    let (name, end) = name(candidate);
    let opening = opening(&name, kind);
    if opening == 0.0 {
        return None;
    }
    let text = candidate.text;
    let is_between = |c: char| c.is_whitespace() || ":=>|,({*\"'`\\]-".contains(c);
    let rest = text.get(end..)?;
    // The next line of a list is another thing.
    let is_list = |between: &str| between.contains(['\n', ESCAPE]) && between.contains(',');
    let mut start = text.len() - rest.trim_start_matches(is_between).len();
    let between = text.get(end..start)?;
    // What a template puts in.
    if is_list(between) || between.contains("{{") {
        return None;
    }
    let mut value = text.get(start..)?;
    // The type of a variable, or what makes a string of a literal.
    let typed = value.find(['"', '\'']).filter(|at| *at <= 20);
    let typed = typed.filter(|at| {
        let is_type = |c: char| c.is_ascii_alphabetic() || " =&?:('".contains(c);
        value
            .get(..*at)
            .is_some_and(|before| before.chars().all(is_type))
    });
    let mut is_quoted = between.contains(['"', '\'', '`']) && between.ends_with(['"', '\'', '`']);
    if let Some(at) = typed {
        start += at + 1;
        is_quoted = true;
        value = text.get(start..)?;
    }
    let end = match is_quoted {
        true => {
            let before = text.get(..start).unwrap_or_default();
            let quote = before
                .chars()
                .next_back()
                .filter(|c| *c != '\'')
                .unwrap_or('"');
            value.find(quote).unwrap_or(value.len())
        }
        false => bare_end(value, candidate),
    };
    let value = value.get(..end)?;
    let is_code = !is_quoted && is_program(between, value);
    if is_quoted && kind == Kind::Password && words::is_passphrase(value) {
        return candidate.part(start..start + end, words::PLAIN);
    }
    if is_code || is_sentence(value) || is_prompt(value) {
        return None;
    }
    let part = start..start + end;
    let verdict = value::rated(candidate, part, kind)?;
    let is_plain = kind == Kind::Password
        && verdict.score > super::STAND_IN
        && verdict.score < 0.5
        && words::is_password(value)
        && is_setting(candidate, between, is_quoted);
    if is_plain {
        return Some(Verdict {
            score: words::PLAIN,
            ..verdict
        });
    }
    let is_weak = !is_quoted && between.contains([',', '(', '|', '>']);
    let score = match is_weak {
        true => (verdict.score - 0.15).max(0.0),
        false => verdict.score,
    };
    let score = score * opening;
    Some(Verdict { score, ..verdict })
}

/// Whether it is told to a person: several words.
fn is_sentence(value: &str) -> bool {
    let is_in = |c: char| c.is_alphabetic() || ".,:;!?'…".contains(c);
    let is_word = |word: &str| letters::is_wordy(word) || word.chars().all(is_in);
    value.trim().contains(' ') && value.split(' ').all(is_word)
}

/// Whether it asks for a password, or its quote ends what asks for one and a program goes on:
/// `printf("Password: "); scanf("%s", password);`.
fn is_prompt(value: &str) -> bool {
    let asks = value.trim().contains(' ') && value.trim_end().ends_with(':');
    let mut marks = value.trim_start().chars();
    let goes_on = marks.next().is_some_and(|c| ");,+.<&".contains(c))
        && marks
            .next()
            .is_some_and(|c| c.is_whitespace() || ");<$".contains(c));
    asks || goes_on
}

/// Whether a word is given as a value, not the name of something in a program: in quotes, in a
/// connection string, or to a variable of the environment.
fn is_setting(candidate: &Candidate<'_>, between: &str, is_quoted: bool) -> bool {
    let is_assigned = between.contains(['=', ':']) && !between.contains("==");
    let is_string =
        between == "=" && (candidate.before.contains(';') || candidate.text.contains(';'));
    let name = candidate.text.split('=').next().unwrap_or_default();
    let is_variable = between == "=" && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    is_assigned && (is_quoted || is_string || is_variable)
}

/// Where a value ends that has no quotes.
fn bare_end(value: &str, candidate: &Candidate<'_>) -> usize {
    let is_query = candidate.before.rfind(['?', '&']).is_some_and(|at| {
        candidate
            .before
            .get(at..)
            .is_some_and(|rest| !rest.contains(' '))
    });
    let end = match is_query || candidate.before.contains("://") {
        true => value.find(['&', '#', '}', ')']).unwrap_or(value.len()),
        false => value.len(),
    };
    let kept = value.get(..end).unwrap_or(value);
    let kept =
        match is_query || candidate.text.contains([',', '(']) && !candidate.text.contains('=') {
            true => kept.split([',', ';']).next().unwrap_or(kept),
            false => before_next(kept),
        };
    kept.trim_end_matches(['.', ')', ']', '}', ':', '|']).len()
}

/// What stands before a comma or semicolon that ends it or that another name follows.
fn before_next(value: &str) -> &str {
    let mut marks = value.match_indices([',', ';']);
    let is_next = |rest: &str| {
        let rest = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
        rest.is_empty() || rest.starts_with(['=', ':', ',', ';', '}', ')'])
    };
    let end = marks.find(|(at, _)| value.get(at + 1..).is_none_or(is_next));
    end.and_then(|(at, _)| value.get(..at)).unwrap_or(value)
}

/// A value in a program that is a name, a call or a number.
fn is_program(between: &str, value: &str) -> bool {
    let is_compared = between.contains("==") || between.contains('(') || between.contains(',');
    let is_expression = value.contains(['(', '[', '{']) && !value.starts_with(['(', '[', '{']);
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let is_constant = value
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && value.contains('_');
    is_expression
        || is_constant
        || (is_compared && letters::is_wordy(value))
        || (!has_digit && is_compared)
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;

    fn values(text: &str) -> Vec<String> {
        let mut values: Vec<_> = likely(text).into_iter().map(|one| one.1).collect();
        values.dedup();
        values
    }

    #[test]
    fn values_are_found_wherever_they_are_assigned() {
        for text in [
            "DB_PASSWORD=x7!Kq2Lm",
            "password: x7!Kq2Lm",
            "\"password\": \"x7!Kq2Lm\",",
            "{'user': 'a', 'passwd': 'x7!Kq2Lm'}",
            "<password>x7!Kq2Lm</password>",
            "let password: &str = \"x7!Kq2Lm\";",
            "Server=db;User Id=sa;Password=x7!Kq2Lm;Encrypt=yes",
            "mysql --password=x7!Kq2Lm -u root",
            "tool --password x7!Kq2Lm",
            "db_pass => 'x7!Kq2Lm'",
            "setPassword(\"x7!Kq2Lm\")",
            "| password | x7!Kq2Lm |",
            "my password is x7!Kq2Lm",
            "The password for the staging server is x7!Kq2Lm.",
            "please set my password to \"x7!Kq2Lm\" now",
            "Passwort: x7!Kq2Lm",
            "pw: x7!Kq2Lm",
            "log in with password x7!Kq2Lm",
            "пароль: x7!Kq2Lm",
            "input(\"name\"); password = \"x7!Kq2Lm\"",
        ] {
            assert_eq!(values(text), ["x7!Kq2Lm"], "{text}");
        }
        for text in [
            "API_KEY=9f8Kq2LmZx7Vb3Nw5Rt1",
            "apiKey: '9f8Kq2LmZx7Vb3Nw5Rt1'",
            "use API key 9f8Kq2LmZx7Vb3Nw5Rt1, please",
            "client_secret = \"9f8Kq2LmZx7Vb3Nw5Rt1\"",
            "https://a.b/c?x=1&access_token=9f8Kq2LmZx7Vb3Nw5Rt1&y=2",
            "X-Api-Key: 9f8Kq2LmZx7Vb3Nw5Rt1",
            "<add key=\"ApiToken\" value=\"1\" apitoken=\"9f8Kq2LmZx7Vb3Nw5Rt1\"/>",
            "The auth token is `9f8Kq2LmZx7Vb3Nw5Rt1`",
        ] {
            assert_eq!(values(text), ["9f8Kq2LmZx7Vb3Nw5Rt1"], "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_none() {
        for text in [
            "password: string",
            "password = os.environ[\"DB_PASSWORD\"]",
            "password: ${DB_PASSWORD}",
            "password=<your-password>",
            "api_key = getenv('API_KEY')",
            "token = self.tokens[i + 1]",
            "const token = await getToken(user)",
            "The password is required and must be at least 8 characters.",
            "the password is case-sensitive",
            "key: 'user.name'",
            "max_tokens=4096",
            "next_page_token: \"CAUQAA9f8Kq2LmZx7Vb3Nw5\"",
            "public_key = \"9f8Kq2LmZx7Vb3Nw5Rt1\"",
            "if (password === confirmPassword1)",
            "password_hash = \"9f8Kq2LmZx7Vb3Nw5Rt1\"",
            "the token was issued on 2024-01-02",
            "API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx",
            "tokenizer: gpt2-medium-v1.0",
            "pass the value 42 to it, and it will pass 15 tests",
            "SECRET_KEY = config('SECRET_KEY')",
            "Enter password: ********",
            "password: '{{ krb5_password }}'",
            "'password' => 'required|min:8|confirmed'",
            "\"password\": \"required|string|min:8\"",
            "password = input(\"Enter password: \")",
            "password = input(\"Password (8+ characters): \")",
            "printf(\"Enter password: \"); scanf(\"%s\", password);",
            "cout << \"Enter password: \"; cin >> password1;",
            "log(\"Password: \" + password1 + \"!\")",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
