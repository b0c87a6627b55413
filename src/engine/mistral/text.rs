//! Tokens become text that may be shown: whole characters only, and nothing that could still turn
//! out to be the beginning of a stop string.

use crate::engine::{Event, TokenLogprob};

/// The text of one answer as it grows.
pub struct Text {
    stop: Vec<String>,
    /// Bytes after the last whole character.
    partial: Vec<u8>,
    /// Whole characters that may still become a stop string.
    held: String,
    /// Bytes of text, shown or held.
    length: usize,
    /// Log probabilities of tokens that begin in what is not shown yet, with where they begin.
    waiting: Vec<(usize, TokenLogprob)>,
}

/// What a token brought.
#[derive(Debug, PartialEq)]
pub struct Grown {
    /// Text that may be shown now, if any.
    pub event: Option<Event>,
    /// A stop string is complete: the answer ends here.
    pub stopped: bool,
}

impl Text {
    /// `stop` strings must not be empty.
    pub fn new(stop: Vec<String>) -> Self {
        Self {
            stop,
            partial: Vec::new(),
            held: String::new(),
            length: 0,
            waiting: Vec::new(),
        }
    }

    /// Takes the next token's bytes.
    pub fn push(&mut self, bytes: &[u8], logprob: Option<TokenLogprob>) -> Grown {
        let start = self.length + self.partial.len();
        if let Some(logprob) = logprob {
            self.waiting.push((start, logprob));
        }
        self.partial.extend_from_slice(bytes);
        let before = self.held.len();
        self.take_whole_characters();
        self.length += self.held.len() - before;

        if let Some(at) = self.earliest_stop() {
            let text = self.held[..at].to_owned();
            let shown_to = self.length - (self.held.len() - at);
            self.held.clear();
            self.partial.clear();
            self.waiting.retain(|&(start, _)| start < shown_to);
            return Grown {
                event: self.event(text, usize::MAX),
                stopped: true,
            };
        }
        let keep = self.possible_stop_length();
        let rest = self.held.split_off(self.held.len() - keep);
        let text = std::mem::replace(&mut self.held, rest);
        let shown_to = self.length - keep;
        Grown {
            event: self.event(text, shown_to),
            stopped: false,
        }
    }

    /// The answer ended by itself: everything held may be shown. A character left incomplete
    /// becomes U+FFFD.
    pub fn finish(mut self) -> Option<Event> {
        let tail = String::from_utf8_lossy(&self.partial).into_owned();
        let text = std::mem::take(&mut self.held) + &tail;
        self.event(text, usize::MAX)
    }

    fn take_whole_characters(&mut self) {
        loop {
            match std::str::from_utf8(&self.partial) {
                Ok(text) => {
                    self.held.push_str(text);
                    self.partial.clear();
                    return;
                }
                Err(error) => {
                    let (whole, rest) = self.partial.split_at(error.valid_up_to());
                    self.held.push_str(&String::from_utf8_lossy(whole));
                    // None: the character may yet be completed by the next token.
                    let Some(broken) = error.error_len() else {
                        self.partial = rest.to_vec();
                        return;
                    };
                    self.held.push(char::REPLACEMENT_CHARACTER);
                    self.partial = rest[broken..].to_vec();
                }
            }
        }
    }

    fn earliest_stop(&self) -> Option<usize> {
        self.stop.iter().filter_map(|s| self.held.find(s)).min()
    }

    /// Length of the longest end of `held` that is the beginning of a stop string.
    fn possible_stop_length(&self) -> usize {
        let longest = |stop: &String| {
            (1..stop.len().min(self.held.len() + 1))
                .rev()
                .find(|&n| stop.is_char_boundary(n) && self.held.ends_with(&stop[..n]))
                .unwrap_or(0)
        };
        self.stop.iter().map(longest).max().unwrap_or(0)
    }

    fn event(&mut self, text: String, shown_to: usize) -> Option<Event> {
        let ready = self
            .waiting
            .iter()
            .take_while(|&&(start, _)| start < shown_to)
            .count();
        let logprobs: Vec<_> = self.waiting.drain(..ready).map(|(_, l)| l).collect();
        (!text.is_empty() || !logprobs.is_empty()).then_some(Event::Text { text, logprobs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::TokenText;
    use proptest::prelude::*;

    fn run(stop: &[&str], tokens: &[&[u8]]) -> (String, bool) {
        let mut text = Text::new(stop.iter().map(|s| (*s).to_owned()).collect());
        let mut shown = String::new();
        let mut take = |event: Option<Event>| {
            if let Some(Event::Text { text, .. }) = event {
                shown.push_str(&text);
            }
        };
        for token in tokens {
            let grown = text.push(token, None);
            take(grown.event);
            if grown.stopped {
                return (shown, true);
            }
        }
        take(text.finish());
        (shown, false)
    }

    #[test]
    fn a_stop_string_over_token_boundaries_never_shows() {
        assert_eq!(
            run(&["END"], &[b"one E", b"N", b"D two"]),
            ("one ".into(), true)
        );
        assert_eq!(
            run(&["END"], &[b"one E", b"N", b"d two"]),
            ("one ENd two".into(), false)
        );
        assert_eq!(run(&["aab"], &[b"a", b"a", b"a", b"b"]), ("a".into(), true));
    }

    #[test]
    fn the_earliest_of_several_stops_wins() {
        assert_eq!(
            run(&["world", "lo w"], &[b"hello world"]),
            ("hel".into(), true)
        );
    }

    #[test]
    fn characters_are_whole_and_broken_ones_replaced() {
        let crab = "🦀".as_bytes();
        assert_eq!(run(&[], &[&crab[..2], &crab[2..]]), ("🦀".into(), false));
        assert_eq!(run(&[], &[&crab[..2], b"x"]), ("\u{FFFD}x".into(), false));
        assert_eq!(run(&[], &[&crab[..3]]), ("\u{FFFD}".into(), false));
    }

    #[test]
    fn log_probabilities_come_with_their_text_and_stop_tokens_have_none() {
        let logprob = |text: &str| TokenLogprob {
            token: TokenText {
                text: text.into(),
                bytes: text.as_bytes().to_vec(),
                logprob: -1.0,
            },
            top: vec![],
        };
        let mut text = Text::new(vec!["##".into()]);
        let mut seen = Vec::new();
        for token in ["a", "#", "b", "c#", "#"] {
            if let Some(Event::Text { logprobs, .. }) =
                text.push(token.as_bytes(), Some(logprob(token))).event
            {
                seen.extend(logprobs.into_iter().map(|l| l.token.text));
            }
        }
        assert_eq!(seen, ["a", "#", "b", "c#"]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_text_before_the_first_stop(
            whole in "[ab€🦀]{0,24}",
            stop in proptest::collection::vec("[ab€]{1,3}", 0..4),
            cuts in proptest::collection::vec(0usize..96, 0..8),
        ) {
            let bytes = whole.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let tokens: Vec<_> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let stops: Vec<_> = stop.iter().map(String::as_str).collect();
            // The first stop string to be complete ends the answer, token by token.
            let (shown, stopped) = run(&stops, &tokens);
            prop_assert!(whole.starts_with(&shown));
            prop_assert!(stops.iter().all(|s| !shown.contains(s)));
            if !stopped {
                prop_assert_eq!(shown, whole);
            }
        }
    }
}
