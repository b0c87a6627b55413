//! Things that are found by their form: regular expressions propose, functions judge.
//!
//! A stream must give what the whole text would. So a proposal counts only when no further text can
//! change it: for every pattern a DFA tells from where on a match may still be open.

use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexSet};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::pool::Pool;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::folded::Folded;
use super::spent::Spent;
use super::{Finding, GuardName};

/// Bytes that any pattern matches at most, and with it the most that a stream is held back.
pub const LONGEST_MATCH: usize = 16 * 1024;
/// Bytes before a match that a judge is shown.
const CONTEXT: usize = 96;

/// Something that is found by its form.
pub struct Pattern {
    pub guard: GuardName,
    pub kind: &'static str,
    /// A bounded regular expression ([`LONGEST_MATCH`]) with ASCII word borders only, which are
    /// written `(?-u:\b)`.
    pub regex: &'static str,
    /// What the form alone does not tell. None: it is something else.
    pub judge: fn(&Candidate<'_>) -> Option<Verdict>,
}

/// Something of the right form.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What the regular expression matched, folded.
    pub text: &'a str,
    /// What stands before it, folded: some dozens of characters at most.
    pub before: &'a str,
    /// Whether it is in a fenced block of code (Markdown).
    pub in_code: bool,
    /// Hosts that links may lead to.
    pub allowed_hosts: &'a [String],
}

/// What a candidate is.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// As in [`Finding`].
    pub score: f32,
    /// Bytes of the candidate's text that are meant; the rest is context.
    pub part: Range<usize>,
    /// As in [`Finding`].
    pub harmless: Option<String>,
}

impl Candidate<'_> {
    /// All of it.
    pub fn whole(&self, score: f32) -> Option<Verdict> {
        self.part(0..self.text.len(), score)
    }

    /// A part of it.
    pub fn part(&self, part: Range<usize>, score: f32) -> Option<Verdict> {
        let harmless = None;
        Some(Verdict {
            score,
            part,
            harmless,
        })
    }
}

/// Patterns, ready for use.
pub struct Patterns {
    all: Vec<Compiled>,
    set: RegexSet,
}

struct Compiled {
    pattern: &'static Pattern,
    regex: Regex,
    /// Alive after some bytes: more of them may make a match, or another one.
    ahead: DFA,
    caches: Pool<Cache, Box<dyn Fn() -> Cache + Send + Sync>>,
}

/// A pattern that is not well-formed.
#[derive(Debug, thiserror::Error)]
#[error("the pattern of '{kind}' cannot be compiled: {why}")]
pub struct PatternError {
    kind: &'static str,
    why: String,
}

impl Patterns {
    /// # Errors
    /// [`PatternError`] for a wrong or unbounded regular expression.
    pub fn new(patterns: impl IntoIterator<Item = &'static Pattern>) -> Result<Self, PatternError> {
        let all: Vec<Compiled> = patterns
            .into_iter()
            .map(Compiled::new)
            .collect::<Result<_, _>>()?;
        let set = RegexSet::new(all.iter().map(|one| one.pattern.regex));
        let set = set.map_err(|error| PatternError {
            kind: "all",
            why: error.to_string(),
        })?;
        Ok(Self { all, set })
    }
}

impl Compiled {
    fn new(pattern: &'static Pattern) -> Result<Self, PatternError> {
        let wrong = |why: String| PatternError {
            kind: pattern.kind,
            why,
        };
        let form = syntax::parse(pattern.regex).map_err(|error| wrong(error.to_string()))?;
        let longest = form.properties().maximum_len();
        if longest.is_none_or(|longest| longest > LONGEST_MATCH) {
            return Err(wrong(format!(
                "it may match more than {LONGEST_MATCH} bytes"
            )));
        }
        let regex = Regex::new(pattern.regex).map_err(|error| wrong(error.to_string()))?;
        let ahead = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .skip_cache_capacity_check(true),
            )
            .build(pattern.regex)
            .map_err(|error| wrong(error.to_string()))?;
        let for_caches = ahead.clone();
        let caches = Pool::new(
            Box::new(move || for_caches.create_cache()) as Box<dyn Fn() -> Cache + Send + Sync>
        );
        Ok(Self {
            pattern,
            regex,
            ahead,
            caches,
        })
    }

    /// The first position from `from` on where a match may begin that more text could make, or
    /// change.
    fn first_open(&self, text: &str, from: usize) -> Option<usize> {
        let mut cache = self.caches.get();
        let mut starts = text.get(from..)?.char_indices().map(|(at, _)| from + at);
        starts.find(|start| self.is_open(&mut cache, text, *start))
    }

    fn is_open(&self, cache: &mut Cache, text: &str, start: usize) -> bool {
        let input = Input::new(text)
            .span(start..text.len())
            .anchored(Anchored::Yes);
        // What cannot be told is open.
        let Ok(mut state) = self.ahead.start_state_forward(cache, &input) else {
            return true;
        };
        for byte in text.as_bytes().iter().skip(start) {
            match self.ahead.next_state(cache, state, *byte) {
                Ok(next) if next.is_dead() => return false,
                Ok(next) => state = next,
                Err(_) => return true,
            }
        }
        true
    }
}

/// One text, all at once or in pieces, and how far patterns have been looked for in it.
pub struct Scan {
    patterns: Arc<Patterns>,
    allowed_hosts: Arc<[String]>,
    text: String,
    folded: Folded,
    code: CodeBlocks,
    /// For each pattern, from where in the folded text on it is yet to be looked for.
    next: Vec<usize>,
    settled: usize,
    spent: Spent,
}

impl Scan {
    /// `allowed_hosts`: as in [`Candidate`].
    pub fn new(patterns: Arc<Patterns>, allowed_hosts: Arc<[String]>) -> Self {
        Self {
            text: String::new(),
            folded: Folded::default(),
            code: CodeBlocks::default(),
            next: vec![0; patterns.all.len()],
            settled: 0,
            spent: Spent::default(),
            patterns,
            allowed_hosts,
        }
    }

    /// All of the text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes of the text in which nothing further will be found, nor anything that begins there.
    pub fn settled(&self) -> usize {
        self.settled
    }

    /// What the guards have taken so far.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Adds a piece, and tells what has been found for certain, each finding once, in no
    /// particular order.
    pub fn push(&mut self, piece: &str) -> Vec<Finding> {
        self.add(piece);
        self.find(false)
    }

    /// Adds the last piece.
    pub fn finish(&mut self, piece: &str) -> Vec<Finding> {
        self.add(piece);
        self.find(true)
    }

    fn add(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.folded.push(piece);
        self.code.read(self.folded.as_str());
    }

    fn find(&mut self, is_whole: bool) -> Vec<Finding> {
        let folded = self.folded.as_str();
        let mut candidates = Vec::new();
        let mut settled = folded.len();
        // For a piece of a stream it would be read from its beginning each time.
        let is_at_once = is_whole && self.settled == 0;
        let there = is_at_once.then(|| self.patterns.set.matches(folded));
        for (index, (one, next)) in self.patterns.all.iter().zip(&mut self.next).enumerate() {
            if there.as_ref().is_some_and(|there| !there.matched(index)) {
                continue;
            }
            let mut open = None;
            if !is_whole {
                open = one.first_open(folded, *next);
            }
            while let Some(candidate) = one.regex.find_at(folded, *next) {
                if open.is_some_and(|open| open <= candidate.start()) {
                    break;
                }
                let span = candidate.range();
                *next = span.end.max(span.start + 1);
                if open.is_some_and(|open| open < *next) {
                    open = one.first_open(folded, *next);
                }
                candidates.push((one.pattern, span));
            }
            let open = open.unwrap_or(folded.len());
            *next = open.max(*next);
            settled = settled.min(open);
        }
        self.settled = self.folded.origin(settled);
        let candidates = candidates.into_iter();
        candidates
            .filter_map(|(pattern, span)| self.judged(pattern, span))
            .collect()
    }

    fn judged(&self, pattern: &Pattern, span: Range<usize>) -> Option<Finding> {
        let folded = self.folded.as_str();
        let context = folded.floor_char_boundary(span.start.saturating_sub(CONTEXT));
        let candidate = Candidate {
            text: folded.get(span.clone())?,
            before: folded.get(context..span.start)?,
            in_code: self.code.contains(span.start),
            allowed_hosts: &self.allowed_hosts,
        };
        let Verdict {
            score,
            part,
            harmless,
        } = (pattern.judge)(&candidate)?;
        if part.is_empty() {
            return None;
        }
        let part = span.start + part.start..span.start + part.end;
        Some(Finding {
            guard: pattern.guard,
            kind: pattern.kind,
            score,
            span: self.folded.origins(part, &self.text),
            harmless,
        })
    }
}

/// Where fences (three backticks or more that begin a line) open and close blocks of code.
#[derive(Default)]
struct CodeBlocks {
    /// The first opens, the second closes, and so on.
    fences: Vec<usize>,
    /// Beginning of the last line that is read.
    line: usize,
}

impl CodeBlocks {
    fn read(&mut self, text: &str) {
        while let Some(rest) = text.get(self.line..) {
            let line = rest.split_inclusive('\n').next().unwrap_or_default();
            let blanks = line.len() - line.trim_start_matches(' ').len();
            let fence = self.line + blanks + 3;
            if blanks <= 3
                && line.trim_start_matches(' ').starts_with("```")
                && self.fences.last() != Some(&fence)
            {
                self.fences.push(fence);
            }
            if !line.ends_with('\n') {
                break;
            }
            self.line += line.len();
        }
    }

    fn contains(&self, at: usize) -> bool {
        self.fences.partition_point(|fence| *fence <= at) % 2 == 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [Pattern; 4] = [
        Pattern {
            guard: GuardName::Pii,
            kind: "address",
            regex: r"(?-u:\b)[a-z0-9.]{1,8}@[a-z]{1,8}(?:\.[a-z]{1,4}){1,2}(?-u:\b)",
            judge: |candidate| candidate.whole(0.9),
        },
        Pattern {
            guard: GuardName::Pii,
            kind: "even",
            regex: r"(?-u:\b)[0-9]{3,6}(?-u:\b)",
            judge: |candidate| {
                candidate
                    .text
                    .ends_with('2')
                    .then(|| candidate.whole(0.5))?
            },
        },
        Pattern {
            guard: GuardName::Secrets,
            kind: "assigned",
            regex: r"key ?[:=] ?[a-z0-9]{2,5}",
            judge: |candidate| {
                let value = candidate.text.rfind([' ', ':', '=']).map_or(0, |at| at + 1);
                candidate.part(value..candidate.text.len(), 0.7)
            },
        },
        Pattern {
            guard: GuardName::Output,
            kind: "tag",
            regex: r"<[a-z]{1,3}>",
            judge: |candidate| (!candidate.in_code).then(|| candidate.whole(1.0))?,
        },
    ];

    fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
        found.sort_by_key(|finding| (finding.span.start, finding.span.end, finding.kind));
        found
    }

    fn scan() -> Scan {
        Scan::new(Arc::new(Patterns::new(&PATTERNS).unwrap()), Arc::new([]))
    }

    fn whole(text: &str) -> Vec<Finding> {
        sorted(scan().finish(text))
    }

    #[test]
    fn what_is_found_lies_where_it_is() {
        let text = "é a.b@c.de, key: x１２; <b>\n```\n<b> 192 193\n```\n<b>";
        let found = whole(text);
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.kind, &text[one.span.clone()]))
            .collect();
        assert_eq!(
            told,
            [
                ("address", "a.b@c.de"),
                ("assigned", "x１２"),
                ("tag", "<b>"),
                ("even", "192"),
                ("tag", "<b>"),
            ]
        );
    }

    #[test]
    fn what_has_no_end_is_no_pattern() {
        static ENDLESS: Pattern = Pattern {
            guard: GuardName::Pii,
            kind: "endless",
            regex: "a+",
            judge: |candidate| candidate.whole(1.0),
        };
        assert!(Patterns::new([&ENDLESS]).is_err());
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(
            parts in prop::collection::vec("[a-c.@12 key:=<>`\n１é\u{200b}]{0,6}", 0..24)
        ) {
            let text = parts.concat();
            let mut scan = scan();
            let mut found = Vec::new();
            let mut settled = 0;
            for part in &parts {
                let more = scan.push(part);
                for finding in &more {
                    prop_assert!(finding.span.start >= settled || finding.kind == "assigned");
                }
                found.extend(more);
                prop_assert!(scan.settled() >= settled && text.is_char_boundary(scan.settled()));
                settled = scan.settled();
                let held = scan.text().len() - settled;
                prop_assert!(held <= 120, "{held} bytes of {:?}", scan.text());
            }
            found.extend(scan.finish(""));
            prop_assert_eq!(sorted(found), whole(&text));
        }
    }
}
