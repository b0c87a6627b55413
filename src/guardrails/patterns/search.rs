//! Two ways to look for a pattern.

use std::ops::Range;

use regex_automata::hybrid;
use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Input, MatchKind, meta};
use regex_syntax::hir::Hir;

/// What is wrong with a form, in the words of whoever cannot build it.
pub(super) type Broken = Box<dyn std::error::Error>;

/// Tells where a pattern matches first.
pub(super) enum Search {
    /// Byte by byte.
    Automata(Box<hybrid::regex::Regex>),
    /// Jumping to where a match may be. It takes several times the memory.
    Accelerated(meta::Regex),
}

/// What one of them takes to write on.
pub(super) enum SearchCache {
    Automata(Box<hybrid::regex::Cache>),
    Accelerated(Box<meta::Cache>),
}

/// The automaton of a form, to be read from its end when `reversed`.
pub(super) fn nfa(form: &Hir, reversed: bool) -> Result<NFA, Broken> {
    let config = thompson::Config::new()
        .which_captures(WhichCaptures::None)
        .reverse(reversed)
        // Of characters that are read from their end.
        .shrink(reversed);
    let mut compiler = thompson::Compiler::new();
    Ok(compiler.configure(config).build_from_hir(form)?)
}

/// An automaton whose states are made when they are come to.
pub(super) fn lazy(kind: MatchKind) -> dfa::Builder {
    let config = DFA::config()
        .match_kind(kind)
        .skip_cache_capacity_check(true);
    let mut builder = DFA::builder();
    builder.configure(config);
    builder
}

impl Search {
    /// By automata, of which `nfa` is the form's as it is read.
    pub(super) fn automata(form: &Hir, nfa: NFA) -> Result<Self, Broken> {
        let first = MatchKind::LeftmostFirst;
        let start = Prefilter::from_hir_prefix(first, form);
        let config = DFA::config()
            .specialize_start_states(start.is_some())
            .prefilter(start);
        let forward = lazy(first).configure(config).build_from_nfa(nfa)?;
        let backward = lazy(MatchKind::All).build_from_nfa(self::nfa(form, true)?)?;
        let regex = hybrid::regex::Regex::builder().build_from_dfas(forward, backward);
        Ok(Self::Automata(Box::new(regex)))
    }

    /// None: there is nothing to jump to.
    pub(super) fn accelerated(form: &Hir) -> Result<Option<Self>, Broken> {
        // The other ways to search are for captures.
        let ways = meta::Config::new().onepass(false).backtrack(false);
        let regex = meta::Builder::new().configure(ways).build_from_hir(form)?;
        Ok(regex.is_accelerated().then_some(Self::Accelerated(regex)))
    }

    pub(super) fn new_cache(&self) -> SearchCache {
        match self {
            Self::Automata(regex) => SearchCache::Automata(Box::new(regex.create_cache())),
            Self::Accelerated(regex) => SearchCache::Accelerated(Box::new(regex.create_cache())),
        }
    }

    /// The first match in the input. A cache of another search is of no use and replaced.
    pub(super) fn find(&self, cache: &mut SearchCache, input: &Input<'_>) -> Option<Range<usize>> {
        let found = match (self, &mut *cache) {
            // It gives up on nothing: no bytes make it, and no number of states.
            (Self::Automata(regex), SearchCache::Automata(cache)) => {
                regex.try_search(cache, input).ok().flatten()
            }
            (Self::Accelerated(regex), SearchCache::Accelerated(cache)) => {
                regex.search_with(cache, input)
            }
            _ => {
                *cache = self.new_cache();
                return self.find(cache, input);
            }
        };
        found.map(|found| found.range())
    }
}

#[cfg(test)]
mod tests {
    use regex_automata::util::syntax;

    use super::*;

    #[test]
    fn both_ways_find_the_same() {
        let texts = [
            "Key: abcd, key = schlüssel; KEY:  zz key:x y",
            "a.b@cd x@y, ab@cdé ÄB@cd xyz@abcdefgh",
            "ein Schlüssel, SCHLÜSSEL und schlüss",
            "",
        ];
        for form in [
            r"(?i:key)[ :=]{1,3}[^[:space:]]{4,9}",
            r"(?-u:\b)[a-z.]{1,5}@[a-z]{1,5}",
            r"(?i:schlüss)(?:e|el)?",
        ] {
            let form = syntax::parse(form).unwrap();
            let jumping = Search::accelerated(&form).unwrap().expect("a way to jump");
            let reading = Search::automata(&form, nfa(&form, false).unwrap()).unwrap();
            let mut all = 0;
            for text in texts {
                // One of them is of no use, and replaced.
                let (mut one, mut other) = (jumping.new_cache(), jumping.new_cache());
                for (from, _) in text.char_indices() {
                    let input = Input::new(text).span(from..text.len());
                    let found = reading.find(&mut one, &input);
                    assert_eq!(
                        found,
                        jumping.find(&mut other, &input),
                        "{text:?} from {from}"
                    );
                    all += usize::from(found.is_some());
                }
            }
            assert!(all > 0);
        }
    }
}
