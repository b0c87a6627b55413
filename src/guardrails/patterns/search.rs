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
    /// Byte by byte, from where a match may begin on.
    Automata(Box<hybrid::regex::Regex>),
    /// Jumping to what any match has within. It takes several times the memory.
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
        // Classes of characters are large when they are read from their end, unless shrunk.
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

    /// The first match in the input. `cache` is one of this search: of another, what is found is not
    /// known.
    pub(super) fn find(&self, cache: &mut SearchCache, input: &Input<'_>) -> Option<Range<usize>> {
        let found = match (self, &mut *cache) {
            (Self::Automata(regex), SearchCache::Automata(cache)) => {
                let found = regex.try_search(cache, input);
                // It gives up on nothing: `lazy` names no bytes for it, and no number of states.
                debug_assert!(found.is_ok());
                found.ok().flatten()
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
