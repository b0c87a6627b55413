use std::ops::Range;

use super::normalize::is_unseen;

/// What stands for an escape that is written out, as `\\n` in JSON: whitespace, so that words begin and
/// end there, but neither a blank, which numbers have within them, nor the end of a line, as it may be
/// of a path (`C:\\new`) after all.
pub const ESCAPE: char = '\x0b';

/// A text as patterns look at it: without characters that nobody sees, and with ASCII for digits,
/// blanks (all of Unicode's), dashes and full-width forms that look alike, and [`ESCAPE`] for the
/// escapes of white space. Character by character, so that a text may come in pieces.
#[derive(Debug, Default)]
pub struct Folded {
    text: String,
    /// For each byte of `text`, where its character begins in the original. None while each stands
    /// for one byte.
    origins: Option<Vec<usize>>,
    /// Bytes of the original that have become `text`.
    original: usize,
    /// A backslash follows, of which only the next character tells what it is.
    has_backslash: bool,
}

impl Folded {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn push(&mut self, piece: &str) {
        let is_plain = piece.is_ascii() && !piece.contains('\\') && !self.has_backslash;
        if self.origins.is_none() && is_plain {
            self.text.push_str(piece);
            self.original += piece.len();
            return;
        }
        for c in piece.chars() {
            if std::mem::take(&mut self.has_backslash) {
                if matches!(c, 'n' | 'r' | 't' | 'f' | 'b') {
                    self.add(Some(ESCAPE), "\\n".len());
                    continue;
                }
                self.add(Some('\\'), 1);
            }
            match c {
                '\\' => self.has_backslash = true,
                _ => self.add(fold(c), c.len_utf8()),
            }
        }
    }

    /// There is no more of it.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.has_backslash) {
            self.add(Some('\\'), 1);
        }
    }

    /// What so many bytes of the original become.
    fn add(&mut self, folded: Option<char>, length: usize) {
        if length != 1 && self.origins.is_none() {
            self.origins = Some((0..self.text.len()).collect());
        }
        self.text.extend(folded);
        if let Some(origins) = &mut self.origins {
            origins.resize(self.text.len(), self.original);
        }
        self.original += length;
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
        let at = span.end.saturating_sub(1);
        let last = origins.get(at).copied().unwrap_or(start);
        let mut rest = original.get(last..).unwrap_or_default().chars();
        let length = match rest.next() {
            Some('\\') if !self.text.get(at..).unwrap_or_default().starts_with('\\') => "\\n".len(),
            c => c.map_or(0, char::len_utf8),
        };
        start..last + length
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
            ("C:\\dir\\", "C:\\dir\\"),
        ] {
            let mut whole = Folded::default();
            whole.push(original);
            whole.finish();
            assert_eq!(whole.as_str(), folded);
            let mut pieces = Folded::default();
            for c in original.chars() {
                pieces.push(c.encode_utf8(&mut [0; 4]));
            }
            pieces.finish();
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

    #[test]
    fn escapes_are_borders_and_taken_whole() {
        for (original, folded, spans) in [
            ("a\\nb", "a\x0bb", vec![0..1, 1..3, 3..4]),
            ("é\\\\t", "é\\\x0b", vec![0..2, 2..3, 3..5]),
            ("\\q\\r\\", "\\q\x0b\\", vec![0..1, 1..2, 2..4, 4..5]),
        ] {
            let mut pieces = Folded::default();
            for c in original.chars() {
                pieces.push(c.encode_utf8(&mut [0; 4]));
                let end = pieces.origin(pieces.as_str().len());
                assert!(
                    !original[end..].starts_with('n'),
                    "{original:?}: never within"
                );
            }
            pieces.finish();
            assert_eq!(pieces.as_str(), folded);
            let found = folded.char_indices();
            let found = found.map(|(at, c)| pieces.origins(at..at + c.len_utf8(), original));
            assert_eq!(found.collect::<Vec<_>>(), spans, "{original:?}");
        }
    }
}
