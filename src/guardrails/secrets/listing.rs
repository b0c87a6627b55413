//! A name in one place and its value in the next: elements, attributes and entries that say name and
//! value apart.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::name::{name, opening};
use super::secret;
use super::value::{self, Kind};

macro_rules! listed {
    ($name:expr) => {
        concat!(
            $name,
            // <add key="x" value="y"/>, - name: x, value: y, <name>x</name><value>y</value>
            r#"[A-Za-z0-9_.-]{0,24}["']?(?:</[A-Za-z:]{1,16}>[[:space:]]{0,24}<[A-Za-z:]{1,16}>|[ ,;{>]{0,3}[[:space:]]{0,24}["']?(?i-u:value|default(?:value)?|content|secret)["']?[ \t]{0,2}[:=][ \t]{0,2})["']?[^\x00-\x20"'`<>,;][^\x00-\x20"'`<>,;]*"#
        )
    };
}

pub(super) static PATTERNS: [Pattern; 1] = [secret(
    "generic_secret",
    listed!(r"(?i:pass(?:wor[dt]|wd|phrase|code)?|pwd|key|token|secret|credentials?)"),
    listed,
)];

fn listed(candidate: &Candidate<'_>) -> Option<Verdict> {
    let (name, end) = name(candidate);
    let kind = match candidate.text.get(..1)? {
        "p" | "P" => Kind::Password,
        "k" | "K" | "t" | "T" => Kind::Key,
        _ => Kind::Secret,
    };
    let text = candidate.text;
    let rest = text.get(end..)?;
    let opening = opening(&name, kind);
    // What stands between them is all that has marks.
    let is_between = |c: char| c.is_whitespace() || "\"'<>".contains(c);
    let mut start = end + rest.rfind(is_between)? + 1;
    let word = text.get(start..)?;
    let name = word
        .split_once([':', '='])
        .map(|(name, _)| name.to_ascii_lowercase());
    if name.is_some_and(|name| {
        ["value", "default", "defaultvalue", "content", "secret"].contains(&name.as_str())
    }) {
        start += word.find([':', '='])? + 1;
    }
    let verdict = value::rated(candidate, start..text.len(), kind)?;
    let score = verdict.score * opening;
    (opening > 0.0).then_some(Verdict { score, ..verdict })
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;

    #[test]
    fn values_are_found_in_the_next_place() {
        for text in [
            "<add key=\"DbPassword\" value=\"x7!Kq2Lm\"/>",
            "- name: DB_PASSWORD\n  value: x7!Kq2Lm\n",
            "{\"name\": \"DB_PASSWORD\", \"value\": \"x7!Kq2Lm\"}",
            "<property><name>db.password</name>\n  <value>x7!Kq2Lm</value></property>",
            "variable \"db_password\" {\n  default = \"x7!Kq2Lm\"\n}",
        ] {
            let found = likely(text);
            assert!(
                found.iter().any(|one| one.1 == "x7!Kq2Lm"),
                "{text}: {found:?}"
            );
        }
        for text in [
            "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef: db-1",
            "<add key=\"CacheKey\" value=\"users-by-name\"/>",
            "<name>password</name><value>${db.password}</value>",
            "<label>Password</label><input>",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
