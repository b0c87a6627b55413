//! What stands before a candidate and tells what it is.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex::Regex;

use crate::guardrails::Candidate;
use crate::guardrails::folded::ESCAPE;

/// Words that name something, in many languages. Compiled when first needed.
pub struct Words {
    regex: &'static str,
    /// Words of other scripts, as they are written: one regular expression for all scripts takes a
    /// hundred times as long.
    others: &'static [&'static str],
    compiled: OnceLock<Option<Regex>>,
}

/// What numbers are called that are nobody's: whatever is named last counts.
static OTHER: Words = Words::new(
    r"(?i)(?-u:\b)(?:orders?|invoices?|tickets?|tracking|cases?|references?|ref|isbn|issn|sku|parts?|serial|version|build|commit|purchase|amount|price|total|quantity|qty|timestamp|epoch|unix|port|pid|uuid|guid|hash|checksum|zip|postcode|flight|room|batch|lot|model|items?|products?|barcode|ean|upc|gtin|doi|issue|bug|sequence|sessions?|requests?|transactions?|txn|random|seed|error|offset|pages?|population|bytes|rows?|count|bestellung|rechnung|commande|facture|pedido|factura|ordine|fattura|object|chapter|section|article|patent)(?-u:\b)",
);

impl Words {
    /// A regular expression of words; it must be well-formed, which a test sees to.
    pub const fn new(regex: &'static str) -> Self {
        Self::with(regex, &[])
    }

    /// As `new`, with words in other scripts than Latin.
    pub const fn with(regex: &'static str, others: &'static [&'static str]) -> Self {
        Self {
            regex,
            others,
            compiled: OnceLock::new(),
        }
    }

    /// Where the last of them ends.
    pub fn last(&self, text: &str) -> Option<usize> {
        let text = &unescaped(text);
        let found = self.compiled()?.find_iter(text).last();
        let found = found.map(|found| found.end());
        if text.is_ascii() {
            return found;
        }
        let others = self.others.iter();
        let others = others.filter_map(|word| Some(text.rfind(word)? + word.len()));
        others.max().max(found)
    }

    /// Whether any of them is there.
    pub fn are_in(&self, text: &str) -> bool {
        if !has_letters(text) {
            return false;
        }
        let text = &unescaped(text);
        self.fit(text) || !text.is_ascii() && self.others.iter().any(|word| text.contains(word))
    }

    /// Whether a text has this form; for what is no word.
    pub fn fit(&self, text: &str) -> bool {
        self.compiled().is_some_and(|regex| regex.is_match(text))
    }

    /// Whether one of them is said in the sentence before a candidate, and no other name after it.
    pub fn name(&self, candidate: &Candidate<'_>) -> bool {
        let sentence = sentence(candidate.before);
        if !has_letters(sentence) {
            return false;
        }
        let rest = self.last(sentence).and_then(|end| sentence.get(end..));
        rest.is_some_and(|rest| !OTHER.are_in(rest))
    }

    fn compiled(&self) -> Option<&Regex> {
        let compiled = self.compiled.get_or_init(|| Regex::new(self.regex).ok());
        compiled.as_ref()
    }

    /// Whether it is well-formed.
    #[cfg(test)]
    pub fn are_well_formed(&self) -> bool {
        self.compiled().is_some()
    }
}

/// Line breaks that are written out are breaks; nothing moves.
fn unescaped(text: &str) -> Cow<'_, str> {
    match text.contains(ESCAPE) {
        true => Cow::Owned(text.replace(ESCAPE, "\n")),
        false => Cow::Borrowed(text),
    }
}

fn has_letters(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    text.bytes().any(is_letter)
}

/// Whether a candidate is called something that is nobody's, such as an order number.
pub fn is_other(candidate: &Candidate<'_>) -> bool {
    let sentence = sentence(candidate.before);
    let near = sentence.len().saturating_sub(40);
    let near = sentence.get(sentence.floor_char_boundary(near)..);
    near.is_some_and(|near| OTHER.are_in(near))
}

/// What belongs to the same sentence. A short word's stop is an abbreviation's ("no. 5").
pub fn sentence(before: &str) -> &str {
    let stops = before.match_indices(". ").map(|(at, _)| at);
    let end = stops
        .filter(|at| {
            let word = before.get(..*at).unwrap_or_default();
            let word = word.rsplit([' ', '\n', '.', '(']).next();
            word.is_some_and(|word| word.chars().count() > 3 && word != "acct")
        })
        .last();
    let paragraph = before.rfind("\n\n").map(|at| at + 2);
    let start = end.map(|at| at + 2).max(paragraph).unwrap_or(0);
    before.get(start..).unwrap_or(before)
}

/// Whether a candidate goes on what stands before it: a part of an identifier, a path or a decimal
/// fraction.
pub fn is_joined(before: &str) -> bool {
    let mut last = before.chars().rev();
    match (last.next(), last.next()) {
        (Some('-' | '_' | '/' | '\\'), Some(c)) => is_spaced(c),
        (Some('.'), Some(c)) => c.is_ascii_digit(),
        // A character reference of HTML.
        (Some('#'), Some('&')) => true,
        (Some(c), _) => is_spaced(c),
        (None, _) => false,
    }
}

/// Letters beyond ASCII of scripts that have blanks between words (Latin, Greek and Cyrillic), for a
/// class of a regular expression.
macro_rules! spaced {
    () => {
        r"\u{c0}-\u{52f}\u{1e00}-\u{1fff}"
    };
}
pub(super) use spaced;

/// Whether a sign is a letter or a digit of a script that has blanks between words. In others, such
/// as Han, Kana and Thai, a number stands right beside words that it is no part of.
pub fn is_spaced(c: char) -> bool {
    matches!(c, '\0'..='\u{52f}' | '\u{1e00}'..='\u{1fff}') && c.is_alphanumeric()
}

/// Whether the last sign but one says that it goes on: patterns end in `joined!()`, which takes one
/// sign more than they need.
pub fn goes_on(text: &str) -> bool {
    let mut last = text.bytes().rev().skip(1);
    matches!(last.next(), Some(b'-' | b'.'))
}

/// What a longer thing goes on with.
macro_rules! joined {
    () => {
        r"(?:-[0-9A-Za-z]|\.[0-9])?"
    };
}
pub(super) use joined;

/// What stands between a name and its value: `number is`, `_no": "` and the like.
macro_rules! linked {
    () => {
        concat!(
            r#"(?:[ \t\n:#.=,"'*|()\[\]_-]{1,4}(?i:(?:no|nos|number|numbers|num|nr|n[°º]|id|ids|is|was|are|its|it's|of|my|the|your|his|her|value|code|card|nummer|num[eé]ro|número|es|ist|lautet|est|è|é|de|del|di|do))){0,4}"#,
            r#"[ \t\n:#.=,"'*|()\[\]_-]{1,4}"#
        )
    };
}
pub(super) use linked;

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(before: &str) -> Candidate<'_> {
        Candidate {
            in_tag: false,
            text: "123",
            before,
            in_code: false,
            allowed_hosts: &[],
        }
    }

    #[test]
    fn the_last_name_counts_in_the_same_sentence() {
        static PHONE: Words = Words::new(r"(?i)(?-u:\b)phone(?-u:\b)");
        assert!(OTHER.are_well_formed());
        for (before, expected) in [
            ("My phone no. ", true),
            ("order by phone: ", true),
            ("The phone of order ", false),
            ("I lost my phone. The code is ", false),
            ("Phone:\n", true),
            ("Phone\n\n", false),
            ("", false),
        ] {
            assert_eq!(PHONE.name(&candidate(before)), expected, "{before:?}");
        }
        assert!(is_other(&candidate("invoice number ")));
        assert!(!is_other(&candidate("my number ")));
    }

    #[test]
    fn what_goes_on_is_a_part() {
        assert!(is_joined("a-") && is_joined("0.") && is_joined("x") && is_joined("é"));
        assert!(!is_joined("") && !is_joined(": ") && !is_joined(" -") && !is_joined("= "));
        assert!(!is_joined("号") && !is_joined("は") && !is_joined("ก") && !is_joined("는-"));
        assert!(goes_on("123-4") && goes_on("1.5") && !goes_on("12-34") && !goes_on("1"));
    }

    #[test]
    fn scripts_with_blanks_between_words_are_the_same_everywhere() {
        let class = Regex::new(concat!("^[", spaced!(), "]$")).unwrap();
        for c in ('\u{c0}'..='\u{ffff}').filter(|c| c.is_alphanumeric()) {
            let is_in = class.is_match(c.encode_utf8(&mut [0; 4]));
            assert_eq!(is_in, is_spaced(c), "{c:?}");
        }
    }
}
