use std::ops::Range;

use super::normalize::is_unseen;

/// A text as patterns look at it: without characters that nobody sees, and with ASCII for digits,
/// blanks (all of Unicode's), dashes and full-width forms that look alike. Character by character, so
/// that a text may come in pieces.
#[derive(Debug, Default)]
pub struct Folded {
    text: String,
    /// For each byte of `text`, where its character begins in the original. None while both are
    /// the same.
    origins: Option<Vec<usize>>,
    /// Bytes of the original so far.
    original: usize,
}

impl Folded {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn push(&mut self, piece: &str) {
        if self.origins.is_none() && piece.is_ascii() {
            self.text.push_str(piece);
            self.original += piece.len();
            return;
        }
        let same = self.original;
        let origins = self.origins.get_or_insert_with(|| (0..same).collect());
        for (at, c) in piece.char_indices() {
            if let Some(folded) = fold(c) {
                self.text.push(folded);
                origins.resize(self.text.len(), self.original + at);
            }
        }
        self.original += piece.len();
    }

    /// Where a character of the folded text begins in the original.
    pub fn origin(&self, at: usize) -> usize {
        match &self.origins {
            None => at,
            Some(origins) => origins.get(at).copied().unwrap_or(self.original),
        }
    }

    /// The original's bytes that became these, which are not none.
    pub fn origins(&self, span: Range<usize>, original: &str) -> Range<usize> {
        let start = self.origin(span.start);
        let Some(origins) = &self.origins else {
            return span;
        };
        let last = origins.get(span.end.saturating_sub(1)).copied();
        let last = last.unwrap_or(start);
        let length = original.get(last..).and_then(|rest| rest.chars().next());
        start..last + length.map_or(0, char::len_utf8)
    }
}

/// None: nobody sees it.
fn fold(c: char) -> Option<char> {
    let ascii = |base: u32, first: char| char::from_u32(u32::from(first) + (u32::from(c) - base));
    match c {
        '\0'..='\x7f' => Some(c),
        _ if is_unseen(c) => None,
        '\u{ff01}'..='\u{ff5e}' => ascii(0xff01, '!'),
        '\u{660}'..='\u{669}' => ascii(0x660, '0'),
        '\u{6f0}'..='\u{6f9}' => ascii(0x6f0, '0'),
        '\u{966}'..='\u{96f}' => ascii(0x966, '0'),
        '\u{1d7ce}'..='\u{1d7ff}' => char::from_digit((u32::from(c) - 0x1d7ce) % 10, 10),
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Some(' ')
        }
        '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Some('-'),
        '\u{2024}' => Some('.'),
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_alike_and_leads_back() {
        for (original, folded) in [
            ("plain", "plain"),
            ("４１１１\u{200b}-x", "4111-x"),
            ("41\u{61c}1\u{e0100}1", "4111"),
            ("٤٢ é\u{a0}ü", "42 é ü"),
            ("𝟙𝟚−３", "12-3"),
            ("\u{e0041}a\u{feff}", "a"),
            ("a\u{1680}b\u{85}c\u{2028}d\u{2029}e", "a b\nc\nd\ne"),
        ] {
            let mut whole = Folded::default();
            whole.push(original);
            assert_eq!(whole.as_str(), folded);
            let mut pieces = Folded::default();
            for c in original.chars() {
                pieces.push(c.encode_utf8(&mut [0; 4]));
            }
            assert_eq!(pieces.as_str(), folded);
            for (at, c) in folded.char_indices() {
                let span = pieces.origins(at..at + c.len_utf8(), original);
                assert_eq!(span, whole.origins(at..at + c.len_utf8(), original));
                let back = original[span].chars().next().map(fold);
                assert_eq!(back, Some(Some(c)), "{original:?}");
            }
            assert_eq!(whole.origin(folded.len()), original.len());
        }
    }
}
