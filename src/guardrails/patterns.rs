//! Things that are found by their form: regular expressions propose, functions judge.
//!
//! A stream must give what the whole text would. So a proposal counts only when no further text can
//! change it: for every pattern a DFA tells from where on a match may still be open.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind};

use super::folded::Folded;
use super::markup::Markup;
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
    /// written `(?-u:\b)`. Its end may be a class that is repeated without end, as `[a-z]{8,}`,
    /// of ASCII characters and of all others or none: a match then goes on as far as the class
    /// does, up to that bound. This costs neither states nor time, as a large bound does, and
    /// leaves no tail of a long token behind.
    pub regex: &'static str,
    /// What the form alone does not tell. None: it is something else.
    pub judge: fn(&Candidate<'_>) -> Option<Verdict>,
}

/// Something of the right form.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What the regular expression matched, folded unless the guard is [`GuardName::Output`].
    pub text: &'a str,
    /// What stands before it, folded likewise: some dozens of characters at most.
    pub before: &'a str,
    /// Whether it is code (Markdown), in a fenced block or within a line.
    pub in_code: bool,
    /// Whether it may be inside an HTML tag that began before it.
    pub in_tag: bool,
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
#[derive(Default)]
pub struct Patterns {
    all: Vec<Arc<Compiled>>,
    begins: Begins,
    desks: Arc<Mutex<Vec<Desk>>>,
}

/// Which patterns a match of may begin with a byte: for each byte a bit for each pattern.
#[derive(Default)]
struct Begins {
    words: usize,
    bits: Vec<u64>,
}

/// What looking for patterns takes to write on, by their places. There are as many as texts have been
/// looked at at the same time: each takes megabytes.
type Desk = Vec<Scratch>;

struct Scratch {
    search: meta::Cache,
    ahead: Cache,
}

struct Compiled {
    pattern: &'static Pattern,
    /// Browsers and terminals read what stands there, not what it looks like.
    is_original: bool,
    /// The form without its run.
    regex: Regex,
    /// Bytes that it matches at most.
    longest: usize,
    run: Option<Run>,
    /// Alive after some bytes: more of them may make a match, or another one.
    ahead: DFA,
    /// Bytes that a match may begin with: nearly all that stands in a text is none, and need not be
    /// asked about.
    begins: Box<[bool; 256]>,
}

/// Bytes that a match goes on with; of characters beyond ASCII all or none.
type Run = Box<[bool; 256]>;

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
        Self::default().and(patterns)
    }

    /// These and more. What they take in memory, which is much, they take once.
    ///
    /// # Errors
    /// As [`Patterns::new`].
    pub fn and(
        &self,
        patterns: impl IntoIterator<Item = &'static Pattern>,
    ) -> Result<Self, PatternError> {
        let more = patterns.into_iter().map(Compiled::new);
        let known = self.all.iter().cloned().map(Ok);
        let all = known.chain(more.map(|one| Ok(Arc::new(one?))));
        let all: Vec<Arc<Compiled>> = all.collect::<Result<_, _>>()?;
        Ok(Self {
            begins: Begins::of(&all),
            all,
            desks: self.desks.clone(),
        })
    }

    /// A desk for all of these.
    fn desk(&self) -> Desk {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut desk = desks.pop().unwrap_or_default();
        drop(desks);
        let missing = self.all.iter().skip(desk.len());
        desk.extend(missing.map(|one| one.scratch()));
        desk
    }

    fn give_back(&self, desk: Desk) {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.push(desk);
    }
}

impl Begins {
    fn of(all: &[Arc<Compiled>]) -> Self {
        let words = all.len().div_ceil(64);
        let mut bits = vec![0; 256 * words];
        for (which, one) in all.iter().enumerate() {
            let bytes = one.begins.iter().enumerate().filter(|(_, begins)| **begins);
            for (byte, _) in bytes {
                if let Some(word) = bits.get_mut(byte * words + which / 64) {
                    *word |= 1_u64 << (which % 64);
                }
            }
        }
        Self { words, bits }
    }

    /// The patterns a match of which may begin in this text, a bit for each.
    fn within(&self, text: &str) -> Vec<u64> {
        let mut seen = [false; 256];
        for byte in text.bytes() {
            if let Some(seen) = seen.get_mut(usize::from(byte)) {
                *seen = true;
            }
        }
        let mut all = vec![0; self.words];
        let rows = self.bits.chunks_exact(self.words.max(1)).zip(seen);
        for (row, _) in rows.filter(|(_, is_seen)| *is_seen) {
            for (all, word) in all.iter_mut().zip(row) {
                *all |= word;
            }
        }
        all
    }
}

/// Whether the bit of a pattern is set.
fn has(bits: &[u64], which: usize) -> bool {
    let word = bits.get(which / 64).copied().unwrap_or(u64::MAX);
    word >> (which % 64) & 1 == 1
}

impl Compiled {
    fn new(pattern: &'static Pattern) -> Result<Self, PatternError> {
        let wrong = |why: String| PatternError {
            kind: pattern.kind,
            why,
        };
        let form = syntax::parse(pattern.regex).map_err(|error| wrong(error.to_string()))?;
        let (form, run) = without_run(form);
        let longest = form.properties().maximum_len();
        let Some(longest) = longest.filter(|longest| *longest <= LONGEST_MATCH) else {
            return Err(wrong(format!(
                "it may match more than {LONGEST_MATCH} bytes"
            )));
        };
        let form = form.to_string();
        // The other ways to search are for captures.
        let ways = meta::Config::new().onepass(false).backtrack(false);
        let regex = Regex::builder().configure(ways).build(&form);
        let regex = regex.map_err(|error| wrong(error.to_string()))?;
        let ahead = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .skip_cache_capacity_check(true),
            )
            .build(&form)
            .map_err(|error| wrong(error.to_string()))?;
        let begins = begins(&ahead);
        Ok(Self {
            pattern,
            is_original: pattern.guard == GuardName::Output,
            regex,
            longest,
            run,
            ahead,
            begins,
        })
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            search: self.regex.create_cache(),
            ahead: self.ahead.create_cache(),
        }
    }

    /// The first form from `from` on.
    fn find(&self, scratch: &mut Scratch, text: &str, from: usize) -> Option<Range<usize>> {
        let input = Input::new(text).span(from..text.len());
        let found = self.regex.search_with(&mut scratch.search, &input);
        found.map(|found| found.range())
    }

    /// The first position from `from` on where a match may begin that more text could make, or
    /// change.
    fn first_open(&self, scratch: &mut Scratch, text: &str, from: usize) -> Option<usize> {
        let from = from.max(text.ceil_char_boundary(text.len().saturating_sub(self.longest)));
        let bytes = text.as_bytes().iter().enumerate().skip(from);
        let begins = |byte: u8| self.begins.get(usize::from(byte)) == Some(&true);
        let mut starts = bytes.filter_map(|(at, byte)| begins(*byte).then_some(at));
        let cache = &mut scratch.ahead;
        starts.find(|start| text.is_char_boundary(*start) && self.is_open(cache, text, *start))
    }

    /// Where a match ends whose form alone is this.
    fn end(&self, text: &str, form: &Range<usize>) -> usize {
        let Some(run) = &self.run else {
            return form.end;
        };
        let rest = text.as_bytes().iter().skip(form.end);
        let rest = rest.take((form.start + LONGEST_MATCH).saturating_sub(form.end));
        let goes_on = |byte: &&u8| run.get(usize::from(**byte)).is_some_and(|is_in| *is_in);
        text.floor_char_boundary(form.end + rest.take_while(goes_on).count())
    }

    /// Whether a match with this span may go on with more text.
    fn runs_on(&self, text: &str, span: &Range<usize>) -> bool {
        self.run.is_some() && span.end == text.len() && span.len() < LONGEST_MATCH
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

/// The bytes after which there may be a match, whatever stands before them.
fn begins(ahead: &DFA) -> Box<[bool; 256]> {
    let mut cache = ahead.create_cache();
    let mut begins = Box::new([true; 256]);
    for (byte, begins) in (0..=u8::MAX).zip(begins.iter_mut()) {
        // All that a DFA tells apart of what stands before: nothing, letters, others, line breaks.
        *begins = ["", "a", " ", "\n", "\r"].iter().any(|before| {
            let text = [before.as_bytes(), &[byte]].concat();
            let input = Input::new(&text)
                .span(before.len()..text.len())
                .anchored(Anchored::Yes);
            let state = ahead.start_state_forward(&mut cache, &input).ok();
            let state = state.and_then(|state| ahead.next_state(&mut cache, state, byte).ok());
            // What cannot be told may begin one.
            state.is_none_or(|state| !state.is_dead())
        });
    }
    begins
}

/// Takes an endless repetition of a class off the end.
fn without_run(form: Hir) -> (Hir, Option<Run>) {
    let HirKind::Concat(parts) = form.kind() else {
        return (form, None);
    };
    let Some((last, before)) = parts.split_last() else {
        return (form, None);
    };
    let HirKind::Repetition(last) = last.kind() else {
        return (form, None);
    };
    let HirKind::Class(Class::Unicode(class)) = last.sub.kind() else {
        return (form, None);
    };
    let Some(run) = run_of(class) else {
        return (form, None);
    };
    if last.max.is_some() || !last.greedy {
        return (form, None);
    }
    let mut first = last.clone();
    first.max = Some(first.min);
    let first = Hir::repetition(first);
    let before = before.iter().cloned();
    (Hir::concat(before.chain([first]).collect()), Some(run))
}

fn run_of(class: &ClassUnicode) -> Option<Run> {
    let mut run = Box::new([false; 256]);
    for range in class.ranges() {
        let (first, last) = (range.start() as usize, range.end() as usize);
        // All characters beyond ASCII, or none.
        if last > 0x7f && (first > 0x80 || last != 0x0010_ffff) {
            return None;
        }
        run.get_mut(first..=last.min(0xff))?.fill(true);
    }
    Some(run)
}

/// One text, all at once or in pieces, and how far patterns have been looked for in it.
pub struct Scan {
    patterns: Arc<Patterns>,
    allowed_hosts: Arc<[String]>,
    text: String,
    folded: Folded,
    markup: Markup,
    /// For each pattern, from where in its text on it is yet to be looked for.
    next: Vec<usize>,
    /// Which pattern proposes what, where it is not known yet whether that is code.
    waiting: Vec<(usize, Range<usize>)>,
    settled: usize,
    spent: Spent,
}

impl Scan {
    /// `allowed_hosts`: as in [`Candidate`].
    pub fn new(patterns: Arc<Patterns>, allowed_hosts: Arc<[String]>) -> Self {
        Self {
            text: String::new(),
            folded: Folded::default(),
            markup: Markup::default(),
            next: vec![0; patterns.all.len()],
            waiting: Vec::new(),
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
    }

    fn find(&mut self, is_whole: bool) -> Vec<Finding> {
        self.markup.read(&self.text, is_whole);
        let mut settled = self.propose(is_whole);
        let mut candidates = std::mem::take(&mut self.waiting);
        if !is_whole {
            let known = self.markup.known();
            let (sure, waiting) = candidates
                .into_iter()
                .partition(|(index, span)| self.origin(*index, span.start) < known);
            (candidates, self.waiting) = (sure, waiting);
        }
        for (index, span) in &self.waiting {
            settled = settled.min(self.origin(*index, span.start));
        }
        self.settled = settled;
        let candidates = candidates.into_iter();
        candidates
            .filter_map(|(index, span)| self.judged(index, span))
            .collect()
    }

    /// Adds to what waits; returns the bytes in which nothing else will be proposed.
    fn propose(&mut self, is_whole: bool) -> usize {
        let patterns = self.patterns.clone();
        let mut settled = self.text.len();
        // Patterns of a guard stand together: the time is taken where the next guard's begin.
        let mut timed: Option<(GuardName, Instant)> = None;
        let mut desk = patterns.desk();
        // Most of what comes in a stream is a word, which few patterns begin with.
        let first = self.next.iter().min().copied().unwrap_or(0);
        let within = |text: &str| patterns.begins.within(text.get(first..).unwrap_or(text));
        let (original, folded) = (within(&self.text), within(self.folded.as_str()));
        let all = patterns.all.iter().zip(&mut self.next).zip(&mut desk);
        for (which, ((one, next), scratch)) in all.enumerate() {
            let guard = one.pattern.guard;
            if timed.is_none_or(|(before, _)| before != guard) {
                self.spent.note(timed.replace((guard, Instant::now())));
            }
            let text = match one.is_original {
                true => self.text.as_str(),
                false => self.folded.as_str(),
            };
            if !has(if one.is_original { &original } else { &folded }, which) {
                *next = text.len().max(*next);
                continue;
            }
            let mut open = None;
            if !is_whole {
                open = one.first_open(scratch, text, *next);
            }
            while let Some(form) = one.find(scratch, text, *next) {
                if open.is_some_and(|open| open <= form.start) {
                    break;
                }
                let span = form.start..one.end(text, &form);
                if !is_whole && one.runs_on(text, &span) {
                    open = Some(span.start);
                    break;
                }
                *next = span.end.max(span.start + 1);
                if open.is_some_and(|open| open < *next) {
                    open = one.first_open(scratch, text, *next);
                }
                self.waiting.push((which, span));
            }
            let open = open.unwrap_or(text.len());
            *next = open.max(*next);
            let open = match one.is_original {
                true => open,
                false => self.folded.origin(open),
            };
            settled = settled.min(open);
        }
        patterns.give_back(desk);
        self.spent.note(timed);
        settled
    }

    /// Where this byte of the text that the pattern looks at is in the original.
    fn origin(&self, index: usize, at: usize) -> usize {
        match self.patterns.all.get(index) {
            Some(one) if one.is_original => at,
            _ => self.folded.origin(at),
        }
    }

    fn judged(&self, index: usize, span: Range<usize>) -> Option<Finding> {
        let one = self.patterns.all.get(index)?;
        let text = match one.is_original {
            true => self.text.as_str(),
            false => self.folded.as_str(),
        };
        let context = text.floor_char_boundary(span.start.saturating_sub(CONTEXT));
        let start = self.origin(index, span.start);
        let candidate = Candidate {
            text: text.get(span.clone())?,
            before: text.get(context..span.start)?,
            in_code: self.markup.is_code(start),
            in_tag: self.markup.is_tag(start),
            allowed_hosts: &self.allowed_hosts,
        };
        let Verdict {
            score,
            part,
            harmless,
        } = (one.pattern.judge)(&candidate)?;
        if part.is_empty() {
            return None;
        }
        let part = span.start + part.start..span.start + part.end;
        Some(Finding {
            guard: one.pattern.guard,
            kind: one.pattern.kind,
            score,
            span: match one.is_original {
                true => part,
                false => self.folded.origins(part, &self.text),
            },
            harmless,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [Pattern; 5] = [
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
            guard: GuardName::Secrets,
            kind: "run",
            regex: r"(?-u:\b)k1[0-9]{2,}",
            judge: |candidate| candidate.whole(0.8),
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
