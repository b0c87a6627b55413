//! Models that get stuck: the same again and again.

/// Characters of the longest unit that is watched for.
const LONGEST_UNIT: usize = 400;
/// Characters that all repetitions of a unit have together at least.
const LEAST: usize = 400;
/// So many times something is repeated on purpose at most: rows of tables are alike, not the same.
const TIMES: usize = 10;

/// Counts, for each length of a unit, how long the text has been repeating itself.
#[derive(Debug)]
pub struct Repetition {
    /// The last [`LONGEST_UNIT`] characters, in a circle.
    last: Vec<char>,
    read: usize,
    /// For each length of a unit less one: characters that were as those a unit before.
    runs: Vec<usize>,
}

impl Default for Repetition {
    fn default() -> Self {
        Self {
            last: vec!['\0'; LONGEST_UNIT],
            read: 0,
            runs: vec![0; LONGEST_UNIT],
        }
    }
}

impl Repetition {
    /// Reads on. Bytes of the piece after which the text is known to go nowhere.
    pub fn push(&mut self, piece: &str) -> Option<usize> {
        let mut end = 0;
        for c in piece.chars() {
            end += c.len_utf8();
            if self.read_one(c) {
                return Some(end);
            }
        }
        None
    }

    fn read_one(&mut self, c: char) -> bool {
        let at = self.read % LONGEST_UNIT;
        let mut is_stuck = false;
        for (index, run) in self.runs.iter_mut().enumerate() {
            let unit = index + 1;
            let before = (at + LONGEST_UNIT - unit) % LONGEST_UNIT;
            let is_same = self.read >= unit && self.last.get(before) == Some(&c);
            *run = if is_same { *run + 1 } else { 0 };
            // The first time is none of the repetitions.
            is_stuck |= *run >= LEAST.max(unit * TIMES);
        }
        if let Some(last) = self.last.get_mut(at) {
            *last = c;
        }
        self.read += 1;
        is_stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuck_at(text: &str) -> Option<usize> {
        Repetition::default().push(text)
    }

    #[test]
    fn a_loop_is_noticed_and_a_list_is_none() {
        let line = "I am sorry, I cannot do that. ";
        let text = format!("Well. {}", line.repeat(20));
        let end = stuck_at(&text).expect("a loop");
        assert!(end <= 6 + 15 * line.len(), "{end}");
        assert!(stuck_at(&"!".repeat(500)).is_some());
        assert!(stuck_at(&"été ".repeat(200)).is_some());
        let table: String = (0..200).map(|n| format!("| row {n} | 0 | 0 |\n")).collect();
        assert_eq!(stuck_at(&table), None);
        assert_eq!(stuck_at(&line.repeat(8)), None);
        assert_eq!(stuck_at(&"-".repeat(300)), None);
    }

    #[test]
    fn pieces_are_as_good_as_the_whole() {
        let text = format!("so: {}", "again and again, ".repeat(60));
        let mut pieces = Repetition::default();
        let mut read = 0;
        for c in text.chars() {
            let end = pieces.push(c.encode_utf8(&mut [0; 4]));
            read += c.len_utf8();
            if end.is_some() {
                break;
            }
        }
        assert_eq!(Some(read), stuck_at(&text));
    }
}
