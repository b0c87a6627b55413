//! What takes the place of what is masked.

use std::collections::HashMap;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Finding, GuardName, MaskStyle};

/// Hexadecimal digits of a hashed mask.
const HASH_DIGITS: usize = 12;
/// Characters of a partial mask that may be seen at an end.
const SEEN: usize = 4;

/// The masks of one request. What they stand for never leaves it.
pub struct Masks {
    style: MaskStyle,
    key: Hmac<Sha256>,
    /// By what they stand for: the name and the text.
    placeholders: HashMap<(String, String), String>,
    taken: Vec<u32>,
    originals: Originals,
}

/// What reversible masks stand for.
pub type Originals = HashMap<String, String>;

impl Masks {
    /// `key` is for hashed masks: with another one they are others. `texts` are all texts of the
    /// request: a placeholder that is in one already would be taken for ours.
    pub fn new<'a>(
        style: MaskStyle,
        key: Hmac<Sha256>,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let taken = match style {
            MaskStyle::Reversible => texts.into_iter().flat_map(numbers_of).collect(),
            _ => Vec::new(),
        };
        Self {
            style,
            key,
            placeholders: HashMap::new(),
            taken,
            originals: Originals::new(),
        }
    }

    /// What is to stand there instead.
    pub fn mask(&mut self, finding: &Finding, text: &str) -> String {
        if let Some(harmless) = &finding.harmless {
            return harmless.clone();
        }
        match finding.guard {
            GuardName::Pii => self.personal(finding.kind, text),
            GuardName::Secrets => "[SECRET_REDACTED]".to_owned(),
            _ => "[REMOVED]".to_owned(),
        }
    }

    /// What the masks so far stand for.
    pub fn into_originals(self) -> Originals {
        self.originals
    }

    fn personal(&mut self, kind: &str, text: &str) -> String {
        let name = name(kind);
        match self.style {
            MaskStyle::Label => format!("[{name}_REDACTED]"),
            MaskStyle::Partial => partial(kind, text),
            MaskStyle::Hash => {
                let mut hash = self.key.clone();
                hash.update(text.as_bytes());
                let mut digits = hex::encode(hash.finalize().into_bytes());
                digits.truncate(HASH_DIGITS);
                format!("[{name}_{digits}]")
            }
            MaskStyle::Reversible => self.placeholder(name, text),
        }
    }

    /// The same for the same text.
    fn placeholder(&mut self, name: String, text: &str) -> String {
        let of = (name, text.to_owned());
        if let Some(known) = self.placeholders.get(&of) {
            return known.clone();
        }
        let mut number = 1;
        let mut placeholder = format!("[{}_{number}]", of.0);
        while self.taken.contains(&number) || self.originals.contains_key(&placeholder) {
            number += 1;
            placeholder = format!("[{}_{number}]", of.0);
        }
        self.originals.insert(placeholder.clone(), of.1.clone());
        self.placeholders.insert(of, placeholder.clone());
        placeholder
    }
}

/// What a kind of personal data is called in masks.
fn name(kind: &str) -> String {
    match kind {
        "us_ssn" => "SSN".to_owned(),
        "ip_address" => "IP".to_owned(),
        "url_credentials" => "URL".to_owned(),
        other => other.to_ascii_uppercase(),
    }
}

/// What tells people which one it is, and nobody what it is.
fn partial(kind: &str, text: &str) -> String {
    if let Some((user, host)) = text.split_once('@')
        && kind == "email"
    {
        let first = user.chars().next().map(String::from).unwrap_or_default();
        return format!("{first}***@{host}");
    }
    let signs = text.chars().filter(|c| c.is_alphanumeric()).count();
    // Of something short even a little is much.
    let seen = if signs >= 3 * SEEN { SEEN } else { 0 };
    let mut left = signs;
    text.chars()
        .map(|c| {
            if !c.is_alphanumeric() {
                return c;
            }
            left -= 1;
            if left < seen { c } else { '*' }
        })
        .collect()
}

/// Numbers of what looks like a placeholder.
fn numbers_of(text: &str) -> impl Iterator<Item = u32> {
    let ends = text.match_indices(']').map(|(at, _)| at);
    ends.filter_map(|end| {
        let head = text.get(..end)?;
        let (_, number) = head.rsplit_once('_')?;
        number.parse().ok()
    })
}
