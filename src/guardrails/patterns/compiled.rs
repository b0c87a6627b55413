//! One pattern, ready for use.

use std::ops::Range;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind};

use super::search::{Broken, Search, SearchCache, lazy, nfa};
use super::{LONGEST_MATCH, Pattern, PatternError};
use crate::guardrails::GuardName;
use crate::guardrails::announced::Announcement;

/// What looking for a pattern takes to write on: nothing as long as there is nothing to look for.
#[derive(Default)]
pub(super) struct Scratch {
    search: Option<SearchCache>,
    ahead: Option<Cache>,
}

pub(super) struct Compiled {
    pub(super) pattern: &'static Pattern,
    /// Browsers and terminals read what stands there, not what it looks like.
    pub(super) is_original: bool,
    pub(super) announcement: Announcement,
    /// For the form without its run.
    search: Search,
    /// Bytes that it matches at most.
    longest: usize,
    run: Option<Run>,
    /// Alive after some bytes: more of them may make a match, or another one.
    ahead: DFA,
    /// Bytes that a match may begin with: nearly all that stands in a text is none, and need not be
    /// asked about.
    pub(super) begins: Box<[bool; 256]>,
}

/// Bytes that a match goes on with; of characters beyond ASCII all or none.
pub(super) type Run = Box<[bool; 256]>;

impl Compiled {
    pub(super) fn new(pattern: &'static Pattern) -> Result<Self, PatternError> {
        Self::of(pattern).map_err(|broken| PatternError {
            kind: pattern.kind,
            why: broken.to_string(),
        })
    }

    fn of(pattern: &'static Pattern) -> Result<Self, Broken> {
        let (form, run) = without_run(syntax::parse(pattern.regex)?);
        let longest = form.properties().maximum_len();
        let Some(longest) = longest.filter(|longest| *longest <= LONGEST_MATCH) else {
            return Err(format!("it may match more than {LONGEST_MATCH} bytes").into());
        };
        let automaton = nfa(&form, false)?;
        let ahead = lazy(MatchKind::All).build_from_nfa(automaton.clone())?;
        let begins = begins(&ahead);
        let literals = Announcement::by_literals(&form);
        // What comes with rare literals is looked for in few texts.
        let accelerated = match &literals {
            Some(_) => None,
            None => Search::accelerated(&form)?,
        };
        let announcement = match literals {
            Some(literals) => literals,
            None if accelerated.is_some() || is_of_digits(&ahead) => Announcement::None,
            None => Announcement::Together(form.to_string()),
        };
        let search = match accelerated {
            Some(search) => search,
            None => Search::automata(&form, automaton)?,
        };
        Ok(Self {
            pattern,
            is_original: pattern.guard == GuardName::Output,
            announcement,
            search,
            longest,
            run,
            ahead,
            begins,
        })
    }

    /// The first form from `from` on.
    pub(super) fn find(
        &self,
        scratch: &mut Scratch,
        text: &str,
        from: usize,
    ) -> Option<Range<usize>> {
        let input = Input::new(text).span(from..text.len());
        let new = || self.search.new_cache();
        self.search
            .find(scratch.search.get_or_insert_with(new), &input)
    }

    /// The first position from `from` on where a match may begin that more text could make, or
    /// change.
    pub(super) fn first_open(
        &self,
        scratch: &mut Scratch,
        text: &str,
        from: usize,
    ) -> Option<usize> {
        let from = from.max(text.ceil_char_boundary(text.len().saturating_sub(self.longest)));
        let bytes = text.as_bytes().iter().enumerate().skip(from);
        let begins = |byte: u8| self.begins.get(usize::from(byte)) == Some(&true);
        let mut starts = bytes.filter_map(|(at, byte)| begins(*byte).then_some(at));
        starts.find(|start| {
            let cache = scratch
                .ahead
                .get_or_insert_with(|| self.ahead.create_cache());
            text.is_char_boundary(*start) && self.is_open(cache, text, *start)
        })
    }

    /// Where a match ends whose form alone is this.
    pub(super) fn end(&self, text: &str, form: &Range<usize>) -> usize {
        let Some(run) = &self.run else {
            return form.end;
        };
        let rest = text.as_bytes().iter().skip(form.end);
        let rest = rest.take((form.start + LONGEST_MATCH).saturating_sub(form.end));
        let goes_on = |byte: &&u8| run.get(usize::from(**byte)).is_some_and(|is_in| *is_in);
        text.floor_char_boundary(form.end + rest.take_while(goes_on).count())
    }

    /// Whether a match with this span may go on with more text.
    pub(super) fn runs_on(&self, text: &str, span: &Range<usize>) -> bool {
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

/// Whether two digits may begin a match, of numbers or of words with digits. Of an automaton that looks
/// for several of these a text full of numbers would make new states for as long as it goes on, more
/// than can be kept.
fn is_of_digits(ahead: &DFA) -> bool {
    let cache = &mut ahead.create_cache();
    // Not all numbers may begin with a nought.
    [b"00", b"11"]
        .iter()
        .any(|two| goes_on(ahead, cache, "", *two))
}

/// The bytes after which there may be a match, whatever stands before them.
fn begins(ahead: &DFA) -> Box<[bool; 256]> {
    let mut cache = ahead.create_cache();
    let mut begins = Box::new([true; 256]);
    for (byte, begins) in (0..=u8::MAX).zip(begins.iter_mut()) {
        // All that a DFA tells apart of what stands before: nothing, letters, others, line breaks.
        *begins = ["", "a", " ", "\n", "\r"]
            .iter()
            .any(|before| goes_on(ahead, &mut cache, before, &[byte]));
    }
    begins
}

/// Whether bytes after some text may be what a match begins with, or cannot be told not to be.
fn goes_on(ahead: &DFA, cache: &mut Cache, before: &str, bytes: &[u8]) -> bool {
    let text = [before.as_bytes(), bytes].concat();
    let input = Input::new(&text)
        .span(before.len()..text.len())
        .anchored(Anchored::Yes);
    let start = ahead.start_state_forward(cache, &input).ok();
    let mut bytes = bytes.iter();
    let last = start.and_then(|start| {
        bytes.try_fold(start, |state, byte| {
            ahead.next_state(cache, state, *byte).ok()
        })
    });
    last.is_none_or(|state| !state.is_dead())
}

/// Takes an endless repetition of a class off the end.
pub(super) fn without_run(form: Hir) -> (Hir, Option<Run>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(regex: &'static str) -> Compiled {
        let pattern = Box::leak(Box::new(Pattern {
            guard: GuardName::Pii,
            kind: "any",
            regex,
            judge: |candidate| candidate.whole(1.0),
        }));
        Compiled::new(pattern).unwrap()
    }

    #[test]
    fn what_may_begin_with_digits_is_not_looked_for_together() {
        let word = compiled(r"(?-u:\b)[a-z][a-z0-9]{15,60}");
        assert!(!is_of_digits(&word.ahead));
        assert!(matches!(word.announcement, Announcement::Together(_)));
        for regex in [
            r"(?:(?-u:\b)|x)[0-9]{3}[ -]?[0-9]{4}(?-u:\b)",
            r"(?:\([0-9]{2,4}\))?[1-9][0-9 ]{4,12}",
            r"(?-u:\b)[a-z0-9]{16,60}",
        ] {
            let one = compiled(regex);
            assert!(is_of_digits(&one.ahead), "{regex}");
            assert!(matches!(one.announcement, Announcement::None), "{regex}");
        }
    }
}
