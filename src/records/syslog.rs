//! Audit rows as syslog messages (RFC 5424), for programs that collect those.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::store::AuditRow;

/// Facility 13 ("log audit"), severity 6 (informational).
const PRIORITY: u8 = 13 * 8 + 6;
/// 32473 is the private enterprise number that is set aside for documentation (RFC 5612): this
/// program has none of its own.
const STRUCTURED_DATA_ID: &str = "audit@32473";
/// As RFC 5424 has them.
const LONGEST_HOST: usize = 255;
const LONGEST_KIND: usize = 32;

/// Where messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    host: String,
    process: u32,
}

impl Sender {
    /// This process on this machine.
    pub fn here() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            host: printable(host.trim(), LONGEST_HOST),
            process: std::process::id(),
        }
    }

    /// The row as one line, its end included. Hashes are in hex; what is not there is left out.
    pub fn message(&self, row: &AuditRow) -> String {
        let at = DateTime::<Utc>::from_timestamp_millis(row.at_ms).map_or_else(
            || "-".to_owned(),
            |at| at.to_rfc3339_opts(SecondsFormat::Millis, true),
        );
        let (host, process) = (&self.host, self.process);
        let kind = printable(&row.kind, LONGEST_KIND);
        let mut line =
            format!("<{PRIORITY}>1 {at} {host} microllm {process} {kind} [{STRUCTURED_DATA_ID}");
        for (name, value) in fields(row) {
            line.extend([" ", name, "=\""]);
            escape(&value, &mut line);
            line.push('"');
        }
        line.push_str("]\n");
        line
    }
}

fn fields(row: &AuditRow) -> impl Iterator<Item = (&'static str, String)> {
    let all = [
        ("seq", Some(row.seq.to_string())),
        ("id", Some(row.id.clone())),
        ("type", Some(row.kind.clone())),
        ("actor_kind", Some(row.actor_kind.clone())),
        ("actor_id", row.actor_id.clone()),
        ("user_id", row.user_id.clone()),
        ("project_id", row.project_id.clone()),
        ("ip", row.ip.clone()),
        ("user_agent", row.user_agent.clone()),
        ("details", Some(row.details.clone())),
        ("previous", Some(hex::encode(&row.previous))),
        ("hash", Some(hex::encode(&row.hash))),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
}

/// A value between quotation marks. Whatever could end the line, or move a terminal's cursor, is
/// written as JSON would, so that a record is one line and no value can pretend to be a record.
fn escape(value: &str, line: &mut String) {
    for c in value.chars() {
        match c {
            '"' | '\\' | ']' => line.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                line.push_str(&format!("\\\\u{:04x}", u32::from(c)));
            }
            c => line.push(c),
        }
    }
}

/// A field of the header: printable ASCII without spaces, `-` for nothing.
fn printable(text: &str, longest: usize) -> String {
    let fine = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let text: String = text.chars().take(longest).map(fine).collect();
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(kind: String, details: String, user_agent: Option<String>) -> AuditRow {
        AuditRow {
            seq: 7,
            id: "audit_log-1".into(),
            at_ms: 1_700_000_000_123,
            kind,
            actor_kind: "api_key".into(),
            actor_id: Some("key_1".into()),
            user_id: None,
            project_id: None,
            details,
            ip: None,
            user_agent,
            personal_user_id: None,
            salt: None,
            is_erased: false,
            personal_digest: None,
            previous: vec![0; 2],
            hash: vec![255; 2],
        }
    }

    fn sender() -> Sender {
        Sender {
            host: "host".into(),
            process: 42,
        }
    }

    type Fields = Vec<(String, String)>;

    /// What a receiver reads: the header's fields and the data's, or nothing if it is no message.
    fn parsed(line: &str) -> Option<(Vec<String>, Fields)> {
        let (header, mut rest) = line.split_once(" [audit@32473")?;
        let mut fields = Vec::new();
        while let Some(field) = rest.strip_prefix(' ') {
            let (name, value) = field.split_once("=\"")?;
            let (mut text, mut chars) = (String::new(), value.chars());
            loop {
                match chars.next()? {
                    '"' => break,
                    ']' => return None,
                    '\\' => text.push(chars.next().filter(|c| "\"\\]".contains(*c))?),
                    c => text.push(c),
                }
            }
            fields.push((name.to_owned(), text));
            rest = chars.as_str();
        }
        let header = header.split(' ').map(str::to_owned).collect();
        (rest == "]\n").then_some((header, fields))
    }

    #[test]
    fn a_row_is_a_message() {
        let row = row("login.failed".into(), r#"{"id":"a]b"}"#.into(), None);
        assert_eq!(
            sender().message(&row),
            "<110>1 2023-11-14T22:13:20.123Z host microllm 42 login.failed [audit@32473 seq=\"7\" \
             id=\"audit_log-1\" type=\"login.failed\" actor_kind=\"api_key\" actor_id=\"key_1\" \
             details=\"{\\\"id\\\":\\\"a\\]b\\\"}\" previous=\"0000\" hash=\"ffff\"]\n"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_in_it_it_is_one_line_that_says_the_same(
            kind in any::<String>(), details in any::<String>(), agent in any::<Option<String>>()
        ) {
            let line = sender().message(&row(kind.clone(), details.clone(), agent.clone()));
            let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            prop_assert_eq!(line.find(ends), Some(line.len() - 1));
            let (header, fields) = parsed(&line).expect("a message");
            prop_assert_eq!(header.len(), 6);
            prop_assert!(header.iter().all(|field| !field.is_empty() && field.is_ascii()));
            prop_assert!(header[5].len() <= 32);
            let plain = |text: &str| {
                let shown = |c: char| match ends(c) {
                    true => format!("\\u{:04x}", u32::from(c)),
                    false => c.to_string(),
                };
                text.chars().map(shown).collect::<String>()
            };
            let value = |name| {
                let found = fields.iter().find(|(field, _)| field == name);
                found.map(|(_, value)| value.as_str())
            };
            prop_assert_eq!(value("type"), Some(&*plain(&kind)));
            prop_assert_eq!(value("details"), Some(&*plain(&details)));
            let agent = agent.as_deref().map(plain);
            prop_assert_eq!(value("user_agent"), agent.as_deref());
        }
    }
}
