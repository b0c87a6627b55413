//! Looking for patterns in a text.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::{Candidate, Patterns, Verdict};
use crate::guardrails::announced::has;
use crate::guardrails::folded::Folded;
use crate::guardrails::markup::Markup;
use crate::guardrails::spent::Spent;
use crate::guardrails::{Finding, GuardName};

/// Bytes before a match that a judge is shown.
const CONTEXT: usize = 96;

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

/// Patterns of which something may be in a text, a bit for each.
struct Possible {
    /// A match may begin.
    begins: Vec<u64>,
    /// A match may be whole.
    announced: Vec<u64>,
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
        self.folded.finish();
        self.find(true)
    }

    /// Adds a piece that will be looked at with the next.
    pub fn add(&mut self, piece: &str) {
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
        // Of what is not folded yet nothing can be told.
        let mut settled = self.folded.origin(self.folded.as_str().len());
        // Patterns of a guard stand together: the time is taken where the next guard's begin.
        let mut timed: Option<(GuardName, Instant)> = None;
        let mut desk = patterns.desk();
        // Most of what comes in a stream is a word, which few patterns begin with.
        let first = self.next.iter().min().copied().unwrap_or(0);
        let look = |text: &str| Possible {
            begins: patterns.begins.within(text.get(first..).unwrap_or(text)),
            announced: patterns.announced.within(text, first),
        };
        let original = look(&self.text);
        // Borders of words are seen from the byte before.
        let near = first.saturating_sub(1);
        let (here, there) = (self.text.as_bytes(), self.folded.as_str().as_bytes());
        let is_folded = here.get(near..) != there.get(near..);
        let folded = is_folded.then(|| look(self.folded.as_str()));
        let folded = folded.as_ref().unwrap_or(&original);
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
            let possible = if one.is_original { &original } else { folded };
            let is_announced = has(&possible.announced, which);
            if !has(&possible.begins, which) || (is_whole && !is_announced) {
                *next = text.len().max(*next);
                continue;
            }
            let mut open = None;
            if !is_whole {
                open = one.first_open(scratch, text, *next);
            }
            while is_announced && let Some(form) = one.find(scratch, text, *next) {
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
