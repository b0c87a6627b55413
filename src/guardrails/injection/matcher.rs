use std::ops::Range;

use regex::{Regex, RegexBuilder};

use crate::guardrails::announced::{Announced, Announcement, has};

use super::rules::{FAMILIES, Family, GAP, RULES};

/// Bytes for the states of a regular expression: with too few of them it becomes slow.
const CACHE: usize = 8 << 20;

/// The rules, ready for use. Each has its own automaton: one for all of them would have too many
/// states to keep.
pub(super) struct Matcher {
    rules: Vec<(Family, Regex)>,
    announced: Announced,
}

/// What rules found in a text, in the order in which it begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Hits(Vec<(Family, Range<usize>)>);

impl Matcher {
    /// # Errors
    /// `regex::Error` for a rule that is not well-formed.
    pub(super) fn new() -> Result<Self, regex::Error> {
        let mut rules = Vec::with_capacity(RULES.len());
        let mut announcements = Vec::with_capacity(RULES.len());
        for (family, rule) in RULES {
            let rule = expanded(rule);
            let announcement = regex_syntax::parse(&rule).ok();
            let announcement = announcement.and_then(|form| Announcement::by_literals(&form));
            announcements.push(announcement.unwrap_or(Announcement::None));
            let rule = RegexBuilder::new(&rule).dfa_size_limit(CACHE).build()?;
            rules.push((*family, rule));
        }
        Ok(Self {
            rules,
            announced: Announced::of(announcements.iter()),
        })
    }

    /// Everything that rules find in a normalized text: of each rule every match.
    pub(super) fn hits(&self, text: &str) -> Hits {
        let announced = self.announced.within(text, 0);
        let rules = self.rules.iter().enumerate();
        let rules = rules.filter(|(which, _)| has(&announced, *which));
        let hits = rules.flat_map(|(_, (family, rule))| {
            let found = rule.find_iter(text);
            found.map(|found| (*family, found.range()))
        });
        let mut hits: Vec<_> = hits.collect();
        hits.sort_by_key(|hit| hit.1.start);
        Hits(hits)
    }
}

/// ASCII borders, classes and case: the normalized text has no other, and they are much faster.
fn expanded(rule: &str) -> String {
    let (sign, gap) = GAP;
    let rule = rule.replace(sign, gap);
    let rule = rule.replace(r"\b", r"(?-u:\b)").replace(r"\w", "[a-z0-9_]");
    rule.replace(r"\s", r"[ \n]").replace(r"\W", "[^a-z0-9_]")
}

impl Hits {
    /// Those that begin in a part of the text.
    pub(super) fn within(&self, part: &Range<usize>) -> Self {
        let first = self.0.partition_point(|hit| hit.1.start < part.start);
        let hits = self.0.iter().skip(first);
        let hits = hits.take_while(|hit| hit.1.start < part.end);
        Self(hits.cloned().collect())
    }

    /// One for each family that is there, in their order.
    pub(super) fn dense(&self) -> [f32; FAMILIES] {
        let mut dense = [0.0; FAMILIES];
        for (family, _) in &self.0 {
            if let Some(one) = dense.get_mut(*family as usize) {
                *one = 1.0;
            }
        }
        dense
    }

    /// How many families there are that have no place in data.
    pub(super) fn foreign(&self) -> usize {
        let foreign = self.0.iter().filter(|hit| hit.0.is_foreign_in_data());
        let mut families: Vec<usize> = foreign.map(|hit| hit.0 as usize).collect();
        families.sort_unstable();
        families.dedup();
        families.len()
    }

    /// Families and where they are.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Family, Range<usize>)> {
        self.0.iter()
    }
}
