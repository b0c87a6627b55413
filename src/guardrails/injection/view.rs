use std::ops::Range;

use super::matcher::{Hits, Matcher};
use super::rules::{FAMILIES, Family};
use super::{DOUBTFUL, FOREIGN, READINGS};
use crate::guardrails::Place;
use crate::guardrails::linear::{Features, Linear, WINDOW, windows};

/// Log-odds that the worst of many windows loses for each doubling of their number: of many, one
/// looks bad by chance.
const CHANCE: f32 = 0.25;

/// Bytes that are judged as one.
const UNDIVIDED: usize = WINDOW * 3 / 2;

/// One way to read a text, in windows.
pub(super) struct View<'a> {
    text: &'a str,
    hits: Hits,
    /// One, or more in a long text.
    windows: Vec<Range<usize>>,
}

/// A window as it is read.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Of the linear model.
    pub logit: f32,
    pub text: String,
}

/// The worst of a view.
#[derive(Debug)]
pub(super) struct Found {
    pub logit: f32,
    /// The family that weighs most.
    pub kind: Option<&'static str>,
    /// In the view's text.
    pub span: Range<usize>,
}

impl<'a> View<'a> {
    pub(super) fn new(matcher: &Matcher, text: &'a str) -> Self {
        let windows = match text.len() {
            _ if text.trim().is_empty() => Vec::new(),
            0..=UNDIVIDED => std::iter::once(0..text.len()).collect(),
            _ => windows(text, WINDOW),
        };
        let hits = matcher.hits(text);
        Self {
            text,
            hits,
            windows,
        }
    }

    /// The text of each window.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        let windows = self.windows.iter();
        windows.map(|window| self.text.get(window.clone()).unwrap_or_default())
    }

    /// The families that are there.
    pub(super) fn dense(&self) -> [f32; FAMILIES] {
        self.hits.dense()
    }

    /// None: there is no text. Adds its worst windows to `doubts`.
    pub(super) fn worst(
        &self,
        model: &Linear,
        features: &mut Features,
        place: Place,
        doubts: &mut Vec<Doubt>,
    ) -> Option<Found> {
        let first = doubts.len();
        let is_indirect = matches!(place, Place::Tool | Place::File);
        let chance = CHANCE * ((self.windows.len() + 1) as f32).log2();
        let mut worst: Option<(f32, Range<usize>, Hits)> = None;
        self.read(features, |part, hits, features| {
            let Some(mut logit) = model.logit(0, features, &hits.dense()) else {
                return;
            };
            if is_indirect {
                logit += FOREIGN * (hits.foreign() as f32).min(2.0);
            }
            if part.len() < self.text.len() {
                logit -= chance;
            }
            if self.windows.contains(&part) {
                self.doubt(logit, &part, first, doubts);
            }
            if worst.as_ref().is_none_or(|worst| worst.0 < logit) {
                worst = Some((logit, part, hits));
            }
        });
        let (logit, part, hits) = worst?;
        let heaviest = hits.iter().filter_map(|(family, span)| {
            let weight = model.dense(0, *family as usize)?;
            // Languages share words: what English rules name is English.
            let is_own = *family != Family::Multilingual;
            Some((is_own, weight, family.kind()?, span))
        });
        let heaviest = heaviest.max_by(|one, other| {
            let weight = one.1.total_cmp(&other.1);
            one.0.cmp(&other.0).then(weight)
        });
        let (kind, span) = match heaviest {
            Some((_, _, kind, span)) => (Some(kind), span),
            None => (None, &part),
        };
        Some(Found {
            logit,
            kind,
            span: span.clone(),
        })
    }

    /// Keeps the worst windows of this view, which begin at `first`.
    fn doubt(&self, logit: f32, part: &Range<usize>, first: usize, doubts: &mut Vec<Doubt>) {
        if logit < DOUBTFUL {
            return;
        }
        let own = doubts.get(first..).unwrap_or_default();
        if own.len() >= READINGS {
            let mildest = own.iter().enumerate();
            let mildest = mildest.min_by(|(_, one), (_, other)| one.logit.total_cmp(&other.logit));
            match mildest {
                Some((at, mildest)) if mildest.logit < logit => doubts.swap_remove(first + at),
                _ => return,
            };
        }
        doubts.push(Doubt {
            logit,
            text: self.text.get(part.clone()).unwrap_or_default().to_owned(),
        });
    }

    /// Buckets and families of every part.
    pub(super) fn rows(&self, features: &mut Features) -> Vec<(Vec<u32>, Vec<f32>)> {
        let mut rows = Vec::new();
        self.read(features, |_, hits, features| {
            rows.push((features.buckets().to_vec(), hits.dense().to_vec()));
        });
        // The whole of the text first.
        let last = rows.len().min(1);
        rows.rotate_right(last);
        rows
    }

    /// Every window, and at last all of them together where there are many.
    fn read(&self, features: &mut Features, mut each: impl FnMut(Range<usize>, Hits, &Features)) {
        let mut whole = features.like();
        for window in &self.windows {
            features.read(self.text.get(window.clone()).unwrap_or_default());
            each(window.clone(), self.hits.within(window), features);
            if self.windows.len() > 1 {
                whole.extend(features);
            }
        }
        if self.windows.len() > 1 {
            each(0..self.text.len(), self.hits.clone(), &whole);
        }
    }
}
