//! Blanks that a reader does not need: before and after a text, and more than one empty line within.
//! What stands in fenced code stays as it is.

/// Blanks before a line that make it code (Markdown).
const CODE_INDENT: usize = 4;

/// Tidies a text that comes in pieces.
#[derive(Debug, Default)]
pub struct Tidy {
    /// Blanks that only go on when something follows.
    held: String,
    has_begun: bool,
    /// Of the line so far.
    line: String,
    in_code: bool,
}

impl Tidy {
    /// What goes on.
    pub fn push(&mut self, piece: &str) -> String {
        let mut tidied = String::with_capacity(piece.len());
        for c in piece.chars() {
            if c.is_whitespace() {
                self.held.push(c);
                continue;
            }
            if self.has_begun {
                self.flush(&mut tidied);
            } else {
                let start = self.held.rfind('\n').map_or(0, |at| at + 1);
                let indent = self.held.split_off(start);
                self.held.clear();
                if indent.len() >= CODE_INDENT {
                    tidied.push_str(&indent);
                    self.line = indent;
                }
            }
            self.has_begun = true;
            self.line.push(c);
            tidied.push(c);
            if self.line.trim_start() == "```" {
                self.in_code = !self.in_code;
            }
        }
        tidied
    }

    fn flush(&mut self, tidied: &mut String) {
        let breaks = self.held.matches('\n').count();
        if breaks == 0 {
            self.line.push_str(&self.held);
            tidied.push_str(&self.held);
            self.held.clear();
            return;
        }
        let last = self.held.rfind('\n').map_or(0, |at| at + 1);
        let indent = self.held.split_off(last);
        if self.in_code || breaks <= 2 {
            tidied.push_str(&self.held);
        } else {
            tidied.push_str("\n\n");
        }
        tidied.push_str(&indent);
        self.line = indent;
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tidied(pieces: &[&str]) -> String {
        let mut tidy = Tidy::default();
        pieces.iter().map(|piece| tidy.push(piece)).collect()
    }

    #[test]
    fn a_reader_misses_nothing() {
        for (text, expected) in [
            ("\n\n Hello, \n\n\n\nworld. \n", "Hello,\n\nworld."),
            ("\n    code", "    code"),
            (" Hello", "Hello"),
            ("a\n\nb\nc", "a\n\nb\nc"),
            ("```\na\n\n\n\nb\n```\n\n\n\nc", "```\na\n\n\n\nb\n```\n\nc"),
            ("a  \nb", "a  \nb"),
            (" \n ", ""),
        ] {
            assert_eq!(tidied(&[text]), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives_and_it_stays_tidy(
            pieces in prop::collection::vec("[a \\n`é]{0,5}", 0..12)
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let whole = tidied(&[&pieces.concat()]);
            prop_assert_eq!(tidied(&pieces), whole.clone());
            prop_assert!(!whole.ends_with(char::is_whitespace));
        }
    }
}
