//! Models that get stuck: the same again and again.

/// Characters of the longest unit that is watched for.
const LONGEST_UNIT: usize = 400;
/// Characters that all repetitions of a unit have together at least.
const LEAST: usize = 400;
/// So many times something is repeated on purpose at most: rows of tables are alike, not the same.
const TIMES: usize = 10;

/// No character: what is before the text.
const NOTHING: u32 = u32::MAX;
/// Characters that are read before those that still matter are moved.
const ROOM: usize = 8 * LONGEST_UNIT;

/// Counts, for each length of a unit, how long the text has been repeating itself.
#[derive(Debug)]
pub struct Repetition {
    /// What was read, backwards: the last character is at `newest`. That way each character is
    /// compared with all that are a unit before it in one go, which processors do several at a time.
    read: Vec<u32>,
    newest: usize,
    /// For each length of a unit less one: characters that were as those a unit before.
    runs: [u32; LONGEST_UNIT],
}

impl Default for Repetition {
    fn default() -> Self {
        Self {
            read: vec![NOTHING; ROOM + LONGEST_UNIT],
            newest: ROOM,
            runs: [0; LONGEST_UNIT],
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
        let c = u32::from(c);
        let mut longest = 0;
        let before = self.read.iter().skip(self.newest);
        for (run, before) in self.runs.iter_mut().zip(before) {
            *run = if *before == c { *run + 1 } else { 0 };
            longest = longest.max(*run);
        }
        if self.newest == 0 {
            self.read.copy_within(..LONGEST_UNIT, ROOM);
            self.newest = ROOM;
        }
        self.newest -= 1;
        if let Some(newest) = self.read.get_mut(self.newest) {
            *newest = c;
        }
        // The first time is none of the repetitions.
        let is_enough = |(index, run): (usize, &u32)| {
            let unit = index + 1;
            *run as usize >= LEAST.max(unit * TIMES)
        };
        longest as usize >= LEAST && self.runs.iter().enumerate().any(is_enough)
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
