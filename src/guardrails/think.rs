//! What a model thinks aloud, told apart from what it answers.

const OPENING: &str = "<think>";
const CLOSING: &str = "</think>";

/// Where a piece of a model's text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Reasoning,
    Content,
}

/// Splits a text that comes in pieces. Thoughts stand at its beginning: later tags are text.
#[derive(Debug)]
pub struct Thoughts {
    state: State,
    /// May be the beginning of a tag.
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but blanks so far.
    Beginning,
    Thinking,
    /// Blanks between thoughts and answer are of neither.
    Between,
    Answering,
}

impl Thoughts {
    /// `is_thinking`: the prompt ends with the opening tag.
    pub fn new(is_thinking: bool) -> Self {
        Self {
            state: if is_thinking {
                State::Thinking
            } else {
                State::Beginning
            },
            held: String::new(),
        }
    }

    /// Whether the model is thinking at the moment.
    pub fn is_thinking(&self) -> bool {
        self.state == State::Thinking
    }

    /// The parts of what has been said for certain.
    pub fn push(&mut self, piece: &str) -> Vec<(Channel, String)> {
        self.held.push_str(piece);
        let mut parts = Vec::new();
        while let Some(part) = self.step() {
            parts.extend(part);
        }
        parts
    }

    /// What is left when the text is over.
    pub fn finish(&mut self) -> Option<(Channel, String)> {
        let rest = std::mem::take(&mut self.held);
        let channel = match self.state {
            State::Thinking => Channel::Reasoning,
            State::Between => return None,
            State::Beginning | State::Answering => Channel::Content,
        };
        (!rest.is_empty()).then_some((channel, rest))
    }

    /// One step on; None when more text is needed.
    fn step(&mut self) -> Option<Option<(Channel, String)>> {
        match self.state {
            State::Beginning => {
                let said = self.held.trim_start();
                if said.is_empty() || (OPENING.starts_with(said) && said != OPENING) {
                    return None;
                }
                if let Some(thought) = said.strip_prefix(OPENING) {
                    self.held = thought.to_owned();
                    self.state = State::Thinking;
                } else {
                    self.state = State::Answering;
                }
                Some(None)
            }
            State::Thinking => {
                if let Some((thought, rest)) = self.held.split_once(CLOSING) {
                    let thought = thought.to_owned();
                    self.held = rest.to_owned();
                    self.state = State::Between;
                    return Some((!thought.is_empty()).then_some((Channel::Reasoning, thought)));
                }
                let open = open_tag(&self.held);
                self.certain(open, Channel::Reasoning)
            }
            State::Between => {
                let answer = self.held.trim_start();
                if answer.is_empty() {
                    return None;
                }
                self.held = answer.to_owned();
                self.state = State::Answering;
                Some(None)
            }
            State::Answering => self.certain(self.held.len(), Channel::Content),
        }
    }

    /// Everything up to there, unless that is nothing.
    fn certain(&mut self, end: usize, channel: Channel) -> Option<Option<(Channel, String)>> {
        if end == 0 {
            return None;
        }
        let rest = self.held.split_off(end);
        let certain = std::mem::replace(&mut self.held, rest);
        Some(Some((channel, certain)))
    }
}

/// Where the closing tag may have begun.
fn open_tag(text: &str) -> usize {
    let lengths = (1..CLOSING.len().min(text.len() + 1)).rev();
    let open = lengths
        .filter(|length| {
            CLOSING
                .get(..*length)
                .is_some_and(|tag| text.ends_with(tag))
        })
        .max();
    text.len() - open.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&str], is_thinking: bool) -> (String, String) {
        let mut thoughts = Thoughts::new(is_thinking);
        let (mut reasoning, mut content) = (String::new(), String::new());
        let mut add = |parts: Vec<(Channel, String)>| {
            for (channel, text) in parts {
                match channel {
                    Channel::Reasoning => reasoning.push_str(&text),
                    Channel::Content => content.push_str(&text),
                }
            }
        };
        for piece in pieces {
            add(thoughts.push(piece));
        }
        add(thoughts.finish().into_iter().collect());
        (reasoning, content)
    }

    #[test]
    fn thoughts_stand_at_the_beginning() {
        for (text, is_thinking, reasoning, content) in [
            ("<think>\nhm</think>\n\nyes", false, "\nhm", "yes"),
            (" <think></think>yes", false, "", "yes"),
            ("hm</think> yes <think>", true, "hm", "yes <think>"),
            ("yes <think>no</think>", false, "", "yes <think>no</think>"),
            ("<thin", false, "", "<thin"),
            ("<think>hm</thi", false, "hm</thi", ""),
            ("  ", false, "", "  "),
        ] {
            let expected = (reasoning.to_owned(), content.to_owned());
            assert_eq!(split(&[text], is_thinking), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(
            pieces in prop::collection::vec("(<think>|</think>|<|th|ink>|/|a| |\\n|é){0,3}", 0..12),
            is_thinking: bool,
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(split(&pieces, is_thinking), split(&[&pieces.concat()], is_thinking));
        }
    }
}
